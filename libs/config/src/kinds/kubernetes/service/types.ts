import type { StringMap } from '../../types.ts';

/** What Meltemi reads of a Kubernetes Service. */
export interface KubeServiceSpec {
  readonly type: 'ClusterIP' | 'NodePort' | 'LoadBalancer' | 'ExternalName';
  /** "" not assigned, "None" headless. */
  readonly clusterIP: string;
  readonly clusterIPs: readonly string[];
  readonly ports: readonly KubeServicePort[];
  readonly selector: StringMap;
  readonly externalName: string;
  readonly externalIPs: readonly string[];
  readonly publishNotReadyAddresses: boolean;
  readonly sessionAffinity: string;
  readonly internalTrafficPolicy: string;
  readonly externalTrafficPolicy: string;
  readonly trafficDistribution: string;
}

export interface KubeServicePort {
  readonly name: string;
  readonly port: number;
  readonly protocol: 'TCP' | 'UDP' | 'SCTP';
  readonly appProtocol?: string;
  /** Number, or the name of a container port; `port` when the user left it out. */
  readonly targetPort: number | string;
  readonly nodePort: number;
}
