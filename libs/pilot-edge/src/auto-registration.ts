import { parseSpiffeId } from '@meltemi/identity';
import type { Clock } from '@meltemi/base';
import { keyProblem, keyText, type Config, type LeasedValues, type WorkloadEntrySpec } from '@meltemi/config';
import { entryFromGroup, entryName, healthStatus, isGroup, isHealthyEntry, wantedGroup, type Proxy, type WorkloadGroupSpec } from '@meltemi/pilot';
import type { ClientHello } from '@meltemi/xds-edge';

export interface AutoRegistrationOptions {
  readonly configs: () => Iterable<Config>;
  readonly clock: Clock;
  readonly log: { info(fields: object, message: string): void; warn(fields: object, message: string): void; error(fields: object, message: string): void };
  /** Where all pilots over one store keep entries, and this one over its restarts. */
  readonly values: LeasedValues;
  /** `entries` is another list now: these came, went or are different (key texts). */
  readonly onChange: (reason: string, objects: readonly string[]) => void;
  /** How long an entry outlives its last connection: proxies come back. */
  readonly graceMs: number;
}

interface Registered {
  /** With what its proxy told of its application as its status; without one: nothing yet. */
  readonly entry: Config<WorkloadEntrySpec>;
  /** Streams of the proxy. */
  connections: number;
  /** Ends the grace. */
  cancel: (() => void) | null;
}

/** Of an entry as JSON: a proxy says what its labels are. */
const maxEntryBytes = 8 * 1024;
/** Of what a proxy says of its application. */
const maxHealthChars = 256;
/** Of an entry with its status, as read. */
const maxValueBytes = maxEntryBytes + 2 * 1024;

/**
 * WorkloadEntries of proxies outside of Kubernetes: each that names a WorkloadGroup is an entry while it is connected, to whichever pilot, and for a while
 * after. What is registered here counts at once; the others, and we after a restart, learn of it from the store.
 */
export class AutoRegistration {
  readonly #options: AutoRegistrationOptions;
  readonly #registered = new Map<string, Registered>();
  /** What the store tells, whoever registered it. */
  readonly #shared = new Map<string, Config<WorkloadEntrySpec>>();
  readonly #stopping = new AbortController();
  readonly #synced = Promise.withResolvers<void>();
  #entries: readonly Config<WorkloadEntrySpec>[] = [];
  /** By NAMESPACE/NAME; undefined: to be looked up. */
  #groups: ReadonlyMap<string, Config<WorkloadGroupSpec>> | undefined;
  #told = false;
  #done: Promise<void> = Promise.resolve();

  constructor(options: AutoRegistrationOptions) {
    this.#options = options;
  }

  /** What is registered now, as objects beside the configured ones; immutable. */
  get entries(): readonly Config<WorkloadEntrySpec>[] {
    return this.#entries;
  }

