import { controlPlaneNamespace, type SpiffeId } from '@meltemi/identity';

/**
 * DNS names that go into the certificates of the mesh's own programs, for clients that check host names (Istio's agents, stock gRPC).
 * Decided here and never by a request: a workload that could name itself `istiod` could be it.
 */
const namesByServiceAccount: Readonly<Record<string, readonly string[]>> = {
  'meltemi-pilot': ['istiod.istio-system.svc', 'istiod.istio-system.svc.cluster.local', 'istio-pilot.istio-system.svc', 'pilot.istio-system.svc', 'localhost'],
  'meltemi-citadel': ['citadel.istio-system.svc', 'istiod.istio-system.svc', 'istio-ca.istio-system.svc', 'localhost'],
  'meltemi-telemetry': ['telemetry.istio-system.svc', 'localhost'],
};

/** DNS names and addresses of a control-plane identity; empty for workloads. */
export function controlPlaneNames(id: SpiffeId): { readonly dnsNames: readonly string[]; readonly ips: readonly string[] } {
  const dnsNames = id.namespace === controlPlaneNamespace ? namesByServiceAccount[id.serviceAccount] : undefined;
  return dnsNames ? { dnsNames, ips: ['127.0.0.1'] } : { dnsNames: [], ips: [] };
}
