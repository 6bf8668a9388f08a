import { parseSpiffeId } from '@meltemi/identity';
import type { Clock } from '@meltemi/base';
import type { Config, WorkloadEntrySpec } from '@meltemi/config';
import { entryFromGroup, entryName, healthStatus, isGroup, isHealthyEntry, wantedGroup, type Proxy, type WorkloadGroupSpec } from '@meltemi/pilot';
import type { ClientHello } from '@meltemi/xds-edge';

export interface AutoRegistrationOptions {
  readonly configs: () => Iterable<Config>;
  readonly clock: Clock;
  readonly log: { info(fields: object, message: string): void };
  /** `entries` is another list now. */
  readonly onChange: (reason: string) => void;
  /** How long an entry outlives its last connection: proxies come back. */
  readonly graceMs: number;
}

interface Registered {
  readonly entry: Config<WorkloadEntrySpec>;
  /** What its proxy told of its application; undefined: nothing yet. */
  readonly status: Config['status'];
  /** Streams of the proxy. */
  connections: number;
  /** Ends the grace. */
  cancel: (() => void) | null;
}

/**
 * WorkloadEntries of proxies outside of Kubernetes: each that names a WorkloadGroup is an entry while it is connected, and for a while after. They
 * live here, in the pilot that the proxy is connected to, and are written nowhere: after a restart proxies register anew.
 */
export class AutoRegistration {
  readonly #options: AutoRegistrationOptions;
  readonly #registered = new Map<string, Registered>();
  #entries: readonly Config<WorkloadEntrySpec>[] = [];
  #stopped = false;

  constructor(options: AutoRegistrationOptions) {
    this.#options = options;
  }

  /** What is registered now, as objects beside the configured ones; immutable. */
  get entries(): readonly Config<WorkloadEntrySpec>[] {
    return this.#entries;
  }

  /** A proxy came; a text says why it cannot be registered. Nothing happens for one that names no group. */
  connect({ peer }: Pick<ClientHello, 'peer'>, proxy: Proxy): string | undefined {
    const wanted = wantedGroup(proxy);
    if (wanted === undefined) return undefined;
    const group = this.#group(proxy.namespace, wanted);
    if (group === undefined) return `there is no WorkloadGroup ${proxy.namespace}/${wanted} to register by`;
    const stranger = strangerReason(peer.identity, group);
    if (stranger !== undefined) return stranger;
    const entry = entryFromGroup(group, proxy);
    const known = this.#registered.get(keyOf(entry));
    known?.cancel?.();
    if (known === undefined || JSON.stringify(known.entry) !== JSON.stringify(entry)) {
      this.#registered.set(keyOf(entry), { entry, status: known?.status, connections: (known?.connections ?? 0) + 1, cancel: null });
      this.#publish(`WorkloadEntry ${keyOf(entry)} registered`);
    } else {
      known.connections++;
      known.cancel = null;
    }
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
    if (registered.connections === 0 && !this.#stopped) registered.cancel = this.#options.clock.after(this.#options.graceMs, () => this.#remove(key));
  }

  /** A proxy tells how its application is; a text says why it is not ready. Only groups with a probe ask for it. */
  health(proxy: Proxy, unhealthy: string | undefined): void {
    const wanted = wantedGroup(proxy);
    if (wanted === undefined) return;
    const key = `${proxy.namespace}/${entryName(wanted, proxy)}`;
    const registered = this.#registered.get(key);
    if (registered === undefined) return;
    const before = isHealthyEntry(withStatus(registered));
    const told = { ...registered, status: healthStatus(unhealthy, new Date(this.#options.clock.now()).toISOString()) };
    this.#registered.set(key, told);
    if (isHealthyEntry(withStatus(told)) !== before) this.#publish(`WorkloadEntry ${key} is ${before ? `not healthy: ${unhealthy ?? ''}` : 'healthy'}`);
  }

  /** Groups changed: entries of those that are gone go too, and come back with them; the others are as their proxies found them. */
  groupsChanged(): void {
    if (this.#present().length !== this.#entries.length) this.#publish('WorkloadGroups changed');
  }

  stop(): void {
    this.#stopped = true;
    for (const { cancel } of this.#registered.values()) cancel?.();
  }

  #group(namespace: string, name: string): Config<WorkloadGroupSpec> | undefined {
    for (const config of this.#options.configs()) if (isGroup(config) && keyOf(config) === `${namespace}/${name}`) return config;
    return undefined;
  }

  /** Entries whose groups are there. */
  #present(): Config<WorkloadEntrySpec>[] {
    if (this.#registered.size === 0) return [];
    const groups = new Set<string>();
    for (const config of this.#options.configs()) if (isGroup(config)) groups.add(keyOf(config));
    return [...this.#registered.values()].flatMap((each) => (groups.has(`${each.entry.key.namespace}/${each.entry.meta.annotations['istio.io/autoRegistrationGroup'] ?? ''}`) ? [withStatus(each)] : []));
  }

  #remove(key: string): void {
    this.#registered.delete(key);
    this.#publish(`WorkloadEntry ${key} removed`);
  }

  #publish(reason: string): void {
    this.#entries = this.#present();
    this.#options.log.info({ registered: this.#entries.length }, reason);
    this.#options.onChange(reason);
  }
}

function withStatus({ entry, status }: Registered): Config<WorkloadEntrySpec> {
  return status === undefined ? entry : { ...entry, status };
}

function keyOf({ key }: Config): string {
  return `${key.namespace}/${key.name}`;
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
