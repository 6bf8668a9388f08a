import type { HealthCheck } from '@meltemi/snapshot';
import type { Host } from '../../balance/index.ts';
import { HostChecker, type HostCheckerParts } from './host-checker.ts';
import type { Probe } from './probe.ts';

export interface ClusterCheckerParts extends HostCheckerParts {
  probe(host: Host): Probe;
  /** Every host there is has been checked once. */
  onFirstRound(): void;
}

/** Checks the hosts of one cluster. One per cluster and worker. */
export class ClusterChecker {
  readonly config: HealthCheck;
  readonly #parts: ClusterCheckerParts;
  /** By host key. */
  readonly #checkers = new Map<string, HostChecker>();
  #unchecked = 0;

  constructor(config: HealthCheck, parts: ClusterCheckerParts) {
    this.config = config;
    this.#parts = {
      ...parts,
      onChecked: (host, passed, changed) => {
        parts.onChecked(host, passed, changed);
        this.#countUnchecked();
      },
    };
  }

  /** Some host has not been checked yet. */
  get waiting(): boolean {
    return this.#unchecked > 0;
  }

  /** Takes over hosts that are in use: they are what they were until a check says otherwise. */
  adopt(hosts: readonly Host[]): void {
    this.#follow(hosts, false);
  }

  /** Follows the cluster's hosts: new ones count as failed until their first check. True when a flag changed. */
  follow(hosts: readonly Host[]): boolean {
    return this.#follow(hosts, true);
  }

  /** Traffic brought an answer by which the host wants out. */
  failNow(host: Host): void {
    this.#checkers.get(host.key)?.failNow();
  }

  /** No more checks. `forget`: hosts are then what others say of them; else they keep what the checks said. */
  stop(forget: boolean): void {
    for (const [key, checker] of this.#checkers) {
      this.#remove(key);
      if (forget) this.#leave(checker.host);
    }
  }

  #follow(hosts: readonly Host[], untrusted: boolean): boolean {
    const gone = new Set(this.#checkers.keys());
    const fresh: HostChecker[] = [];
    let changed = false;
    for (const host of hosts) {
      gone.delete(host.key);
      const known = this.#checkers.get(host.key);
      if (known?.host === host) continue;
      if (host.endpoint.healthCheck?.disabled === true) {
        this.#remove(host.key);
        changed = this.#leave(host) || changed;
        continue;
      }
      known?.stop();
      if (known === undefined && untrusted) {
        host.state.failedHealthCheck = true;
        host.state.excluded = this.config.ignoreNewHosts ? 'pending' : 'no';
        changed = true;
      } else if (known === undefined) this.#count(host);
      const checker = new HostChecker(host, this.config, this.#parts.probe(host), this.#parts);
      this.#checkers.set(host.key, checker);
      fresh.push(checker);
    }
    for (const key of gone) this.#remove(key);
    this.#unchecked = [...this.#checkers.values()].filter((checker) => !checker.checked).length;
    for (const checker of fresh) checker.start();
    return changed;
  }

  #remove(key: string): void {
    const checker = this.#checkers.get(key);
    if (checker === undefined) return;
    checker.stop();
    this.#checkers.delete(key);
    const { state } = checker.host;
    if (!state.failedHealthCheck) this.#parts.stats.healthy.dec();
    if (state.degradedHealthCheck) this.#parts.stats.degraded.dec();
  }

  #count({ state }: Host): void {
    if (!state.failedHealthCheck) this.#parts.stats.healthy.inc();
    if (state.degradedHealthCheck) this.#parts.stats.degraded.inc();
  }

  #leave({ state }: Host): boolean {
    const had = state.failedHealthCheck || state.degradedHealthCheck || state.excluded !== 'no';
    state.failedHealthCheck = false;
    state.degradedHealthCheck = false;
    state.excluded = 'no';
    return had;
  }

  #countUnchecked(): void {
    if (this.#unchecked === 0) return;
    this.#unchecked = [...this.#checkers.values()].filter((checker) => !checker.checked).length;
    if (this.#unchecked === 0) this.#parts.onFirstRound();
  }
}
