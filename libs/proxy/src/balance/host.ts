import type { Endpoint } from '@meltemi/snapshot';
import type { DynamicMetadata } from '@meltemi/http';

/** Counters that outlive updates of the endpoint: one HostState per address of a cluster, as long as the cluster knows the address. */
export interface HostState {
  readonly key: string;
  /** Requests in flight from this worker: the router adds and takes away; least request reads it. */
  activeRequests: number;
  /** Requests begun and connections open, from this worker: for /clusters. */
  requests: number;
  connections: number;
  /** Set by outlier detection; such a host counts as unhealthy. */
  ejected: boolean;
  /** Set by active health checks. */
  failedHealthCheck: boolean;
  /** The host passes its checks but asks to be spared (x-envoy-degraded). */
  degradedHealthCheck: boolean;
  /** Waits for its first check, or asked to be left out at once: counts neither as healthy nor in the number of hosts. */
  excluded: 'no' | 'pending' | 'asked';
  /** Monotonic milliseconds since when the host takes traffic: seen first, or passed its health checks again. For slow start. */
  readySinceMs: number;
}

/** The state of an address that was not known before. */
export function newHostState(key: string, nowMs: number): HostState {
  return { key, activeRequests: 0, requests: 0, connections: 0, ejected: false, failedHealthCheck: false, degradedHealthCheck: false, excluded: 'no', readySinceMs: nowMs };
}

/** One endpoint as pickers see it. Identity (`===`) survives updates as long as address and settings stay; `state` survives as long as the address stays. */
export class Host {
  readonly endpoint: Endpoint;
  readonly key: string;
  readonly weight: number;
  readonly priority: number;
  /** Endpoint metadata under `envoy.lb`, for subsets; null when none. */
  readonly lbMetadata: Readonly<Record<string, unknown>> | null;
  readonly metadata: DynamicMetadata | null;
  readonly state: HostState;

  constructor(endpoint: Endpoint, priority: number, state: HostState) {
    this.endpoint = endpoint;
    this.key = endpoint.key;
    this.weight = endpoint.weight;
    this.priority = priority;
    this.metadata = endpoint.metadata;
    this.lbMetadata = endpoint.metadata?.['envoy.lb'] ?? null;
    this.state = state;
  }
}
