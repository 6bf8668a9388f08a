/** Clusters that Istio names without a service. */
export const wellKnownClusters = {
  passthrough: 'PassthroughCluster',
  blackHole: 'BlackHoleCluster',
  inboundPassthrough: 'InboundPassthroughCluster',
  anyDynamicDns: 'AllowAnyDynamicDNSCluster',
} as const;

/** What a generated cluster name says. Source: Istio's `BuildSubsetKey`: direction|port|subset|host. */
export interface ClusterName {
  readonly direction: 'outbound' | 'inbound';
  readonly port: number;
  /** '' = the whole service. */
  readonly subset: string;
  /** '' for inbound clusters, which belong to the workload itself. */
  readonly host: string;
}

/** "outbound|9080|v1|reviews.default.svc.cluster.local" */
export function outboundCluster(port: number, host: string, subset = ''): string {
  return `outbound|${port}|${subset}|${host}`;
}

/** "inbound|9080||" */
export function inboundCluster(port: number): string {
  return `inbound|${port}||`;
}

/** The server name a client sends so that a passthrough gateway can pick the cluster: "outbound_.9080_.v1_.reviews.default.svc.cluster.local". */
export function clusterSni(port: number, host: string, subset = ''): string {
  return `outbound_.${port}_.${subset}_.${host}`;
}

/** Reads "direction|port|subset|host"; undefined for any other name (PassthroughCluster, a user's own). */
export function parseClusterName(name: string): ClusterName | undefined {
  const parts = name.split('|');
  if (parts.length !== 4) return undefined;
  const [direction, port, subset, host] = parts;
  return typed(direction, port, subset, host);
}

/** Reads the SNI form; undefined when it is not one. Source: Istio's `BuildDNSSrvSubsetKey`. */
export function parseClusterSni(sni: string): ClusterName | undefined {
  const parts = sni.split('_.');
  if (parts.length < 4) return undefined;
  const [direction, port, subset, ...host] = parts;
  return typed(direction, port, subset, host.join('_.'));
}

function typed(direction: string | undefined, port: string | undefined, subset: string | undefined, host: string | undefined): ClusterName | undefined {
  if (direction !== 'outbound' && direction !== 'inbound') return undefined;
  if (port === undefined || !/^[0-9]{1,5}$/.test(port) || Number(port) > 65535) return undefined;
  if (subset === undefined || host === undefined) return undefined;
  return { direction, port: Number(port), subset, host };
}
