import { status } from '@grpc/grpc-js';
import { formatFieldErrors, type Clock } from '@meltemi/base';
import type { Config, MeshConfigSpec } from '@meltemi/config';
import { buildPushContext, proxyFromNode, type Features, type Proxy, type PushContext } from '@meltemi/pilot';
import { shortTypeName, xdsSnapshot, xdsType, type ResourceSet } from '@meltemi/xds';
import type { AdsConnection, ClientHandler, ClientHello, ConnectionRefusal } from '@meltemi/xds-edge';
import { Debounce } from './debounce.ts';
import { Settlement } from './settlement.ts';
import type { PilotStats } from './stats.ts';

/** Istio to xDS, for one proxy and type. `names` undefined: everything the proxy's listeners and clusters refer to. */
export type Translate = (push: PushContext, proxy: Proxy, wanted: { readonly typeUrl: string; readonly names?: readonly string[] }) => ResourceSet;

export interface DiscoveryLog {
  info(fields: object, message: string): void;
  warn(fields: object, message: string): void;
  error(fields: object, message: string): void;
}

export interface DiscoveryOptions {
  /** What is in force now. */
  readonly configs: () => Iterable<Config>;
  readonly mesh: () => MeshConfigSpec;
  readonly translate: Translate;
  /** Decides whether this peer may be this proxy; a text refuses. */
  readonly authorize: (hello: ClientHello, proxy: Proxy) => string | undefined;
  readonly clock: Clock;
  readonly log: DiscoveryLog;
  readonly stats: PilotStats;
  readonly clusterId?: string;
  readonly domain?: string;
  /** Istio's feature switches. Default Istio's. */
  readonly features?: Features;
  /** Default 100. */
  readonly debounceQuietMs?: number;
  /** Default 10,000. */
  readonly debounceMaxMs?: number;
  /** How long a proxy that left, or any after our own start, is expected back: it may carry traffic by older config meanwhile. Default 5,000. */
  readonly reconnectGraceMs?: number;
}

/** One connected proxy. */
export interface Client {
  readonly proxy: Proxy;
  readonly connection: AdsConnection;
  readonly connectedAtMs: number;
  readonly agentVersion: string;
  readonly settlement: Settlement;
  /** Why the newest context could not be translated for this proxy. */
  readonly failure: string | undefined;
}

interface ClientState extends Client {
  /** Number of the last revision handed to the connection; 0 = none. */
  pushed: number;
  /** What was handed to it last, by type. */
  sets: ReadonlyMap<string, ResourceSet>;
  failure: string | undefined;
}

/** Proxies that may carry traffic by older config though they are not connected. */
export interface Lately {
  /** Left within the grace. */
  readonly names: ReadonlySet<string>;
  /** We started within the grace: anybody may be on the way back. */
  readonly started: boolean;
  /** When, on the clock's monotonic time, the first of these is given up. */
  readonly untilMs: number | undefined;
}

const servedTypes = [xdsType.cluster, xdsType.endpoint, xdsType.listener, xdsType.route] as const;

/** From changes to pushes: calms them down, builds the push context, and brings every proxy to it, at most one push per proxy waiting. */
export class Discovery {
  readonly #options: DiscoveryOptions;
  readonly #debounce: Debounce;
  readonly #clients = new Map<string, ClientState>();
  readonly #queue = new Set<ClientState>();
  readonly #followListeners = new Set<() => void>();
  /** Proxies that left lately: name → when they are given up. */
  readonly #left = new Map<string, number>();
  #startGraceUntil = 0;
  #context: PushContext | undefined;
  #revision = 0;
  #dirtySince: number | undefined;
  #builtFor = 0;
  #pumping = false;

