import { gatewayApiGroup, type Config, type ConfigKey, type GatewayClassSpec } from '@meltemi/config';
import type { PushContext } from '../../push-context/push-context.ts';
import { isOurs } from '../classes.ts';
import { condition, type Condition } from '../conditions.ts';
import { convertedKinds } from '../convert.ts';
import { gatewayStatus, type GatewayStatus } from './gateway-status.ts';
import { ingressStatus, type IngressStatus } from './ingress-status.ts';
import { policyStatus, type PolicyStatus } from './policy-status.ts';
import { routeStatus, type RouteStatus } from './route-status.ts';

export type GatewayApiStatus = GatewayStatus | RouteStatus | PolicyStatus | IngressStatus | { readonly conditions: readonly Condition[] };

/**
 * What the field `status` of a Gateway API object, or of an Ingress, says: which parents take a route and which references lead nowhere, which listeners are
 * served and how many routes they have. undefined for objects of other kinds, and for those that other controllers answer for. Pure; conditions carry no times.
 */
export function gatewayApiStatus(push: PushContext, key: ConfigKey): GatewayApiStatus | undefined {
  if (key.group === 'networking.k8s.io') return key.kind === 'Ingress' ? ingressStatus(push, key) : undefined;
  if (key.group !== gatewayApiGroup) return undefined;
  const { outcome } = push.gatewayApi;
  const isIt = ({ config }: { readonly config: Config }) => config.key.kind === key.kind && config.key.namespace === key.namespace && config.key.name === key.name;
  switch (key.kind) {
    case convertedKinds.gatewayClass:
      return classStatus(outcome.classes.find(({ key: other }) => other.name === key.name));
    case 'Gateway':
    case convertedKinds.listenerSet: {
      const gateway = outcome.gateways.find(isIt);
      return gateway && gatewayStatus(push, gateway);
    }
    case convertedKinds.backendTlsPolicy: {
      const policy = outcome.policies.find(isIt);
      return policy && policyStatus(push, policy);
    }
    default: {
      const route = outcome.routes.find(isIt);
      return route && routeStatus(route);
    }
  }
}

function classStatus(config: Config<GatewayClassSpec> | undefined): { readonly conditions: readonly Condition[] } | undefined {
  if (!config || !isOurs(config.spec.controllerName)) return undefined;
  return { conditions: [condition({ type: 'Accepted', reason: 'Accepted', message: 'Handled by Istio controller' })] };
}
