import type { Endpoint } from '../registry/model.ts';
import { gatewaysFor, type NetworkGateway, type NetworkGateways } from '../registry/networks.ts';

/** An endpoint as a client reaches it. */
export interface ReachedEndpoint extends Endpoint {
  /** It stands for others in its network: it takes mutual TLS and passes it on by server name. */
  readonly gateway?: boolean;
}

interface Client {
  readonly gateways: NetworkGateways;
  readonly network: string;
  /** Whether mutual TLS is spoken to an endpoint. */
  mutual(endpoint: Endpoint): boolean;
}

/**
 * Endpoints of other networks become the gateways there, with the weights of all they stand for; those without mutual TLS cannot be reached, since
 * gateways go by its server name. A network without gateways is reached directly. Source: Istio's ep_filters.go EndpointsByNetworkFilter.
 */
export function throughGateways(endpoints: readonly Endpoint[], client: Client): readonly ReachedEndpoint[] {
  const { gateways } = client;
  if (gateways.key === '') return endpoints.filter(({ address }) => address !== '');
  const reached: ReachedEndpoint[] = [];
  const standIns = new Map<string, { readonly endpoint: Endpoint; readonly gateway: NetworkGateway; weight: number }>();
  for (const endpoint of endpoints) {
    const ways = gatewaysFor(gateways, endpoint.network, endpoint.cluster);
    const near = client.network === '' ? endpoint.network === '' : endpoint.network === '' || endpoint.network === client.network;
    const weight = endpoint.weight * gateways.scale;
    if (near || ways.length === 0) {
      if (endpoint.address !== '') reached.push({ ...endpoint, weight });
    } else if (client.mutual(endpoint)) {
      for (const gateway of ways) {
        const key = `${JSON.stringify(endpoint.locality)} ${gateway.address} ${gateway.port}`;
        const known = standIns.get(key) ?? { endpoint, gateway, weight: 0 };
        known.weight += Math.floor(weight / ways.length);
        standIns.set(key, known);
      }
    }
  }
  for (const { endpoint, gateway, weight } of standIns.values()) reached.push(standIn(endpoint, gateway, weight));
  return reached;
}

function standIn({ locality }: Endpoint, { address, port, network, cluster }: NetworkGateway, weight: number): ReachedEndpoint {
  return { name: '', namespace: '', address, port, labels: {}, serviceAccount: '', mutualTls: true, network, cluster, node: '', podHost: '', locality, weight: Math.max(1, weight), healthy: true, gateway: true };
}
