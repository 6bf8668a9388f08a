import type { Locality } from '@meltemi/snapshot';

/** What this proxy tells others about its workload, from the node of the bootstrap. Missing facts are "". */
export interface NodeFacts {
  /** Node id, "sidecar~10.0.0.1~pod.ns~ns.svc.cluster.local". */
  readonly id: string;
  /** Node cluster, for x-envoy-downstream-service-cluster. */
  readonly cluster: string;
  readonly workload: string;
  readonly namespace: string;
  readonly canonicalService: string;
  readonly canonicalRevision: string;
  readonly app: string;
  readonly version: string;
  /** Cluster of a multi-cluster mesh ("Kubernetes"). */
  readonly clusterId: string;
  readonly meshId: string;
  readonly trustDomain: string;
  readonly locality: Locality;
  /** The cluster of those who call as this proxy does (cluster_manager.local_cluster_name); "" = none. */
  readonly localCluster: string;
}

export const unknownNode: NodeFacts = {
  id: '', cluster: '', workload: '', namespace: '', canonicalService: '', canonicalRevision: '', app: '', version: '', clusterId: '', meshId: '', trustDomain: '', locality: { region: '', zone: '', subZone: '' }, localCluster: '',
};

/** Reads Istio's node metadata (NAMESPACE, WORKLOAD_NAME, LABELS, CLUSTER_ID, MESH_ID). */
export function nodeFacts(node: { id: string; cluster: string; metadata: Readonly<Record<string, unknown>>; locality?: Locality | undefined; localCluster?: string }): NodeFacts {
  const text = (key: string) => stringOf(node.metadata[key]);
  const labels = (node.metadata['LABELS'] ?? {}) as Readonly<Record<string, unknown>>;
  const label = (...keys: string[]) => keys.map((key) => stringOf(labels[key])).find(Boolean) ?? '';
  const workload = text('WORKLOAD_NAME');
  return {
    id: node.id,
    cluster: node.cluster,
    workload,
    namespace: text('NAMESPACE'),
    canonicalService: label('service.istio.io/canonical-name', 'app.kubernetes.io/name', 'app') || workload,
    canonicalRevision: label('service.istio.io/canonical-revision', 'app.kubernetes.io/version', 'version') || 'latest',
    app: label('app', 'app.kubernetes.io/name'),
    version: label('version', 'app.kubernetes.io/version'),
    clusterId: text('CLUSTER_ID'),
    meshId: text('MESH_ID'),
    trustDomain: text('TRUST_DOMAIN') || 'cluster.local',
    locality: { region: node.locality?.region ?? '', zone: node.locality?.zone ?? '', subZone: node.locality?.subZone ?? '' },
    localCluster: node.localCluster ?? '',
  };
}

function stringOf(value: unknown): string {
  return typeof value === 'string' ? value : '';
}
