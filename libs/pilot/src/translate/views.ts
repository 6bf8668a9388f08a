import { patchesFor } from '../push-context/envoy-filters.ts';
import { proxyConfigParts } from '../push-context/proxy-config.ts';
import { targetsFrom } from '../push-context/targets-at.ts';
import type { PushContext } from '../push-context/push-context.ts';
import type { Proxy } from '../proxy/proxy.ts';
import { serviceKey } from '../registry/model.ts';
import { cached } from './cache.ts';
import { clientLabelKeys } from './client-labels.ts';
import { serviceTargets } from './service-targets.ts';

/** All that outbound clusters and routes read of a proxy; besides, the labels that rules ask for, its EnvoyFilters and its ProxyConfig. */
const viewFields = ['type', 'namespace', 'locality', 'network', 'clusterId', 'dnsDomain', 'dnsCapture', 'families', 'interception', 'proxyless', 'istioFilters', 'http2', 'meltemi', 'sharesMachine'] as const satisfies readonly (keyof Proxy)[];
const inView: ReadonlySet<string | symbol> = new Set(viewFields);

const numbers = new Map<string, number>();
const maxNumbers = 200_000;
let last = 0;

/** A number for a text, the same while it is remembered; forgotten numbers are not given again. */
function numberOf(text: string): number {
  const known = numbers.get(text);
  if (known !== undefined) return known;
  if (numbers.size >= maxNumbers) numbers.clear();
  numbers.set(text, ++last);
  return last;
}

const views = new WeakMap<Proxy, { readonly filters: object; readonly labels: readonly string[]; readonly id: number }>();
const ownViews = new WeakMap<Proxy, { readonly view: number; readonly servesFrom: readonly unknown[]; readonly id: number }>();

/** What tells where a proxy is among namespaces. */
const homeFields = ['namespace', 'dnsDomain'] as const;
const clientFields = viewFields.filter((field) => !(homeFields as readonly string[]).includes(field));

/** A proxy of whatever namespace: what is made for one like it is the same in all. */
export type Client = Omit<Proxy, (typeof homeFields)[number]>;

const clientViews = new WeakMap<Proxy, { readonly view: number; readonly id: number }>();

/** As `viewOf`, for what is made of a `Client`. */
export function clientView(push: PushContext, proxy: Proxy): number {
  const view = viewOf(push, proxy);
  const known = clientViews.get(proxy);
  if (known?.view === view) return known.id;
  const id = numberOf(textOf(push, proxy, clientFields));
  clientViews.set(proxy, { view, id });
  return id;
}

function textOf(push: PushContext, proxy: Proxy, fields: readonly (keyof Proxy)[]): string {
  return JSON.stringify([fields.map((field) => proxy[field]), clientLabelKeys(push).map((key) => [key, proxy.labels[key]]), patchesFor(push.envoyFilters, proxy).key, proxyConfigParts(proxy)]);
}

/** Stands for `viewFields`, some labels, the EnvoyFilters and the ProxyConfig of a proxy: proxies with one number get the same outbound resources. */
export function viewOf(push: PushContext, proxy: Proxy): number {
  const known = views.get(proxy);
  const labels = clientLabelKeys(push);
  if (known?.filters === push.envoyFilters && known.labels === labels) return known.id;
  const id = numberOf(textOf(push, proxy, viewFields));
  views.set(proxy, { filters: push.envoyFilters, labels, id });
  return id;
}

/** All that listeners and inbound clusters read: besides, its labels, its own address and the ports it serves. Listeners also read policies (policyView). */
export function ownView(push: PushContext, proxy: Proxy): number {
  const view = viewOf(push, proxy);
  const known = ownViews.get(proxy);
  const servesFrom = targetsFrom(push, proxy);
  if (known?.view === view && known.servesFrom.length === servesFrom.length && servesFrom.every((part, index) => part === known.servesFrom[index])) return known.id;
  const targets = serviceTargets(push, proxy).map(({ service, port, targetPort }) => [serviceKey(service), port.number, targetPort]);
  const id = numberOf(JSON.stringify([view, proxy.labels, proxy.addresses, proxy.appAddress, targets, proxy.cluster, proxy.serviceAccount, proxy.metadata['MESH_ID'], proxy.metadata['HTTP10'], proxy.metadata['UNPRIVILEGED_POD']]));
  ownViews.set(proxy, { view, servesFrom, id });
  return id;
}

/**
 * A value that proxies share which are alike in their view and in all else that making it reads of them. What is read is noticed, so a generator that begins
 * to read more cannot make one proxy's resources another's; one that reads addresses makes each proxy's own. `source` stands for what it reads of the mesh.
 */
export function perView<T>(push: PushContext, proxy: Proxy, { kind, source }: { readonly kind: string; readonly source: object }, compute: (proxy: Proxy) => T): T {
  const slot = cached<{ reads: readonly string[] | undefined }>(source, { kind, view: viewOf(push, proxy) }, () => ({ reads: undefined }));
  const key = () => (slot.reads?.includes('addresses') || slot.reads?.includes('*') ? { kind, own: ownView(push, proxy) } : { kind, view: viewOf(push, proxy), reads: slot.reads?.map((path) => valueAt(proxy, path)) ?? [] });
  if (slot.reads) {
    // What the first of them read decides what the others are compared by: another path through the generator shows as another read.
    return cached(source, key(), () => {
      const watched = watching(proxy);
      const value = compute(watched.proxy);
      slot.reads = [...new Set([...(slot.reads ?? []), ...watched.reads()])];
      return value;
    });
  }
  const watched = watching(proxy);
  const value = compute(watched.proxy);
  slot.reads = watched.reads();
  return cached(source, key(), () => value);
}

function valueAt(proxy: Proxy, path: string): unknown {
  const [field = '', ...key] = path.split('.');
  const value: unknown = proxy[field as keyof Proxy];
  return key.length === 0 ? value : (value as Readonly<Record<string, unknown>>)[key.join('.')];
}

/** "*": everything. */
function watching(proxy: Proxy): { readonly proxy: Proxy; readonly reads: () => readonly string[] } {
  const reads = new Set<string>();
  const note = <T extends object>(object: T, prefix: string): T => new globalThis.Proxy(object, {
    get(target, field) {
      const value = Reflect.get(target, field) as unknown;
      if (prefix === '' && (field === 'metadata' || field === 'labels') && typeof value === 'object' && value !== null) return note(value, `${field}.`);
      if (prefix !== '' || !inView.has(field)) reads.add(`${prefix}${String(field)}`);
      return value;
    },
    ownKeys(target) {
      reads.add('*');
      return Reflect.ownKeys(target);
    },
  });
  return { proxy: note(proxy, ''), reads: () => [...reads] };
}
