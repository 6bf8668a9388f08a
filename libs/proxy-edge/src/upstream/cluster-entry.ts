import { ok, type Clock, type Random, type Result } from '@meltemi/base';
import { Balancer, ClusterLimits, emptyHostSet, Host, HostStore, keepPassing, newHostState, type ByteConnection, type ClusterStats, type DynamicHosts, type HostLists, type HostSet, type LbStat, type LocalZone, type NewStreamOptions, type PendingStream, type PickContext, type Picker, type SharedRow, type SharedRows, type StreamCallbacks, type UpstreamCluster } from '@meltemi/proxy';
import type { Counter, FlatStats, Gauge } from '@meltemi/observe';
import { isIP } from 'node:net';
import { addressWithoutPort, formatAddress, portOf } from '@meltemi/http';
import type { Cluster, LoadAssignment, UpstreamTls } from '@meltemi/snapshot';
import { missingSecrets, type SecretLookup } from '../transport/tls-material.ts';
import { clientAwaitingSecrets, clientTls, type ClientTls } from '../transport/tls-client.ts';
import { clusterStats } from './cluster-stats.ts';
import type { Resolver } from './dns.ts';
import { DnsHosts } from './dns-hosts.ts';
import { HostHealth } from './host-health.ts';
import { HostPool, openConnection, poolKey, type PoolOptions, type PoolProtocol } from './host-pool.ts';

export interface EntryDeps {
  readonly clock: Clock;
  readonly random: Random;
  readonly stats: FlatStats;
  readonly secrets: SecretLookup;
  readonly resolver: Resolver;
  /** What the workers of the process count together. */
  readonly shared: SharedRows;
  /** Where the proxy is; null = nothing is nearer than anything else. */
  readonly local: LocalZone | null;
  /** The cluster's hosts or their health changed. */
  onHosts(entry: ClusterEntry): void;
  /** Coarse monotonic milliseconds. */
  now(): number;
  log(fields: object, message: string): void;
}

/** TLS contexts of a cluster: the default one and one per transport socket match. */
interface TlsSet {
  readonly fallback: ClientTls | null;
  readonly matches: readonly { readonly match: Readonly<Record<string, unknown>>; readonly tls: ClientTls | null }[];
}

/** One cluster in this worker: hosts, picker, pools, limits. Outlives updates of its config. */
export class ClusterEntry implements UpstreamCluster {
  readonly name: string;
  config: Cluster;
  readonly stats: ClusterStats;
  readonly limits: { readonly default: ClusterLimits; readonly high: ClusterLimits };
  readonly #deps: EntryDeps;
  readonly #store: HostStore;
  readonly #membership: Readonly<Record<'total' | 'healthy' | 'degraded' | 'excluded', Gauge>>;
  /** The cluster's row. */
  readonly #row: SharedRow;
  #balancer: Balancer;
  #picker: Picker;
  readonly #health: HostHealth;
  /** Told when every host has been checked once; for who waits with traffic until then. */
  onFirstChecks: () => void = () => {};
  #retired = false;
  #released = false;
  /** What discovery said last, and the hosts that it does not list any more but that still pass their checks. */
  #listed: LoadAssignment | null = null;
  #leaving: ReadonlySet<string> = new Set();
  #drops: LoadAssignment['drops'] = [];
  #tls: TlsSet;
  /** By host key; high-priority requests have pools of their own, as their limits are. */
  readonly #pools: { readonly default: Map<string, HostPool>; readonly high: Map<string, HostPool> } = { default: new Map(), high: new Map() };
  readonly #draining = new Set<HostPool>();
  #dynamic: DnsHosts | null = null;
  /** Connections of TCP sessions. */
  readonly #direct = new Map<ByteConnection, Host>();
  readonly #passthrough = new Map<string, { host: Host; usedMs: number }>();

