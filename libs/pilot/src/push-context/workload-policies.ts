import { selects, type Config, type TargetedPolicy, type TargetReference } from '@meltemi/config';
import type { Features } from '../features.ts';
import type { Proxy } from '../proxy/proxy.ts';
import { byAge } from './virtual-services.ts';

/** Policies that pick their workloads, by namespace, oldest first; the root namespace's speak for the mesh. */
export interface PolicyIndex<Spec extends TargetedPolicy> {
  readonly rootNamespace: string;
  readonly byNamespace: ReadonlyMap<string, readonly Config<Spec>[]>;
}

export function indexPolicies<Spec extends TargetedPolicy>(configs: readonly Config<Spec>[], rootNamespace: string): PolicyIndex<Spec> {
  const byNamespace = new Map<string, Config<Spec>[]>();
  for (const config of configs.toSorted(byAge)) {
    const list = byNamespace.get(config.meta.namespace);
    if (list) list.push(config);
    else byNamespace.set(config.meta.namespace, [config]);
  }
  return { rootNamespace, byNamespace };
}

type Workload = Pick<Proxy, 'namespace' | 'labels'>;

/** What an object says about the workloads it is for. */
export interface Attachment {
  readonly namespace: string;
  /** Empty: every workload. */
  readonly selector: Readonly<Record<string, string>>;
  readonly references: readonly TargetReference[];
}

/** The policies that apply to a workload: the root namespace's, then its own. Source: Istio's policyattachment.go. */
export function policiesFor<Spec extends TargetedPolicy>(index: PolicyIndex<Spec>, workload: Workload, features: Pick<Features, 'selectorPoliciesOnGateways'>): Config<Spec>[] {
  const namespaces = new Set([index.rootNamespace, workload.namespace]);
  return [...namespaces].flatMap((namespace) => index.byNamespace.get(namespace) ?? []).filter(({ meta, spec }) => attaches({ namespace: meta.namespace, selector: spec.selector?.matchLabels ?? {}, references: referencesOf(spec) }, workload, features));
}

/** The label by which the proxies of a Gateway (of the Gateway API) say whose they are. */
const gatewayNameLabel = 'gateway.networking.k8s.io/gateway-name';

/**
 * Whether an object of the workload's namespace, or of the root's, is for it. References count for the proxies of a Gateway only, and of those only references to Gateways: Istio has Services, ServiceEntries and
 * GatewayClasses take policies at waypoints, which nobody is here. Everywhere else, and without references, labels decide.
 */
export function attaches({ namespace, selector, references }: Attachment, workload: Workload, { selectorPoliciesOnGateways }: Pick<Features, 'selectorPoliciesOnGateways'>): boolean {
  const gateway = workload.labels[gatewayNameLabel];
  if (gateway === undefined) return references.length === 0 && selects(selector, workload.labels);
  if (references.length === 0) return selectorPoliciesOnGateways && selects(selector, workload.labels);
  if (namespace !== workload.namespace) return false;
  return references.some(({ group, kind, name }) => group === 'gateway.networking.k8s.io' && kind === 'Gateway' && name === gateway);
}

function referencesOf({ targetRef, targetRefs }: TargetedPolicy): readonly TargetReference[] {
  return targetRefs.length === 0 && targetRef ? [targetRef] : targetRefs;
}
