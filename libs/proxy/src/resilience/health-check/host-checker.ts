import type { Clock, Random } from '@meltemi/base';
import type { Counter, Gauge } from '@meltemi/observe';
import type { HealthCheck } from '@meltemi/snapshot';
import type { Host } from '../../balance/index.ts';
import { networkFailure, type CheckFailure, type CheckResult, type Probe } from './probe.ts';

/** Statistics under cluster.<name>.health_check. */
export interface HealthCheckStats {
  readonly attempt: Counter;
  readonly success: Counter;
  readonly failure: Counter;
  readonly passiveFailure: Counter;
  readonly networkFailure: Counter;
  readonly verifyCluster: Counter;
  readonly healthy: Gauge;
  readonly degraded: Gauge;
}

export interface HostCheckerParts {
  readonly clock: Clock;
  readonly random: Random;
  readonly stats: HealthCheckStats;
  /** The cluster was used: checks come at their usual pace, not the slow one. */
  hasTraffic(): boolean;
  /** A check ended. `changed`: the host's flags did. */
  onChecked(host: Host, passed: boolean, changed: boolean): void;
  /** Each failure, and each change. */
  log(host: Host, event: 'failed' | 'unhealthy' | 'healthy' | 'degraded', reason: string): void;
}

/** Whether the last result changed anything: not, not yet (a threshold is not reached), or yes. It decides about the next interval. */
type Transition = 'unchanged' | 'pending' | 'changed';

/**
 * Envoy's rules for one host: the first check decides at once; later ones take healthy_threshold passes or unhealthy_threshold failures in a
 * row, but an answer that says "not well" counts at once. Writes the flags of the host's state; told about time, asks by a probe.
 */
export class HostChecker {
  readonly host: Host;
  readonly #config: HealthCheck;
  readonly #probe: Probe;
  readonly #parts: HostCheckerParts;
  #first = true;
  #passes = 0;
  #failures = 0;
  #cancelTimer: (() => void) | null = null;
  #stopped = false;

  constructor(host: Host, config: HealthCheck, probe: Probe, parts: HostCheckerParts) {
    this.host = host;
    this.#config = config;
    this.#probe = probe;
    this.#parts = parts;
  }

  /** Has been checked at least once. */
  get checked(): boolean {
    return !this.#first;
  }

  /** Another worker has checked the host before: thresholds count from the first check on. Before `start`. */
  resume(): void {
    this.#first = false;
  }

  start(): void {
    const { initialJitterMs } = this.#config;
    if (initialJitterMs > 0) this.#later(this.#parts.random.next() * initialJitterMs);
    else this.#check();
  }

  stop(): void {
    this.#stopped = true;
    this.#cancelTimer?.();
    this.#probe.close();
  }

  /** Traffic brought an answer that says "do not check me, I am out": as a failed check. */
  failNow(): void {
    this.#parts.stats.passiveFailure.inc();
    this.#failed({ kind: 'failed', counted: false, network: false, excluded: true, reason: 'asked for no traffic' });
  }

  #check(): void {
    this.#parts.stats.attempt.inc();
    let over = false;
    this.#cancelTimer = this.#parts.clock.after(this.#config.timeoutMs, () => {
      over = true;
      this.#probe.close();
      this.#ended(networkFailure(`no answer within ${this.#config.timeoutMs} ms`));
    });
    this.#probe.start((result) => {
      if (!over && !this.#stopped) this.#ended(result);
    });
  }

  #ended(result: CheckResult): void {
    this.#cancelTimer?.();
    this.#cancelTimer = null;
    const transition = result.kind === 'passed' ? this.#passed(result.degraded) : this.#failed(result);
    if (!this.#stopped) this.#later(this.#interval(result.kind === 'passed', transition));
  }

  #passed(degraded: boolean): Transition {
    const { state } = this.host;
    const { stats, clock } = this.#parts;
    this.#failures = 0;
    let transition: Transition = 'unchanged';
    if (state.failedHealthCheck) {
      this.#passes++;
      transition = this.#first || this.#passes >= this.#config.healthyThreshold ? 'changed' : 'pending';
    }
    if (transition === 'changed') {
      state.failedHealthCheck = false;
      state.excluded = 'no';
      state.readySinceMs = clock.monotonic();
      stats.healthy.inc();
      // That new hosts are well is no news.
      if (!this.#first) this.#parts.log(this.host, 'healthy', 'passes its checks again');
    }
    if (degraded !== state.degradedHealthCheck) {
      state.degradedHealthCheck = degraded;
      if (degraded) stats.degraded.inc();
      else stats.degraded.dec();
      if (degraded) this.#parts.log(this.host, 'degraded', 'asks to be spared');
      transition = 'changed';
    }
    stats.success.inc();
    return this.#told(true, transition);
  }

  #failed(result: CheckFailure): Transition {
    const { state } = this.host;
    const { stats } = this.#parts;
    this.#passes = 0;
    let transition: Transition = 'unchanged';
    if (!state.failedHealthCheck) {
      this.#failures++;
      transition = !result.counted || this.#failures >= this.#config.unhealthyThreshold ? 'changed' : 'pending';
    }
    if (transition === 'changed') {
      state.failedHealthCheck = true;
      this.#failures = 0;
      stats.healthy.dec();
      this.#parts.log(this.host, 'unhealthy', result.reason);
    } else if (this.#first || this.#config.alwaysLogFailures) this.#parts.log(this.host, 'failed', result.reason);
    // New hosts that waited for their first check now count, as unhealthy ones.
    const excluded = result.excluded ? 'asked' : 'no';
    if (state.excluded !== excluded) {
      state.excluded = excluded;
      transition = 'changed';
    }
    stats.failure.inc();
    if (result.network) stats.networkFailure.inc();
    return this.#told(false, transition);
  }

  #told(passed: boolean, transition: Transition): Transition {
    this.#first = false;
    this.#parts.onChecked(this.host, passed, transition === 'changed');
    return transition;
  }

  #interval(passed: boolean, transition: Transition): number {
    const config = this.#config;
    const edge = transition === 'pending';
    const healthy = edge ? config.healthyEdgeIntervalMs : config.intervalMs;
    const unhealthy = edge ? config.unhealthyEdgeIntervalMs : config.unhealthyIntervalMs;
    const base = this.#parts.hasTraffic() ? (passed ? healthy : unhealthy) : passed ? config.noTrafficHealthyIntervalMs : config.noTrafficIntervalMs;
    const { random } = this.#parts;
    return base + (random.next() * base * config.intervalJitterPercent) / 100 + random.next() * config.intervalJitterMs;
  }

  #later(delayMs: number): void {
    this.#cancelTimer = this.#parts.clock.after(delayMs, () => {
      this.#cancelTimer = null;
      this.#check();
    });
  }
}
