import { err, ok, type FieldError, type Result } from '@meltemi/base';
import { ResponseFlag, StreamInfo } from '@meltemi/http';
import type { Counter, Gauge } from '@meltemi/observe';
import type { DrainPace } from '@meltemi/proxy';
import type { ConnectionView, Listener, SocketTarget } from '@meltemi/snapshot';
import type { AcceptedSocket } from '../transport/accepted-socket.ts';
import { listen, type ListenSocket } from '../transport/listen.ts';
import type { SocketConnection } from '../transport/socket-connection.ts';
import { infoOf, nothingSeen, viewOf, type Arrival, type Destination, type Seen } from './arrival.ts';
import type { ChainDeps, ChainRuntime } from './chain-runtime.ts';
import { build, release, type Generation } from './generation.ts';
import { ListenerFilters, lookAlike } from './listener-filters.ts';
import { listenerPrefix } from './listener-prefix.ts';

/** Finds the listener that serves a captured connection's real destination. */
export type HandOff = (ip: string, port: number) => ActiveListener | null;

/** A listener in force: its sockets, its current filter chains, and the older ones that still drain. */
export class ActiveListener {
  readonly name: string;
  readonly #deps: ChainDeps;
  readonly #handOff: HandOff;
  readonly #filters: ListenerFilters;
  #current: Generation;
  #sockets: ListenSocket[] = [];
  /** Each with the timer of its end. */
  readonly #old = new Map<Generation, NodeJS.Timeout>();
  /** Connections accepted so far. */
  accepted = 0;
  /** Accepted, and still in a listener filter or a handshake. */
  readonly #arriving = new Map<AcceptedSocket, ConnectionView>();
  readonly #stats: { readonly total: Counter; readonly mine: Counter; readonly active: Gauge; readonly noChain: Counter; readonly sslError: Counter; readonly sslHandshake: Counter; readonly overloadReject: Counter; readonly globalOverflow: Counter; readonly noDescriptor: Counter };

