import type { HealthCheck } from '@meltemi/snapshot';
import type { Host } from '../../balance/index.ts';
import type { SharedRow } from '../../shared-rows.ts';
import { HostWord, type HostRows } from '../host-rows.ts';
import { applyMarks, isChecked, isKnown, marksOf } from './check-marks.ts';
import { HostChecker, type HostCheckerParts } from './host-checker.ts';
import type { Probe } from './probe.ts';

export interface ClusterCheckerParts extends HostCheckerParts {
  probe(host: Host): Probe;
  /** Every host there is has been checked once. */
  onFirstRound(): void;
  /** The rows of the hosts: whoever leads a host's row checks it. */
  readonly rows: HostRows;
  /** The cluster's row: it changes when a host's flags do. */
  readonly cluster: SharedRow;
}

interface Followed {
  readonly host: Host;
  readonly row: SharedRow;
  /** Null: another worker checks it. */
  checker: HostChecker | null;
  /** How often another worker was asked by the host to leave it out, when looked at last. */
  asked: number;
}

/** First checks that another worker makes are looked for so often. */
const firstLookMs = 20;

/**
 * Checks the hosts of one cluster. One per cluster and worker, but of all workers the first one to know a host checks it and tells the others by
 * the host's row; when that worker dies or forgets the host, another goes on where it was. So a host is asked once for the whole process. What a
 * worker that hangs had to check is checked by nobody until it is ended.
 */
export class ClusterChecker {
  readonly config: HealthCheck;
  readonly #parts: ClusterCheckerParts;
  /** By host key. */
  readonly #followed = new Map<string, Followed>();
  #unchecked = 0;
  #cancelLook: (() => void) | null = null;

