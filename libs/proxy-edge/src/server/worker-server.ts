import { randomFillSync } from 'node:crypto';
import { fail, mathRandom, ok, withDeadline, type Result } from '@meltemi/base';
import { DrainPace, LocalState, RequestIds, type DrainStrategy, type FilterConfigHolder, type RouteHolder } from '@meltemi/proxy';
import type { RouteTable } from '@meltemi/route';
import type { Cluster, FilterConfig, Listener, LoadAssignment, Scope, SecretValue, SocketTarget } from '@meltemi/snapshot';
import { SecretStore } from '../transport/secret-store.ts';
import { turnTime } from '../transport/turn.ts';
import { ClusterManager } from '../upstream/cluster-manager.ts';
import { Exporters } from './exporters.ts';
import { OverloadMonitor } from './overload-monitor.ts';
import { ActiveListener } from './active-listener.ts';
import type { ChainDeps } from './chain-runtime.ts';
import { DescriptorGuard } from './descriptor-guard.ts';
import { ListenerDrains, type DrainRequest } from './listener-drains.ts';
import type { WorkerServerOptions } from './options.ts';
import { isSidecar, untilQuiet, type Activity, type ProgramDrain } from './program-drain.ts';
import { Scopes } from './scopes.ts';
import { httpDate, workerClock } from './worker-clock.ts';

/** A bound listener, as the admin endpoint shows it. */
export interface ListenerState {
  readonly name: string;
  readonly bound: readonly SocketTarget[];
  readonly trafficDirection: Listener['trafficDirection'];
  readonly activeConnections: number;
}

interface WarmingListener {
  readonly listener: Listener;
  readonly sinceMs: number;
  readonly settle: (result: Result<void>) => void;
}

const tickMs = 1000;
/** Longest wait for a collector at the end. */
const lastSpansMs = 1000;

/** Everything a worker thread serves with. Config comes compiled; each change is in force when its method returns or its promise resolves. */
export class WorkerServer {
  readonly clusters: ClusterManager;
  readonly #options: WorkerServerOptions;
  readonly #deps: ChainDeps;
  readonly #secrets = new SecretStore();
  readonly #routes = new Map<string, RouteHolder>();
  readonly #scopes = new Scopes((name) => this.#routeHolder(name));
  readonly #filterConfigs = new Map<string, FilterConfigHolder>();
  readonly #listeners = new Map<string, ActiveListener>();
  readonly #warming = new Map<string, WarmingListener>();
  readonly #draining = new Set<ActiveListener>();
  /** Addresses that are about to be free. */
  readonly #closing = new Set<Promise<unknown>>();
  /** How often addresses became free. */
  #freed = 0;
  /** Listeners that are being brought up to date at the moment. */
  readonly #trying = new Set<Promise<unknown>>();
  readonly #drains = new ListenerDrains((covers) => this.#stopAccepting(covers));
  readonly #ticker: NodeJS.Timeout;
  /** Updates of one listener run one after another. */
  readonly #queues = new Map<string, Promise<unknown>>();
  readonly #exporters = new Exporters();
  readonly #overload: OverloadMonitor;
  readonly #descriptors: DescriptorGuard;
  #nowMs = turnTime();
  #ending = false;
  /** Listeners that must not open (again). */
  #leaves: (listener: Listener) => boolean = () => false;