  private constructor(generation: Generation, deps: ChainDeps, handOff: HandOff) {
    this.name = generation.listener.name;
    this.#current = generation;
    this.#deps = deps;
    this.#handOff = handOff;
    const prefix = listenerPrefix(generation.listener);
    const { stats } = deps.options;
    this.#stats = {
      total: stats.counter(`${prefix}.downstream_cx_total`),
      mine: stats.counter(`${prefix}.worker_${deps.options.workerIndex ?? 0}.downstream_cx_total`),
      active: stats.gauge(`${prefix}.downstream_cx_active`),
      noChain: stats.counter(`${prefix}.no_filter_chain_match`),
      sslError: stats.counter(`${prefix}.ssl.connection_error`),
      sslHandshake: stats.counter(`${prefix}.ssl.handshake`),
      overloadReject: stats.counter(`${prefix}.downstream_cx_overload_reject`),
      globalOverflow: stats.counter(`${prefix}.downstream_global_cx_overflow`),
      noDescriptor: stats.counter(`${prefix}.downstream_cx_no_descriptor`),
    };
    this.#filters = new ListenerFilters({ stats, timeouts: stats.counter(`${prefix}.downstream_pre_cx_timeout`) });
  }

  /** Builds the chains and binds. Fails whole: with the chain's reason, or when the address cannot be bound. */
  static async start(listener: Listener, deps: ChainDeps, handOff: HandOff): Promise<Result<ActiveListener>> {
    const generation = await build(listener, deps);
    if (!generation.ok) return generation;
    const active = new ActiveListener(generation.value, deps, handOff);
    const bound = await active.#bind(generation.value);
    if (!bound.ok) release(generation.value);
    return bound.ok ? ok(active) : bound;
  }

  get listener(): Listener {
    return this.#current.listener;
  }

  /** What is bound, with real ports. */
  get bound(): readonly SocketTarget[] {
    return this.#sockets.map((socket) => socket.target);
  }

  get activeConnections(): number {
    let count = this.#arriving.size;
    for (const generation of this.#generations()) for (const chain of generation.chains.values()) count += chain.connections;
    return count;
  }

  /**
   * Puts a new config in force: same addresses keep their sockets, unchanged chains their connections. HTTP connections of the other chains are
   * served by the new ones from their next request on, TCP connections drain. Connections that would come in otherwise now (another address,
   * other listener filters for their port) are none of the new chains': HTTP ones end after what is under way.
   */
  async update(listener: Listener, pace: DrainPace): Promise<Result<void>> {
    const sameAddresses = this.#sameAddresses(listener);
    const comesAlike = sameAddresses ? lookAlike(this.#current.listener, listener) : () => false;
    const next = await build(listener, this.#deps, { generation: this.#current, comesAlike });
    if (!next.ok) return next;
    if (!sameAddresses) {
      const before = this.#sockets;
      this.#sockets = [];
      const bound = await this.#bind(next.value);
      if (!bound.ok) {
        this.#sockets = before;
        release(next.value, this.#current);
        return bound;
      }
      for (const socket of before) void socket.close();
    }
    const old = this.#current;
    this.#current = next.value;
    const kept = new Set(next.value.chains.values());
    const sameChains = kept.size === old.chains.size && [...old.chains.values()].every((chain) => kept.has(chain));
    if (!sameChains) for (const { chains } of [old, ...this.#old.keys()]) for (const chain of chains.values()) chain.handOver((view) => (comesAlike(view) ? this.#chainOf(view) : null));
    for (const [accepted, view] of this.#arriving) if (!comesAlike(view)) accepted.destroy();
    for (const [chain, runtime] of old.chains) if (kept.has(runtime)) old.chains.delete(chain);
    this.#drainGeneration(old, pace);
    return ok(undefined);
  }

  /** The chain in force for such a connection. */
  #chainOf(view: ConnectionView): ChainRuntime | null {
    const { listener, chains } = this.#current;
    const chain = listener.filterChains.match(view);
    return chain === null ? null : (chains.get(chain) ?? null);
  }

  /** A secret changed. */
  rotate(secret: string): Result<void> {
    if (!this.#current.listener.sdsNames.has(secret)) return ok(undefined);
    const errors: FieldError[] = [];
    for (const chain of this.#current.chains.values()) {
      const done = chain.rotate();
      if (!done.ok) errors.push(...done.error);
    }
    return errors.length > 0 ? err(errors) : ok(undefined);
  }

  /** Stops accepting, then lets connections go: who is asked to leave and comes back at once would be reset in the queue of a port that is about to close. Resolves when the port is free. */
  async drain(pace: DrainPace): Promise<void> {
    await this.#close();
    this.#drainGeneration(this.#current, pace);
    if (pace.strategy === 'immediate') for (const generation of this.#old.keys()) for (const chain of generation.chains.values()) chain.drain();
  }

  /** Asks clients to leave as the pace says and goes on accepting; closes nothing. */
  askToLeave(pace: DrainPace): void {
    for (const chain of this.#current.chains.values()) chain.drainBy(pace);
  }

  /** What the responses of the config in force ask; null: nothing. */
  paceResponses(pace: DrainPace | null): void {
    for (const chain of this.#current.chains.values()) chain.paceResponses(pace);
  }

  /** Stops accepting, nothing else; resolves when the port is free. */
  stopAccepting(): Promise<void> {
    return this.#close();
  }

  /** Closes idle HTTP connections, those of replaced configs too; goes on accepting. */
  drainIdle(): void {
    for (const generation of this.#generations()) for (const chain of generation.chains.values()) chain.drainIdle();
  }

  destroy(): void {
    void this.#close();
    for (const accepted of this.#arriving.keys()) accepted.destroy();
    for (const generation of this.#generations()) for (const chain of generation.chains.values()) chain.destroy();
  }

  tick(nowMs: number): void {
    for (const chain of this.#current.chains.values()) chain.tick(nowMs);
    for (const [generation, timer] of this.#old) {
      const chains = [...generation.chains.values()];
      for (const chain of chains) chain.tick(nowMs);
      if (generation === this.#current || !chains.every((chain) => chain.idle)) continue;
      clearTimeout(timer);
      this.#old.delete(generation);
      release(generation);
    }
    this.#stats.active.set(this.activeConnections);
  }

  /** Serves a connection that another listener accepted for us (use_original_dst). */
  adopt(accepted: AcceptedSocket, destination: Destination): void {
    this.#count();
    this.#inspect(accepted, destination);
  }

  #count(): void {
    this.accepted++;
    this.#stats.total.inc();
    this.#stats.mine.inc();
  }

  async #close(): Promise<void> {
    const sockets = this.#sockets;
    this.#sockets = [];
    await Promise.all(sockets.map((socket) => socket.close()));
  }

  #drainGeneration(generation: Generation, pace: DrainPace): void {
    for (const chain of generation.chains.values())
      if (pace.strategy === 'immediate') chain.drain();
      else chain.drainBy(pace);
    const timer = setTimeout(() => {
      for (const chain of generation.chains.values()) chain.drainNow();
    }, pace.drainTimeMs);
    timer.unref();
    clearTimeout(this.#old.get(generation));
    this.#old.set(generation, timer);
  }

  #generations(): Iterable<Generation> {
    return new Set([this.#current, ...this.#old.keys()]);
  }

  /** The addresses of the config in force, or, where that left the port open, those really bound. */
  #sameAddresses(next: Listener): boolean {
    const { listener } = this.#current;
    if (listener.bindToPort !== next.bindToPort || listener.transparent !== next.transparent) return false;
    const wanted = JSON.stringify(next.addresses);
    return wanted === JSON.stringify(listener.addresses) || wanted === JSON.stringify(this.bound);
  }

  async #bind({ listener, socketOptions }: Generation): Promise<Result<void>> {
    if (!listener.bindToPort) return ok(undefined);
    const sockets: ListenSocket[] = [];
    const prepare = listener.transparent && socketOptions !== null ? (fd: number) => socketOptions.setTransparent(fd) : undefined;
    for (const target of listener.addresses) {
      try {
        sockets.push(await listen({ target, reusePort: this.#deps.options.reusePort ?? false, backlog: listener.tcpBacklog, prepare, onConnection: (accepted) => this.#accept(accepted), onNoDescriptor: () => this.#deps.descriptors.turnedAway(this.#stats.noDescriptor) }));
      } catch (cause) {
        for (const socket of sockets) void socket.close();
        const where = target.kind === 'ip' ? `${target.address}:${target.port}` : target.path;
        return err([{ path: `listener ${listener.name}`, message: `cannot listen on ${where}: ${cause instanceof Error ? cause.message : String(cause)}` }]);
      }
    }
    this.#sockets.push(...sockets);
    return ok(undefined);
  }

  #accept(accepted: AcceptedSocket): void {
    const { listener } = this.#current;
    if (!this.#deps.descriptors.admits(accepted.fd, this.#stats.noDescriptor) || !this.#admits(listener)) return accepted.destroy();
    const destination = this.#destination(accepted);
    if (listener.useOriginalDst && destination.captured) {
      const other = this.#handOff(destination.ip, destination.port);
      if (other !== null && other !== this) return other.adopt(accepted, destination);
    }
    this.#count();
    return this.#inspect(accepted, destination);
  }

  /** Whether overload and the limit on all connections let one more in. */
  #admits(listener: Listener): boolean {
    const { overload, http } = this.#deps;
    const rejects = listener.bypassOverloadManager ? 0 : overload.state.rejectConnections;
    if (rejects > 0 && http.random.next() < rejects) {
      this.#stats.overloadReject.inc();
      return false;
    }
    if (listener.ignoreGlobalConnLimit || overload.admit()) return true;
    this.#stats.globalOverflow.inc();
    return false;
  }

  /**
   * Where the client was going. A connection to this very port was not captured, whatever rule it passed: following it to its destination
   * would lead back here.
   */
  #destination(accepted: AcceptedSocket): Destination {
    const { listener, socketOptions } = this.#current;
    const own = { ip: accepted.localIp, port: accepted.localPort };
    const original = socketOptions?.originalDestination(accepted.fd) ?? own;
    if (original.ip !== own.ip || original.port !== own.port) return { ...original, captured: true };
    // Under TPROXY the kernel leaves the destination in place: the local address is it.
    return { ...own, captured: listener.transparent && !this.#sockets.some(({ target }) => target.kind === 'ip' && target.port === own.port) };
  }

  /** Runs the listener filters, then picks the chain. */
  #inspect(accepted: AcceptedSocket, destination: Destination): void {
    this.#arriving.set(accepted, viewOf({ accepted, destination, proxied: null }, nothingSeen));
    const gone = () => this.#arriving.delete(accepted);
    accepted.socket.once('close', gone);
    const arrived = () => {
      accepted.socket.off('close', gone);
      gone();
    };
    this.#filters.run(this.#current.listener, { accepted, destination, proxied: null }, (arrival, seen) => this.#choose(arrival, seen, arrived));
  }

  #choose(arrival: Arrival, seen: Seen, arrived: () => void): void {
    const { listener } = this.#current;
    const { accepted } = arrival;
    const view = viewOf(arrival, seen);
    if (this.#arriving.has(accepted)) this.#arriving.set(accepted, view);
    const runtime = this.#chainOf(view);
    if (runtime === null) {
      this.#stats.noChain.inc();
      this.#logRefused(accepted, view.serverName, { flags: ResponseFlag.NR, details: 'filter_chain_not_found', transport: null });
      return accepted.destroy();
    }
    const serve = (chain: ChainRuntime, connection: SocketConnection) => {
      chain.serve(connection, infoOf(arrival, connection, view), () => {
        if (seen.skipped) this.#filters.watch(arrival, connection);
        accepted.start(connection);
      });
    };
    if (runtime.tls === null) {
      arrived();
      return serve(runtime, accepted.plain(listener.perConnectionBufferLimit));
    }
    return accepted.secure(runtime.tls, { hello: seen.hello, timeoutMs: this.#deps.overload.state.timeout('transport-connect', runtime.chain.transportSocketConnectTimeoutMs), limit: listener.perConnectionBufferLimit }, {
      opened: (connection) => {
        arrived();
        this.#stats.sslHandshake.inc();
        const now = this.#chainOf(view);
        // Replaced during the handshake by one that would have asked for another.
        if (now === null || (now !== runtime && now.chain.transportFingerprint !== runtime.chain.transportFingerprint)) return connection.destroy();
        return serve(now, connection);
      },
      failed: (reason) => {
        this.#stats.sslError.inc();
        this.#logRefused(accepted, view.serverName, { flags: 0, details: null, transport: reason });
        this.#deps.options.log.info({ listener: this.name, peer: accepted.remoteAddress, reason }, 'TLS handshake refused');
      },
    });
  }

  /** Entries of the listener's own logs: for connections that no chain came to serve. */
  #logRefused(accepted: AcceptedSocket, requestedServerName: string, why: { readonly flags: number; readonly details: string | null; readonly transport: string | null }): void {
    const { writeLog } = this.#current;
    if (writeLog === null) return;
    const { clock } = this.#deps.http;
    const connection = { id: 0, localAddress: accepted.localAddress, directRemoteAddress: accepted.remoteAddress, requestedServerName, tls: null };
    const info = new StreamInfo(connection, clock.now(), clock.monotonic());
    info.responseFlags = why.flags;
    info.connectionTerminationDetails = why.details;
    info.downstreamTransportFailureReason = why.transport;
    info.bytesReceived = accepted.peeked.length;
    info.endMonoMs = info.startMonoMs;
    writeLog(info);
  }
}
