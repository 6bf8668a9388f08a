/** Type of a request that tells of an application's health and is answered by nothing: its error detail says why the application is not ready. Istio's own. */
export const healthInformationType = 'type.googleapis.com/istio.v1.HealthInformation';

/** The xDS resource types this mesh speaks, by what they are. Source: Envoy's v3 API; NDS and PCDS (roots of the mesh) are Istio's own. */
export const xdsType = {
  listener: 'type.googleapis.com/envoy.config.listener.v3.Listener',
  route: 'type.googleapis.com/envoy.config.route.v3.RouteConfiguration',
  scope: 'type.googleapis.com/envoy.config.route.v3.ScopedRouteConfiguration',
  cluster: 'type.googleapis.com/envoy.config.cluster.v3.Cluster',
  endpoint: 'type.googleapis.com/envoy.config.endpoint.v3.ClusterLoadAssignment',
  secret: 'type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.Secret',
  extension: 'type.googleapis.com/envoy.config.core.v3.TypedExtensionConfig',
  nameTable: 'type.googleapis.com/istio.networking.nds.v1.NameTable',
  proxyConfig: 'type.googleapis.com/istio.mesh.v1alpha1.ProxyConfig',
} as const;

/** A type URL as it stands on the wire; any string, known or not. */
export type TypeUrl = string;

const shortNames: ReadonlyMap<TypeUrl, string> = new Map([
  [xdsType.listener, 'LDS'],
  [xdsType.route, 'RDS'],
  [xdsType.scope, 'SRDS'],
  [xdsType.cluster, 'CDS'],
  [xdsType.endpoint, 'EDS'],
  [xdsType.secret, 'SDS'],
  [xdsType.extension, 'ECDS'],
  [xdsType.nameTable, 'NDS'],
  [xdsType.proxyConfig, 'PCDS'],
]);

/** "CDS" for the cluster type; the URL itself for a type without a short name. */
export function shortTypeName(typeUrl: TypeUrl): string {
  return shortNames.get(typeUrl) ?? typeUrl;
}

/** True for the types above. Requests for other types are answered with nothing. */
export function isKnownType(typeUrl: TypeUrl): boolean {
  return shortNames.has(typeUrl);
}

/**
 * True when a first request without names means "everything" (the wildcard of old clients). Endpoints, routes, secrets and extension
 * configs are always asked for by name. Source: xDS protocol, "How the client specifies what resources to return".
 */
export function emptyMeansWildcard(typeUrl: TypeUrl): boolean {
  return typeUrl === xdsType.listener || typeUrl === xdsType.cluster || typeUrl === xdsType.scope || typeUrl === xdsType.nameTable || typeUrl === xdsType.proxyConfig;
}

/** True when a state-of-the-world response is the whole truth: a held resource it leaves out is removed. Others may be partial. */
export function responseIsComplete(typeUrl: TypeUrl): boolean {
  return typeUrl === xdsType.listener || typeUrl === xdsType.cluster || typeUrl === xdsType.scope;
}

/**
 * False for secrets: one that is not there is never said to be gone, since a client is better off waiting for it, or going on with what it has, than without.
 * Source: Envoy ignores the removal of a secret.
 */
export function absenceIsSaid(typeUrl: TypeUrl): boolean {
  return typeUrl !== xdsType.secret;
}
