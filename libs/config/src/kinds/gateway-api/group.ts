import type { ConfigKind } from '../kind.ts';

/** The API group of Kubernetes' Gateway API. */
export const gatewayApiGroup = 'gateway.networking.k8s.io';

/** The few things that differ between the kinds of the Gateway API; fill the rest with what is usual. */
export function gatewayApiKind<Spec>(kind: Pick<ConfigKind<Spec>, 'kind' | 'plural' | 'schema' | 'versions'> & Partial<ConfigKind<Spec>>): ConfigKind<Spec> {
  return { group: gatewayApiGroup, shortNames: [], scope: 'namespaced', acts: 'full', body: 'spec', validate: () => undefined, ...kind };
}
