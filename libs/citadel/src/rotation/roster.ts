import type { Clock } from '@meltemi/base';
import type { CitadelReport, ProxyReport, RotationFacts } from './facts.ts';
import { citadelGoneMs } from './holdups.ts';
import type { ReportStore } from './report-store.ts';
import { citadelKey, proxyKey, readReports, silentKey, type Reports } from './report-text.ts';
import { SilentIssuances, type SilentCertificate } from './silent-issuances.ts';

export interface RosterOptions {
  /** Of this run of this citadel: random. */
  readonly id: string;
  readonly store: ReportStore;
  readonly clock: Clock;
  /** Whoever was connected before is given a moment from here on to come back. Default: now. */
  readonly listeningSince?: number;
  /** A write failed; it is tried again. */
  readonly onFailure: (reason: string) => void;
}

/** Names one run of one program. */
export type ProxyName = Pick<ProxyReport, 'spiffeId' | 'name' | 'run'>;

const flushMs = 200;
const beatMs = 4000;
/** Streams and programs that are away, at one citadel. */
const maxProxies = 50_000;
/** Programs of one identity: replicas of one workload share it. */
const maxOfIdentity = 1000;

/** Who follows the trust bundle at this citadel, told to the others through the report store; and what all of them know together. */
export class Roster {
  readonly #options: RosterOptions;
  readonly #listeningSince: number;
  readonly #own = new Map<string, ProxyReport>();
  readonly #ofIdentity = new Map<string, number>();
  readonly #silent = new SilentIssuances();
  readonly #changes = new Map<string, string | undefined>();
  #writing: Promise<void> = Promise.resolve();
  #cancelFlush: (() => void) | undefined;
  #cancelBeat: () => void = () => undefined;
  #beat: Pick<CitadelReport, 'signingRoot' | 'trustedRoots'> | undefined;

  constructor(options: RosterOptions) {
    this.#options = options;
    this.#listeningSince = options.listeningSince ?? options.clock.now();
  }

