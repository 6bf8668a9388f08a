import type { Random } from '@meltemi/base';
import type { RequestHead, ResponseHead } from '@meltemi/http';
import { RetryOn, type MetadataCriteria, type RetryPolicy } from '@meltemi/route';
import type { Host } from '../../../balance/index.ts';
import { noOverrides, type RetryOverrides } from './control-headers.ts';
import { isOverflow, type AttemptFailure } from './failure-reply.ts';

const onAnyReset = RetryOn['5xx'] | RetryOn['gateway-error'] | RetryOn.reset;
const grpcConditions: readonly (readonly [number, string])[] = [
  [RetryOn.cancelled, '1'], [RetryOn['deadline-exceeded'], '4'], [RetryOn['resource-exhausted'], '8'], [RetryOn.internal, '13'], [RetryOn.unavailable, '14'],
];

/** What is left of a request's retries, by Envoy's conditions (router filter docs, x-envoy-retry-on). */
export class RetryState {
  readonly policy: RetryPolicy;
  readonly #on: number;
  readonly #asked: RetryOverrides;
  #left: number;
  #done = 0;
  /** Hosts tried so far, when the policy avoids them. */
  readonly previousHosts: Host[] = [];
  /** Priorities tried so far, when the policy leaves those out; emptied once no other is left. */
  readonly triedPriorities: number[] = [];
  /** Tried since the last time that some were left out. */
  #priorities: number[] = [];

  private constructor(policy: RetryPolicy, on: number, asked: RetryOverrides) {
    this.policy = policy;
    this.#on = on;
    this.#asked = asked;
    this.#left = asked.max ?? policy.numRetries;
  }

  /** Null when this request is never retried. */
  static create(policy: RetryPolicy | null, request: RequestHead, asked: RetryOverrides = noOverrides): RetryState | null {
    const base = policy ?? (asked.on === 0 ? null : noPolicy);
    if (base === null) return null;
    if (base.retriableRequestHeaders.length > 0 && !base.retriableRequestHeaders.some((match) => match.matches(request))) return null;
    const on = base.on | asked.on;
    return on === 0 ? null : new RetryState(base, on, asked);
  }

  /** Retries are used up. */
  get exhausted(): boolean {
    return this.#left === 0;
  }

  /** The response calls for another attempt, if one is left. */
  wantsAfterResponse(head: ResponseHead): boolean {
    const on = this.#on;
    const status = head.status;
    if (head.headers.has('x-envoy-ratelimited')) return (on & RetryOn['envoy-ratelimited']) !== 0;
    if ((on & RetryOn['5xx']) !== 0 && status >= 500 && status < 600) return true;
    if ((on & RetryOn['gateway-error']) !== 0 && status >= 502 && status <= 504) return true;
    if ((on & RetryOn['retriable-4xx']) !== 0 && status === 409) return true;
    if ((on & RetryOn['retriable-status-codes']) !== 0 && (this.policy.retriableStatusCodes.includes(status) || this.#asked.statusCodes.includes(status))) return true;
    if ((on & RetryOn['retriable-headers']) !== 0 && this.#hasRetriableHeader(head)) return true;
    const grpc = head.headers.get('grpc-status');
    return grpc !== null && grpcConditions.some(([bit, code]) => (on & bit) !== 0 && grpc === code);
  }

  /** No response came. `sent`: an attempt was on its way. A timeout of a try is a reset of our own. */
  wantsAfterFailure(failed: AttemptFailure, sent: boolean): boolean {
    if (isOverflow(failed)) return false;
    const on = this.#on;
    if ((on & onAnyReset) !== 0) return true;
    if ((on & RetryOn['reset-before-request']) !== 0 && !sent) return true;
    if ((on & RetryOn['refused-stream']) !== 0 && failed.kind === 'reset' && failed.reset.kind === 'remote' && failed.reset.refused) return true;
    return (on & RetryOn['connect-failure']) !== 0 && failed.kind === 'pool';
  }

  /** The policy would rather not try this host again (omit_canary_hosts, omit_host_metadata). */
  avoids(host: Host): boolean {
    const { omitCanaryHosts, omitMetadata } = this.policy;
    return (omitCanaryHosts && host.lbMetadata?.['canary'] === true) || omitMetadata.some((criteria) => hasAll(host, criteria));
  }

  /** The attempt on this host failed. */
  tried(host: Host): void {
    const { avoidPreviousHosts, leavePrioritiesAfter } = this.policy;
    if (avoidPreviousHosts) this.previousHosts.push(host);
    if (leavePrioritiesAfter === 0) return;
    this.#priorities.push(host.priority);
    if (this.#priorities.length < leavePrioritiesAfter) return;
    this.triedPriorities.push(...this.#priorities);
    this.#priorities = [];
  }

  /** Uses one up, whether or not a circuit breaker then lets it go. */
  spend(): void {
    this.#left--;
  }

  /** How long to wait before the next: a random part of an interval that doubles, or what the response's reset header asks. */
  delay(random: Random, response: ResponseHead | null, nowMs: number): { readonly ms: number; readonly asked: boolean } {
    this.#done++;
    const asked = response === null ? 0 : this.#askedDelay(response, nowMs);
    if (asked > 0) return { ms: asked * (1 + random.next() * 0.5), asked: true };
    return { ms: random.next() * Math.min(this.policy.backoffMaxMs, this.policy.backoffBaseMs * 2 ** (this.#done - 1)), asked: false };
  }

  #hasRetriableHeader(head: ResponseHead): boolean {
    return this.policy.retriableHeaders.some((match) => match.matches(head)) || this.#asked.headerNames.some((name) => head.headers.has(name));
  }

  #askedDelay(response: ResponseHead, nowMs: number): number {
    const limits = this.policy.rateLimited;
    if (limits === null) return 0;
    for (const { name, unix } of limits.headers) {
      const value = Number(response.headers.get(name) ?? NaN);
      const delayMs = unix ? value * 1000 - nowMs : value * 1000;
      if (delayMs > 0 && delayMs <= limits.maxMs) return delayMs;
    }
    return 0;
  }
}

function hasAll({ lbMetadata }: Host, { entries }: MetadataCriteria): boolean {
  return lbMetadata !== null && entries.every(([key, value]) => lbMetadata[key] === value || JSON.stringify(lbMetadata[key]) === JSON.stringify(value));
}

const noPolicy: RetryPolicy = {
  on: 0, numRetries: 1, perTryTimeoutMs: 0, perTryIdleTimeoutMs: 0, backoffBaseMs: 25, backoffMaxMs: 250, retriableStatusCodes: [], retriableHeaders: [],
  retriableRequestHeaders: [], avoidPreviousHosts: false, omitCanaryHosts: false, omitMetadata: [], leavePrioritiesAfter: 0, hostSelectionMaxAttempts: 1, rateLimited: null,
};
