import { mathRandom, ok, type Clock, type Random, type Result } from '@meltemi/base';
import type { FlatStats } from '@meltemi/observe';
import { LocalRows, type Clusters, type LocalZone, type SharedRows, type UpstreamCluster } from '@meltemi/proxy';
import type { Cluster, LoadAssignment, Locality } from '@meltemi/snapshot';
import type { SecretStore } from '../transport/secret-store.ts';
import { ClusterEntry } from './cluster-entry.ts';
import { systemResolver, watchDns, type Resolver } from './dns.ts';

export interface ClusterManagerOptions {
  readonly clock: Clock;
  /** Default Math.random. */
  readonly random?: Random;
  readonly stats: FlatStats;
  readonly secrets: SecretStore;
  readonly resolver?: Resolver;
  /** What the workers of the process count together. Default: there is but this one. */
  readonly shared?: SharedRows;
  /** The cluster of those who call as this proxy does, and where this proxy is. Default: none. */
  readonly local?: { readonly cluster: string; readonly locality: Locality } | null;
  /** Coarse monotonic milliseconds. */
  now(): number;
  /** A cluster became ready for traffic, or an update of it. */
  onWarm?(name: string): void;
  /** What health checks find. Default: nothing is written. */
  log?(fields: object, message: string): void;
}

/** How long a cluster waits for its first DNS answer before it serves without; EDS has its initial_fetch_timeout. */
const longestWaitMs = 15_000;

interface Warming {
  readonly config: Cluster;
  readonly sinceMs: number;
  assignment: LoadAssignment | null;
  stop: (() => void) | null;
  /** A new cluster whose hosts have not all been checked yet. */
  unchecked: ClusterEntry | null;
  /** Goes on without what is missing. */
  hurried: boolean;
}

/** All clusters of a worker. New ones and updates warm (endpoints, addresses, secrets) before traffic sees them. */
export class ClusterManager implements Clusters {
  readonly #options: ClusterManagerOptions;
  readonly #active = new Map<string, ClusterEntry>();
  readonly #warming = new Map<string, Warming>();
  readonly #resolving = new Map<string, () => void>();
  /** By EDS service name. */
  readonly #assignments = new Map<string, LoadAssignment>();
  readonly #draining = new Set<ClusterEntry>();
  readonly #shared: SharedRows;
  readonly #local: LocalZone | null;

  constructor(options: ClusterManagerOptions) {
    this.#options = options;
    this.#shared = options.shared ?? new LocalRows();
    const local = options.local ?? null;
    this.#local = local === null ? null : { locality: local.locality, hosts: () => this.#active.get(local.cluster)?.hostSet ?? null };
  }

  get(name: string): UpstreamCluster | null {
    return this.#active.get(name) ?? null;
  }

