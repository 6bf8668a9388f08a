import { list, object, stringMap, struct } from '../../schema/containers.ts';
import { int, oneOf, string } from '../../schema/scalars.ts';
import { optional, required, withCel } from '../../schema/schema.ts';
import { portRange, workloadSelector } from '../schema.ts';
import { targetFields } from '../targeted-policy.ts';
import type * as filter from './types.ts';

const applyTo = oneOf([
  'INVALID', 'LISTENER', 'FILTER_CHAIN', 'NETWORK_FILTER', 'HTTP_FILTER', 'ROUTE_CONFIGURATION', 'VIRTUAL_HOST', 'HTTP_ROUTE', 'CLUSTER', 'EXTENSION_CONFIG', 'BOOTSTRAP',
  'LISTENER_FILTER',
]);

const subFilter = object<{ readonly name: string }>({ name: string() });
const filterName = object<filter.EnvoyFilterNameMatch>({ name: string(), subFilter: optional(subFilter) });

const listener = object<filter.EnvoyListenerMatch>({
  portNumber: int('uint32'),
  portName: string(),
  filterChain: optional(
    object<filter.EnvoyFilterChainMatch>({
      name: string(), sni: string(), transportProtocol: string(), applicationProtocols: string(), filter: optional(filterName), destinationPort: int('uint32'), transportSocket: string(),
    }),
  ),
  listenerFilter: string(),
  name: string(),
});

const route = object<NonNullable<filter.EnvoyVirtualHostMatch['route']>>({ name: string(), action: oneOf(['ANY', 'ROUTE', 'REDIRECT', 'DIRECT_RESPONSE']) });

const routeConfiguration = object<filter.EnvoyRouteConfigurationMatch>({
  portNumber: int('uint32'),
  portName: string(),
  gateway: string(),
  vhost: optional(object<filter.EnvoyVirtualHostMatch>({ name: string(), domainName: string(), route: optional(route) })),
  name: string(),
});

const waypoint = object<filter.EnvoyWaypointMatch>({ portNumber: withCel(int('uint32'), portRange), route: optional(subFilter), filter: optional(filterName) });

const match = withCel(object<filter.EnvoyConfigObjectMatch>(
  {
    context: oneOf(['ANY', 'SIDECAR_INBOUND', 'SIDECAR_OUTBOUND', 'GATEWAY', 'WAYPOINT']),
    proxy: optional(object<filter.EnvoyProxyMatch>({ proxyVersion: string(), metadata: stringMap() })),
    listener: optional(listener),
    routeConfiguration: optional(routeConfiguration),
    cluster: optional(object<filter.EnvoyClusterMatch>({ portNumber: int('uint32'), service: string(), subset: string(), name: string() })),
    waypoint: optional(waypoint),
  },
  { oneofs: [{ keys: ['listener', 'routeConfiguration', 'cluster', 'waypoint'] }] },
), { rule: "(has(self.context) && self.context == 'WAYPOINT') == has(self.waypoint)", message: 'waypoint goes with context WAYPOINT, and with no other' });

const patch = object<filter.EnvoyPatch>({
  operation: required(oneOf(['INVALID', 'MERGE', 'ADD', 'REMOVE', 'INSERT_BEFORE', 'INSERT_AFTER', 'INSERT_FIRST', 'REPLACE', 'MERGE_AND_REPLACE_LIST'])),
  value: optional(struct()),
  filterClass: oneOf(['UNSPECIFIED', 'AUTHN', 'AUTHZ', 'STATS']),
});

export const schema = object<filter.EnvoyFilterSpec>({
  workloadSelector: optional(workloadSelector),
  targetRefs: targetFields.targetRefs,
  configPatches: list(object<filter.EnvoyConfigObjectPatch>({ applyTo: required(applyTo), match: optional(match), patch: required(patch) })),
  priority: int('int32'),
});
