import type { Random } from '@meltemi/base';
import type { Counter, FlatStats, Gauge } from '@meltemi/observe';
import type { OutlierDetection } from '@meltemi/snapshot';
import type { Host } from '../balance/index.ts';

export interface OutlierOptions {
  readonly random: Random;
  readonly stats: FlatStats;
  /** The cluster's name in statistics. */
  readonly statName: string;
  hosts(): readonly Host[];
  /** Hosts were ejected or let back: the picker must be made anew. */
  onChange(): void;
  /** Monotonic milliseconds. */
  now(): number;
}

interface Record {
  readonly host: Host;
  consecutive5xx: number;
  consecutiveGateway: number;
  consecutiveLocal: number;
  /** How often it was ejected and did not behave for an interval since. */
  ejections: number;
  /** When it may come back; 0 = not ejected. */
  untilMs: number;
}

/**
 * Ejects hosts that fail several times in a row, for longer each time (Envoy's outlier detection: consecutive 5xx, gateway failures and
 * local-origin failures). Deviation: success-rate and failure-percentage ejection are not done; Istio leaves both off unless asked.
 */
export class OutlierDetector {
  #config: OutlierDetection;
  readonly #options: OutlierOptions;
  readonly #records = new Map<string, Record>();
  readonly #active: Gauge;
  readonly #enforced: Counter;
  readonly #overflow: Counter;
  #intervalEndMs: number;

  constructor(config: OutlierDetection, options: OutlierOptions) {
    this.#config = config;
    this.#options = options;
    const prefix = `cluster.${options.statName}.outlier_detection`;
    this.#active = options.stats.gauge(`${prefix}.ejections_active`);
    this.#enforced = options.stats.counter(`${prefix}.ejections_enforced_total`);
    this.#overflow = options.stats.counter(`${prefix}.ejections_overflow`);
    this.#intervalEndMs = options.now() + config.intervalMs;
  }

  /** `status` 0: no answer could be had (connection refused, reset). */
  report(host: Host, status: number): void {
    const record = this.#records.get(host.key);
    if (record === undefined && status > 0 && status < 500) return;
    this.#count(record ?? this.#record(host), status);
  }

  /** Lets hosts back whose time is over; forgives those that behaved for an interval. */
  tick(): void {
    const now = this.#options.now();
    let changed = false;
    // Before hosts come back: only an interval in service forgives.
    if (now >= this.#intervalEndMs) {
      this.#intervalEndMs = now + this.#config.intervalMs;
      this.#forgive();
    }
    for (const record of this.#records.values()) {
      if (record.untilMs === 0 || now < record.untilMs) continue;
      record.untilMs = 0;
      record.host.state.ejected = false;
      changed = true;
    }
    if (changed) this.#changed();
  }

  /** Ends all ejections: the config is gone. */
  stop(): void {
    for (const record of this.#records.values()) record.host.state.ejected = false;
    this.#records.clear();
    this.#changed();
  }

  #count(record: Record, status: number): void {
    const config = this.#config;
    const local = status === 0;
    if (local && config.splitExternalLocalOrigin) {
      if (++record.consecutiveLocal >= config.consecutiveLocalOriginFailure && config.consecutiveLocalOriginFailure > 0) {
        record.consecutiveLocal = 0;
        this.#eject(record, config.enforcingConsecutiveLocalOriginFailure);
      }
      return;
    }
    record.consecutiveLocal = 0;
    if (!local && status < 500) {
      record.consecutive5xx = 0;
      record.consecutiveGateway = 0;
      return;
    }
    const gateway = local || (status >= 502 && status <= 504);
    record.consecutiveGateway = gateway ? record.consecutiveGateway + 1 : 0;
    record.consecutive5xx++;
    if (gateway && config.consecutiveGatewayFailure > 0 && record.consecutiveGateway >= config.consecutiveGatewayFailure) {
      record.consecutiveGateway = 0;
      this.#eject(record, config.enforcingConsecutiveGatewayFailure);
    }
    if (config.consecutive5xx > 0 && record.consecutive5xx >= config.consecutive5xx) {
      record.consecutive5xx = 0;
      this.#eject(record, config.enforcingConsecutive5xx);
    }
  }

  #eject(record: Record, enforcingPercent: number): void {
    if (record.untilMs > 0 || this.#options.random.next() * 100 >= enforcingPercent) return;
    const hosts = this.#options.hosts();
    const ejected = hosts.reduce((count, host) => count + (host.state.ejected ? 1 : 0), 0);
    // The share before this one decides, so that the first ejection always passes unless the limit is zero.
    if ((100 * ejected) / Math.max(1, hosts.length) >= this.#config.maxEjectionPercent && !(this.#config.alwaysEjectOneHost && ejected === 0)) {
      this.#overflow.inc();
      return;
    }
    record.ejections++;
    const { baseEjectionTimeMs, maxEjectionTimeMs, maxEjectionTimeJitterMs } = this.#config;
    const longest = Math.max(baseEjectionTimeMs, maxEjectionTimeMs);
    record.untilMs = this.#options.now() + Math.min(longest, baseEjectionTimeMs * record.ejections) + this.#options.random.next() * maxEjectionTimeJitterMs;
    record.host.state.ejected = true;
    this.#enforced.inc();
    this.#changed();
  }

  #forgive(): void {
    const present = new Set(this.#options.hosts().map((host) => host.key));
    for (const [key, record] of this.#records) {
      if (!present.has(key)) this.#records.delete(key);
      else if (record.untilMs === 0 && record.ejections > 0) record.ejections--;
    }
  }

  #changed(): void {
    this.#active.set(this.#options.hosts().reduce((count, host) => count + (host.state.ejected ? 1 : 0), 0));
    this.#options.onChange();
  }

  #record(host: Host): Record {
    const record: Record = { host, consecutive5xx: 0, consecutiveGateway: 0, consecutiveLocal: 0, ejections: 0, untilMs: 0 };
    this.#records.set(host.key, record);
    return record;
  }
}