  constructor(config: HealthCheck, parts: ClusterCheckerParts) {
    this.config = config;
    this.#parts = {
      ...parts,
      onChecked: (host, passed, changed) => {
        const followed = this.#followed.get(host.key);
        if (followed !== undefined) this.#tell(followed);
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

  /** Follows the cluster's hosts: new ones count as failed until their first check, unless other workers know better. True when a flag changed. */
  follow(hosts: readonly Host[]): boolean {
    return this.#follow(hosts, true);
  }

  /** Puts in force what other workers found, and takes over the hosts of those that have left. */
  sync(): void {
    for (const followed of this.#followed.values()) {
      if (followed.checker === null) this.#hear(followed);
      else this.#leaveOutAsAsked(followed);
    }
    this.#countUnchecked();
  }

  /** Traffic brought an answer by which the host wants out. */
  failNow(host: Host): void {
    const followed = this.#followed.get(host.key);
    if (followed === undefined) return;
    if (followed.checker !== null) return followed.checker.failNow();
    const { row } = followed;
    const { state } = host;
    if (state.failedHealthCheck && state.excluded === 'asked') return;
    state.failedHealthCheck = true;
    state.excluded = 'asked';
    row.set(HostWord.checks, marksOf(state, isChecked(row.get(HostWord.checks))));
    row.add(HostWord.asked, 1);
    this.#parts.cluster.changed();
    this.#parts.onChecked(host, false, true);
  }

  /** No more checks. `forget`: hosts are then what others say of them; else they keep what the checks said. */
  stop(forget: boolean): void {
    this.#cancelLook?.();
    this.#cancelLook = null;
    for (const [key, { host, row }] of this.#followed) {
      this.#remove(key);
      if (!forget) continue;
      this.#leave(host);
      row.set(HostWord.checks, 0);
    }
  }

  #follow(hosts: readonly Host[], untrusted: boolean): boolean {
    const gone = new Set(this.#followed.keys());
    const fresh: Followed[] = [];
    let changed = false;
    for (const host of hosts) {
      gone.delete(host.key);
      const known = this.#followed.get(host.key);
      if (known?.host === host) continue;
      if (host.endpoint.healthCheck?.disabled === true) {
        this.#remove(host.key);
        changed = this.#leave(host) || changed;
        continue;
      }
      const row = this.#parts.rows.of(host);
      if (row === null) continue;
      if (known === undefined) changed = this.#judgeNew(host, row, untrusted) || changed;
      const followed: Followed = { host, row, checker: null, asked: row.get(HostWord.asked) };
      this.#followed.set(host.key, followed);
      known?.checker?.stop();
      // Checks of hosts that were in use, or have changed, decide at once as a new host's do.
      if (row.lead()) this.#lead(followed, { counted: known !== undefined && known.checker !== null, resumed: untrusted && known === undefined });
      fresh.push(followed);
    }
    for (const key of gone) this.#remove(key);
    this.#unchecked = this.#howManyUnchecked();
    for (const followed of fresh) this.#tell(followed);
    for (const { checker } of fresh) checker?.start();
    this.#lookLater();
    return changed;
  }

  /** True when a flag changed. */
  #judgeNew({ state }: Host, row: SharedRow, untrusted: boolean): boolean {
    const marks = row.get(HostWord.checks);
    if (isKnown(marks)) return applyMarks(marks, state, this.#parts.clock.monotonic());
    if (!untrusted) return false;
    state.failedHealthCheck = true;
    state.excluded = this.config.ignoreNewHosts ? 'pending' : 'no';
    return true;
  }

  #hear(followed: Followed): void {
    const { host, row } = followed;
    const marks = row.get(HostWord.checks);
    if (isKnown(marks) && applyMarks(marks, host.state, this.#parts.clock.monotonic())) this.#parts.onChecked(host, false, true);
    // Being told may have made the cluster forget it.
    if (this.#followed.get(host.key) !== followed || !row.lead()) return;
    this.#lead(followed, { counted: false, resumed: true });
    followed.checker?.start();
  }

  /** From now on this worker checks the host. `counted`: the gauges know it already; `resumed`: it goes on where another worker was. */
  #lead(followed: Followed, { counted, resumed }: { readonly counted: boolean; readonly resumed: boolean }): void {
    const { host, row } = followed;
    if (!counted) this.#count(host);
    followed.asked = row.get(HostWord.asked);
    followed.checker = new HostChecker(host, this.config, this.#parts.probe(host), this.#parts);
    if (resumed && isChecked(row.get(HostWord.checks))) followed.checker.resume();
  }

  #leaveOutAsAsked(followed: Followed): void {
    const asked = followed.row.get(HostWord.asked);
    if (asked === followed.asked) return;
    followed.asked = asked;
    followed.checker?.failNow();
  }

  /** Tells the other workers, when there is news. */
  #tell({ host, row, checker }: Followed): void {
    if (checker === null) return;
    const marks = marksOf(host.state, checker.checked);
    if (marks === row.get(HostWord.checks)) return;
    row.set(HostWord.checks, marks);
    this.#parts.cluster.changed();
  }

  #remove(key: string): void {
    const followed = this.#followed.get(key);
    if (followed === undefined) return;
    this.#followed.delete(key);
    if (followed.checker === null) return;
    followed.checker.stop();
    const { state } = followed.host;
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
    this.#unchecked = this.#howManyUnchecked();
    if (this.#unchecked === 0) this.#parts.onFirstRound();
  }

  #howManyUnchecked(): number {
    let count = 0;
    for (const { checker, row } of this.#followed.values()) if (!(checker?.checked ?? isChecked(row.get(HostWord.checks)))) count++;
    return count;
  }

  /** A cluster that waits for its first checks has no traffic by which the worker would notice them. */
  #lookLater(): void {
    if (this.#unchecked === 0 || this.#cancelLook !== null || this.#parts.rows.alone) return;
    this.#cancelLook = this.#parts.clock.after(firstLookMs, () => {
      this.#cancelLook = null;
      this.sync();
      this.#lookLater();
    });
  }
}
