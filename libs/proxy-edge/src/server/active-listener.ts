import { isDeepStrictEqual } from 'node:util';
import { err, ok, type FieldError, type Result } from '@meltemi/base';
import { ResponseFlag, StreamInfo } from '@meltemi/http';
import type { Counter, Gauge } from '@meltemi/observe';
import type { DrainPace } from '@meltemi/proxy';
import type { ConnectionView, Listener, SocketTarget } from '@meltemi/snapshot';
import type { AcceptedSocket } from '../transport/accepted-socket.ts';
import { listen } from '../transport/listen.ts';
import type { SocketConnection } from '../transport/socket-connection.ts';
import { infoOf, nothingSeen, viewOf, type Arrival, type Destination, type Seen } from './arrival.ts';
import { ChainRuntime, type ChainDeps } from './chain-runtime.ts';
import { closeAll, destinationOf, placesOf, type Door, type Place } from './doors.ts';
import { build, release, type Generation } from './generation.ts';
import { ListenerFilters, lookAlike } from './listener-filters.ts';
import { listenerPrefix } from './listener-prefix.ts';

/** Accepted, and still in a listener filter or a handshake. */
interface OnTheWay {
  view: ConnectionView;
  /** By which it goes on: the one in force when it came, or a later one under which it would have come in alike. */
  generation: Generation;
}

/** Finds the listener that serves a captured connection's real destination. */
export type HandOff = (ip: string, port: number) => ActiveListener | null;

