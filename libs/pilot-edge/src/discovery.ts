import { status } from '@grpc/grpc-js';
import { formatFieldErrors, type Clock } from '@meltemi/base';
import type { Config, MeshConfigSpec } from '@meltemi/config';
import { buildPushContext, proxyFromNode, type Proxy, type PushContext } from '@meltemi/pilot';
import { shortTypeName, xdsSnapshot, xdsType, type ResourceSet, type SubscribedNames } from '@meltemi/xds';
import type { AdsConnection, ClientHandler, ClientHello, ConnectionRefusal } from '@meltemi/xds-edge';
import { Debounce } from './debounce.ts';
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
  /** Default 100. */
  readonly debounceQuietMs?: number;
  /** Default 10,000. */
  readonly debounceMaxMs?: number;
}

/** One connected proxy. */
export interface Client {
  readonly proxy: Proxy;
  readonly connection: AdsConnection;
  readonly connectedAtMs: number;
  readonly agentVersion: string;
}

interface ClientState extends Client {
  /** Number of the last revision handed to the connection; 0 = none. */
  pushed: number;
  /** Newest revision the proxy follows. */
  followed: number;
}

const servedTypes = [xdsType.cluster, xdsType.endpoint, xdsType.listener, xdsType.route] as const;

/** From changes to pushes: calms them down, builds the push context, and brings every proxy to it, at most one push per proxy waiting. */
export class Discovery {
  readonly #options: DiscoveryOptions;
  readonly #debounce: Debounce;
  readonly #clients = new Map<string, ClientState>();
  readonly #queue = new Set<ClientState>();
  readonly #followListeners = new Set<() => void>();
  #context: PushContext | undefined;
  #revision = 0;
  #dirtySince: number | undefined;
  #builtFor = 0;
  #pumping = false;

  constructor(options: DiscoveryOptions) {
    this.#options = options;
    this.#debounce = new Debounce({ clock: options.clock, quietMs: options.debounceQuietMs ?? 100, maxMs: options.debounceMaxMs ?? 10_000, task: (reasons) => this.#rebuild(reasons) });
  }

  /** Builds the first context; before it, connected proxies wait. */
  start(): void {
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

  /** The revision that carries every change announced so far. Builds it now rather than after the quiet time: somebody waits for it. */
  settle(): number {
    if (this.#dirtySince !== undefined) {
      this.#debounce.stop();
      this.#rebuild(['a waiting client']);
    }
    return this.#revision;
  }

  /** Proxies that do not follow `revision` yet. */
  behind(revision: number): Client[] {
    return [...this.#clients.values()].filter((client) => client.followed < revision);
  }

  /** Called whenever a proxy follows a newer revision, refuses one, comes or goes. Returns how to unsubscribe. */
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
    const client: ClientState = { proxy: proxy.value, connection, connectedAtMs: this.#options.clock.now(), agentVersion: agentVersion(hello), pushed: 0, followed: 0 };
    this.#clients.set(hello.connectionId, client);
    this.#options.stats.connected.set(this.#clients.size);
    this.#options.log.info({ proxy: client.proxy.id, protocol: hello.protocol, peer: hello.peer.address }, 'proxy connected');
    return this.#handler(hello.connectionId, client);
  }

  #handler(id: string, client: ClientState): ClientHandler {
    const { log, stats } = this.#options;
    return {
      ordered: !client.proxy.proxyless,
      onSubscribe: (typeUrl, subscribed) => this.#subscribed(client, typeUrl, subscribed),
      onNack: (typeUrl, refusal) => {
        stats.rejects.labels(shortTypeName(typeUrl).toLowerCase()).inc();
        log.warn({ proxy: client.proxy.id, type: shortTypeName(typeUrl), resources: refusal.resources, reason: refusal.message }, 'proxy refused its configuration');
        this.#progress();
      },
      onLagging: (typeUrl, revision) => log.warn({ proxy: client.proxy.id, type: shortTypeName(typeUrl), revision }, 'proxy is slow to acknowledge; the push goes on'),
      onFollow: (revision) => {
        client.followed = Math.max(client.followed, Number(revision));
        this.#progress();
      },
      onClose: (reason) => {
        this.#clients.delete(id);
        this.#queue.delete(client);
        stats.connected.set(this.#clients.size);
        log.info({ proxy: client.proxy.id, reason }, 'proxy disconnected');
        this.#progress();
      },
    };
  }

  /** Names outside the last snapshot (proxyless clients name what they want) need a snapshot that has them. */
  #subscribed(client: ClientState, typeUrl: string, subscribed: SubscribedNames): 'complete' | 'more-comes' {
    const served = (servedTypes as readonly string[]).includes(typeUrl);
    if (!served) return 'complete';
    if (client.pushed > 0 && !client.proxy.proxyless && (subscribed.names.size === 0 || typeUrl === xdsType.cluster || typeUrl === xdsType.listener)) return 'complete';
    this.#enqueue(client);
    return client.pushed > 0 && !client.proxy.proxyless ? 'complete' : 'more-comes';
  }

  #rebuild(reasons: readonly string[]): void {
    const { clock, stats, log } = this.#options;
    const started = clock.monotonic();
    try {
      this.#context = buildPushContext({
        configs: this.#options.configs(), meshConfig: this.#options.mesh(), previous: this.#context,
        ...(this.#options.domain ? { domain: this.#options.domain } : {}), ...(this.#options.clusterId ? { clusterId: this.#options.clusterId } : {}),
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
    } catch (cause) {
      this.#options.log.error({ err: cause, proxy: client.proxy.id }, 'translation failed; this proxy keeps what it has');
    }
    setImmediate(() => this.#pump());
  }

  #pushTo(client: ClientState, context: PushContext): void {
    const { clock, stats, translate } = this.#options;
    const started = clock.monotonic();
    const subscriptions = client.connection.subscriptions();
    const sets: ResourceSet[] = [];
    for (const typeUrl of servedTypes) {
      const names = subscriptions.get(typeUrl)?.names;
      if (client.proxy.proxyless) {
        if (names && names.size > 0) sets.push(translate(context, client.proxy, { typeUrl, names: [...names] }));
      } else sets.push(translate(context, client.proxy, { typeUrl }));
      stats.pushes.labels(shortTypeName(typeUrl).toLowerCase()).inc();
    }
    client.pushed = this.#revision;
    client.connection.push({ ...xdsSnapshot(String(this.#revision), sets), reason: 'config' });
    const now = clock.monotonic();
    stats.pushTime.observe((now - started) / 1000);
    stats.convergence.observe((now - this.#builtFor) / 1000);
  }

  #progress(): void {
    for (const listener of this.#followListeners) listener();
  }
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
