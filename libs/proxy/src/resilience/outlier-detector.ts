import type { Random } from '@meltemi/base';
import type { Counter, FlatStats, Gauge } from '@meltemi/observe';
import type { OutlierDetection } from '@meltemi/snapshot';
import type { Host, HostState } from '../balance/index.ts';
import { failurePercentageOutliers, successRateOutliers, type Volume } from './outlier-rates.ts';

/** What a detector needs besides its config. */
export interface OutlierParts {
  readonly random: Random;
  /** The cluster's hosts now. */
  hosts(): readonly Host[];
  /** `host.state.ejected` of some hosts changed: pickers must be made anew. `ejected` is the one that was taken out, null when some came back. */
  onChange(ejected: Host | null): void;
  readonly stats: FlatStats;
  /** "cluster.<name>": statistics go under `<prefix>.outlier_detection`. */
  readonly prefix: string;
}

/** What is known of one host. */
interface Record5xx {
  fiveXx: number;
  gateway: number;
  localOrigin: number;
  /** Times ejected, less the sweeps it has been good since: the multiplier of the base ejection time. */
  backoff: number;
  /** Monotonic milliseconds; 0 = not ejected. */
  until: number;
  /** Answers of this interval, and own failures when both are counted apart. */
  external: Volume;
  local: Volume;
}

const causes = [
  'consecutive_5xx', 'consecutive_gateway_failure', 'consecutive_local_origin_failure', 'success_rate', 'failure_percentage', 'local_origin_success_rate', 'local_origin_failure_percentage',
] as const;
type Cause = (typeof causes)[number];

/**
 * Takes hosts that keep failing out of a cluster for a while, by Envoy's rules (outlier detection docs). A state machine: it is told what
 * happened and what time it is. One per cluster and worker, so thresholds count per worker.
 */
export class OutlierDetector {
  #config: OutlierDetection;
  readonly #parts: OutlierParts;
  readonly #records = new WeakMap<HostState, Record5xx>();
  readonly #active: Gauge;
  readonly #enforced: Counter;
  readonly #overflow: Counter;
  #sweptMs: number;

  constructor(config: OutlierDetection, parts: OutlierParts, nowMs: number) {
    this.#config = config;
    this.#parts = parts;
    this.#sweptMs = nowMs;
    const prefix = `${parts.prefix}.outlier_detection`;
    this.#active = parts.stats.gauge(`${prefix}.ejections_active`);
    this.#enforced = parts.stats.counter(`${prefix}.ejections_enforced_total`);
    this.#overflow = parts.stats.counter(`${prefix}.ejections_overflow`);
    for (const cause of causes) for (const what of ['detected', 'enforced']) parts.stats.counter(`${prefix}.ejections_${what}_${cause}`);
  }

  /** A new config: counts and ejections stay. */
  update(config: OutlierDetection): void {
    this.#config = config;
  }

