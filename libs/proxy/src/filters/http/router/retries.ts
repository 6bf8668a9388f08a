import { ResponseFlag, type ResponseHead } from '@meltemi/http';
import type { Host } from '../../../balance/index.ts';
import type { ResponseTarget } from '../../../http/response-target.ts';
import type { ClusterLimits, UpstreamCluster } from '../../../upstream.ts';
import type { RetryState } from './retry-state.ts';
import type { VirtualClusterStats } from './virtual-cluster.ts';

/** A request's retries under way: asks policy and circuit breaker, waits, counts. */
export class Retries {
  readonly state: RetryState;
  readonly #target: ResponseTarget;
  readonly #cluster: UpstreamCluster;
  readonly #limits: ClusterLimits;
  readonly #virtualCluster: VirtualClusterStats | null;
  /** Counted as a retry, until it is known what came of it. */
  #counted = false;
  #cancelWait: (() => void) | null = null;

  constructor(state: RetryState, target: ResponseTarget, to: { readonly cluster: UpstreamCluster; readonly limits: ClusterLimits; readonly virtualCluster: VirtualClusterStats | null }) {
    this.state = state;
    this.#target = target;
    this.#cluster = to.cluster;
    this.#limits = to.limits;
    this.#virtualCluster = to.virtualCluster;
  }

  /** The next attempt is on its way. */
  get waiting(): boolean {
    return this.#cancelWait !== null;
  }

  /** Another attempt is `wanted`: whether it is allowed; takes one. `answered`: an answer is what decides about it. */
  take(wanted: boolean, answered: boolean): boolean {
    if (this.waiting) return false;
    const { stats } = this.#cluster;
    if (!wanted && answered && this.#counted) {
      stats.rqRetrySuccess.inc();
      this.#virtualCluster?.rqRetrySuccess.inc();
    }
    this.#uncount();
    if (!wanted) return false;
    if (this.state.exhausted) {
      stats.rqRetryLimitExceeded.inc();
      this.#virtualCluster?.rqRetryLimitExceeded.inc();
      this.#target.info.responseFlags |= ResponseFlag.URX;
      return false;
    }
    this.state.spend();
    if (this.#limits.canRetry) return true;
    stats.rqRetryOverflow.inc();
    this.#virtualCluster?.rqRetryOverflow.inc();
    this.#target.info.responseFlags |= ResponseFlag.UO;
    return false;
  }

  /** Runs `attempt` once it is time, after a `take` that was allowed. `tried`: the host that failed; `response`: what it answered, if it did. */
  wait(tried: Host, response: ResponseHead | null, attempt: () => void): void {
    const { clock, random } = this.#target;
    const { stats } = this.#cluster;
    stats.rqRetry.inc();
    this.#virtualCluster?.rqRetry.inc();
    this.state.tried(tried);
    this.#limits.retries++;
    this.#counted = true;
    const { ms, asked } = this.state.delay(random, response, clock.now());
    (asked ? stats.rqRetryBackoffRateLimited : stats.rqRetryBackoffExponential).inc();
    this.#cancelWait = clock.after(ms, () => {
      this.#cancelWait = null;
      attempt();
    });
  }

  /** No attempt follows. */
  stop(): void {
    this.#cancelWait?.();
    this.#cancelWait = null;
    this.#uncount();
  }

  #uncount(): void {
    if (!this.#counted) return;
    this.#counted = false;
    this.#limits.retries--;
  }
}
