import type { ConsistentHashLb, Destination, TrafficPolicy } from '@meltemi/config';
import { RouteAction_HashPolicy } from '@meltemi/api/gen/envoy/config/route/v3/route_components.ts';
import type { PushContext } from '../../push-context/push-context.ts';
import type { Scope } from '../../push-context/scope.ts';
import type { Proxy } from '../../proxy/proxy.ts';
import { destinationRuleOf } from '../clusters/outbound.ts';
import { create, duration } from '../message.ts';

/** What requests to a destination are spread by; undefined: not by hash. The subset's port, the subset, the port and the destination are asked in this order; ports only when the route names one. */
export function consistentHash(context: { readonly push: PushContext; readonly proxy: Proxy; readonly scope: Scope }, destination: Destination): ConsistentHashLb | undefined {
  const service = context.scope.byHost.get(destination.host);
  const rule = service ? destinationRuleOf(context.push, context.proxy, service) : undefined;
  const subset = rule?.subsets.find(({ name }) => name === destination.subset)?.trafficPolicy;
  const atPort = (policy: TrafficPolicy | undefined) => policy?.portLevelSettings.find(({ port }) => port?.number === (destination.port?.number ?? 0))?.loadBalancer?.consistentHash;
  return atPort(subset) ?? subset?.loadBalancer?.consistentHash ?? atPort(rule?.trafficPolicy) ?? rule?.trafficPolicy?.loadBalancer?.consistentHash;
}

/** The route's half of consistent hashing: what of a request is hashed. */
export function hashPolicy(hash: ConsistentHashLb | undefined): RouteAction_HashPolicy[] {
  const policySpecifier = hash ? specifier(hash) : undefined;
  return policySpecifier ? [create(RouteAction_HashPolicy, { policySpecifier })] : [];
}

function specifier(hash: ConsistentHashLb): RouteAction_HashPolicy['policySpecifier'] {
  if (hash.httpHeaderName !== undefined) return { $case: 'header', value: { headerName: hash.httpHeaderName, regexRewrite: undefined } };
  if (hash.httpCookie) {
    const { name, path, ttl, attributes } = hash.httpCookie;
    return { $case: 'cookie', value: { name, path, attributes: attributes.map((attribute) => ({ ...attribute })), ...(ttl === undefined ? {} : { ttl: duration(ttl) }) } };
  }
  if (hash.httpQueryParameterName !== undefined) return { $case: 'queryParameter', value: { name: hash.httpQueryParameterName } };
  return hash.useSourceIp === undefined ? undefined : { $case: 'connectionProperties', value: { sourceIp: hash.useSourceIp } };
}
