import type { StreamInfo } from '@meltemi/http';
import { unknownNode, type NodeFacts } from '../../../node.ts';
import { peerMetadataKey } from '../../../reports/access-log-entry.ts';
import type { Clusters } from '../../../upstream.ts';

/** The service a cluster stands for. */
export interface ServiceName {
  readonly host: string;
  readonly name: string;
  readonly namespace: string;
}

const unknown = 'unknown';

/** From the cluster's own metadata (istio.services), else from its name ("outbound|80|v1|reviews.default.svc.cluster.local"). */
export function serviceOfCluster(clusters: Clusters, cluster: string | null): ServiceName | null {
  if (cluster === null) return null;
  const services = clusters.get(cluster)?.config.metadata?.['istio']?.['services'];
  const first: unknown = Array.isArray(services) ? services[0] : undefined;
  if (typeof first === 'object' && first !== null) {
    const { host, name, namespace } = first as Partial<Record<'host' | 'name' | 'namespace', unknown>>;
    return { host: text(host), name: text(name), namespace: text(namespace) };
  }
  const host = cluster.split('|')[3] ?? '';
  if (host !== '') return serviceOfHost(host);
  // Clusters without a service name themselves: PassthroughCluster, BlackHoleCluster, InboundPassthroughCluster.
  return cluster.includes('|') ? null : { host: unknown, name: cluster, namespace: unknown };
}

/** "reviews.default.svc.cluster.local" is reviews in default; any other host names itself. */
export function serviceOfHost(host: string): ServiceName {
  const [name = '', namespace = '', svc] = host.split('.');
  return svc === 'svc' ? { host, name, namespace } : { host, name: host, namespace: unknown };
}

/** Facts from an endpoint's `istio.workload` metadata: "workload;namespace;canonical name;revision;cluster". */
export function factsOfEndpoint(info: StreamInfo): NodeFacts | null {
  const value = info.upstreamMetadata?.['istio']?.['workload'];
  if (typeof value !== 'string') return null;
  const known = endpointFacts.get(value);
  if (known !== undefined) return known;
  const [workload = '', namespace = '', canonicalService = '', canonicalRevision = '', clusterId = ''] = value.split(';');
  const facts: NodeFacts = { id: '', cluster: '', workload, namespace, canonicalService, canonicalRevision, app: canonicalService, version: canonicalRevision, clusterId, meshId: '', trustDomain: '', locality: unknownNode.locality, localCluster: '' };
  if (endpointFacts.size >= 4096) endpointFacts.clear();
  endpointFacts.set(value, facts);
  return facts;
}

const endpointFacts = new Map<string, NodeFacts>();

/** One side's eight labels in the order of istioHttpLabels. */
export function sideLabels(facts: NodeFacts | null, principal: string): string[] {
  if (facts === null) return [unknown, unknown, unknown, unknown, principal || unknown, unknown, unknown, unknown];
  return [facts.workload, facts.canonicalService, facts.canonicalRevision, facts.namespace, principal, facts.app, facts.version, facts.clusterId].map((value) => value || unknown);
}

/** Label names to values, for reports, and `counted`: whether this proxy counts what it reports, so that the receiver does not count it again. */
export function namedLabels(names: readonly string[], values: readonly string[], counted: boolean): Record<string, unknown> {
  return { ...Object.fromEntries(names.map((name, i) => [name, values[i] ?? ''])), counted };
}

/** Leaves both ends of a stream for its access log entries. */
export function tellPeers(info: StreamInfo, named: Record<string, unknown>): void {
  if (info.dynamicMetadata === null) info.dynamicMetadata = { [peerMetadataKey]: named };
  else info.dynamicMetadata[peerMetadataKey] = named;
}

function text(value: unknown): string {
  return typeof value === 'string' && value !== '' ? value : unknown;
}
