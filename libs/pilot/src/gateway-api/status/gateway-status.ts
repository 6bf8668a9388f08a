import type { RouteGroupKind } from '@meltemi/config';
import type { PushContext } from '../../push-context/push-context.ts';
import { condition, sortedConditions, type Condition } from '../conditions.ts';
import type { ConvertedGateway } from '../gateways.ts';
import type { BuiltListener } from '../listeners.ts';
import type { Problem } from '../problem.ts';
import { gatewayPlaces, type GatewayPlaces } from './gateway-places.ts';

export interface GatewayStatus {
  readonly conditions: readonly Condition[];
  readonly addresses?: readonly { readonly type: string; readonly value: string }[];
  readonly listeners?: readonly ListenerStatus[];
  readonly attachedListenerSets?: number;
}

export interface ListenerStatus {
  readonly name: string;
  readonly attachedRoutes: number;
  readonly supportedKinds: readonly RouteGroupKind[];
  readonly conditions: readonly Condition[];
}

/** Of a Gateway or a ListenerSet. */
export function gatewayStatus(push: PushContext, gateway: ConvertedGateway): GatewayStatus {
  const { config } = gateway;
  if (!gateway.knownClass.routes) {
    const conditions = [condition({ type: 'Accepted', reason: 'Accepted', message: 'Resource accepted' }), condition({ type: 'Programmed', reason: 'Programmed', message: 'This Gateway is of another cluster and not programmed here' })];
    return { conditions, addresses: gateway.gateway.spec.addresses };
  }
  const places = gatewayPlaces(push, gateway);
  const isSet = config.key.kind === 'ListenerSet';
  const resolved = isSet ? [] : [condition({ type: 'ResolvedRefs', reason: 'ResolvedRefs', message: 'All references resolved' }, clientCertificate(gateway))];
  const none = nothingValid(gateway, isSet);
  const sets = push.gatewayApi.outcome.gateways.filter((other) => other !== gateway && other.gateway === config && !other.problem && other.listeners.some(isFine)).length;
  return {
    conditions: sortedConditions([accepted(gateway, isSet), programmed(places, isSet ? (gateway.problem ?? none) : undefined), ...resolved]),
    ...(isSet ? {} : { addresses: places.addresses }),
    ...(gateway.problem && isSet ? {} : { listeners: gateway.listeners.map((listener) => listenerStatus(push, gateway, listener)) }),
    ...(sets > 0 ? { attachedListenerSets: sets } : {}),
  };
}

function isFine({ conditions }: BuiltListener): boolean {
  return conditions.every(({ type, status }) => (type === 'Conflicted' ? status === 'False' : status === 'True' || type === 'ResolvedRefs'));
}

function nothingValid({ listeners }: ConvertedGateway, isSet: boolean): Problem | undefined {
  if (listeners.some(isFine)) return undefined;
  return { reason: 'ListenersNotValid', message: `None of the ${isSet ? 'ListenerSet' : 'Gateway'}'s listeners are valid` };
}

/** A Gateway stays accepted while one of its listeners is valid. */
function accepted(gateway: ConvertedGateway, isSet: boolean): Condition {
  const problem = gateway.problem ?? nothingValid(gateway, isSet);
  const some = !problem && !gateway.listeners.every(isFine);
  return condition(some ? { type: 'Accepted', reason: 'ListenersNotValid', message: 'One or more of the listeners are invalid' } : { type: 'Accepted', reason: 'Accepted', message: 'Resource accepted' }, problem);
}

function programmed({ assigned, warnings, usable, nowhere }: GatewayPlaces, problem: Problem | undefined): Condition {
  const message = assigned.length > 0 ? `Resource programmed, assigned to ${assigned.join(', ')}` : 'Resource programmed';
  return condition({ type: 'Programmed', reason: 'Programmed', message }, problem ?? placesProblem({ assigned, warnings, usable, nowhere }));
}

function placesProblem({ assigned, warnings, usable, nowhere }: Omit<GatewayPlaces, 'addresses'>): Problem | undefined {
  if (nowhere) return { reason: 'UnsupportedAddress', message: 'Failed to assign to any requested addresses' };
  if (warnings.length === 0) return undefined;
  const start = assigned.length > 0 ? `Assigned to ${assigned.join(', ')}, but failed to assign to all requested addresses` : 'Failed to assign to any requested addresses';
  return { reason: usable ? 'AddressNotAssigned' : 'AddressNotUsable', message: `${start}: ${warnings.join('; ')}` };
}

function clientCertificate({ gateway }: ConvertedGateway): Problem | undefined {
  if (!gateway.spec.tls?.backend?.clientCertificateRef) return undefined;
  return { reason: 'InvalidClientCertificateRef', message: 'tls.backend.clientCertificateRef is not supported: backends see no client certificate' };
}

function listenerStatus(push: PushContext, { config }: ConvertedGateway, built: BuiltListener): ListenerStatus {
  const { name } = built.listener;
  const attached = push.gatewayApi.outcome.routes.flatMap(({ parents }) => parents).filter(({ denied, listener }) => !denied && listener?.owner === config && listener.built === built);
  return { name, attachedRoutes: attached.length, supportedKinds: built.supportedKinds, conditions: built.conditions };
}
