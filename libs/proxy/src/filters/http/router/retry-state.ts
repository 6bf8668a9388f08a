import type { Random } from '@meltemi/base';
import type { RequestHead, ResponseHead } from '@meltemi/http';
import { RetryOn, parseRetryOn, type RetryPolicy } from '@meltemi/route';
import type { Host } from '../../../balance/index.ts';
import { isOverflow, type AttemptFailure } from './failure-reply.ts';

const onAnyReset = RetryOn['5xx'] | RetryOn['gateway-error'] | RetryOn.reset;
const grpcConditions: readonly (readonly [number, number])[] = [
  [RetryOn.cancelled, 1], [RetryOn['deadline-exceeded'], 4], [RetryOn['resource-exhausted'], 8], [RetryOn.internal, 13], [RetryOn.unavailable, 14],
];

/** What is left of a request's retries, by Envoy's conditions (router filter docs, x-envoy-retry-on). */
export class RetryState {
  readonly #policy: RetryPolicy;
  readonly #on: number;
  #left: number;
  #done = 0;
  /** Hosts tried so far, when the policy avoids them. */
  readonly previousHosts: Host[] = [];

  private constructor(policy: RetryPolicy, on: number, left: number) {
    this.#policy = policy;
    this.#on = on;
    this.#left = left;
  }

  /** Null when this request is never retried. `overrides` are x-envoy-retry-on and x-envoy-max-retries of the request. */
  static create(policy: RetryPolicy | null, request: RequestHead, overrides: { on: string | null; max: string | null }): RetryState | null {
    const base = policy ?? (overrides.on === null ? null : noPolicy);
    if (base === null) return null;
    if (base.retriableRequestHeaders.length > 0 && !base.retriableRequestHeaders.some((match) => match.matches(request))) return null;
    const on = base.on | (overrides.on === null ? 0 : parseRetryOn(overrides.on));
    const max = overrides.max !== null && /^\d{1,5}$/.test(overrides.max) ? Number(overrides.max) : base.numRetries;
    return on === 0 || max === 0 ? null : new RetryState(base, on, max);
  }

  get policy(): RetryPolicy {
    return this.#policy;
  }

  /** Retries are used up. */
  get exhausted(): boolean {
    return this.#left === 0;
  }

  /** The response calls for another attempt, if one is left. */
  wantsAfterResponse(head: ResponseHead): boolean {
    const on = this.#on;
    const status = head.status;
    if (head.headers.has('x-envoy-ratelimited') && (on & RetryOn['envoy-ratelimited']) === 0) return false;
    if ((on & RetryOn['5xx']) !== 0 && status >= 500 && status < 600) return true;
    if ((on & RetryOn['gateway-error']) !== 0 && status >= 502 && status <= 504) return true;
    if ((on & RetryOn['retriable-4xx']) !== 0 && status === 409) return true;
    if ((on & RetryOn['retriable-status-codes']) !== 0 && this.#policy.retriableStatusCodes.includes(status)) return true;
    if ((on & RetryOn['envoy-ratelimited']) !== 0 && head.headers.has('x-envoy-ratelimited')) return true;
    if ((on & RetryOn['retriable-headers']) !== 0 && this.#policy.retriableHeaders.some((match) => match.matches(head))) return true;
    const grpc = head.headers.get('grpc-status');
    return grpc !== null && grpcConditions.some(([bit, code]) => (on & bit) !== 0 && grpc === String(code));
  }

  /** No response came. `sent`: the request was on its way. A per-try timeout counts as a reset. */
  wantsAfterFailure(failed: AttemptFailure | 'per-try-timeout', sent: boolean): boolean {
    if (failed !== 'per-try-timeout' && isOverflow(failed)) return false;
    const on = this.#on;
    if ((on & onAnyReset) !== 0) return true;
    if (failed === 'per-try-timeout') return false;
    if ((on & RetryOn['reset-before-request']) !== 0 && !sent) return true;
    return (on & RetryOn['connect-failure']) !== 0 && failed.kind === 'pool';
  }

  /** Takes one retry and says how long to wait first: a random part of an interval that doubles, or what the response's reset header asks. */
  take(random: Random, response: ResponseHead | null, nowMs: number): number {
    this.#left--;
    this.#done++;
    const asked = response === null ? 0 : this.#askedDelay(response, nowMs);
    if (asked > 0) return asked * (1 + random.next() * 0.5);
    return random.next() * Math.min(this.#policy.backoffMaxMs, this.#policy.backoffBaseMs * 2 ** (this.#done - 1));
  }

  #askedDelay(response: ResponseHead, nowMs: number): number {
    const limits = this.#policy.rateLimited;
    if (limits === null) return 0;
    for (const { name, unix } of limits.headers) {
      const value = Number(response.headers.get(name) ?? NaN);
      const delayMs = unix ? value * 1000 - nowMs : value * 1000;
      if (delayMs > 0 && delayMs <= limits.maxMs) return delayMs;
    }
    return 0;
  }
}

const noPolicy: RetryPolicy = {
  on: 0, numRetries: 1, perTryTimeoutMs: 0, perTryIdleTimeoutMs: 0, backoffBaseMs: 25, backoffMaxMs: 250, retriableStatusCodes: [], retriableHeaders: [],
  retriableRequestHeaders: [], avoidPreviousHosts: false, hostSelectionMaxAttempts: 1, rateLimited: null,
};
