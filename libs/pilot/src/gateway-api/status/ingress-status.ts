import type { Config, ConfigKey, KubeServiceSpec } from '@meltemi/config';
import type { PushContext } from '../../push-context/push-context.ts';
import { notes } from '../names.ts';

export interface IngressStatus {
  readonly loadBalancer: { readonly ingress: readonly { readonly ip?: string; readonly hostname?: string }[] };
}

/** Of an Ingress that is ours: where MeshConfig's ingressService is reached. */
export function ingressStatus(push: PushContext, key: ConfigKey): IngressStatus | undefined {
  const note = `Ingress/${key.name}.${key.namespace}`;
  if (!push.gatewayApi.gateways.some(({ meta }) => meta.annotations[notes.parents] === note)) return undefined;
  const service = push.inputs.get('Service')?.find(({ meta }) => meta.namespace === 'istio-system' && meta.name === push.mesh.ingressService) as Config<KubeServiceSpec> | undefined;
  if (!service) return { loadBalancer: { ingress: [] } };
  if (service.spec.type === 'ExternalName') return { loadBalancer: { ingress: [{ hostname: service.spec.externalName }] } };
  return { loadBalancer: { ingress: service.spec.externalIPs.toSorted().map((ip) => ({ ip })) } };
}
