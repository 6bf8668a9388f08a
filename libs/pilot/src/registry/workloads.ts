import { selects, type Config, type DeploymentSpec, type PodSpec, type WorkloadEntrySpec } from '@meltemi/config';
import type { EndpointLocality, Workload } from './model.ts';

type Labels = Readonly<Record<string, string>>;

/** What tells a mesh member from a stranger, beside labels. */
export interface WorkloadFacts {
  /** Addresses whose proxies are connected: they take part in mutual TLS even without the label. */
  readonly meshAddresses: ReadonlySet<string>;
  readonly clusterId: string;
  /** The network of an address. */
  readonly networkOf: (address: string, labels: Labels) => string;
  /** By namespace; only those that select something. */
  readonly deployments: ReadonlyMap<string, readonly Config<DeploymentSpec>[]>;
  /** Where Kubernetes nodes are, by name. */
  readonly nodes: ReadonlyMap<string, EndpointLocality>;
}

/** A Pod as a workload; undefined while it has no address, or when it has ended. */
export function podWorkload(pod: Config<PodSpec>, facts: WorkloadFacts): Workload | undefined {
  const { status } = pod.spec;
  if (status.podIP === '' || status.phase === 'Failed' || status.phase === 'Succeeded') return undefined;
  const { labels } = pod.meta;
  return {
    name: podWorkloadName(pod, facts.deployments),
    namespace: pod.meta.namespace,
    address: status.podIP,
    labels,
    serviceAccount: pod.spec.serviceAccountName === '' ? 'default' : pod.spec.serviceAccountName,
    // a proxy that is connected from its host's address is one of many there
    mutualTls: isMeshMember(labels, pod.spec.hostNetwork ? '' : status.podIP, facts),
    network: facts.networkOf(status.podIP, labels),
    cluster: labels['topology.istio.io/cluster'] ?? facts.clusterId,
    node: pod.spec.nodeName,
    podHost: pod.spec.subdomain === '' ? '' : `${pod.spec.hostname || pod.meta.name}.${pod.spec.subdomain}`,
    locality: podLocality(labels, facts.nodes.get(pod.spec.nodeName)),
    weight: 1,
    healthy: status.ready,
  };
}

/** A WorkloadEntry, or an endpoint of a ServiceEntry, as a workload. */
export function entryWorkload(entry: WorkloadEntrySpec, owner: { readonly name: string; readonly namespace: string; readonly healthy?: boolean }, facts: WorkloadFacts): Workload {
  return {
    name: entry.labels['service.istio.io/workload-name'] ?? owner.name,
    namespace: owner.namespace,
    address: entry.address,
    labels: entry.labels,
    serviceAccount: entry.serviceAccount,
    // whoever has an identity is taken for a member, as in Istio
    mutualTls: isMeshMember(entry.labels, entry.address, facts) || (entry.serviceAccount !== '' && entry.labels['security.istio.io/tlsMode'] === undefined),
    network: entry.network !== '' ? entry.network : facts.networkOf(entry.address, entry.labels),
    cluster: entry.labels['topology.istio.io/cluster'] ?? facts.clusterId,
    node: '',
    podHost: '',
    locality: entry.locality !== '' ? parseLocality(entry.locality) : labelLocality(entry.labels),
    weight: entry.weight === 0 ? 1 : entry.weight,
    healthy: owner.healthy ?? true,
  };
}

/** "region/zone/subzone", later parts optional. */
export function parseLocality(text: string): EndpointLocality {
  const [region = '', zone = '', subZone = ''] = text.split('/');
  return { region, zone, subZone };
}

/** Where a workload says it runs, by its labels. */
export function labelLocality(labels: Labels): EndpointLocality {
  const written = labels['istio-locality'];
  // Kubernetes labels cannot hold "/", so Istio lets users write "." instead
  if (written !== undefined) return parseLocality(written.includes('/') ? written : written.replaceAll('.', '/'));
  return {
    region: labels['topology.kubernetes.io/region'] ?? '',
    zone: labels['topology.kubernetes.io/zone'] ?? '',
    subZone: labels['topology.istio.io/subzone'] ?? '',
  };
}

/** What the Pod says of itself, else where its node is. Source: Istio's getPodLocality. */
function podLocality(labels: Labels, ofNode: EndpointLocality | undefined): EndpointLocality {
  const own = labelLocality(labels);
  return own.region === '' && ofNode !== undefined ? ofNode : own;
}

/** Where a node is, by its labels, the ones of old clusters too. */
export function nodeLocality(labels: Labels): EndpointLocality {
  return {
    region: labels['topology.kubernetes.io/region'] ?? labels['failure-domain.beta.kubernetes.io/region'] ?? '',
    zone: labels['topology.kubernetes.io/zone'] ?? labels['failure-domain.beta.kubernetes.io/zone'] ?? '',
    subZone: labels['topology.istio.io/subzone'] ?? '',
  };
}

function isMeshMember(labels: Labels, address: string, facts: WorkloadFacts): boolean {
  const mode = labels['security.istio.io/tlsMode'];
  return mode === undefined ? facts.meshAddresses.has(address) : mode === 'istio';
}

/** A Pod's owner: named by label, by the Deployment that selects it, or by the Pod's name without what a ReplicaSet adds. */
function podWorkloadName(pod: Config<PodSpec>, deployments: WorkloadFacts['deployments']): string {
  const { labels, name, namespace } = pod.meta;
  const named = labels['service.istio.io/workload-name'];
  if (named !== undefined) return named;
  const owner = deployments.get(namespace)?.find((deployment) => selects(deployment.spec.selector.matchLabels, labels));
  if (owner) return owner.meta.name;
  const hash = labels['pod-template-hash'];
  const cut = hash === undefined ? -1 : name.indexOf(`-${hash}-`);
  return cut > 0 ? name.slice(0, cut) : name;
}