  /** A program was heard of, or what is known of it has changed. False when there are too many already: then it counts as one that does not report. */
  put(told: Omit<ProxyReport, 'since'>): boolean {
    const key = proxyKey(this.#options.id, told);
    const before = this.#own.get(key);
    const known = before !== undefined;
    const same = before?.certificateRoot === told.certificateRoot && before.trustedRoots.join() === told.trustedRoots.join();
    const report = { ...told, since: same ? before.since : this.#options.clock.now() };
    const ofIdentity = this.#ofIdentity.get(report.spiffeId) ?? 0;
    if (!known && (this.#own.size >= maxProxies || ofIdentity >= maxOfIdentity)) return false;
    if (!known) this.#ofIdentity.set(report.spiffeId, ofIdentity + 1);
    this.#own.set(key, report);
    this.#change(key, JSON.stringify(report));
    return true;
  }

  get({ spiffeId, name, run }: ProxyName): ProxyReport | undefined {
    return this.#own.get(proxyKey(this.#options.id, { spiffeId, name, run }));
  }

  /** It has ended by itself: nobody waits for it any more. */
  remove(proxy: ProxyName): void {
    this.#forget(proxyKey(this.#options.id, proxy));
  }

  /** Everybody whose stream is open here. */
  connected(): ProxyReport[] {
    return [...this.#own.values()].filter(({ connected }) => connected);
  }

  /** A certificate goes to a caller that does not report; resolves when that is durable. Rejects when it cannot be made so: then it must not leave. */
  async silent(certificate: SilentCertificate): Promise<void> {
    const { id, clock } = this.#options;
    if (!this.#silent.add(certificate, clock.now())) return;
    await this.#write(new Map([[silentKey(id), JSON.stringify(this.#silent.list())]]));
  }

  /** What this citadel signs with and distributes from now on. */
  beat(state: Pick<CitadelReport, 'signingRoot' | 'trustedRoots'>): void {
    this.#beat = state;
    if (!this.#options.store.shared) return;
    this.#cancelBeat();
    const { id, clock } = this.#options;
    this.#change(citadelKey(id), JSON.stringify({ id, heardAt: clock.now(), ...state }));
    this.#cancelBeat = clock.after(beatMs, () => this.beat(state));
  }

  /** What all citadels know. Rejects when the store cannot be reached. */
  async facts(): Promise<RotationFacts> {
    const { id, store, clock } = this.#options;
    await this.flush();
    const now = clock.now();
    const reports = readReports(await store.loadReports());
    const proxies = this.#merge(reports, now);
    const silent = [...[...reports.silent].filter(([key]) => key !== silentKey(id)).flatMap(([, list]) => list), ...this.#silent.list()];
    const own = this.#beat ? [{ id, heardAt: now, ...this.#beat }] : [];
    const citadels = [...[...reports.citadels.values()].filter((citadel) => citadel.id !== id), ...own];
    this.#prune(reports, now);
    return { proxies, silent, citadels, listeningSince: this.#listeningSince };
  }

  /** Writes what has changed. */
  async flush(): Promise<void> {
    this.#cancelFlush?.();
    this.#cancelFlush = undefined;
    const changes = new Map(this.#changes);
    this.#changes.clear();
    if (changes.size === 0) return this.#writing;
    try {
      await this.#write(changes);
    } catch (cause) {
      for (const [key, text] of changes) if (!this.#changes.has(key)) this.#changes.set(key, text);
      throw cause;
    }
  }

  /** Whoever is connected is away from now on, for the citadels that go on. */
  async stop(): Promise<void> {
    this.#cancelBeat();
    for (const report of this.connected()) this.put({ ...report, connected: false });
    if (this.#options.store.shared) this.#change(citadelKey(this.#options.id), undefined);
    await this.flush().catch((cause: unknown) => this.#options.onFailure(textOf(cause)));
    this.#cancelFlush?.();
  }

  #change(key: string, text: string | undefined): void {
    this.#changes.set(key, text);
    this.#cancelFlush ??= this.#options.clock.after(flushMs, () => void this.flush().catch((cause: unknown) => {
      this.#options.onFailure(textOf(cause));
      this.#cancelFlush ??= this.#options.clock.after(flushMs * 10, () => void this.flush().catch(() => undefined));
    }));
  }

  /** One after the other, so that the newest text of a key is the one that stays. */
  #write(changes: ReadonlyMap<string, string | undefined>): Promise<void> {
    const written = this.#writing.then(() => this.#options.store.writeReports(changes));
    this.#writing = written.catch(() => undefined);
    return written;
  }

  #forget(key: string): void {
    const report = this.#own.get(key);
    if (!report) return;
    this.#own.delete(key);
    const left = (this.#ofIdentity.get(report.spiffeId) ?? 1) - 1;
    if (left > 0) this.#ofIdentity.set(report.spiffeId, left);
    else this.#ofIdentity.delete(report.spiffeId);
    this.#change(key, undefined);
  }

  /** One report of each run: of who is connected, else the newest. Runs that are over count no more when their name is connected again. */
  #merge(reports: Reports, now: number): ProxyReport[] {
    const { id } = this.#options;
    const living = new Set([...reports.citadels.values()].filter(({ heardAt }) => now - heardAt < citadelGoneMs).map((citadel) => citadel.id));
    const others = [...reports.proxies.values()].filter(({ by }) => by !== id).map(({ by, ...report }) => (report.connected && !living.has(by) ? { ...report, connected: false } : report));
    const runs = new Map<string, ProxyReport>();
    for (const report of [...others, ...this.#own.values()]) {
      const run = JSON.stringify([report.spiffeId, report.name, report.run]);
      runs.set(run, betterOf(runs.get(run), report));
    }
    const back = new Set([...runs.values()].filter(({ connected }) => connected).map(nameOf));
    return [...runs.values()].filter((report) => report.connected || (report.certificateNotAfter > now && !back.has(nameOf(report))));
  }

  /** Removes what is over, also what citadels wrote that are gone. */
  #prune(reports: Reports, now: number): void {
    const { id } = this.#options;
    const back = new Set(this.connected().map(nameOf));
    const isOver = (report: ProxyReport): boolean => report.certificateNotAfter <= now || back.has(nameOf(report));
    for (const [key, report] of this.#own) if (!report.connected && isOver(report)) this.#forget(key);
    for (const [key, report] of reports.proxies) if (report.by !== id && isOver(report)) this.#change(key, undefined);
    for (const [key, list] of reports.silent) if (key !== silentKey(id) && list.every(({ latestNotAfter }) => latestNotAfter <= now)) this.#change(key, undefined);
    for (const [key, citadel] of reports.citadels) if (citadel.id !== id && now - citadel.heardAt > 10 * citadelGoneMs) this.#change(key, undefined);
    for (const key of reports.damaged) this.#change(key, undefined);
  }
}

function betterOf(known: ProxyReport | undefined, report: ProxyReport): ProxyReport {
  if (!known || known.connected === report.connected) return !known || report.heardAt >= known.heardAt ? report : known;
  return known.connected ? known : report;
}

function nameOf({ spiffeId, name }: ProxyReport): string {
  return `${spiffeId} ${name}`;
}

function textOf(cause: unknown): string {
  return cause instanceof Error ? cause.message : String(cause);
}
