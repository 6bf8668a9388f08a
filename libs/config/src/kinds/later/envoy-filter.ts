import { list, stringMap, struct } from '../../schema/containers.ts';
import { int, oneOf, string } from '../../schema/scalars.ts';
import { optional, required } from '../../schema/schema.ts';
import { istioKind } from '../kind.ts';
import { workloadSelector } from '../schema.ts';
import type { Struct } from '../types.ts';
import { shape, targetRef } from './shape.ts';

const applyTo = oneOf([
  'INVALID',
  'LISTENER',
  'FILTER_CHAIN',
  'NETWORK_FILTER',
  'HTTP_FILTER',
  'ROUTE_CONFIGURATION',
  'VIRTUAL_HOST',
  'HTTP_ROUTE',
  'CLUSTER',
  'EXTENSION_CONFIG',
  'BOOTSTRAP',
  'LISTENER_FILTER',
]);

const filter = optional(shape({ name: string(), subFilter: optional(shape({ name: string() })) }));

const listener = shape({
  portNumber: int('uint32'),
  portName: string(),
  filterChain: optional(
    shape({ name: string(), sni: string(), transportProtocol: string(), applicationProtocols: string(), filter, destinationPort: int('uint32') }),
  ),
  listenerFilter: string(),
  name: string(),
});

const route = optional(shape({ name: string(), action: oneOf(['ANY', 'ROUTE', 'REDIRECT', 'DIRECT_RESPONSE']) }));

const match = shape(
  {
    context: oneOf(['ANY', 'SIDECAR_INBOUND', 'SIDECAR_OUTBOUND', 'GATEWAY', 'WAYPOINT']),
    proxy: optional(shape({ proxyVersion: string(), metadata: stringMap() })),
    listener: optional(listener),
    routeConfiguration: optional(
      shape({ portNumber: int('uint32'), portName: string(), gateway: string(), vhost: optional(shape({ name: string(), domainName: string(), route })), name: string() }),
    ),
    cluster: optional(shape({ portNumber: int('uint32'), service: string(), subset: string(), name: string() })),
    waypoint: optional(shape({ portNumber: int('uint32'), route: optional(shape({ name: string() })), filter })),
  },
  { oneofs: [{ keys: ['listener', 'routeConfiguration', 'cluster', 'waypoint'] }] },
);

const patch = shape({
  operation: required(oneOf(['INVALID', 'MERGE', 'ADD', 'REMOVE', 'INSERT_BEFORE', 'INSERT_AFTER', 'INSERT_FIRST', 'REPLACE', 'MERGE_AND_REPLACE_LIST'])),
  value: optional(struct()),
  filterClass: oneOf(['UNSPECIFIED', 'AUTHN', 'AUTHZ', 'STATS']),
});

export const envoyFilter = istioKind<Struct>({
  group: 'networking.istio.io',
  kind: 'EnvoyFilter',
  plural: 'envoyfilters',
  versions: ['v1alpha3'],
  acts: 'later',
  schema: shape({
    workloadSelector: optional(workloadSelector),
    targetRefs: list(targetRef, { maxItems: 16 }),
    configPatches: list(shape({ applyTo: required(applyTo), match: optional(match), patch: required(patch) })),
    priority: int('int32'),
  }),
});
