import type { ConfigKind } from '../kinds/kind.ts';
import type { OpenApiSchema } from './schema.ts';

interface Column {
  readonly name: string;
  readonly jsonPath: string;
  readonly type: 'string' | 'date';
  readonly description: string;
}

const age: Column = { name: 'Age', type: 'date', jsonPath: '.metadata.creationTimestamp', description: 'Time since the object was created' };

/** What `kubectl get` shows besides the name. */
const columns: Readonly<Record<string, readonly Column[]>> = {
  VirtualService: [
    { name: 'Gateways', type: 'string', jsonPath: '.spec.gateways', description: 'Gateways and sidecars it applies to' },
    { name: 'Hosts', type: 'string', jsonPath: '.spec.hosts', description: 'Hosts whose traffic it routes' },
    age,
  ],
  DestinationRule: [{ name: 'Host', type: 'string', jsonPath: '.spec.host', description: 'Service it is about' }, age],
  ServiceEntry: [
    { name: 'Hosts', type: 'string', jsonPath: '.spec.hosts', description: 'Hosts it adds to the mesh' },
    { name: 'Location', type: 'string', jsonPath: '.spec.location', description: 'Outside of the mesh or part of it' },
    { name: 'Resolution', type: 'string', jsonPath: '.spec.resolution', description: 'How endpoints are found' },
    age,
  ],
  WorkloadEntry: [age, { name: 'Address', type: 'string', jsonPath: '.spec.address', description: 'Where the workload listens' }],
  WorkloadGroup: [age],
  PeerAuthentication: [{ name: 'Mode', type: 'string', jsonPath: '.spec.mtls.mode', description: 'mTLS mode of the workloads' }, age],
  AuthorizationPolicy: [{ name: 'Action', type: 'string', jsonPath: '.spec.action', description: 'What a matching rule does' }, age],
  Telemetry: [age],
  WasmPlugin: [age],
  TrafficExtension: [age],
};

export function columnsOf(kind: ConfigKind): readonly OpenApiSchema[] {
  return (columns[kind.kind] ?? []).map((column) => ({ ...column }));
}

/** The version objects are stored as: Istio's, so that a cluster may change from one to the other without a migration. */
export function storageVersionOf(kind: ConfigKind): string {
  return kind.kind === 'Telemetry' ? 'v1alpha1' : (kind.versions[0] ?? 'v1');
}
