import type { Random } from '@meltemi/base';
import type { Counter, FlatStats, Gauge } from '@meltemi/observe';
import type { OutlierDetection } from '@meltemi/snapshot';
import type { Host } from '../balance/index.ts';
import type { SharedRow, SharedRows } from '../shared-rows.ts';
import { ClusterWord, HostVolume, HostWord, type HostRows } from './host-rows.ts';
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
  readonly shared: SharedRows;
  /** The cluster's row: it changes when an ejection begins or ends. */
  readonly cluster: SharedRow;
  /** The rows of its hosts. */
  readonly rows: HostRows;
}

const causes = [
  'consecutive_5xx', 'consecutive_gateway_failure', 'consecutive_local_origin_failure', 'success_rate', 'failure_percentage', 'local_origin_success_rate', 'local_origin_failure_percentage',
] as const;
type Cause = (typeof causes)[number];

/** Process time wraps after weeks: no ejection is longer than half of that. */
const longestMs = 0x3fffffff;
const volumes = Object.values(HostVolume);

/** A host and what was heard of it since rates were judged last. */
interface Judged {
  readonly host: Host;
  readonly row: SharedRow;
  readonly external: Volume;
  readonly local: Volume;
}

/**
 * Takes hosts that keep failing out of a cluster for a while, by Envoy's rules (outlier detection docs). A state machine: it is told what
 * happened and what time it is. One per cluster and worker; what they count and whom they eject stands in rows they share, so that thresholds,
 * rates and max_ejection_percent are the process's. Each worker puts ejections in force when it sees that the cluster's row changed (`sync`);
 * rates are judged once in an interval, by whoever comes first.
 */
export class OutlierDetector {
  #config: OutlierDetection;
  readonly #parts: OutlierParts;
  readonly #active: Gauge;
  readonly #enforced: Counter;
  readonly #overflow: Counter;
  #sweptMs: number;

  constructor(config: OutlierDetection, parts: OutlierParts, nowMs: number) {
    this.#config = config;
    this.#parts = parts;
    this.#sweptMs = nowMs;
    parts.cluster.swap(ClusterWord.judgedAt, 0, parts.shared.timeOf(nowMs));
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
    const row = this.#parts.rows.of(host);
    if (row === null) return;
    const config = this.#config;
    if (status === 0 && config.splitExternalLocalOrigin) return this.#localFailure(host, row, nowMs);
    // Without the split, a failure of ours counts as 503 from the host.
    const failed = status === 0 || (config.errorStatuses === null ? status >= 500 : config.errorStatuses.has(status));
    row.take(HostVolume.externalTotal, 1);
    if (config.splitExternalLocalOrigin) {
      row.take(HostVolume.localTotal, 1);
      row.take(HostVolume.localGood, 1);
    }
    clear(row, HostWord.consecutiveLocal);
    if (!failed) {
      row.take(HostVolume.externalGood, 1);
      clear(row, HostWord.consecutive5xx);
      clear(row, HostWord.consecutiveGateway);
      return undefined;
    }
    const gateway = status === 0 || (status >= 502 && status <= 504);
    if (!gateway) clear(row, HostWord.consecutiveGateway);
    else if (row.add(HostWord.consecutiveGateway, 1) === config.consecutiveGatewayFailure) {
      row.set(HostWord.consecutiveGateway, 0);
      this.#eject(host, row, { cause: 'consecutive_gateway_failure', enforcing: config.enforcingConsecutiveGatewayFailure, nowMs });
    }
    if (row.add(HostWord.consecutive5xx, 1) === config.consecutive5xx) {
      row.set(HostWord.consecutive5xx, 0);
      this.#eject(host, row, { cause: 'consecutive_5xx', enforcing: config.enforcingConsecutive5xx, nowMs });
    }
    return undefined;
  }

