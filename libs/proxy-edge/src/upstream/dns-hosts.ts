import { isIP } from 'node:net';
import { Host, hostAndPort, newHostState, type DynamicHosts, type Lookup, type Overflow, type WaitingLookup } from '@meltemi/proxy';
import { formatAddress } from '@meltemi/http';
import type { FlatStats } from '@meltemi/observe';
import type { DynamicHostsConfig } from '@meltemi/snapshot';
import type { Resolver } from './dns.ts';

interface Entry {
  readonly name: string;
  readonly port: number;
  host: Host | null;
  /** The first answer came, good or bad. */
  known: boolean;
  /** Under way since, 0 = none. */
  askedMs: number;
  dueMs: number;
  usedMs: number;
  failures: number;
  readonly waiting: Set<(outcome: Lookup) => void>;
}

export interface DnsHostsOptions {
  readonly resolver: Resolver;
  readonly stats: FlatStats;
  /** Port of names without one. */
  readonly defaultPort: number;
  /** Coarse monotonic milliseconds. */
  now(): number;
  /** A name is known under another address, or forgotten: its old connections are to be given up. */
  onGone(host: Host): void;
}

/** The names of one cluster with their addresses. An address that is known stays in use when looking it up again fails. */
export class DnsHosts implements DynamicHosts {
  readonly defaultPort: number;
  readonly #config: DynamicHostsConfig;
  readonly #options: DnsHostsOptions;
  readonly #entries = new Map<string, Entry>();
  #waiting = 0;
  #stopped = false;

  constructor(config: DynamicHostsConfig, options: DnsHostsOptions) {
    this.#config = config;
    this.#options = options;
    this.defaultPort = options.defaultPort;
  }

  get hosts(): readonly Host[] {
    return [...this.#entries.values()].flatMap(({ host }) => (host === null ? [] : [host]));
  }

  find(authority: string): Host | null {
    const entry = this.#entry(authority);
    if (entry === undefined) return null;
    entry.usedMs = this.#options.now();
    return entry.host;
  }

  lookUp(authority: string, done: (outcome: Lookup) => void): Lookup | Overflow | WaitingLookup {
    const wanted = hostAndPort(authority, this.defaultPort);
    if (wanted === null) return 'failed';
    const key = formatAddress(wanted.name, wanted.port);
    let entry = this.#entries.get(key);
    if (entry === undefined) {
      if (this.#entries.size >= this.#config.maxHosts) {
        this.#count('host_overflow');
        return 'full';
      }
      entry = { ...wanted, host: null, known: false, askedMs: 0, dueMs: 0, usedMs: this.#options.now(), failures: 0, waiting: new Set() };
      this.#entries.set(key, entry);
      this.#count('host_added');
      this.#show();
      this.#ask(entry);
    }
    entry.usedMs = this.#options.now();
    if (entry.known) return entry.host === null ? 'failed' : 'ready';
    return this.#wait(entry, done);
  }

  #wait({ waiting }: Entry, done: (outcome: Lookup) => void): 'busy' | WaitingLookup {
    if (this.#waiting >= this.#config.maxPending) {
      this.#count('dns_rq_pending_overflow');
      return 'busy';
    }
    const told = (outcome: Lookup) => done(outcome);
    waiting.add(told);
    this.#waiting++;
    return { cancel: () => void (waiting.delete(told) && this.#waiting--) };
  }

  /** Looks names up again, gives up look-ups that take too long, forgets what nobody used. About once a second. */
  tick(nowMs: number): void {
    const { hostTtlMs, queryTimeoutMs } = this.#config;
    for (const [key, entry] of this.#entries) {
      if (entry.askedMs > 0 && nowMs - entry.askedMs >= queryTimeoutMs) {
        this.#count('dns_query_timeout');
        this.#answered(entry, []);
      } else if (entry.waiting.size === 0 && nowMs - entry.usedMs > hostTtlMs && (entry.host?.state.activeRequests ?? 0) === 0) this.#forget(key, entry);
      else if (entry.askedMs === 0 && nowMs >= entry.dueMs) this.#ask(entry);
    }
  }

  stop(): void {
    this.#stopped = true;
    for (const entry of this.#entries.values()) this.#tell(entry, 'failed');
    this.#entries.clear();
    this.#show();
  }

  #entry(authority: string): Entry | undefined {
    const wanted = hostAndPort(authority, this.defaultPort);
    return wanted === null ? undefined : this.#entries.get(formatAddress(wanted.name, wanted.port));
  }

  #ask(entry: Entry): void {
    if (isIP(entry.name) !== 0) return this.#answered(entry, [entry.name]);
    entry.askedMs = Math.max(1, this.#options.now());
    const askedMs = entry.askedMs;
    this.#count('dns_query_attempt');
    const answer = (addresses: readonly string[]) => {
      if (!this.#stopped && entry.askedMs === askedMs) this.#answered(entry, addresses);
    };
    this.#options.resolver.resolve(entry.name, this.#config.lookup).then(answer, () => answer([]));
    return undefined;
  }

  #answered(entry: Entry, [address]: readonly string[]): void {
    const { refreshMs, failureBaseMs, failureMaxMs } = this.#config;
    entry.askedMs = 0;
    entry.known = true;
    entry.failures = address === undefined ? entry.failures + 1 : 0;
    this.#count(address === undefined ? 'dns_query_failure' : 'dns_query_success');
    const delayMs = isIP(entry.name) !== 0 ? Infinity : address === undefined ? Math.min(failureMaxMs, failureBaseMs * 2 ** Math.min(20, entry.failures - 1)) : refreshMs;
    entry.dueMs = this.#options.now() + delayMs;
    if (address !== undefined) this.#place(entry, address);
    this.#tell(entry, entry.host === null ? 'failed' : 'ready');
  }

  #place(entry: Entry, address: string): void {
    const key = formatAddress(address, entry.port);
    if (entry.host?.key === key) return;
    const old = entry.host;
    const endpoint = { target: { kind: 'ip', address, port: entry.port }, key, hostname: entry.name, weight: 1, health: 'healthy', metadata: null, locality: { region: '', zone: '', subZone: '' } } as const;
    entry.host = new Host(endpoint, 0, newHostState(key, this.#options.now()));
    if (old === null) return;
    this.#count('host_address_changed');
    this.#options.onGone(old);
  }

  #tell(entry: Entry, outcome: Lookup): void {
    const waiting = [...entry.waiting];
    entry.waiting.clear();
    this.#waiting -= waiting.length;
    for (const done of waiting) done(outcome);
  }

  #forget(key: string, { host }: Entry): void {
    this.#entries.delete(key);
    this.#count('host_removed');
    this.#show();
    if (host !== null) this.#options.onGone(host);
  }

  #count(name: string): void {
    this.#options.stats.counter(`dns_cache.${this.#config.cacheName}.${name}`).inc();
  }

  #show(): void {
    this.#options.stats.gauge(`dns_cache.${this.#config.cacheName}.num_hosts`).set(this.#entries.size);
  }
}
