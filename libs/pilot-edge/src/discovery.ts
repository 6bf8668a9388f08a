import { status } from '@grpc/grpc-js';
import { formatFieldErrors } from '@meltemi/base';
import { anyExtension, proxyFromNode, refusedOf, type CheckedContext, type Proxy, type PushContext, type SetAside } from '@meltemi/pilot';
import { shortTypeName, xdsSnapshot, xdsType, type Refusal, type RefusedResource, type ResourceSet } from '@meltemi/xds';
import type { AdsConnection, ClientHandler, ClientHello, ConnectionRefusal } from '@meltemi/xds-edge';
import { agentVersion } from './agent-version.ts';
import { ContextBuilder } from './context-builder.ts';
import { Debounce } from './debounce.ts';
import { Departures, type Lately } from './departures.ts';
import type { Client, DiscoveryOptions } from './discovery-types.ts';
import { LiveRefusals, noMemory, provenPart, type VersionMemory } from './live-refusals.ts';
import { ObjectRevisions } from './object-revisions.ts';
import { foreignClaim, misnamed } from './proxy-claims.ts';
import { QuietRanges } from './quiet-ranges.ts';
import { isUnchanged, sameResources } from './same-resources.ts';
import { SecretAnswers } from './secret-answers.ts';
import { Settlement } from './settlement.ts';

interface ClientState extends Client {
  /** Number of the last revision handed to the connection; 0 = none. */
  pushed: number;
  /** What was handed to it last, by type. */
  sets: ReadonlyMap<string, ResourceSet>;
  failure: string | undefined;
  /** The context of the newest revision it answered in full, and those handed to it since. */
  baseline: CheckedContext | undefined;
  handed: readonly { readonly revision: number; readonly checked: CheckedContext }[];
}

/** Contexts remembered per proxy between what it answered and what it was handed last. */
const maxHanded = 8;

const servedTypes: readonly string[] = [xdsType.cluster, xdsType.endpoint, xdsType.listener, xdsType.route];
/** Made only for who asks. */
const typesOnDemand: readonly string[] = [xdsType.nameTable, xdsType.proxyConfig];

/** From changes to pushes: calms them down, builds the push context, and brings every proxy to it, at most one push per proxy waiting. */
export class Discovery {
  readonly #options: DiscoveryOptions;
  readonly #debounce: Debounce;
  readonly #clients = new Map<string, ClientState>();
  readonly #queue = new Set<ClientState>();
  readonly #followListeners = new Set<() => void>();
  readonly #departures: Departures;
  readonly #memory: VersionMemory;
  readonly #refusals: LiveRefusals;
  readonly #builder: ContextBuilder;
  readonly #secrets: SecretAnswers;
  readonly #objects = new ObjectRevisions();
  /** Proxies that have not answered the newest revision; when none is left, its versions are good. */
  readonly #unconfirmed = new Set<ClientState>();
  #checked: CheckedContext | undefined;
  #rebuildSoon = false;
  #stopped = false;
  #revision = 0;
  #dirtySince: number | undefined;
  #builtFor = 0;
  #pumping = false;