  /** Housekeeping: every interval hosts whose time is over come back, and rates are judged. Call it about once a second. */
  tick(nowMs: number): void {
    if (nowMs - this.#sweptMs < this.#config.intervalMs) return;
    this.#sweptMs = nowMs;
    const judges = this.#isFirst(nowMs);
    this.#readmit(nowMs, judges);
    if (judges) this.#judgeRates(nowMs);
    this.show();
  }

  /** An active health check of the host passed: it is back at once, where the config says so. */
  passedHealthCheck(host: Host): void {
    const row = this.#parts.rows.of(host);
    if (row === null || !this.#config.unejectByHealthCheck || !this.#readmitOne(host, row)) return;
    this.#changed(null);
  }

  /** Puts in force what others found: those whom they ejected. */
  sync(): Host[] {
    const ejected: Host[] = [];
    for (const host of this.#parts.hosts()) {
      const now = this.#isEjected(host);
      if (now && !host.state.ejected) ejected.push(host);
      host.state.ejected = now;
    }
    this.show();
    return ejected;
  }

  /** Brings the gauge up to date: the process's, told by one of its workers. */
  show(): void {
    this.#active.set(this.#parts.cluster.reports ? this.#ejected() : 0);
  }

  /** Lets everybody back in: the cluster has no outlier detection any more. */
  stop(): void {
    for (const host of this.#parts.hosts()) {
      host.state.ejected = false;
      const row = this.#parts.rows.of(host);
      for (let word = HostWord.consecutive5xx; word <= HostWord.ejected; word++) row?.set(word, 0);
    }
    this.#active.set(0);
    this.#parts.cluster.changed();
    this.#parts.onChange(null);
  }

  #localFailure(host: Host, row: SharedRow, nowMs: number): void {
    row.take(HostVolume.localTotal, 1);
    if (row.add(HostWord.consecutiveLocal, 1) !== this.#config.consecutiveLocalOriginFailure) return;
    row.set(HostWord.consecutiveLocal, 0);
    this.#eject(host, row, { cause: 'consecutive_local_origin_failure', enforcing: this.#config.enforcingConsecutiveLocalOriginFailure, nowMs });
  }

  #eject(host: Host, row: SharedRow, { cause, enforcing, nowMs }: { readonly cause: Cause; readonly enforcing: number; readonly nowMs: number }): void {
    if (row.get(HostWord.ejected) !== 0) return;
    this.#count('detected', cause);
    const { random, shared } = this.#parts;
    const enforced = random.next() * 100 < enforcing;
    const jitterMs = random.next() * this.#config.maxEjectionTimeJitterMs;
    // Two workers that eject at once must not pass the percentage together.
    const verdict = shared.exclusively(() => this.#decide(row, enforced, { nowMs, jitterMs }));
    if (verdict === 'overflow') this.#overflow.inc();
    if (verdict !== 'ejected') return;
    host.state.ejected = true;
    this.#enforced.inc();
    this.#count('enforced', cause);
    this.#changed(host);
  }

  #decide(row: SharedRow, enforced: boolean, { nowMs, jitterMs }: { readonly nowMs: number; readonly jitterMs: number }): 'known' | 'overflow' | 'spared' | 'ejected' {
    if (row.get(HostWord.ejected) !== 0) return 'known';
    if (!this.#mayEject()) return 'overflow';
    if (!enforced) return 'spared';
    const { baseEjectionTimeMs, maxEjectionTimeMs } = this.#config;
    // As in Envoy no higher than one above what the longest ejection needs: good intervals bring it down one by one.
    const before = row.get(HostWord.backoff);
    const times = before * baseEjectionTimeMs < maxEjectionTimeMs + baseEjectionTimeMs ? row.add(HostWord.backoff, 1) : before;
    row.set(HostWord.until, this.#parts.shared.timeOf(nowMs) + Math.min(longestMs, Math.min(maxEjectionTimeMs, baseEjectionTimeMs * times) + jitterMs));
    row.set(HostWord.ejected, 1);
    return 'ejected';
  }

  /** Counted with the host in question; of many hosts never more than the percentage. */
  #mayEject(): boolean {
    const ejected = this.#ejected();
    if (ejected === 0 && this.#config.alwaysEjectOneHost) return true;
    return (100 * (ejected + 1)) / Math.max(1, this.#parts.hosts().length) <= this.#config.maxEjectionPercent;
  }

  /** Each worker for the hosts it knows; the judge takes multipliers back. */
  #readmit(nowMs: number, judges: boolean): void {
    let back = false;
    for (const host of this.#parts.hosts()) {
      const row = this.#parts.rows.of(host);
      if (row === null) continue;
      if (row.get(HostWord.ejected) === 0) {
        if (judges && row.get(HostWord.backoff) > 0) row.add(HostWord.backoff, -1);
      } else if (((this.#parts.shared.timeOf(nowMs) - row.get(HostWord.until)) | 0) >= 0) back = this.#readmitOne(host, row) || back;
    }
    if (back) this.#changed(null);
  }

  /** False when it was not ejected, or somebody was faster. */
  #readmitOne(host: Host, row: SharedRow): boolean {
    if (!row.swap(HostWord.ejected, 1, 0)) return false;
    host.state.ejected = false;
    for (const word of [HostWord.consecutive5xx, HostWord.consecutiveGateway, HostWord.consecutiveLocal, HostWord.until]) row.set(word, 0);
    return true;
  }

  #changed(ejected: Host | null): void {
    this.show();
    this.#parts.cluster.changed();
    this.#parts.onChange(ejected);
  }

  /** Of the workers whose interval is over, the first one judges. */
  #isFirst(nowMs: number): boolean {
    const { cluster } = this.#parts;
    const now = this.#parts.shared.timeOf(nowMs);
    const judgedAt = cluster.get(ClusterWord.judgedAt);
    return ((now - judgedAt) | 0) >= this.#config.intervalMs && cluster.swap(ClusterWord.judgedAt, judgedAt, now);
  }

  #judgeRates(nowMs: number): void {
    const config = this.#config;
    const all = this.#parts.hosts().flatMap((host) => this.#heardOf(host));
    const judge = (volume: (one: Judged) => Volume, judged: { rate: Cause; rateEnforcing: number; percentage: Cause; percentageEnforcing: number }) => {
      const seen = all.filter(({ row }) => row.get(HostWord.ejected) === 0).map((one) => ({ ...one, ...volume(one) }));
      // Without enforcing they are still counted as detected.
      for (const { host, row } of successRateOutliers(seen, config)) this.#eject(host, row, { cause: judged.rate, enforcing: judged.rateEnforcing, nowMs });
      for (const { host, row } of failurePercentageOutliers(seen, config)) this.#eject(host, row, { cause: judged.percentage, enforcing: judged.percentageEnforcing, nowMs });
    };
    judge(({ external }) => external, { rate: 'success_rate', rateEnforcing: config.enforcingSuccessRate, percentage: 'failure_percentage', percentageEnforcing: config.enforcingFailurePercentage });
    if (config.splitExternalLocalOrigin) {
      judge(({ local }) => local, {
        rate: 'local_origin_success_rate', rateEnforcing: config.enforcingLocalOriginSuccessRate, percentage: 'local_origin_failure_percentage', percentageEnforcing: config.enforcingFailurePercentageLocalOrigin,
      });
    }
  }

  /** What came since the last time; nothing in an interval in which a worker left, as its share is lost. */
  #heardOf(host: Host): Judged[] {
    const row = this.#parts.rows.of(host);
    if (row === null) return [];
    const since = volumes.map((resource) => {
      const used = row.used(resource);
      const before = row.get(HostWord.judged + resource);
      row.set(HostWord.judged + resource, used);
      return (used - before) | 0;
    });
    const { losses } = row;
    const whole = row.get(HostWord.judgedLosses) === losses;
    row.set(HostWord.judgedLosses, losses);
    const volume = (total: number, good: number): Volume => (whole ? { total: since[total] ?? 0, good: since[good] ?? 0 } : { total: 0, good: 0 });
    return [{ host, row, external: volume(HostVolume.externalTotal, HostVolume.externalGood), local: volume(HostVolume.localTotal, HostVolume.localGood) }];
  }

  #ejected(): number {
    let count = 0;
    for (const host of this.#parts.hosts()) if (this.#isEjected(host)) count++;
    return count;
  }

  #isEjected(host: Host): boolean {
    return this.#parts.rows.of(host)?.get(HostWord.ejected) === 1;
  }

  #count(what: 'detected' | 'enforced', cause: Cause): void {
    this.#parts.stats.counter(`${this.#parts.prefix}.outlier_detection.ejections_${what}_${cause}`).inc();
  }
}

/** Written only when it changes something: most answers are good, and others read it. */
function clear(row: SharedRow, word: number): void {
  if (row.get(word) !== 0) row.set(word, 0);
}
