import { ok } from '@meltemi/base';
import { FilterStatus, NetworkStreamFilter, type ConnectionControls, type NetworkFilterFactory } from '../../../filter.ts';
import { tcpClusterKey } from '../tcp-proxy/tcp-cluster.ts';

/** Sends a connection to the cluster named like the server that its client asked for in TLS. Without a name the TCP proxy's own cluster stays. */
export const sniClusterFilter: NetworkFilterFactory = {
  name: 'envoy.filters.network.sni_cluster',
  typeUrls: ['type.googleapis.com/envoy.extensions.filters.network.sni_cluster.v3.SniCluster'],
  trust: 'untrusted-downstream-and-upstream',
  parse: () => ok({}),
  bind: () => ({ create: () => shared }),
};

class SniCluster extends NetworkStreamFilter {
  override onNewConnection({ info }: ConnectionControls): number {
    const name = info.connection.requestedServerName;
    if (name !== '') info.setFilterState(tcpClusterKey, name);
    return FilterStatus.continue;
  }
}

const shared = new SniCluster();
