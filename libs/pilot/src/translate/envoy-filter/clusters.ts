import { Cluster } from '@meltemi/api/gen/envoy/config/cluster/v3/cluster.ts';
import { parseClusterName } from '@meltemi/xds';
import type { EnvoyFilterPatch } from '../../push-context/envoy-filters.ts';
import { isMerge } from './lists.ts';
import { merged, mergedExtension, patchesTo, valueOf, type Patching } from './patching.ts';

/** Hostnames of the services behind an inbound cluster, by its port; its name has none. */
export type InboundHosts = (port: number) => readonly string[];

/** A cluster after its patches; undefined when one removes it. Source of all rules here: Istio's envoyfilter/cluster_patch.go. */
export function patchedCluster(patching: Patching, original: Cluster, inboundHosts: InboundHosts = () => []): Cluster | undefined {
  let cluster = original;
  for (const patch of patchesTo(patching, 'CLUSTER')) {
    if (!clusterFits(patch, cluster, inboundHosts)) continue;
    if (patch.operation === 'REMOVE') return undefined;
    if (isMerge(patch.operation)) cluster = mergedCluster(patching, cluster, patch);
  }
  return cluster;
}

/** Clusters that patches add. Without a context they are added once: to a gateway, or outbound to a sidecar. */
export function addedClusters(patching: Patching): readonly EnvoyFilterPatch[] {
  return patchesTo(patching, 'CLUSTER').filter(({ operation, match }) => operation === 'ADD' && (match.context !== 'ANY' || patching.context !== 'SIDECAR_INBOUND'));
}

function clusterFits({ match: { cluster: match } }: EnvoyFilterPatch, { name }: Cluster, inboundHosts: InboundHosts): boolean {
  if (!match) return true;
  if (match.name !== '') return match.name === name;
  const parsed = parseClusterName(name);
  const hosts = parsed?.direction === 'inbound' ? inboundHosts(parsed.port) : parsed ? [parsed.host] : [];
  return (
    (match.subset === '' || match.subset === parsed?.subset) && (match.service === '' || hosts.includes(match.service)) && (match.portNumber === 0 || match.portNumber === parsed?.port)
  );
}

/** A transport socket merges into the cluster's of the same name, wherever that stands; else it takes the cluster's place. */
function mergedCluster({ report }: Patching, cluster: Cluster, patch: EnvoyFilterPatch): Cluster {
  const result = merged(Cluster, cluster, patch);
  const socket = valueOf(Cluster, patch).transportSocket;
  if (!socket) return result;
  const matches = cluster.transportSocketMatches;
  if (matches.length > 0) {
    const at = matches.findIndex(({ transportSocket }) => transportSocket?.name === socket.name);
    if (at < 0) report(patch, `${cluster.name} chooses among transport sockets, and none is named ${socket.name}: patch its transport_socket_matches`);
    const transportSocketMatches = result.transportSocketMatches.map((match, index) =>
      index === at && match.transportSocket ? { ...match, transportSocket: mergedExtension(match.transportSocket, socket, { patch, report }) } : match,
    );
    return { ...result, transportSocket: cluster.transportSocket, transportSocketMatches };
  }
  return { ...result, transportSocket: cluster.transportSocket?.name === socket.name ? mergedExtension(cluster.transportSocket, socket, { patch, report }) : socket };
}
