import type { TargetReference } from '@meltemi/config';
import type { Proxy } from '../proxy/proxy.ts';
import { selects } from '../registry/workloads.ts';

/** What a policy says about the workloads it is for. */
export interface Attachment {
  readonly namespace: string;
  /** Empty: every workload of the namespace. */
  readonly selector: Readonly<Record<string, string>>;
  readonly targetRefs: readonly TargetReference[];
}

/** The label by which a proxy says which Gateway of the Gateway API it serves. */
const gatewayLabel = 'gateway.networking.k8s.io/gateway-name';
const classLabel = 'gateway.networking.k8s.io/gateway-class-name';
const gatewayGroup = 'gateway.networking.k8s.io';

/** Whether a policy of the proxy's namespace, or of the root namespace, is for this proxy. Source: Istio's policy attachment. */
export function attaches(policy: Attachment, proxy: Pick<Proxy, 'namespace' | 'labels'>, rootNamespace: string): boolean {
  if (policy.namespace !== proxy.namespace && policy.namespace !== rootNamespace) return false;
  if (policy.targetRefs.length === 0) return selects(policy.selector, proxy.labels);
  return policy.targetRefs.some((reference) => {
    if (reference.group !== gatewayGroup) return false;
    if (reference.kind === 'Gateway') return policy.namespace === proxy.namespace && proxy.labels[gatewayLabel] === reference.name;
    return reference.kind === 'GatewayClass' && policy.namespace === rootNamespace && proxy.labels[classLabel] === reference.name;
  });
}
