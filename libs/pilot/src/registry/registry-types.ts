import type {
  Config, DeploymentSpec, EndpointsSpec, EndpointSliceSpec, KubeServiceSpec, MeshConfigSpec, MeshNetworksSpec, PodSpec, ServiceEntrySpec, WorkloadEntrySpec,
} from '@meltemi/config';
import type { Endpoint, Service, ServiceTarget, Workload } from './model.ts';
import type { NetworkGateways, ResolvedNames } from './networks.ts';

/** Everything the registry is computed from, already sorted by kind. */
export interface RegistryInputs {
  readonly services: readonly Config<KubeServiceSpec>[];
  readonly slices: readonly Config<EndpointSliceSpec>[];
  readonly endpoints: readonly Config<EndpointsSpec>[];
  readonly pods: readonly Config<PodSpec>[];
  readonly deployments: readonly Config<DeploymentSpec>[];
  readonly serviceEntries: readonly Config<ServiceEntrySpec>[];
  readonly workloadEntries: readonly Config<WorkloadEntrySpec>[];
  readonly namespaces: readonly Config[];
  readonly nodes: readonly Config[];
  readonly meshNetworks: MeshNetworksSpec;
}

export interface RegistryOptions {
  readonly mesh: MeshConfigSpec;
  /** Kubernetes' DNS domain, "cluster.local". */
  readonly domain: string;
  readonly clusterId: string;
  /** What the names of network gateways were looked up as. Default nothing. */
  readonly gatewayAddresses?: ResolvedNames;
  readonly meshAddresses: ReadonlySet<string>;
  /** Takes the objects that could not be read; the rest goes on. */
  readonly onError: (config: Config, error: unknown) => void;
}

/** Services and who serves them: immutable. */
export interface Registry {
  readonly services: readonly Service[];
  /** serviceKey → service port number → endpoints, in a stable order. */
  readonly endpoints: ReadonlyMap<string, ReadonlyMap<number, readonly Endpoint[]>>;
  /** Address of a workload → the service ports it serves. */
  readonly targets: ReadonlyMap<string, readonly ServiceTarget[]>;
  readonly workloads: ReadonlyMap<string, Workload>;
  /** Ways into other networks. */
  readonly gateways: NetworkGateways;
}
