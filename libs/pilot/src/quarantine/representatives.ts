import { Node } from '@meltemi/api/gen/envoy/config/core/v3/base.ts';
import { selects, type Config } from '@meltemi/config';
import { proxyFromNode, type Proxy } from '../proxy/proxy.ts';
import type { PushContext } from '../push-context/push-context.ts';
import type { Workload } from '../registry/model.ts';
import { create } from '../translate/message.ts';

/** Most proxies that stand for all others, when nobody says another number. */
const usualRepresentatives = 64;

type Labels = Readonly<Record<string, string>>;

/** What one representative is like. */
interface Kind {
  readonly type: Proxy['type'];
  readonly namespace: string;
  readonly labels: Labels;
}

/**
 * Proxies that stand for those a mesh may have: a sidecar for each namespace that has objects of its own, one for each set of labels that a selector names,
 * and a gateway for each Gateway's selector. A workload that exists lends its address, so that inbound listeners are made too.
 */
export function representatives(push: PushContext, configs: Iterable<Config>, most = usualRepresentatives): readonly Proxy[] {
  const known = chosen.get(push.shape);
  const rules = [...push.inputs].filter(([kind]) => !registryKinds.has(kind)).map(([, list]) => list);
  if (known && known.most === most && known.rules.length === rules.length && known.rules.every((list, index) => sameObjects(list, rules[index]))) return known.proxies;
  const proxies = chosenFrom(push, configs, most);
  chosen.set(push.shape, { rules, most, proxies });
  return proxies;
}

/** By shape: endpoints that come and go choose nobody else. */
const chosen = new WeakMap<object, { readonly rules: readonly (readonly Config[])[]; readonly most: number; readonly proxies: readonly Proxy[] }>();

function sameObjects(a: readonly Config[], b: readonly Config[] | undefined): boolean {
  return a.length === b?.length && a.every((config, index) => config === b[index]);
}

function chosenFrom(push: PushContext, configs: Iterable<Config>, most: number): Proxy[] {
  const kinds = new Map<string, Kind>();
  const add = (kind: Kind) => {
    if (kinds.size < most) kinds.set(JSON.stringify([kind.type, kind.namespace, Object.entries(kind.labels).toSorted(([a], [b]) => (a < b ? -1 : 1))]), kind);
  };
  for (const { key, meta, spec } of configs) {
    // the mesh's settings and other kinds without a namespace are nobody's own
    if (registryKinds.has(key.kind) || meta.namespace === '') continue;
    add({ type: 'sidecar', namespace: meta.namespace, labels: {} });
    const labels = selectorOf(spec);
    if (labels === undefined) continue;
    if (key.kind === 'Gateway') add({ type: 'router', namespace: meta.namespace, labels });
    else if (Object.keys(labels).length > 0) add({ type: 'sidecar', namespace: meta.namespace, labels });
  }
  if (kinds.size === 0) add({ type: 'sidecar', namespace: 'default', labels: {} });
  const workloads = [...push.registry.workloads.values()];
  return [...kinds.values()].map((kind, index) => proxyLike(kind, workloads, index));
}

/** Told of by whoever runs workloads, by the thousand. */
const registryKinds: ReadonlySet<string> = new Set(['Service', 'Endpoints', 'EndpointSlice', 'Pod', 'Namespace', 'Node', 'ServiceAccount', 'Deployment', 'WorkloadEntry']);

/** The labels an object selects workloads by, wherever its kind writes them; undefined: it selects none. */
function selectorOf(spec: unknown): Labels | undefined {
  const { selector, workloadSelector } = (spec ?? {}) as { selector?: unknown; workloadSelector?: unknown };
  const written = (workloadSelector ?? selector) as { matchLabels?: unknown; labels?: unknown } | undefined;
  if (typeof written !== 'object' || written === null) return undefined;
  const labels = written.matchLabels ?? written.labels ?? written;
  return Object.fromEntries(Object.entries(labels as object).filter((entry): entry is [string, string] => typeof entry[1] === 'string'));
}

function proxyLike({ type, namespace, labels }: Kind, workloads: readonly Workload[], index: number): Proxy {
  const workload = workloads.find((candidate) => (type === 'router' || candidate.namespace === namespace) && selects(labels, candidate.labels));
  const home = workload?.namespace ?? namespace;
  const node = create(Node, {
    id: `${type}~${workload?.address ?? `192.0.2.${index + 1}`}~any-${type}.${home}~${home}.svc.cluster.local`,
    metadata: { NAMESPACE: home, LABELS: { ...workload?.labels, ...labels }, ISTIO_VERSION: 'any', MELTEMI_VERSION: 'any', MELTEMI_HTTP2: 'true' },
  });
  const proxy = proxyFromNode(node);
  if (!proxy.ok) throw new Error(`no proxy stands for ${type} in ${namespace}`);
  return proxy.value;
}
