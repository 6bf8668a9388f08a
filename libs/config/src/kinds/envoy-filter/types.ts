import type { TargetReference } from '../targeted-policy.ts';
import type { StringMap, Struct, WorkloadSelector } from '../types.ts';

/** networking.istio.io EnvoyFilter: changes to the resources that proxies are sent. */
export interface EnvoyFilterSpec {
  readonly workloadSelector?: WorkloadSelector;
  readonly targetRefs: readonly TargetReference[];
  readonly configPatches: readonly EnvoyConfigObjectPatch[];
  /** Lower first. */
  readonly priority: number;
}

export interface EnvoyConfigObjectPatch {
  readonly applyTo: EnvoyApplyTo;
  /** Absent: everything. */
  readonly match?: EnvoyConfigObjectMatch;
  readonly patch: EnvoyPatch;
}

export type EnvoyApplyTo =
  | 'INVALID' | 'LISTENER' | 'FILTER_CHAIN' | 'NETWORK_FILTER' | 'HTTP_FILTER' | 'ROUTE_CONFIGURATION' | 'VIRTUAL_HOST' | 'HTTP_ROUTE' | 'CLUSTER'
  | 'EXTENSION_CONFIG' | 'BOOTSTRAP' | 'LISTENER_FILTER';

export type EnvoyPatchOperation = 'INVALID' | 'MERGE' | 'ADD' | 'REMOVE' | 'INSERT_BEFORE' | 'INSERT_AFTER' | 'INSERT_FIRST' | 'REPLACE' | 'MERGE_AND_REPLACE_LIST';

export type EnvoyPatchContext = 'ANY' | 'SIDECAR_INBOUND' | 'SIDECAR_OUTBOUND' | 'GATEWAY' | 'WAYPOINT';

export interface EnvoyPatch {
  readonly operation: EnvoyPatchOperation;
  /** An Envoy message of the type that `applyTo` names, as JSON. */
  readonly value?: Struct;
  readonly filterClass: 'UNSPECIFIED' | 'AUTHN' | 'AUTHZ' | 'STATS';
}

/** One of listener, routeConfiguration and cluster, or none. */
export interface EnvoyConfigObjectMatch {
  readonly context: EnvoyPatchContext;
  readonly proxy?: EnvoyProxyMatch;
  readonly listener?: EnvoyListenerMatch;
  readonly routeConfiguration?: EnvoyRouteConfigurationMatch;
  readonly cluster?: EnvoyClusterMatch;
  readonly waypoint?: EnvoyWaypointMatch;
}

/** Only with context WAYPOINT. */
export interface EnvoyWaypointMatch {
  readonly portNumber: number;
  readonly route?: { readonly name: string };
  readonly filter?: EnvoyFilterNameMatch;
}

/** `proxyVersion` is RE2, found anywhere in the version. */
export interface EnvoyProxyMatch {
  readonly proxyVersion: string;
  readonly metadata: StringMap;
}

export interface EnvoyListenerMatch {
  readonly portNumber: number;
  readonly portName: string;
  readonly filterChain?: EnvoyFilterChainMatch;
  readonly listenerFilter: string;
  readonly name: string;
}

export interface EnvoyFilterChainMatch {
  readonly name: string;
  readonly sni: string;
  readonly transportProtocol: string;
  /** Comma-separated; the chain must have them all. */
  readonly applicationProtocols: string;
  readonly filter?: EnvoyFilterNameMatch;
  readonly destinationPort: number;
  readonly transportSocket: string;
}

export interface EnvoyFilterNameMatch {
  readonly name: string;
  readonly subFilter?: { readonly name: string };
}

export interface EnvoyRouteConfigurationMatch {
  readonly portNumber: number;
  readonly portName: string;
  /** "namespace/name" */
  readonly gateway: string;
  readonly vhost?: EnvoyVirtualHostMatch;
  readonly name: string;
}

export interface EnvoyVirtualHostMatch {
  readonly name: string;
  readonly domainName: string;
  readonly route?: { readonly name: string; readonly action: 'ANY' | 'ROUTE' | 'REDIRECT' | 'DIRECT_RESPONSE' };
}

export interface EnvoyClusterMatch {
  readonly portNumber: number;
  readonly service: string;
  readonly subset: string;
  readonly name: string;
}