  /** A request to the host ended: with this status, or 0 when no answer came (connect failure, reset, timeout); negative says nothing about the host. @hot */
  report(host: Host, status: number, nowMs: number): void {
    if (status < 0) return;
    const record = this.#record(host);
    if (status === 0 && this.#config.splitExternalLocalOrigin) return this.#localFailure(host, record, nowMs);
    // Without the split, a failure of ours counts as 503 from the host.
    const failed = status === 0 || status >= 500;
    record.external.total++;
    record.local.total++;
    record.local.good++;
    record.localOrigin = 0;
    if (!failed) {
      record.external.good++;
      record.fiveXx = 0;
      record.gateway = 0;
      return undefined;
    }
    const gateway = status === 0 || (status >= 502 && status <= 504);
    record.gateway = gateway ? record.gateway + 1 : 0;
    record.fiveXx++;
    const config = this.#config;
    if (record.gateway > 0 && record.gateway === config.consecutiveGatewayFailure) {
      record.gateway = 0;
      this.#eject(host, 'consecutive_gateway_failure', config.enforcingConsecutiveGatewayFailure, nowMs);
    }
    if (record.fiveXx === config.consecutive5xx) {
      record.fiveXx = 0;
      this.#eject(host, 'consecutive_5xx', config.enforcingConsecutive5xx, nowMs);
    }
    return undefined;
  }

  /** Housekeeping: every interval hosts whose time is over come back, and rates are judged. Call it about once a second. */
  tick(nowMs: number): void {
    if (nowMs - this.#sweptMs < this.#config.intervalMs) return;
    this.#sweptMs = nowMs;
    this.#readmit(nowMs);
    this.#judgeRates(nowMs);
    this.#active.set(this.#ejected());
  }

  /** An active health check of the host passed: it is back at once, where the config says so. */
  passedHealthCheck(host: Host): void {
    if (!host.state.ejected || !this.#config.unejectByHealthCheck) return;
    this.#readmitOne(host);
    this.#active.set(this.#ejected());
    this.#parts.onChange(null);
  }

  /** Lets everybody back in: the cluster has no outlier detection any more. */
  stop(): void {
    for (const host of this.#parts.hosts()) host.state.ejected = false;
    this.#active.set(0);
    this.#parts.onChange(null);
  }

  #localFailure(host: Host, record: Record5xx, nowMs: number): void {
    record.local.total++;
    record.localOrigin++;
    if (record.localOrigin !== this.#config.consecutiveLocalOriginFailure) return;
    record.localOrigin = 0;
    this.#eject(host, 'consecutive_local_origin_failure', this.#config.enforcingConsecutiveLocalOriginFailure, nowMs);
  }

  #eject(host: Host, cause: Cause, enforcing: number, nowMs: number): void {
    if (host.state.ejected) return;
    this.#count('detected', cause);
    if (!this.#mayEject()) return this.#overflow.inc();
    if (this.#parts.random.next() * 100 >= enforcing) return;
    const { baseEjectionTimeMs, maxEjectionTimeMs, maxEjectionTimeJitterMs } = this.#config;
    const record = this.#record(host);
    record.backoff++;
    record.until = nowMs + Math.min(maxEjectionTimeMs, baseEjectionTimeMs * record.backoff) + this.#parts.random.next() * maxEjectionTimeJitterMs;
    host.state.ejected = true;
    this.#enforced.inc();
    this.#count('enforced', cause);
    this.#active.set(this.#ejected());
    this.#parts.onChange(host);
  }

  /** Counted with the host in question; of many hosts never more than the percentage. */
  #mayEject(): boolean {
    const ejected = this.#ejected();
    if (ejected === 0 && this.#config.alwaysEjectOneHost) return true;
    return (100 * (ejected + 1)) / Math.max(1, this.#parts.hosts().length) <= this.#config.maxEjectionPercent;
  }

  #readmit(nowMs: number): void {
    let back = false;
    for (const host of this.#parts.hosts()) {
      const record = this.#record(host);
      if (!host.state.ejected) {
        if (record.backoff > 0) record.backoff--;
        continue;
      }
      if (nowMs < record.until) continue;
      this.#readmitOne(host);
      back = true;
    }
    if (back) this.#parts.onChange(null);
  }

  #readmitOne(host: Host): void {
    host.state.ejected = false;
    Object.assign(this.#record(host), { fiveXx: 0, gateway: 0, localOrigin: 0, until: 0 });
  }

  #judgeRates(nowMs: number): void {
    const config = this.#config;
    const all = this.#parts.hosts().map((host) => ({ host, record: this.#record(host) }));
    const judge = (volume: (record: Record5xx) => Volume, judged: { rate: Cause; rateEnforcing: number; percentage: Cause; percentageEnforcing: number }) => {
      const seen = all.filter(({ host }) => !host.state.ejected).map(({ host, record }) => ({ host, ...volume(record) }));
      // Without enforcing they are still counted as detected.
      for (const { host } of successRateOutliers(seen, config)) this.#eject(host, judged.rate, judged.rateEnforcing, nowMs);
      for (const { host } of failurePercentageOutliers(seen, config)) this.#eject(host, judged.percentage, judged.percentageEnforcing, nowMs);
    };
    judge((record) => record.external, { rate: 'success_rate', rateEnforcing: config.enforcingSuccessRate, percentage: 'failure_percentage', percentageEnforcing: config.enforcingFailurePercentage });
    if (config.splitExternalLocalOrigin) {
      judge((record) => record.local, {
        rate: 'local_origin_success_rate', rateEnforcing: config.enforcingLocalOriginSuccessRate, percentage: 'local_origin_failure_percentage', percentageEnforcing: config.enforcingFailurePercentageLocalOrigin,
      });
    }
    for (const { record } of all) {
      record.external = { total: 0, good: 0 };
      record.local = { total: 0, good: 0 };
    }
  }

  #ejected(): number {
    let count = 0;
    for (const host of this.#parts.hosts()) if (host.state.ejected) count++;
    return count;
  }

  #record(host: Host): Record5xx {
    let record = this.#records.get(host.state);
    if (record === undefined) {
      record = { fiveXx: 0, gateway: 0, localOrigin: 0, backoff: 0, until: 0, external: { total: 0, good: 0 }, local: { total: 0, good: 0 } };
      this.#records.set(host.state, record);
    }
    return record;
  }

  #count(what: 'detected' | 'enforced', cause: Cause): void {
    this.#parts.stats.counter(`${this.#parts.prefix}.outlier_detection.ejections_${what}_${cause}`).inc();
  }
}