/** A listener in force: its sockets, its current filter chains, and the older ones that still drain. */
export class ActiveListener {
  readonly name: string;
  readonly #deps: ChainDeps;
  readonly #handOff: HandOff;
  readonly #filters: ListenerFilters;
  #current: Generation;
  #doors: readonly Door[] = [];
  /** Accepts nobody any more. */
  #closed = false;
  /** Left by the sockets they had, which may let somebody in yet. */
  readonly #ajar = new Set<Generation>();
  /** Resolves when the addresses are free that this listener left. */
  moved: Promise<void> = Promise.resolve();
  /** Each with the timer of its end. */
  readonly #old = new Map<Generation, NodeJS.Timeout>();
  /** Connections accepted so far. */
  accepted = 0;
  readonly #arriving = new Map<AcceptedSocket, OnTheWay>();
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
    const bound = await active.#bind(generation.value, placesOf([], listener));
    if (!bound.ok) return bound;
    active.#doors = bound.value;
    return ok(active);
  }

  get listener(): Listener {
    return this.#current.listener;
  }

  /** What is bound, with real ports. */
  get bound(): readonly SocketTarget[] {
    return this.#closed ? [] : this.#doors.map(({ socket }) => socket.target);
  }

  get activeConnections(): number {
    let count = this.#arriving.size;
    for (const generation of this.#generations()) for (const chain of generation.chains.values()) count += chain.connections;
    return count;
  }

  /**
   * Puts a new config in force: addresses that stay keep their sockets, unchanged chains their connections, unless it has to bind. HTTP connections of the other chains are
   * served by the new ones from their next request on, TCP connections drain. Connections that would come in otherwise now (an address was left,
   * other listener filters for their port) are none of the new chains': HTTP ones end after what is under way, and so do those still on their way.
   */
  async update(listener: Listener, pace: DrainPace): Promise<Result<void>> {
    const places = placesOf(listener.transparent === this.#current.listener.transparent ? this.#doors : [], listener);
    const staysThere = this.#staysThere(listener, places);
    const comesAlike = staysThere ? lookAlike(this.#current.listener, listener) : () => false;
    // While it binds, somebody may come to an old chain who does not come alike: none goes over then.
    const binds = places.some(({ door }) => door === null);
    const next = await build(listener, this.#deps, staysThere && !binds ? { generation: this.#current, comesAlike } : null);
    if (!next.ok) return next;
    const old = this.#current;
    const bound = await this.#bind(next.value, places);
    if (!bound.ok) return bound;
    const [before, now] = [new Set(this.#doors), new Set(bound.value)];
    this.#leave(old, this.#doors.filter((door) => !now.has(door)));
    this.#doors = bound.value;
    for (const { target, door } of places) {
      if (door === null) continue;
      door.target = target;
      door.generation = next.value;
      if (listener.tcpBacklog !== old.listener.tcpBacklog) door.socket.setBacklog(listener.tcpBacklog);
    }
    // The listener's end may have begun while it was binding.
    if (this.#closed) void closeAll(bound.value.filter((door) => !before.has(door)));
    this.#current = next.value;
    const kept = new Set(next.value.chains.values());
    const sameChains = kept.size === old.chains.size && [...old.chains.values()].every((chain) => kept.has(chain));
    if (!sameChains) for (const generation of new Set([old, ...this.#old.keys()])) for (const chain of generation.chains.values()) chain.handOver((view) => (generation === old && comesAlike(view) ? this.#chainOf(view, next.value) : null));
    for (const arriving of this.#arriving.values()) if (arriving.generation === old && comesAlike(arriving.view)) arriving.generation = next.value;
    for (const [chain, runtime] of old.chains) if (kept.has(runtime)) old.chains.delete(chain);
    this.#drainGeneration(old, pace);
    return ok(undefined);
  }

  /** The chain for such a connection. One that the next config took over is made anew for who comes by the config before. */
  #chainOf(view: ConnectionView, { listener, chains }: Generation): ChainRuntime | null {
    const chain = listener.filterChains.match(view);
    if (chain === null) return null;
    const known = chains.get(chain);
    if (known !== undefined) return known;
    const made = ChainRuntime.create(listener, chain, this.#deps);
    if (!made.ok) return null;
    chains.set(chain, made.value);
    return made.value;
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
    for (const door of this.#doors) door.generation = null;
    for (const accepted of this.#arriving.keys()) accepted.destroy();
    for (const generation of this.#generations()) for (const chain of generation.chains.values()) chain.destroy();
  }

  tick(nowMs: number): void {
    for (const chain of this.#current.chains.values()) chain.tick(nowMs);
    for (const [generation, timer] of this.#old) {
      const chains = [...generation.chains.values()];
      for (const chain of chains) chain.tick(nowMs);
      if (generation === this.#current || this.#ajar.has(generation) || this.#onTheWay(generation).length > 0 || !chains.every((chain) => chain.idle)) continue;
      clearTimeout(timer);
      this.#old.delete(generation);
      release(generation);
    }
    this.#stats.active.set(this.activeConnections);
  }

  /** Serves a connection that another listener accepted for us (use_original_dst). */
  adopt(accepted: AcceptedSocket, destination: Destination): void {
    this.#count();
    this.#inspect(accepted, destination, this.#current);
  }

  #count(): void {
    this.accepted++;
    this.#stats.total.inc();
    this.#stats.mine.inc();
  }

  async #close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    await closeAll(this.#doors);
  }

  /** Closes sockets that only the config that is replaced has: who connected until now goes on by it. */
  #leave(generation: Generation, doors: readonly Door[]): void {
    if (doors.length === 0) return;
    this.#ajar.add(generation);
    this.moved = closeAll(doors).finally(() => this.#ajar.delete(generation));
  }

  #onTheWay(generation: Generation): AcceptedSocket[] {
    return [...this.#arriving].filter(([, arriving]) => arriving.generation === generation).map(([accepted]) => accepted);
  }

  #drainGeneration(generation: Generation, pace: DrainPace): void {
    for (const chain of generation.chains.values())
      if (pace.strategy === 'immediate') chain.drain();
      else chain.drainBy(pace);
    const timer = setTimeout(() => {
      if (generation !== this.#current) for (const accepted of this.#onTheWay(generation)) accepted.destroy();
      for (const chain of generation.chains.values()) chain.drainNow();
    }, pace.drainTimeMs);
    timer.unref();
    clearTimeout(this.#old.get(generation));
    this.#old.set(generation, timer);
  }

  #generations(): Iterable<Generation> {
    return new Set([this.#current, ...this.#old.keys()]);
  }

  /** Whether it leaves no address it has. */
  #staysThere(next: Listener, places: readonly Place[]): boolean {
    const { listener } = this.#current;
    if (listener.bindToPort !== next.bindToPort || listener.transparent !== next.transparent) return false;
    return next.bindToPort ? this.#doors.every((door) => places.some((place) => place.door === door)) : isDeepStrictEqual(next.addresses, listener.addresses);
  }

  /** Fails whole: then nobody who came in meanwhile by a new door is served, and the chains are released. The doors that are there stay as they are. */
  async #bind(generation: Generation, places: readonly Place[]): Promise<Result<Door[]>> {
    const { listener, socketOptions } = generation;
    const prepare = listener.transparent && socketOptions !== null ? (fd: number) => socketOptions.setTransparent(fd) : undefined;
    const made: Door[] = [];
    const doors: Door[] = [];
    for (const { target, door: there } of places) {
      try {
        const door: Door = there ?? {
          generation, target,
          socket: await listen({ target, reusePort: this.#deps.options.reusePort ?? false, backlog: listener.tcpBacklog, prepare, onConnection: (accepted) => this.#accept(accepted, door), onNoDescriptor: () => this.#deps.descriptors.turnedAway(this.#stats.noDescriptor) }),
        };
        doors.push(door);
        if (there === null) made.push(door);
      } catch (cause) {
        for (const door of made) door.generation = null;
        void closeAll(made);
        for (const accepted of this.#onTheWay(generation)) accepted.destroy();
        for (const chain of generation.chains.values()) chain.destroy();
        const where = target.kind === 'ip' ? `${target.address}:${target.port}` : target.path;
        return err([{ path: `listener ${listener.name}`, message: `cannot listen on ${where}: ${cause instanceof Error ? cause.message : String(cause)}` }]);
      }
    }
    return ok(doors);
  }

  #accept(accepted: AcceptedSocket, { generation, socket }: Door): void {
    if (generation === null) return accepted.destroy();
    const { listener } = generation;
    if (!this.#deps.descriptors.admits(accepted.fd, this.#stats.noDescriptor) || !this.#admits(listener)) return accepted.destroy();
    const destination = destinationOf(accepted, generation, (port) => [socket.target, ...this.bound].some((target) => target.kind === 'ip' && target.port === port));
    if (listener.useOriginalDst && destination.captured) {
      const other = this.#handOff(destination.ip, destination.port);
      if (other !== null && other !== this) return other.adopt(accepted, destination);
    }
    this.#count();
    return this.#inspect(accepted, destination, generation);
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

  /** Runs the listener filters, then picks the chain. */
  #inspect(accepted: AcceptedSocket, destination: Destination, generation: Generation): void {
    const arriving: OnTheWay = { view: viewOf({ accepted, destination, proxied: null }, nothingSeen), generation };
    this.#arriving.set(accepted, arriving);
    const gone = () => this.#arriving.delete(accepted);
    accepted.socket.once('close', gone);
    const arrived = () => {
      accepted.socket.off('close', gone);
      gone();
    };
    this.#filters.run(generation.listener, { accepted, destination, proxied: null }, (arrival, seen) => this.#choose(arrival, seen, arriving, arrived));
  }

  #choose(arrival: Arrival, seen: Seen, arriving: OnTheWay, arrived: () => void): void {
    const { listener } = arriving.generation;
    const { accepted } = arrival;
    const view = viewOf(arrival, seen);
    arriving.view = view;
    const runtime = this.#chainOf(view, arriving.generation);
    if (runtime === null) {
      this.#stats.noChain.inc();
      this.#logRefused(accepted, view.serverName, { flags: ResponseFlag.NR, details: 'filter_chain_not_found', transport: null });
      return accepted.destroy();
    }
    const serve = (chain: ChainRuntime, connection: SocketConnection) => {
      // By a config that is not in force any more one is served what is under way, nothing else.
      if (arriving.generation !== this.#current && this.#old.has(arriving.generation)) chain.drain();
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
        const now = this.#chainOf(view, arriving.generation);
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
