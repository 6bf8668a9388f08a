/** Istio's MeshNetworks: the networks of a mesh that spans several, and how to get into each. */
export interface MeshNetworksSpec {
  readonly networks: Readonly<Record<string, Network>>;
}

export interface Network {
  readonly endpoints: readonly NetworkEndpoints[];
  readonly gateways: readonly NetworkGateway[];
}

/** Which endpoints are on the network; at most one is set. */
export interface NetworkEndpoints {
  readonly fromCidr?: string;
  /** The name of a cluster (service registry). */
  readonly fromRegistry?: string;
}

/** Where other networks come in; at most one of the first two is set. */
export interface NetworkGateway {
  /** A service of the mesh, by full name. */
  readonly registryServiceName?: string;
  readonly address?: string;
  readonly port: number;
  readonly locality: string;
}
