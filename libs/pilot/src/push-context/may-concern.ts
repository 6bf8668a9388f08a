import { selects, type Config, type TargetReference } from '@meltemi/config';
import type { Proxy } from '../proxy/proxy.ts';
import { isVisible } from './hosts.ts';
import type { PushContext } from './push-context.ts';
import { attaches } from './workload-policies.ts';

/** Kinds that act on the workloads of their own namespace alone, or from the root namespace on all. */
const workloadKinds: ReadonlySet<string> = new Set(['AuthorizationPolicy', 'RequestAuthentication', 'Telemetry', 'WasmPlugin', 'EnvoyFilter', 'Sidecar', 'ProxyConfig']);

/** Kinds that other namespaces see as far as they are exported. */
const exportedKinds: ReadonlySet<string> = new Set(['VirtualService', 'DestinationRule', 'ServiceEntry']);

interface Spec {
  readonly selector?: Labels | { readonly matchLabels?: Labels };
  readonly workloadSelector?: { readonly labels?: Labels };
  readonly targetRef?: TargetReference;
  readonly targetRefs?: readonly TargetReference[];
  readonly exportTo?: readonly string[];
  readonly hosts?: readonly string[];
}
type Labels = Readonly<Record<string, string>>;

/** False: nothing this proxy is sent comes from the object, as its namespace, selector and exportTo say. True: something may. */
export function mayConcern(config: Config, proxy: Proxy, { mesh, features }: Pick<PushContext, 'mesh' | 'features'>): boolean {
  const { kind } = config.key;
  const { namespace } = config.meta;
  const spec = (config.spec ?? {}) as Spec;
  if (workloadKinds.has(kind)) return (namespace === proxy.namespace || namespace === mesh.rootNamespace) && attaches({ namespace, selector: labelsOf(spec), references: referencesOf(spec) }, proxy, features);
  if (kind === 'Gateway') return proxy.type === 'router' && selects(labelsOf(spec), proxy.labels);
  // A rule without hosts acts through those that delegate to it.
  if (exportedKinds.has(kind) && (kind !== 'VirtualService' || (spec.hosts?.length ?? 0) > 0)) return namespace === proxy.namespace || isVisible(spec.exportTo ?? [], namespace, proxy.namespace);
  return true;
}

function labelsOf({ selector, workloadSelector }: Spec): Labels {
  if (workloadSelector) return workloadSelector.labels ?? {};
  const { matchLabels, ...plain } = (selector ?? {}) as { readonly matchLabels?: Labels } & Labels;
  return matchLabels ?? plain;
}

function referencesOf({ targetRef, targetRefs }: Spec): readonly TargetReference[] {
  return targetRefs && targetRefs.length > 0 ? targetRefs : targetRef ? [targetRef] : [];
}