  constructor(options: DiscoveryOptions) {
    this.#options = options;
    this.#departures = new Departures(options.clock, options.reconnectGraceMs ?? 5000);
    this.#memory = options.memory ?? noMemory;
    this.#secrets = new SecretAnswers(options);
    this.#refusals = new LiveRefusals(this.#memory);
    this.#builder = new ContextBuilder({ ...options, memory: this.#memory, refusals: this.#refusals });
    this.#debounce = new Debounce({ clock: options.clock, quietMs: options.debounceQuietMs ?? 100, maxMs: options.debounceMaxMs ?? 10_000, task: (reasons) => {
      // A start or a waiting client may have been faster.
      if (this.#dirtySince !== undefined) this.#rebuild(reasons);
    } });
  }

  /** Builds the first context; before it, connected proxies wait. */
  start(): void {
    this.#departures.started();
    this.#rebuild(['start']);
  }

  stop(): void {
    this.#stopped = true;
    this.#debounce.stop();
    this.#queue.clear();
  }

  /** Something the translation reads has changed; `objects` are the key texts of what was written or removed. */
  changed(reason: string, objects: Iterable<string> = []): void {
    this.#objects.announce(objects);
    this.#dirtySince ??= this.#options.clock.monotonic();
    this.#debounce.event(reason);
  }

  /** The newest context; undefined before `start`. */
  get context(): PushContext | undefined {
    return this.#checked?.push;
  }

  /** Objects whose newest version is not in force though it can be read, and why. */
  get setAside(): readonly SetAside[] {
    return this.#checked?.setAside ?? [];
  }

  /** When each object became what it is. */
  get objects(): Pick<ObjectRevisions, 'since' | 'pending'> {
    return this.#objects;
  }

  /** True while it is being found out whom a refusal is about: what proxies have now is not what they will have. */
  get judging(): boolean {
    return this.#rebuildSoon || this.#refusals.trying;
  }

  /** Who refused what, as far as this run has heard, and what is held back for it. */
  get refusals(): Pick<LiveRefusals, 'onTrial' | 'refusedBy'> {
    return this.#refusals;
  }

  /** Whether a resource as this proxy gets it shows the object: without the object it would be another. Builds a context: for few. */
  shows(client: Client, object: string, resource: RefusedResource): boolean {
    if (!this.#checked) return false;
    const { push, inForce } = this.#checked;
    // What a removal left behind cannot be told from the rest.
    if (!inForce.has(object)) return true;
    const { typeUrl, name } = resource;
    const versionIn = (context: PushContext) => this.#options.translate(context, client.proxy, { typeUrl, names: [name] }).resources.get(name)?.version;
    const others = [...inForce].flatMap(([text, config]) => (text === object ? [] : [config]));
    return versionIn(this.#builder.variant(others, push)) !== versionIn(push);
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

  /** Who may be on the way back. */
  lately(): Lately {
    return this.#departures.lately();
  }

  /** Called whenever there is a newer revision, a proxy answers one, refuses one, comes or goes. Returns how to unsubscribe. */
  onProgress(listener: () => void): () => void {
    this.#followListeners.add(listener);
    return () => this.#followListeners.delete(listener);
  }

  /** The ADS server asks this for every new stream. */
  connect(hello: ClientHello, connection: AdsConnection): ClientHandler | ConnectionRefusal {
    const proxy = proxyFromNode(hello.node);
    if (!proxy.ok) return refuse(status.INVALID_ARGUMENT, formatFieldErrors(proxy.error));
    const forbidden = this.#options.authorize(hello, proxy.value) ?? this.#lie(hello, proxy.value);
    if (forbidden !== undefined) return this.#lies(hello, forbidden);
    const unregistered = this.#options.registration?.connect(hello, proxy.value);
    if (unregistered !== undefined) {
      this.#options.stats.proxiesRefused.labels('registration').inc();
      this.#options.log.warn({ audit: true, node: hello.node.id, peer: hello.peer, reason: unregistered }, 'proxy cannot be registered');
      return refuse(status.FAILED_PRECONDITION, unregistered);
    }
    const client: ClientState = { proxy: proxy.value, connection, connectedAtMs: this.#options.clock.now(), agentVersion: agentVersion(hello), settlement: new Settlement(), quiet: new QuietRanges(), failure: undefined, pushed: 0, sets: new Map(), baseline: undefined, handed: [] };
    this.#clients.set(hello.connectionId, client);
    this.#departures.came(client.proxy.name);
    this.#options.stats.connected.set(this.#clients.size);
    this.#options.log.info({ proxy: client.proxy.id, protocol: hello.protocol, peer: hello.peer.address }, 'proxy connected');
    this.#progress();
    return this.#handler(hello.connectionId, client);
  }

  /** What a certified proxy says of itself and is not. Asked when it comes, or else before it is sent anything. */
  #lie({ peer }: ClientHello, proxy: Proxy): string | undefined {
    if (peer.identity === undefined) return undefined;
    return (proxy.proxyless ? undefined : misnamed(proxy)) ?? (this.#checked && foreignClaim(this.#checked.push, proxy));
  }

  #lies({ node, peer }: ClientHello, reason: string): ConnectionRefusal {
    this.#options.stats.proxiesRefused.labels('identity').inc();
    this.#options.log.warn({ audit: true, node: node.id, peer, reason }, 'proxy refused');
    return refuse(status.PERMISSION_DENIED, reason);
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
        this.#blame(client, typeUrl, refusal);
        this.#progress();
      },
      onLagging: (typeUrl, revision) => {
        log.warn({ proxy: client.proxy.id, type: shortTypeName(typeUrl), revision }, 'proxy is slow to acknowledge; what hangs on it waits, everybody else goes on');
        this.#answered(client);
        this.#progress();
      },
      onSettle: (revision, refused) => {
        client.settlement.settle(Number(revision), refused);
        this.#settled(client, Number(revision), refused.length === 0);
        this.#progress();
      },
      onHealth: (unhealthy) => this.#options.registration?.health(client.proxy, unhealthy),
      onClose: (reason) => {
        this.#clients.delete(id);
        this.#queue.delete(client);
        this.#options.registration?.disconnect(client.proxy);
        if (this.#refusals.release(client.proxy.name, 'gone')) this.#rebuildNow('a proxy left while objects were on trial');
        this.#answered(client);
        this.#departures.left(client.proxy.name);
        stats.connected.set(this.#clients.size);
        log.info({ proxy: client.proxy.id, reason }, 'proxy disconnected');
        this.#progress();
      },
    };
  }

  /** A proxy's snapshot has all that its listeners and clusters refer to; a proxyless client is given what it names, so new names need a new snapshot. */
  #subscribed(client: ClientState, typeUrl: string): 'complete' | 'more-comes' {
    if (typeUrl === xdsType.secret && client.pushed > 0) return this.#giveSecrets(client);
    const onDemand = typesOnDemand.includes(typeUrl);
    if (typeUrl !== xdsType.secret && !onDemand && !servedTypes.includes(typeUrl)) return 'complete';
    if (client.pushed > 0 && (onDemand ? client.sets.has(typeUrl) : !client.proxy.proxyless)) return 'complete';
    this.#enqueue(client);
    return 'more-comes';
  }

  /** At once: the listener that needs them may be the step that the push in progress waits for. */
  #giveSecrets(client: ClientState): 'complete' {
    const set = this.#checked && this.#secrets.answer(client, this.#checked.push, client.sets.values());
    if (set) client.connection.amend(set);
    return 'complete';
  }

  #rebuild(reasons: readonly string[]): void {
    const { clock, stats, log } = this.#options;
    const started = clock.monotonic();
    const before = this.#checked;
    try {
      this.#checked = this.#builder.next(before);
    } catch (cause) {
      log.error({ err: cause, reasons }, 'the push context could not be built; the last one stays in force');
      return;
    }
    const { push, setAside } = this.#checked;
    this.#revision += 1;
    this.#objects.built(this.#revision, this.#checked, before);
    this.#builtFor = this.#dirtySince ?? started;
    this.#dirtySince = undefined;
    stats.contextTime.observe((clock.monotonic() - started) / 1000);
    stats.services.set(push.services.all.length);
    stats.virtualServices.set(push.inputs.get('VirtualService')?.length ?? 0);
    log.info({ revision: this.#revision, reasons, services: push.services.all.length, proxies: this.#clients.size, ...(setAside.length > 0 ? { setAside: setAside.length } : {}) }, 'push');
    this.#options.onContext?.(this.#checked);
    for (const client of this.#clients.values()) {
      this.#unconfirmed.add(client);
      this.#enqueue(client);
    }
    this.#confirmWhenAnswered();
    this.#progress();
  }

  /** A NACK: finds the object behind it, and publishes without it. */
  #blame(client: ClientState, typeUrl: string, refusal: Refusal): void {
    // those that a proxy could not use were set aside before, and no other resource shows what is in one
    if (typeUrl === xdsType.secret) return;
    const { proxy, settlement } = client;
    const after = client.handed.at(-1)?.checked;
    const baseline = client.baseline ?? (after && provenPart(this.#memory, after));
    const fresh = refusal.resources.filter((name) => !settlement.refuses(typeUrl, name));
    if (!baseline || !after || fresh.length === 0) return;
    const { translate, log } = this.#options;
    try {
      const blamed = this.#refusals.take({
        proxy, typeUrl, refusal: { ...refusal, resources: fresh }, before: baseline, after, revision: this.#revision,
        build: (configs) => this.#builder.variant(configs, after.push),
        translate: (push, names) => translate(push, proxy, { typeUrl, names }),
      });
      if (!blamed) return;
      log.warn({ proxy: proxy.id, objects: blamed }, 'objects set aside because a proxy refused them; their last good versions go out again');
    } catch (cause) {
      log.error({ err: cause, proxy: proxy.id }, 'it could not be found out which object a proxy refused');
      return;
    }
    this.#rebuildNow(`refused by ${proxy.name}`);
  }

  /** After this turn, without waiting for quiet: traffic hangs on it. */
  #rebuildNow(reason: string): void {
    this.#dirtySince ??= this.#options.clock.monotonic();
    if (this.#rebuildSoon) return;
    this.#rebuildSoon = true;
    setImmediate(() => {
      this.#rebuildSoon = false;
      if (!this.#stopped) this.#rebuild([reason]);
    });
  }

  #settled(client: ClientState, revision: number, followed: boolean): void {
    const handed = client.handed.find((each) => each.revision === revision);
    if (handed) client.baseline = handed.checked;
    client.handed = client.handed.filter((each) => each.revision > revision);
    if (revision >= this.#revision) this.#answered(client);
    if (followed && this.#refusals.release(client.proxy.name, { revision, newest: this.#revision })) this.#rebuildNow('the next object on trial');
  }

  #answered(client: ClientState): void {
    this.#unconfirmed.delete(client);
    this.#confirmWhenAnswered();
  }

  /** What every proxy has answered, and nobody refused, is the last good version of its object from now on. */
  #confirmWhenAnswered(): void {
    if (this.#unconfirmed.size === 0 && this.#checked && this.#dirtySince === undefined) this.#memory.confirm(this.#checked.inForce, { asked: this.#clients.size > 0 });
  }

  #enqueue(client: ClientState): void {
    this.#queue.add(client);
    if (this.#pumping || !this.#checked) return;
    this.#pumping = true;
    setImmediate(() => this.#pump());
  }

  /** One proxy per turn of the event loop, so that ACKs and new streams are heard in between. */
  #pump(): void {
    const [client] = this.#queue;
    if (!client || !this.#checked) {
      this.#pumping = false;
      return;
    }
    this.#queue.delete(client);
    try {
      this.#pushTo(client, this.#checked);
      client.failure = undefined;
    } catch (cause) {
      client.failure = cause instanceof Error ? cause.message : String(cause);
      this.#options.log.error({ err: cause, proxy: client.proxy.id }, 'translation failed; this proxy keeps what it has');
      this.#progress();
    }
    setImmediate(() => this.#pump());
  }

  #pushTo(client: ClientState, checked: CheckedContext): void {
    const { clock, stats, translate } = this.#options;
    const started = clock.monotonic();
    const lie = client.pushed === 0 ? this.#lie(client.connection.hello, client.proxy) : undefined;
    if (lie !== undefined) return client.connection.close(this.#lies(client.connection.hello, lie).refuse.message, status.PERMISSION_DENIED);
    const subscriptions = client.connection.subscriptions();
    const sets = new Map<string, ResourceSet>();
    for (const typeUrl of [...servedTypes, ...typesOnDemand.filter((each) => subscriptions.has(each))]) {
      const names = client.proxy.proxyless && servedTypes.includes(typeUrl) ? [...(subscriptions.get(typeUrl)?.names ?? [])] : undefined;
      if (names?.length === 0) continue;
      const before = client.sets.get(typeUrl);
      const set = translate(checked.push, client.proxy, { typeUrl, ...(names ? { names } : {}) });
      // The same object again costs the stream nothing to compare.
      const same = before && sameResources(before, set);
      sets.set(typeUrl, same ? before : set);
      if (!same) stats.pushes.labels(shortTypeName(typeUrl).toLowerCase()).inc();
    }
    if (!client.proxy.proxyless && this.#wouldRefuse(client, sets)) return;
    const secrets = this.#secrets.answer(client, checked.push, sets.values());
    if (secrets) {
      sets.set(xdsType.secret, secrets);
      client.connection.amend(secrets);
    }
    if (client.pushed > 0 && [...sets].every(([typeUrl, set]) => isUnchanged(client.sets.get(typeUrl), set))) client.quiet.note(client.pushed + 1, this.#revision);
    client.pushed = this.#revision;
    client.sets = sets;
    client.handed = [...client.handed.slice(1 - maxHanded), { revision: this.#revision, checked }];
    client.connection.push({ ...xdsSnapshot(String(this.#revision), sets.values()), reason: 'config' });
    const now = clock.monotonic();
    stats.pushTime.observe((now - started) / 1000);
    stats.convergence.observe((now - this.#builtFor) / 1000);
  }

  /** Nobody is sent what it would refuse: such a proxy is asked before the next context is published, which follows at once. */
  #wouldRefuse(client: ClientState, sets: ReadonlyMap<string, ResourceSet>): boolean {
    if (![...sets.values()].some((set) => refusedOf(set, anyExtension).length > 0) || !this.#builder.alsoAsk(client.proxy)) return false;
    this.#rebuildNow(`${client.proxy.name} would refuse something`);
    return true;
  }

  #progress(): void {
    for (const listener of this.#followListeners) listener();
  }
}

function refuse(code: number, message: string): ConnectionRefusal {
  return { refuse: { code, message } };
}