  constructor(options: DiscoveryOptions) {
    this.#options = options;
    this.#debounce = new Debounce({ clock: options.clock, quietMs: options.debounceQuietMs ?? 100, maxMs: options.debounceMaxMs ?? 10_000, task: (reasons) => {
      // A start or a waiting client may have been faster.
      if (this.#dirtySince !== undefined) this.#rebuild(reasons);
    } });
  }

  /** Builds the first context; before it, connected proxies wait. */
  start(): void {
    this.#startGraceUntil = this.#options.clock.monotonic() + this.#graceMs;
    this.#rebuild(['start']);
  }

  stop(): void {
    this.#debounce.stop();
    this.#queue.clear();
  }

  /** Something the translation reads has changed. */
  changed(reason: string): void {
    this.#dirtySince ??= this.#options.clock.monotonic();
    this.#debounce.event(reason);
  }

  /** The newest context; undefined before `start`. */
  get context(): PushContext | undefined {
    return this.#context;
  }

  clients(): readonly Client[] {
    return [...this.#clients.values()];
  }

  /**
   * The revision that carries every change announced so far; undefined when it could not be built. Builds it now rather than after the quiet time:
   * somebody waits for it.
   */
  settle(): number | undefined {
    if (this.#dirtySince !== undefined) {
      this.#debounce.stop();
      this.#rebuild(['a waiting client']);
    }
    return this.#dirtySince === undefined ? this.#revision : undefined;
  }

  /** Who may be on the way back; forgets who is not any more. */
  lately(): Lately {
    const now = this.#options.clock.monotonic();
    for (const [name, until] of this.#left) if (until <= now) this.#left.delete(name);
    const started = now < this.#startGraceUntil;
    const ends = [...this.#left.values(), ...(started ? [this.#startGraceUntil] : [])];
    return { names: new Set(this.#left.keys()), started, untilMs: ends.length === 0 ? undefined : Math.min(...ends) };
  }

  /** Called whenever a proxy answers a newer revision, refuses one, comes or goes. Returns how to unsubscribe. */
  onProgress(listener: () => void): () => void {
    this.#followListeners.add(listener);
    return () => this.#followListeners.delete(listener);
  }

  /** The ADS server asks this for every new stream. */
  connect(hello: ClientHello, connection: AdsConnection): ClientHandler | ConnectionRefusal {
    const proxy = proxyFromNode(hello.node);
    if (!proxy.ok) return refuse(status.INVALID_ARGUMENT, formatFieldErrors(proxy.error));
    const forbidden = this.#options.authorize(hello, proxy.value);
    if (forbidden !== undefined) {
      this.#options.log.warn({ node: hello.node.id, peer: hello.peer, reason: forbidden }, 'proxy refused');
      return refuse(status.PERMISSION_DENIED, forbidden);
    }
    const client: ClientState = { proxy: proxy.value, connection, connectedAtMs: this.#options.clock.now(), agentVersion: agentVersion(hello), settlement: new Settlement(), failure: undefined, pushed: 0, sets: new Map() };
    this.#clients.set(hello.connectionId, client);
    this.#left.delete(client.proxy.name);
    this.#options.stats.connected.set(this.#clients.size);
    this.#options.log.info({ proxy: client.proxy.id, protocol: hello.protocol, peer: hello.peer.address }, 'proxy connected');
    this.#progress();
    return this.#handler(hello.connectionId, client);
  }

  #handler(id: string, client: ClientState): ClientHandler {
    const { log, stats } = this.#options;
    return {
      ordered: !client.proxy.proxyless,
      onSubscribe: (typeUrl) => this.#subscribed(client, typeUrl),
      onNack: (typeUrl, refusal) => {
        stats.rejects.labels(shortTypeName(typeUrl).toLowerCase()).inc();
        client.settlement.refuse(typeUrl, refusal);
        log.warn({ proxy: client.proxy.id, type: shortTypeName(typeUrl), resources: refusal.resources, reason: refusal.message }, 'proxy refused its configuration');
        this.#progress();
      },
      onLagging: (typeUrl, revision) => log.warn({ proxy: client.proxy.id, type: shortTypeName(typeUrl), revision }, 'proxy is slow to acknowledge; the push goes on'),
      onSettle: (revision, refused) => {
        client.settlement.settle(Number(revision), refused);
        this.#progress();
      },
      onClose: (reason) => {
        this.#clients.delete(id);
        this.#queue.delete(client);
        this.lately();
        this.#left.set(client.proxy.name, this.#options.clock.monotonic() + this.#graceMs);
        stats.connected.set(this.#clients.size);
        log.info({ proxy: client.proxy.id, reason }, 'proxy disconnected');
        this.#progress();
      },
    };
  }

  /** A proxy's snapshot has all that its listeners and clusters refer to; a proxyless client is given what it names, so new names need a new snapshot. */
  #subscribed(client: ClientState, typeUrl: string): 'complete' | 'more-comes' {
    if (!(servedTypes as readonly string[]).includes(typeUrl)) return 'complete';
    if (client.pushed > 0 && !client.proxy.proxyless) return 'complete';
    this.#enqueue(client);
    return 'more-comes';
  }

  #rebuild(reasons: readonly string[]): void {
    const { clock, stats, log } = this.#options;
    const started = clock.monotonic();
    try {
      this.#context = buildPushContext({
        configs: this.#options.configs(), meshConfig: this.#options.mesh(), previous: this.#context,
        ...(this.#options.domain ? { domain: this.#options.domain } : {}), ...(this.#options.clusterId ? { clusterId: this.#options.clusterId } : {}),
        ...(this.#options.features ? { features: this.#options.features } : {}),
      });
    } catch (cause) {
      log.error({ err: cause, reasons }, 'the push context could not be built; the last one stays in force');
      return;
    }
    this.#revision += 1;
    this.#builtFor = this.#dirtySince ?? started;
    this.#dirtySince = undefined;
    stats.contextTime.observe((clock.monotonic() - started) / 1000);
    stats.services.set(this.#context.services.all.length);
    stats.virtualServices.set(this.#context.inputs.get('VirtualService')?.length ?? 0);
    log.info({ revision: this.#revision, reasons, services: this.#context.services.all.length, proxies: this.#clients.size }, 'push');
    for (const client of this.#clients.values()) this.#enqueue(client);
  }

  #enqueue(client: ClientState): void {
    this.#queue.add(client);
    if (this.#pumping || !this.#context) return;
    this.#pumping = true;
    setImmediate(() => this.#pump());
  }

  /** One proxy per turn of the event loop, so that ACKs and new streams are heard in between. */
  #pump(): void {
    const [client] = this.#queue;
    if (!client || !this.#context) {
      this.#pumping = false;
      return;
    }
    this.#queue.delete(client);
    try {
      this.#pushTo(client, this.#context);
      client.failure = undefined;
    } catch (cause) {
      client.failure = cause instanceof Error ? cause.message : String(cause);
      this.#options.log.error({ err: cause, proxy: client.proxy.id }, 'translation failed; this proxy keeps what it has');
      this.#progress();
    }
    setImmediate(() => this.#pump());
  }

  #pushTo(client: ClientState, context: PushContext): void {
    const { clock, stats, translate } = this.#options;
    const started = clock.monotonic();
    const subscriptions = client.connection.subscriptions();
    const sets = new Map<string, ResourceSet>();
    for (const typeUrl of servedTypes) {
      const names = client.proxy.proxyless ? [...(subscriptions.get(typeUrl)?.names ?? [])] : undefined;
      if (names?.length === 0) continue;
      const before = client.sets.get(typeUrl);
      const set = translate(context, client.proxy, { typeUrl, ...(names ? { names } : {}) });
      // The same object again costs the stream nothing to compare.
      const same = before && sameResources(before, set);
      sets.set(typeUrl, same ? before : set);
      if (!same) stats.pushes.labels(shortTypeName(typeUrl).toLowerCase()).inc();
    }
    client.pushed = this.#revision;
    client.sets = sets;
    client.connection.push({ ...xdsSnapshot(String(this.#revision), sets.values()), reason: 'config' });
    const now = clock.monotonic();
    stats.pushTime.observe((now - started) / 1000);
    stats.convergence.observe((now - this.#builtFor) / 1000);
  }

  get #graceMs(): number {
    return this.#options.reconnectGraceMs ?? 5000;
  }

  #progress(): void {
    for (const listener of this.#followListeners) listener();
  }
}

function sameResources(a: ResourceSet, b: ResourceSet): boolean {
  if (a === b) return true;
  if (a.resources.size !== b.resources.size) return false;
  for (const [name, { version }] of b.resources) if (a.resources.get(name)?.version !== version) return false;
  return true;
}

function refuse(code: number, message: string): ConnectionRefusal {
  return { refuse: { code, message } };
}

function agentVersion(hello: ClientHello): string {
  const metadata = hello.node.metadata as Readonly<Record<string, unknown>> | undefined;
  const version = metadata?.['MELTEMI_VERSION'] ?? metadata?.['ISTIO_VERSION'];
  if (typeof version === 'string' && version !== '') return version;
  const agent = hello.node.userAgentVersionType;
  return agent?.$case === 'userAgentVersion' ? agent.value : hello.node.userAgentName;
}