  /** Names that have not all they need yet. */
  get warming(): readonly string[] {
    return [...this.#warming.keys()];
  }

  /** Names of new clusters that wait for the first health checks of their hosts. */
  get unchecked(): readonly string[] {
    return [...this.#warming].flatMap(([name, { unchecked }]) => (unchecked === null ? [] : [name]));
  }

  entries(): Iterable<ClusterEntry> {
    return this.#active.values();
  }

  addOrUpdate(config: Cluster): Result<void> {
    this.#forget(this.#warming.get(config.name));
    const warming: Warming = { config, sinceMs: this.#options.now(), assignment: assignmentAtHand(config, this.#assignments), stop: null, unchecked: null, hurried: false };
    this.#warming.set(config.name, warming);
    if (config.discovery === 'strict_dns' || config.discovery === 'logical_dns') this.#watchDns(warming);
    return this.#tryActivate(config.name);
  }

  remove(name: string): void {
    this.#forget(this.#warming.get(name));
    this.#warming.delete(name);
    this.#resolving.get(name)?.();
    this.#resolving.delete(name);
    const entry = this.#active.get(name);
    if (entry === undefined) return;
    this.#active.delete(name);
    this.#compareZones(name);
    entry.retire();
    this.#draining.add(entry);
  }

  /** Endpoints of an EDS service name; null removes them. */
  setEndpoints(serviceName: string, assignment: LoadAssignment | null): void {
    if (assignment === null) this.#assignments.delete(serviceName);
    else this.#assignments.set(serviceName, assignment);
    const now = assignment ?? emptyAssignment(serviceName);
    for (const entry of this.#active.values()) if (usesService(entry.config, serviceName)) entry.assign(now);
    for (const [name, warming] of this.#warming) {
      if (!usesService(warming.config, serviceName)) continue;
      warming.assignment = now;
      this.#tryActivate(name);
    }
  }

  /** Stops waiting: what is still warming goes on with no endpoints, or refusing connections for want of a secret (initial_fetch_timeout). */
  giveUpWaiting(name: string): void {
    const warming = this.#warming.get(name);
    if (warming === undefined) return;
    warming.assignment ??= emptyAssignment(name);
    warming.hurried = true;
    this.#tryActivate(name);
  }

  /** A secret arrived or changed. */
  secretChanged(secret: string): void {
    for (const entry of this.#active.values()) if (entry.config.sdsNames.has(secret)) entry.rotate();
    for (const [name, warming] of this.#warming) if (warming.config.sdsNames.has(secret)) this.#tryActivate(name);
  }

  tick(nowMs: number): void {
    for (const [name, warming] of this.#warming) if (nowMs - warming.sinceMs > this.#longestWait(warming)) this.giveUpWaiting(name);
    for (const entry of this.#active.values()) entry.tick(nowMs);
    for (const entry of this.#draining) {
      entry.tick(nowMs);
      if (!entry.idle) continue;
      this.#draining.delete(entry);
      entry.destroy();
    }
  }

  /** Brings the gauges that are the process's up to date, before they are read. */
  publish(): void {
    for (const entry of this.#active.values()) entry.publish();
  }

  destroy(): void {
    for (const stop of this.#resolving.values()) stop();
    for (const warming of this.#warming.values()) this.#forget(warming);
    for (const entry of [...this.#active.values(), ...this.#draining]) entry.destroy();
    this.#active.clear();
    this.#draining.clear();
    this.#warming.clear();
  }

  /** Of what is still missing each has its own initial_fetch_timeout. */
  #longestWait({ config, assignment, unchecked }: Warming): number {
    const late = config.references.filter(({ kind, name }) => kind === 'secrets' && this.#options.secrets.get(name) === undefined).map(({ source }) => source.initialFetchTimeoutMs || Infinity);
    return Math.max(...late, ...(late.length === 0 || assignment === null || unchecked !== null ? [longestWait(config)] : []));
  }

  #watchDns(warming: Warming): void {
    const { config } = warming;
    const stop = watchDns(config, this.#options.resolver ?? systemResolver, (assignment) => {
      const active = this.#active.get(config.name);
      if (active?.config === config) return active.assign(assignment);
      warming.assignment = assignment;
      if (this.#warming.get(config.name) === warming) this.#tryActivate(config.name);
      return undefined;
    });
    warming.stop = stop;
  }

  #forget(warming: Warming | undefined): void {
    warming?.stop?.();
    warming?.unchecked?.destroy();
  }

  /** The local cluster changed: all others are picked from anew. */
  #compareZones(changed: string): void {
    if (changed !== this.#options.local?.cluster) return;
    for (const entry of this.#active.values()) if (entry.name !== changed) entry.repick();
  }

  /** Swaps the warmed config in once nothing is missing. A secret that is there but cannot be used is an error. */
  #tryActivate(name: string): Result<void> {
    const warming = this.#warming.get(name);
    if (warming === undefined || (warming.assignment === null && warming.config.discovery !== 'original_dst' && warming.config.discovery !== 'dynamic_forward_proxy')) return ok(undefined);
    for (const secret of warming.config.sdsNames) if (!warming.hurried && this.#options.secrets.get(secret) === undefined) return ok(undefined);
    const { config } = warming;
    const known = this.#active.get(name);
    const deps = { clock: this.#options.clock, random: this.#options.random ?? mathRandom, stats: this.#options.stats, resolver: this.#options.resolver ?? systemResolver, shared: this.#shared, local: this.#local, onHosts: ({ name: changed }: ClusterEntry) => this.#compareZones(changed), secrets: (secret: string) => this.#options.secrets.get(secret), now: () => this.#options.now(), log: (fields: object, message: string) => this.#options.log?.(fields, message) };
    const done = known !== undefined ? known.update(config) : warming.unchecked !== null ? ok(warming.unchecked) : ClusterEntry.create(config, deps);
    if (!done.ok) return done;
    const entry = known ?? (done.value as ClusterEntry);
    if (warming.assignment !== null) entry.assign(warming.assignment);
    if (known === undefined && entry.awaitsChecks && !warming.hurried) {
      warming.unchecked = entry;
      entry.onFirstChecks = () => this.#tryActivate(name);
      return ok(undefined);
    }
    entry.onFirstChecks = () => {};
    this.#warming.delete(name);
    this.#resolving.get(name)?.();
    this.#resolving.delete(name);
    if (warming.stop !== null) this.#resolving.set(name, warming.stop);
    this.#active.set(name, entry);
    this.#compareZones(name);
    this.#options.onWarm?.(name);
    return ok(undefined);
  }
}

/** 0 = for ever. */
function longestWait(config: Cluster): number {
  const waitMs = config.references.find(({ kind }) => kind === 'endpoints')?.source.initialFetchTimeoutMs ?? longestWaitMs;
  return waitMs === 0 ? Infinity : waitMs;
}

function usesService(config: Cluster, serviceName: string): boolean {
  return config.discovery === 'eds' && (config.edsServiceName || config.name) === serviceName;
}

function assignmentAtHand(config: Cluster, assignments: ReadonlyMap<string, LoadAssignment>): LoadAssignment | null {
  if (config.discovery === 'eds') return assignments.get(config.edsServiceName || config.name) ?? null;
  return config.discovery === 'static' ? (config.loadAssignment ?? emptyAssignment(config.name)) : null;
}

function emptyAssignment(clusterName: string): LoadAssignment {
  return { clusterName, priorities: [], overprovisioningFactor: 140, weightedPriorityHealth: false, drops: [] };
}