  private constructor(config: Cluster, tls: TlsSet, deps: EntryDeps) {
    this.name = config.name;
    this.config = config;
    this.#tls = tls;
    this.#deps = deps;
    this.#store = new HostStore(() => deps.clock.monotonic());
    this.stats = clusterStats(deps.stats, config.statName);
    this.#balancer = this.#newBalancer();
    this.#picker = this.#balancer.picker(emptyHostSet);
    const row = (priority: 'default' | 'high') => (deps.shared.alone ? null : deps.shared.hold(`limits ${config.name} ${priority}`));
    const limits = (priority: 'default' | 'high') => new ClusterLimits(config.circuitBreakers[priority], { stats: deps.stats, prefix: `cluster.${config.statName}.circuit_breakers.${priority}`, row: row(priority), clock: deps.clock });
    this.limits = { default: limits('default'), high: limits('high') };
    this.#row = deps.shared.hold(`cluster ${config.name}`);
    this.#dynamic = this.#openDynamic();
    const gauge = (name: string) => deps.stats.gauge(`cluster.${config.statName}.membership_${name}`);
    this.#membership = { total: gauge('total'), healthy: gauge('healthy'), degraded: gauge('degraded'), excluded: gauge('excluded') };
    this.#health = new HostHealth({
      config: () => this.config, hosts: () => this.#store.current.all, tlsOf: (host, criteria) => this.#tlsOf(host, criteria), hasTraffic: () => this.stats.cxTotal.value > 0, onChange: () => this.#refresh(),
      onUnhealthy: (host) => this.#closeConnectionsTo(host), onCheckFailed: (host) => { if (this.#leaving.has(host.key) && this.#listed !== null) this.assign(this.#listed); }, onFirstChecks: () => this.onFirstChecks(),
    }, this.#row, deps);
  }

  /** Fails when a secret cannot be used; without one connections are refused. */
  static create(config: Cluster, deps: EntryDeps): Result<ClusterEntry> {
    const tls = tlsSet(config, deps.secrets);
    return tls.ok ? ok(new ClusterEntry(config, tls.value, deps)) : tls;
  }

  /** A new config under the same name: new connections follow it, old ones drain. */
  update(config: Cluster): Result<void> {
    const tls = tlsSet(config, this.#deps.secrets);
    if (!tls.ok) return tls;
    const sameNames = JSON.stringify(config.dynamicHosts) === JSON.stringify(this.config.dynamicHosts) && (config.tls === null) === (this.config.tls === null);
    this.config = config;
    if (!sameNames) {
      this.#dynamic?.stop();
      this.#dynamic = this.#openDynamic();
    }
    this.#tls = tls.value;
    this.#balancer = this.#newBalancer();
    this.#picker = this.#balancer.picker(this.#store.current);
    this.limits.default.limits = config.circuitBreakers.default;
    this.limits.high.limits = config.circuitBreakers.high;
    this.#health.update();
    this.drainPools();
    return ok(undefined);
  }

  /** A secret changed: contexts are made again, old connections drain. */
  rotate(): Result<void> {
    const tls = tlsSet(this.config, this.#deps.secrets);
    if (!tls.ok) return tls;
    this.#tls = tls.value;
    this.drainPools();
    return ok(undefined);
  }

  get hosts(): readonly Host[] {
    if (this.#health.stale) this.#refresh();
    return this.#dynamic === null ? this.#store.current.all : this.#dynamic.hosts;
  }

  get dynamicHosts(): DynamicHosts | null {
    return this.#dynamic;
  }

  get hostSet(): HostSet {
    return this.#store.current;
  }

  /** The local cluster changed: its zones are compared anew. */
  repick(): void {
    this.#picker = this.#balancer.picker(this.#store.current);
  }

  /** Discovery does not list the host any more; it stays while it passes its health checks. */
  isLeaving(host: Host): boolean {
    return this.#leaving.has(host.key);
  }

  /** Some host has not had its first health check yet. */
  get awaitsChecks(): boolean {
    return this.#health.awaitsChecks;
  }

  assign(listed: LoadAssignment): void {
    this.#listed = listed;
    const { healthCheck, ignoreHealthOnHostRemoval, discovery } = this.config;
    // A logical host has one address at a time; static ones are never listed by mistake.
    const stays = healthCheck !== null && !ignoreHealthOnHostRemoval && (discovery === 'eds' || discovery === 'strict_dns');
    const { assignment, leaving } = stays ? keepPassing(listed, this.#store.current) : { assignment: listed, leaving: new Set<string>() };
    this.#leaving = leaving;
    this.#store.update(assignment);
    this.#health.follow(this.#store.current.all);
    const set = this.#refresh();
    this.#drops = assignment.drops;
    for (const pools of [this.#pools.default, this.#pools.high]) for (const pool of pools.values()) if (!set.byKey.has(pool.host.key)) this.#drainPool(pools, pool);
  }

  pick(context: PickContext, downstreamAddress: string): Host | null {
    if (this.#health.stale) this.#refresh();
    if (this.config.discovery === 'original_dst') return this.#originalDestination(context, downstreamAddress);
    return this.#dynamic === null ? this.#picker.pick(context) : this.#dynamic.find(context.field(':authority') ?? '');
  }

  newStream(host: Host, options: NewStreamOptions, callbacks: StreamCallbacks): PendingStream | null {
    const pools = this.#pools[options.priority];
    const protocol = poolProtocol(this.config, options.http2);
    const pool = pools.get(options.serverName === '' && protocol === 'http1' ? host.key : poolKey(host, options.serverName, protocol));
    // Endpoint metadata may have changed which TLS the address wants.
    if (pool !== undefined && (pool.host === host || pool.tls === this.#tlsOf(host))) return pool.newStream(options, callbacks);
    return this.#openPool(pools, host, options).newStream(options, callbacks);
  }

  newConnection(...[host, callbacks, client]: Parameters<UpstreamCluster['newConnection']>): PendingStream {
    return openConnection(this.#poolOptions(host, { priority: 'default', serverName: '', protocol: 'http1' }), callbacks, { client: client ?? null, open: this.#direct });
  }

  drops(random: Random): string | null {
    for (const { category, perMillion } of this.#drops) if (random.next() * 1_000_000 < perMillion) return category;
    return null;
  }

  report(host: Host, status: number): void {
    this.#health.report(host, status);
  }

  failHealthCheck(host: Host): void {
    this.#health.failHealthCheck(host);
  }

  /** Housekeeping, about once a second. */
  tick(nowMs: number): void {
    this.#health.tick(nowMs);
    if (this.#health.stale) this.#refresh();
    for (const pools of [this.#pools.default, this.#pools.high]) {
      for (const pool of pools.values()) {
        pool.tick(nowMs);
        // Clients choose these names: what is not in use must not stay.
        if (pool.key !== pool.host.key && pool.empty) pools.delete(pool.key);
      }
    }
    if (this.#retired) this.drainPools();
    this.#dynamic?.tick(nowMs);
    for (const pool of this.#draining) if (pool.empty) this.#draining.delete(pool);
    for (const [key, entry] of this.#passthrough) {
      if (entry.host.state.activeRequests > 0 || nowMs - entry.usedMs < this.config.cleanupIntervalMs) continue;
      this.#passthrough.delete(key);
      for (const pools of [this.#pools.default, this.#pools.high]) for (const pool of pools.values()) if (pool.host.key === key) this.#drainPool(pools, pool);
    }
  }

  /** Brings the gauges that are the process's up to date: one of its workers tells of them. */
  publish(): void {
    this.limits.default.show();
    this.limits.high.show();
    this.#health.publish();
    this.#countHosts(this.#store.current, this.#row.reports);
  }

  /** The cluster is removed: takes nothing new. */
  retire(): void {
    this.#retired = true;
    this.#health.stop();
    this.#countHosts(emptyHostSet, false);
    this.drainPools();
  }

  /** Nothing is under way any more. */
  get idle(): boolean {
    return this.#draining.size === 0 && this.#pools.default.size === 0 && this.#pools.high.size === 0 && this.limits.default.idle && this.limits.high.idle;
  }

  /** Retires all connections; requests under way end on theirs. */
  drainPools(): void {
    for (const pools of [this.#pools.default, this.#pools.high]) for (const pool of pools.values()) this.#drainPool(pools, pool);
  }

  destroy(): void {
    this.#dynamic?.stop();
    this.#health.stop();
    for (const pools of [this.#pools.default, this.#pools.high]) for (const pool of pools.values()) pool.destroy();
    for (const pool of this.#draining) pool.destroy();
    this.limits.default.release();
    this.limits.high.release();
    if (!this.#released) this.#row.release();
    this.#released = true;
  }

  #drainPool(pools: Map<string, HostPool>, pool: HostPool | undefined): void {
    if (pool === undefined) return;
    pools.delete(pool.key);
    pool.drain();
    this.#draining.add(pool);
  }

  #openPool(pools: Map<string, HostPool>, host: Host, { priority, serverName, http2 }: NewStreamOptions): HostPool {
    const pool = new HostPool(this.#poolOptions(host, { priority, serverName, protocol: poolProtocol(this.config, http2) }));
    this.#drainPool(pools, pools.get(pool.key));
    pools.set(pool.key, pool);
    return pool;
  }

  #poolOptions(host: Host, { priority, serverName, protocol }: { priority: 'default' | 'high'; serverName: string; protocol: PoolProtocol }): PoolOptions {
    return { host, cluster: this.config, tls: this.#tlsOf(host), serverName, protocol, stats: this.stats, limits: this.limits[priority], random: this.#deps.random, now: () => this.#deps.now(), after: (delayMs, task) => this.#deps.clock.after(delayMs, task) };
  }

  /** `criteria` replace the host's metadata. */
  #tlsOf(host: Host, criteria: Readonly<Record<string, unknown>> | null = null): ClientTls | null {
    if (this.#tls.matches.length === 0) return this.#tls.fallback;
    const metadata = criteria ?? host.metadata?.['envoy.transport_socket_match'] ?? {};
    const found = this.#tls.matches.find(({ match }) => Object.entries(match).every(([key, value]) => sameValue(metadata[key], value)));
    return found === undefined ? this.#tls.fallback : found.tls;
  }

  #countHosts(set: HostSet, tells: boolean): void {
    const sum = (count: (hosts: HostLists) => number) => (tells ? set.priorities.reduce((total, priority) => total + count(priority), 0) : 0);
    this.#membership.total.set(tells ? set.all.length : 0);
    this.#membership.healthy.set(sum(({ healthy }) => healthy.length));
    this.#membership.degraded.set(sum(({ degraded }) => degraded.length));
    this.#membership.excluded.set(sum(({ excluded }) => excluded));
  }

  /** Hosts are sorted by health anew, and chosen among by that. */
  #refresh(): HostSet {
    this.#health.look();
    const set = this.#store.refresh();
    this.#picker = this.#balancer.picker(set);
    this.#deps.onHosts(this);
    return set;
  }

  /** Envoy's rule: once it is back it gets new connections, which may find a better way to it. Those of TCP sessions close where the config says so. */
  #closeConnectionsTo(unhealthy: Host): void {
    this.#drainPoolsOf(unhealthy);
    if (!this.config.closeConnectionsOnHealthFailure) return;
    for (const [connection, host] of this.#direct) if (host.key === unhealthy.key) connection.destroy(new Error('the host is unhealthy'));
  }

  #drainPoolsOf(host: Host): void {
    for (const pools of [this.#pools.default, this.#pools.high]) for (const pool of pools.values()) if (pool.host.key === host.key) this.#drainPool(pools, pool);
  }

  #openDynamic(): DnsHosts | null {
    const { dynamicHosts, tls } = this.config;
    if (dynamicHosts === null) return null;
    const { resolver, stats } = this.#deps;
    return new DnsHosts(dynamicHosts, { resolver, stats, defaultPort: tls === null ? 80 : 443, now: () => this.#deps.now(), onGone: (host) => this.#drainPoolsOf(host) });
  }

  #newBalancer(): Balancer {
    const { stats, clock } = this.#deps;
    const prefix = `cluster.${this.config.statName}`;
    const counters: Partial<Record<LbStat, Counter>> = {};
    return new Balancer(this.config, { now: () => clock.monotonic(), activeRequests: () => this.stats.rqActive.value, count: (stat) => (counters[stat] ??= stats.counter(`${prefix}.${stat}`)).inc() }, this.#deps.local);
  }

  #originalDestination(context: PickContext, connection: string): Host | null {
    const { header, portOverride } = this.config.originalDst;
    const named = header === null ? null : context.field(header);
    const valid = named !== null && isDestination(named);
    if (named !== null && !valid) this.#deps.stats.counter(`cluster.${this.config.statName}.original_dst_host_invalid`).inc();
    const address = valid ? named : connection;
    if (address === '' || portOf(address) < 0) return null;
    const port = portOverride ?? portOf(address);
    const ip = addressWithoutPort(address);
    const key = formatAddress(ip, port);
    const known = this.#passthrough.get(key);
    const usedMs = this.#deps.now();
    if (known !== undefined) {
      known.usedMs = usedMs;
      return known.host;
    }
    const endpoint = { target: { kind: 'ip', address: ip, port }, key, hostname: '', weight: 1, health: 'healthy', metadata: null, locality: { region: '', zone: '', subZone: '' } } as const;
    const host = new Host(endpoint, 0, newHostState(key, usedMs));
    this.#passthrough.set(key, { host, usedMs });
    return host;
  }
}

/** 'downstream' does as the client does. */
function poolProtocol({ http }: Cluster, http2: boolean): PoolProtocol {
  if (http.protocol !== 'downstream') return http.protocol;
  return http2 ? 'http2' : 'http1';
}

/** What a header may name: an IP with a port. */
function isDestination(address: string): boolean {
  return portOf(address) > 0 && portOf(address) <= 65_535 && isIP(addressWithoutPort(address)) !== 0;
}

function tlsSet(config: Cluster, secrets: SecretLookup): Result<TlsSet> {
  const compile = (tls: UpstreamTls | null): Result<ClientTls | null> => {
    if (tls === null) return ok(null);
    // who comes here without a secret has waited for it long enough
    const missing = missingSecrets(tls, secrets);
    return missing.length > 0 ? ok(clientAwaitingSecrets(tls, missing)) : clientTls(tls, secrets);
  };
  const fallback = compile(config.tls);
  if (!fallback.ok) return fallback;
  const matches: TlsSet['matches'][number][] = [];
  for (const { match, tls } of config.transportSocketMatches) {
    const compiled = compile(tls);
    if (!compiled.ok) return compiled;
    matches.push({ match, tls: compiled.value });
  }
  return ok({ fallback: fallback.value, matches });
}

function sameValue(a: unknown, b: unknown): boolean {
  return a === b || (typeof a === 'object' && JSON.stringify(a) === JSON.stringify(b));
}