  constructor(options: WorkerServerOptions) {
    this.#options = options;
    const random = options.random ?? mathRandom;
    const now = () => this.#nowMs;
    const shared = options.shared ?? new LocalState();
    const { localCluster, locality } = options.node;
    this.clusters = new ClusterManager({ clock: workerClock, shared: shared.rows, local: localCluster === '' ? null : { cluster: localCluster, locality }, stats: options.stats, secrets: this.#secrets, now, log: (fields, message) => options.log.info(fields, message), onWarm: () => this.#wake(), ...(options.resolver !== undefined && { resolver: options.resolver }) });
    const requestIds = new RequestIds((buffer) => randomFillSync(buffer));
    const onBug = (error: unknown) => options.log.error({ err: error }, 'a filter failed; its stream ended');
    this.#overload = new OverloadMonitor(options.overload ?? { config: null, connections: new Int32Array(1), index: 0 }, options.stats, () => this.activeConnections);
    this.#descriptors = new DescriptorGuard(options.log);
    this.#deps = {
      http: { clock: workerClock, random, requestIds, stats: options.stats, metrics: options.metrics, node: options.node, clusters: this.clusters, shared, httpDate, onBug, environment: (name) => process.env[name], filterConfig: (name) => this.#filterConfigHolder(name), onExporter: (exporter) => this.#exporters.add(exporter) },
      secrets: this.#secrets,
      routeHolder: (routes) => (routes.kind === 'rds' ? this.#routeHolder(routes.name) : routes.kind === 'inline' ? { table: routes.table } : this.#scopes.holder(routes)),
      options,
      overload: this.#overload,
      descriptors: this.#descriptors,
    };
    this.#ticker = setInterval(() => this.#tick(), tickMs);
    this.#ticker.unref();
  }

  // Clusters, endpoints, secrets, routes

  /** Accepts the cluster; traffic sees it when it is warm. */
  setCluster(cluster: Cluster): Result<void> {
    return this.clusters.addOrUpdate(cluster);
  }

  removeCluster(name: string): void {
    this.clusters.remove(name);
  }

  setEndpoints(serviceName: string, assignment: LoadAssignment | null): void {
    this.clusters.setEndpoints(serviceName, assignment);
  }

  /** New handshakes use the secret; open connections stay, pooled ones to upstreams drain. */
  setSecret(name: string, value: SecretValue): Result<void> {
    this.#secrets.set(name, value);
    this.clusters.secretChanged(name);
    let result: Result<void> = ok(undefined);
    for (const listener of this.#listeners.values()) {
      const done = listener.rotate(name);
      if (!done.ok) result = done;
    }
    this.#wake();
    return result;
  }

  removeSecret(name: string): void {
    this.#secrets.remove(name);
  }

  /** Requests from now on follow this table. */
  setRouteTable(name: string, table: RouteTable | null): void {
    this.#routeHolder(name).table = table;
    this.#wake();
  }

  /** Requests from now on belong to this scope where they have its key. */
  setScope(name: string, scope: Scope | null): void {
    this.#scopes.set(name, scope);
    this.#wake();
  }

  /** Requests from now on run with this config of the filter; null: with its default. */
  setFilterConfig(name: string, config: FilterConfig | null): void {
    this.#filterConfigHolder(name).current = config;
    this.#wake();
  }

  // Listeners

  /** Resolves when the listener serves its new config, or with why it does not; the old one then stays in force. Waits for its routes, filter configs and secrets; a new one for the first health checks of new clusters, too. */
  setListener(listener: Listener): Promise<Result<void>> {
    this.#warming.get(listener.name)?.settle(fail(`listener ${listener.name}`, 'was replaced while it waited for its routes or secrets'));
    this.#warming.delete(listener.name);
    if (this.#isWarm(listener)) return this.#inOrder(listener.name, () => this.#activate(listener));
    return new Promise((settle) => this.#warming.set(listener.name, { listener, sinceMs: this.#nowMs, settle }));
  }

  /** Stops accepting at once; connections end with their next response, or when the drain time is over. */
  removeListener(name: string): Promise<void> {
    this.#warming.get(name)?.settle(fail(`listener ${name}`, 'was removed while it waited for its routes or secrets'));
    this.#warming.delete(name);
    return this.#inOrder(name, () => {
      const active = this.#listeners.get(name);
      if (active === undefined) return Promise.resolve();
      this.#listeners.delete(name);
      return this.#drainListener(active, this.#pace());
    });
  }

  listeners(): ListenerState[] {
    return [...this.#listeners.values()].map((active) => ({ name: active.name, bound: active.bound, trafficDirection: active.listener.trafficDirection, activeConnections: active.activeConnections }));
  }

  /** Listeners that wait for routes or secrets, and for which. */
  warming(): { readonly name: string; readonly missing: readonly string[] }[] {
    return [...this.#warming.values()].map(({ listener }) => ({ name: listener.name, missing: this.#missing(listener) }));
  }

  get activeConnections(): number {
    let count = 0;
    for (const active of [...this.#listeners.values(), ...this.#draining]) count += active.activeConnections;
    return count;
  }

  // End

  /** Asks clients to leave, and stops accepting now or when the drain time is over; connections stay until they leave. `elapsedMs`: it began so long ago. */
  drainListeners(request: DrainRequest, elapsedMs = 0): void {
    const pace = this.#pace(this.#options.drainStrategy, workerClock.monotonic() - elapsedMs);
    this.#drains.begin(request, pace, pace.leftMs(workerClock.monotonic()));
    for (const active of [...this.#listeners.values(), ...this.#draining]) this.#askToLeave(active);
  }

  /**
   * Drains everything; resolves when the last connection is gone, at the latest after the deadline, then closes what is left. Clients are
   * asked to leave at once; idle HTTP connections close at half the time, TCP ones at its end. A sidecar's outbound listeners go on
   * accepting and ask nobody to leave, until the minimum is over and it was quiet, or to the end.
   */
  async drain(drain: ProgramDrain): Promise<void> {
    const { deadlineMs } = drain;
    this.#ending = true;
    this.#followHealth();
    const end = performance.now() + deadlineMs;
    const sidecar = isSidecar(this.#options.node.id, [...this.#listeners.values(), ...this.#draining].some(({ listener }) => listener.trafficDirection === 'inbound'));
    const atOnce = new DrainPace('immediate', workerClock.monotonic(), deadlineMs);
    for (const active of this.#draining) void active.drain(atOnce);
    this.#leaves = ({ trafficDirection }) => !sidecar || trafficDirection !== 'outbound';
    this.#drainWhere(this.#leaves, atOnce);
    const halfTime = setTimeout(() => {
      for (const active of this.#draining) active.drainIdle();
    }, Math.min(deadlineMs / 2, this.#drainTimeMs));
    // A sidecar's workers end together: one that left before the others would take along who waits in its share of the port.
    await (sidecar ? untilQuiet(() => ({ ...this.#activity(), active: this.activeConnections + this.#overload.elsewhere }), drain) : untilQuiet(() => this.#activity(), { deadlineMs }));
    clearTimeout(halfTime);
    // Whoever came through the last door at the last moment is still served.
    this.#leaves = () => true;
    this.#drainWhere(this.#leaves, atOnce);
    await untilQuiet(() => this.#activity(), { deadlineMs: end - performance.now() });
    await withDeadline(this.#exporters.finished(), lastSpansMs, 'handing over the last spans').catch(() => {});
    this.stop();
  }

  /** Closes everything now. */
  stop(): void {
    clearInterval(this.#ticker);
    this.#overload.stop();
    this.#drains.destroy();
    this.#leaves = () => true;
    for (const active of [...this.#listeners.values(), ...this.#draining]) active.destroy();
    this.#listeners.clear();
    this.clusters.destroy();
  }

  get #drainTimeMs(): number {
    return this.#options.drainTimeMs ?? 45_000;
  }

  #pace(strategy: DrainStrategy = this.#options.drainStrategy ?? 'immediate', startedMs = workerClock.monotonic()): DrainPace {
    return new DrainPace(strategy, startedMs, this.#drainTimeMs);
  }

  #activity(): Activity {
    let accepted = 0;
    for (const active of [...this.#listeners.values(), ...this.#draining]) accepted += active.accepted;
    return { active: this.activeConnections, accepted };
  }

  #drainWhere(leaves: (listener: Listener) => boolean, pace: DrainPace): void {
    for (const [name, active] of this.#listeners) {
      if (!leaves(active.listener)) continue;
      this.#listeners.delete(name);
      void this.#drainListener(active, pace);
    }
  }

  #drainListener(active: ActiveListener, pace: DrainPace): Promise<void> {
    this.#draining.add(active);
    return this.#frees(active.drain(pace));
  }

  #frees(closing: Promise<void>): Promise<void> {
    this.#closing.add(closing);
    return closing.finally(() => {
      this.#closing.delete(closing);
      this.#freed++;
    });
  }

  #askToLeave(active: ActiveListener): void {
    const pace = this.#drains.paceOf(active.listener);
    if (pace !== null) active.askToLeave(pace);
  }

  /** At the end of the program health checks fail, too; then `drain` says who is asked to leave. */
  #followHealth(): void {
    const failed = !this.#ending && this.#deps.http.shared.healthFailed;
    if (failed === (this.#drains.unhealthy !== null)) return;
    this.#drains.unhealthy = failed ? this.#pace('immediate') : null;
    for (const active of [...this.#listeners.values(), ...this.#draining]) active.paceResponses(this.#drains.paceOf(active.listener));
  }

  #stopAccepting(covers: (listener: Listener) => boolean): void {
    for (const [name, active] of this.#listeners) {
      if (!covers(active.listener)) continue;
      this.#listeners.delete(name);
      this.#draining.add(active);
      void active.stopAccepting();
    }
  }

  async #activate(listener: Listener): Promise<Result<void>> {
    for (;;) {
      const freed = this.#freed;
      const trying = this.#bring(listener);
      this.#trying.add(trying);
      const done = await trying.finally(() => this.#trying.delete(trying));
      if (done.ok) return done;
      // The address may be one that another listener leaves with this very change.
      while (this.#trying.size + this.#closing.size > 0) await Promise.allSettled([...this.#trying, ...this.#closing]);
      if (this.#freed === freed) return done;
    }
  }

  async #bring(listener: Listener): Promise<Result<void>> {
    if (this.#leaves(listener) || this.#drains.stopped(listener)) return ok(undefined);
    const known = this.#listeners.get(listener.name);
    if (known !== undefined) {
      const before = known.moved;
      const updated = await known.update(listener, this.#pace());
      if (known.moved !== before) void this.#frees(known.moved);
      if (updated.ok) this.#askToLeave(known);
      return updated;
    }
    const started = await ActiveListener.start(listener, this.#deps, (ip, port) => this.#byDestination(ip, port));
    if (!started.ok) return started;
    // The end may have begun while it was binding.
    if (this.#leaves(listener)) {
      started.value.destroy();
      return ok(undefined);
    }
    this.#listeners.set(listener.name, started.value);
    this.#askToLeave(started.value);
    return ok(undefined);
  }

  #inOrder<T>(name: string, task: () => Promise<T>): Promise<T> {
    const done = (this.#queues.get(name) ?? Promise.resolve()).then(task);
    const kept = done.then(() => {}, () => {});
    this.#queues.set(name, kept);
    void kept.then(() => {
      if (this.#queues.get(name) === kept) this.#queues.delete(name);
    });
    return done;
  }

  #isWarm(listener: Listener, waitedMs = 0): boolean {
    return this.#missing(listener, waitedMs).length === 0;
  }

  /** What comes from elsewhere is waited for no longer than its initial_fetch_timeout; without routes requests get 404, without filter configs that have no default 500, without secrets connections are refused. */
  #missing(listener: Listener, waitedMs = 0): string[] {
    const late = new Set(listener.references.filter(({ source }) => source.initialFetchTimeoutMs > 0 && waitedMs > source.initialFetchTimeoutMs).map(({ kind, name }) => `${kind} ${name}`));
    const scoped = listener.references.some(({ kind }) => kind === 'scopes') && !late.has('scopes *') ? this.#scopes.awaited : [];
    const routes = [...listener.rdsNames, ...(scoped ?? [])].filter((name) => !late.has(`routes ${name}`) && (this.#routes.get(name)?.table ?? null) === null).map((name) => `route ${name}`);
    const extensions = [...listener.extensionNames].filter((name) => !late.has(`extensions ${name}`) && (this.#filterConfigs.get(name)?.current ?? null) === null).map((name) => `filter config ${name}`);
    const secrets = [...listener.sdsNames].filter((name) => !late.has(`secrets ${name}`) && this.#secrets.get(name) === undefined).map((name) => `secret ${name}`);
    // A port that opens before would answer 503 for hosts that are well.
    const checks = this.#listeners.has(listener.name) ? [] : this.clusters.unchecked.map((name) => `health checks of cluster ${name}`);
    return [...(scoped === null ? ['scopes of routes'] : []), ...routes, ...extensions, ...secrets, ...checks];
  }

  /** Something arrived: activates the listeners that waited for it. */
  #wake(): void {
    for (const [name, { listener, sinceMs, settle }] of this.#warming) {
      if (!this.#isWarm(listener, this.#nowMs - sinceMs)) continue;
      this.#warming.delete(name);
      void this.#inOrder(name, () => this.#activate(listener)).then(settle, (error: unknown) => settle(fail(`listener ${name}`, error instanceof Error ? error.message : String(error))));
    }
  }

  #routeHolder(name: string): RouteHolder {
    let holder = this.#routes.get(name);
    if (holder === undefined) this.#routes.set(name, (holder = { table: null }));
    return holder;
  }

  #filterConfigHolder(name: string): FilterConfigHolder {
    let holder = this.#filterConfigs.get(name);
    if (holder === undefined) this.#filterConfigs.set(name, (holder = { current: null }));
    return holder;
  }

  /** The exact address wins over the wildcard of the same port. */
  #byDestination(ip: string, port: number): ActiveListener | null {
    let wildcard: ActiveListener | null = null;
    for (const active of this.#listeners.values())
      for (const target of active.listener.addresses) {
        if (target.kind !== 'ip' || target.port !== port) continue;
        if (target.address === ip) return active;
        if (target.address === '0.0.0.0' || target.address === '::') wildcard = active;
      }
    return wildcard;
  }

  #tick(): void {
    this.#nowMs = turnTime();
    for (const active of this.#listeners.values()) active.tick(this.#nowMs);
    for (const active of this.#draining) {
      active.tick(this.#nowMs);
      if (active.activeConnections > 0) continue;
      this.#draining.delete(active);
      active.destroy();
    }
    this.clusters.tick(this.#nowMs);
    this.#descriptors.tick();
    this.#followHealth();
    if (this.#warming.size > 0) this.#wake();
  }
}

/** The server of one worker thread. */
export function createWorkerServer(options: WorkerServerOptions): WorkerServer {
  return new WorkerServer(options);
}