  /** Follows what is registered elsewhere, or was by an earlier run; resolves when what there is was told. */
  start(): Promise<void> {
    this.#done = this.#follow();
    this.#done.catch((cause: unknown) => {
      this.#options.log.error({ err: cause }, 'workloads that register with other pilots are not followed any more');
      this.#synced.resolve();
    });
    return this.#synced.promise;
  }

  /** A proxy came; a text says why it cannot be registered. Nothing happens for one that names no group. */
  connect({ peer }: Pick<ClientHello, 'peer'>, proxy: Proxy): string | undefined {
    const wanted = wantedGroup(proxy);
    if (wanted === undefined) return undefined;
    const group = this.#allGroups().get(`${proxy.namespace}/${wanted}`);
    if (group === undefined) return `there is no WorkloadGroup ${proxy.namespace}/${wanted} to register by`;
    const stranger = strangerReason(peer.identity, group);
    if (stranger !== undefined) return stranger;
    const entry = entryFromGroup(group, proxy);
    const unfit = unfitReason(entry);
    if (unfit !== undefined) return unfit;
    const known = this.#registered.get(keyOf(entry));
    known?.cancel?.();
    // One that comes from another pilot is as healthy as it was there.
    const status = (known ? known.entry : this.#shared.get(keyOf(entry)))?.status;
    const registered = { entry: withStatus(entry, status), connections: (known?.connections ?? 0) + 1, cancel: null };
    this.#registered.set(keyOf(entry), registered);
    this.#hold(registered);
    this.#publishChanged(`WorkloadEntry ${keyOf(entry)} registered`);
    return undefined;
  }

  /** A connected proxy is gone. */
  disconnect(proxy: Proxy): void {
    const wanted = wantedGroup(proxy);
    if (wanted === undefined) return;
    const key = `${proxy.namespace}/${entryName(wanted, proxy)}`;
    const registered = this.#registered.get(key);
    if (registered === undefined) return;
    registered.connections--;
    if (registered.connections > 0 || this.#stopping.signal.aborted) return;
    const { values, clock, graceMs } = this.#options;
    values.release(key, graceMs);
    registered.cancel = clock.after(graceMs, () => this.#remove(key));
  }

  /** A proxy tells how its application is; a text says why it is not ready. Only groups with a probe ask for it. */
  health(proxy: Proxy, unhealthy: string | undefined): void {
    const wanted = wantedGroup(proxy);
    if (wanted === undefined) return;
    const key = `${proxy.namespace}/${entryName(wanted, proxy)}`;
    const registered = this.#registered.get(key);
    if (registered === undefined) return;
    const before = isHealthyEntry(registered.entry);
    const told = { ...registered, entry: withStatus(registered.entry, healthStatus(unhealthy?.slice(0, maxHealthChars), new Date(this.#options.clock.now()).toISOString())) };
    this.#registered.set(key, told);
    if (isHealthyEntry(told.entry) === before) return;
    this.#hold(told);
    this.#publishChanged(`WorkloadEntry ${key} is ${before ? `not healthy: ${unhealthy ?? ''}` : 'healthy'}`);
  }

  /** Groups changed: entries of those that are gone go too, and come back with them; the others are as their proxies found them. */
  groupsChanged(): void {
    this.#groups = undefined;
    this.#publishChanged('WorkloadGroups changed');
  }

  /** Proxies that are connected stay registered for a while: they come back to us or to another. */
  async stop(): Promise<void> {
    this.#stopping.abort();
    for (const { cancel } of this.#registered.values()) cancel?.();
    await this.#options.values.close();
    await this.#done.catch(() => undefined);
  }

  async #follow(): Promise<void> {
    for await (const event of this.#options.values.watch(this.#stopping.signal)) {
      if (this.#stopping.signal.aborted) return;
      if (event.type === 'synced') {
        this.#told = true;
        this.#publishChanged('registered workloads are read');
        this.#synced.resolve();
        continue;
      }
      const before = this.#shared.get(event.name);
      const entry = event.type === 'put' ? readEntry(event.name, event.value) : undefined;
      if (event.type === 'put' && !entry) this.#options.log.warn({ entry: event.name }, 'what is kept as a registered workload is none, or is too large; it is passed over');
      if (JSON.stringify(before) === JSON.stringify(entry)) continue;
      if (entry) this.#shared.set(event.name, entry);
      else this.#shared.delete(event.name);
      // All that is there at the start is one change.
      if (this.#told) this.#publishChanged(`WorkloadEntry ${event.name} ${entry ? 'registered' : 'removed'}`);
    }
  }

  #allGroups(): ReadonlyMap<string, Config<WorkloadGroupSpec>> {
    if (!this.#groups) {
      const groups = new Map<string, Config<WorkloadGroupSpec>>();
      for (const config of this.#options.configs()) if (isGroup(config)) groups.set(keyOf(config), config);
      this.#groups = groups;
    }
    return this.#groups;
  }

  /** Entries whose groups are there. */
  #present(): Config<WorkloadEntrySpec>[] {
    const all = new Map(this.#shared);
    // Who is connected here is as it says; who left here may be connected elsewhere, with something new to say.
    for (const [key, registered] of this.#registered) if (registered.connections > 0 || !all.has(key)) all.set(key, registered.entry);
    if (all.size === 0) return [];
    const groups = this.#allGroups();
    return [...all.values()].filter(({ key, meta }) => groups.has(`${key.namespace}/${meta.annotations['istio.io/autoRegistrationGroup'] ?? ''}`));
  }

  #hold(registered: Registered): void {
    if (registered.connections > 0) this.#options.values.hold(keyOf(registered.entry), JSON.stringify(registered.entry));
  }

  #remove(key: string): void {
    this.#registered.delete(key);
    this.#publishChanged(`WorkloadEntry ${key} removed`);
  }

  /** Most of what the store tells was said here. */
  #publishChanged(reason: string): void {
    const now = this.#present();
    const before = new Map(this.#entries.map((entry) => [keyOf(entry), entry]));
    const changed = now.filter((entry) => {
      const was = before.get(keyOf(entry));
      before.delete(keyOf(entry));
      return entry !== was && JSON.stringify(entry) !== JSON.stringify(was);
    });
    const all = [...changed, ...before.values()].map(({ key }) => keyText(key));
    if (all.length === 0) return;
    this.#entries = now;
    this.#options.log.info({ registered: this.#entries.length }, reason);
    this.#options.onChange(reason, all);
  }
}

function withStatus(entry: Config<WorkloadEntrySpec>, status: Config['status']): Config<WorkloadEntrySpec> {
  return status === undefined ? entry : { ...entry, status };
}

function keyOf({ key }: Config): string {
  return `${key.namespace}/${key.name}`;
}

/** Why an entry cannot be kept. */
function unfitReason(entry: Config): string | undefined {
  const wrong = keyProblem(entry.key);
  if (wrong !== undefined) return `it cannot be registered as a WorkloadEntry: ${wrong}`;
  const bytes = Buffer.byteLength(JSON.stringify(entry));
  return bytes > maxEntryBytes ? `WorkloadEntry ${keyOf(entry)} would have ${bytes} bytes; the limit is ${maxEntryBytes}` : undefined;
}

/** Written by pilots alone; what is none of theirs is no entry. */
function readEntry(name: string, value: string): Config<WorkloadEntrySpec> | undefined {
  if (Buffer.byteLength(value) > maxValueBytes) return undefined;
  try {
    const entry = JSON.parse(value) as Partial<Config<Partial<WorkloadEntrySpec>>> | null;
    if (!entry?.key || !entry.meta || !entry.spec || keyOf(entry as Config) !== name || keyProblem(entry.key) !== undefined) return undefined;
    return entry.key.kind === 'WorkloadEntry' && typeof entry.spec.address === 'string' && typeof entry.spec.labels === 'object' && typeof entry.meta.annotations === 'object' ? (entry as Config<WorkloadEntrySpec>) : undefined;
  } catch {
    return undefined;
  }
}

/** Whoever registers proves who it is: an entry draws the traffic of its services. Source: Istio's ensureProxyCanControlEntry. */
function strangerReason(identity: string | undefined, { key, spec }: Config<WorkloadGroupSpec>): string | undefined {
  const id = parseSpiffeId(identity ?? '');
  if (!id.ok) return 'registration by a WorkloadGroup needs a verified identity: connect with a certificate';
  const { namespace, serviceAccount } = id.value;
  if (namespace !== key.namespace) return `WorkloadGroup ${key.namespace}/${key.name} is not for identities of namespace "${namespace}"`;
  const wanted = spec.template.serviceAccount;
  return wanted === '' || wanted === serviceAccount ? undefined : `WorkloadGroup ${key.namespace}/${key.name} is for service account "${wanted}", not "${serviceAccount}"`;
}

/** The configured objects, and the entries of proxies that registered themselves where no object has their name. */
export function withRegistered(configs: Iterable<Config>, entries: readonly Config<WorkloadEntrySpec>[]): Iterable<Config> {
  if (entries.length === 0) return configs;
  const all = [...configs];
  const written = new Set(all.flatMap((config) => (config.key.kind === 'WorkloadEntry' ? [keyOf(config)] : [])));
  return [...all, ...entries.filter((entry) => !written.has(keyOf(entry)))];
}
