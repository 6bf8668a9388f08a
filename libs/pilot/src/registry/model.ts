/** What travels on a port. AUTO is sniffed by the proxy. Source: Istio's protocol selection. */
export type Protocol = 'HTTP' | 'HTTP2' | 'GRPC' | 'GRPC_WEB' | 'HTTP_PROXY' | 'HTTPS' | 'TLS' | 'TCP' | 'MONGO' | 'MYSQL' | 'REDIS' | 'UDP' | 'AUTO';

/**
 * How a client finds the hosts of a service: `static` (endpoints we send), `passthrough` (the address the client dialled),
 * `dns` (all addresses of a name), `dns-round-robin` (one logical name), `dynamic-dns` (the name that each request has, of all that a wildcard covers).
 */
export type Resolution = 'static' | 'passthrough' | 'dns' | 'dns-round-robin' | 'dynamic-dns';

export interface ServicePort {
  readonly number: number;
  readonly name: string;
  readonly protocol: Protocol;
  /** Port of the workload; a name is a container port's. */
  readonly targetPort: number | string;
}

/** A name in the mesh with its ports: from a Kubernetes Service or one host of a ServiceEntry. */
export interface Service {
  readonly hostname: string;
  readonly name: string;
  readonly namespace: string;
  readonly registry: 'kubernetes' | 'service-entry';
  readonly ports: readonly ServicePort[];
  /** Virtual IPs; CIDR blocks are possible for ServiceEntries. Empty when none is known. */
  readonly addresses: readonly string[];
  /** Addresses the mesh gave it because nobody else did: only proxies that resolve names themselves use them. */
  readonly autoAddresses: readonly string[];
  /** Workloads serve it by label, whether there are any or not. */
  readonly selects: boolean;
  readonly resolution: Resolution;
  readonly meshExternal: boolean;
  readonly exportTo: readonly string[];
  /** Names that stand for this service (ExternalName services pointing at it). */
  readonly aliases: readonly string[];
  /** The host that this ExternalName service is another name of. It has no endpoints, clusters and listeners of its own; rules may speak of it. */
  readonly aliasOf?: string;
  /** Extra certificate names its workloads may present. */
  readonly subjectAltNames: readonly string[];
  /** RFC 3339 or "": the oldest of several services with one hostname wins. */
  readonly creationTimestamp: string;
  /** Endpoints that are not ready take part too. */
  readonly publishNotReady: boolean;
  /** Nearer endpoints first, without outlier detection: Kubernetes' trafficDistribution, or Istio's annotation for it. */
  readonly trafficDistribution: 'any' | 'zone' | 'node';
  /** Only endpoints on the client's own node (internalTrafficPolicy Local). */
  readonly nodeLocal: boolean;
  readonly labels: Readonly<Record<string, string>>;
}

export interface EndpointLocality {
  readonly region: string;
  readonly zone: string;
  readonly subZone: string;
}

/** Who answers at an address: a Pod, a WorkloadEntry or an inline endpoint. */
export interface Workload {
  readonly name: string;
  readonly namespace: string;
  readonly address: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly serviceAccount: string;
  /** True when the workload takes part in mutual TLS (label security.istio.io/tlsMode=istio). */
  readonly mutualTls: boolean;
  readonly network: string;
  readonly cluster: string;
  /** The Kubernetes node, "" where there is none. */
  readonly node: string;
  /** "db-0.db": a Pod's own name in DNS below its namespace's services; "" for whoever has none. */
  readonly podHost: string;
  readonly locality: EndpointLocality;
  /** 1 when the user said nothing. */
  readonly weight: number;
  readonly healthy: boolean;
}

/** One workload serving one port of one service. `address` may be an IP, a DNS name (dns resolutions) or unix:///path. */
export interface Endpoint extends Workload {
  readonly port: number;
}

/** A port of a service that a certain workload serves. */
export interface ServiceTarget {
  readonly service: Service;
  readonly port: ServicePort;
  readonly targetPort: number;
}

/** "namespace/hostname": one service. */
export function serviceKey(service: Pick<Service, 'namespace' | 'hostname'>): string {
  return `${service.namespace}/${service.hostname}`;
}

export function isHttp(protocol: Protocol): boolean {
  return protocol === 'HTTP' || protocol === 'HTTP_PROXY' || isHttp2(protocol);
}

export function isHttp2(protocol: Protocol): boolean {
  return protocol === 'HTTP2' || protocol === 'GRPC' || protocol === 'GRPC_WEB';
}

/** Already encrypted by the application: routed by server name. */
export function isTls(protocol: Protocol): boolean {
  return protocol === 'HTTPS' || protocol === 'TLS';
}
