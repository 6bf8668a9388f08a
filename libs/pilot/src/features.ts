/**
 * Istio's feature switches that change what a mesh means, under their own names and with Istio's defaults. Each is one line here; who adds one adds it to the
 * list and reads it as `push.features`. Source: Istio's pilot/pkg/features.
 */
const switches = {
  /** HTTP/1.0 requests are taken by outbound and gateway listeners. */
  http10: flag('PILOT_HTTP10', false),
  /** A gateway takes Gateway objects of its own namespace only. */
  scopeGatewayToNamespace: flag('PILOT_SCOPE_GATEWAY_TO_NAMESPACE', false),
  /** Workloads of a Gateway of the Gateway API serve no Gateway that picks them by label from another namespace. */
  strictGatewayMerging: flag('PILOT_ENABLE_STRICT_GATEWAY_MERGING', true),
  /** Virtual hosts of a gateway with the same routes become one. */
  routeCollapse: flag('PILOT_ENABLE_ROUTE_COLLAPSE_OPTIMIZATION', true),
  /** Virtual hosts answer to names that end in a dot, too. */
  absoluteFqdnVhostDomain: flag('PILOT_ENABLE_ABSOLUTE_FQDN_VHOST_DOMAIN', true),
  /** Mirrored requests keep their Host; off: "-shadow" is appended. */
  disableShadowHostSuffix: flag('DISABLE_SHADOW_HOST_SUFFIX', true),
  /** A sidecar's outbound listeners take the client's address for the origin, and sanitize internal headers by it. */
  sidecarUseRemoteAddress: flag('PILOT_SIDECAR_USE_REMOTE_ADDRESS', false),
  /** Ranges of MeshNetworks are internal addresses for every connection manager, not only for those that take the client's address for the origin. */
  internalNetworks: flag('ENABLE_HCM_INTERNAL_NETWORKS', false),
  /** "100 Continue" is asked of the upstream. */
  continue100: flag('ENABLE_100_CONTINUE_HEADERS', true),
  /** How long a gateway waits for a TLS handshake, in milliseconds; 0 does not end. */
  gatewayHandshakeTimeout: milliseconds('PILOT_GATEWAY_TRANSPORT_SOCKET_CONNECT_TIMEOUT', 15_000),
  /** Policies without targetRefs are for the proxies of a Gateway of the Gateway API, too. */
  selectorPoliciesOnGateways: flag('ENABLE_SELECTOR_BASED_K8S_GATEWAY_POLICY', true),
  /** CUSTOM policies of one workload may name several providers; off: then all they apply to is denied. */
  multipleCustomProviders: flag('PILOT_ENABLE_MULTIPLE_CUSTOM_AUTHZ_PROVIDERS', false),
  /** A proxy with IPv4 and IPv6 listens and resolves for both. */
  dualStack: flag('ISTIO_DUAL_STACK', false),
  /** ServiceEntries without an address get one of their own, for proxies that resolve names. */
  ipAutoallocate: flag('PILOT_ENABLE_IP_AUTOALLOCATE', true),
  /** Headless TCP services are one listener that tells Pods apart, instead of one per Pod. */
  headlessFilterChains: flag('PILOT_ENABLE_HEADLESS_FILTER_CHAIN_LISTENER', false),
  /** A Sidecar's ingress listeners stand beside those of the workload's services; off: instead of them. */
  ingressBesideServices: flag('PILOT_ALLOW_SIDECAR_SERVICE_INBOUND_LISTENER_MERGE', false),
  /** Kubernetes' headless services are balanced by the proxy instead of going where the client dialled. */
  edsForHeadless: flag('PILOT_ENABLE_EDS_FOR_HEADLESS_SERVICES', false),
  /** Names of headless services are answered with endpoints of other clusters, too. */
  multiclusterHeadless: flag('ENABLE_MULTICLUSTER_HEADLESS', true),
  /** Percent of requests that are traced when nothing else says. */
  traceSampling: number('PILOT_TRACE_SAMPLING', 1, 100),
  /** Who fetches the keys of jwksUri: pilot, the proxies where their server is a service of the mesh, or always the proxies. */
  jwksFetchMode: choice('PILOT_JWT_ENABLE_REMOTE_JWKS', { false: 'istiod', istiod: 'istiod', true: 'hybrid', hybrid: 'hybrid', envoy: 'envoy' }, 'istiod'),
  /** Hosts that a proxy keeps the addresses of under ALLOW_ANY_DYNAMIC_DNS. */
  dynamicDnsMaxHosts: number('PILOT_ALLOW_ANY_DYNAMIC_DNS_MAX_HOSTS', 1024, 2 ** 31 - 1),
  /** How long the WorkloadEntry of a proxy that registered itself outlives its connection, in milliseconds. */
  workloadEntryGrace: milliseconds('PILOT_WORKLOAD_ENTRY_GRACE_PERIOD', 10_000),
  /** Ours: routes say in their metadata by which field of which object they were made. For explain. */
  routeOrigins: flag('MELTEMI_ROUTE_ORIGINS', false),
} as const;

export type Features = { readonly [Name in keyof typeof switches]: ReturnType<(typeof switches)[Name]['read']> };

/** Reads switches from an environment; whatever is missing, or no value that Istio reads, has its default. */
export function featuresFrom(env: Readonly<Record<string, string | undefined>>): Features {
  return Object.fromEntries(Object.entries(switches).map(([name, { variable, read }]) => [name, read(env[variable])])) as Features;
}

/** Istio's defaults. */
export const defaultFeatures: Features = featuresFrom({});

/** The variables that are read. */
export const featureVariables: readonly string[] = Object.values(switches).map(({ variable }) => variable);

interface Switch<T> {
  readonly variable: string;
  readonly read: (text: string | undefined) => T;
}

/** Values are those of Go's strconv.ParseBool. */
function flag(variable: string, byDefault: boolean): Switch<boolean> {
  const read = (text: string | undefined) => {
    if (text !== undefined && /^(1|t|T|TRUE|true|True)$/.test(text)) return true;
    return text !== undefined && /^(0|f|F|FALSE|false|False)$/.test(text) ? false : byDefault;
  };
  return { variable, read };
}

function number(variable: string, byDefault: number, max: number): Switch<number> {
  const read = (text: string | undefined) => {
    const value = text === undefined || text.trim() === '' ? NaN : Number(text);
    return value >= 0 && value <= max ? value : byDefault;
  };
  return { variable, read };
}

/** One of several words, each with its meaning. */
function choice<T extends string>(variable: string, meanings: Readonly<Record<string, T>>, byDefault: T): Switch<T> {
  return { variable, read: (text) => (text === undefined ? undefined : meanings[text.toLowerCase()]) ?? byDefault };
}

/** Values are Go's durations of one unit, "15s". */
function milliseconds(variable: string, byDefault: number): Switch<number> {
  const units: Readonly<Record<string, number>> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000 };
  const read = (text: string | undefined) => {
    const [, count, unit = 's'] = /^([0-9]+(?:\.[0-9]+)?)(ms|s|m|h)$/.exec(text ?? '') ?? [];
    return count === undefined ? byDefault : Number(count) * (units[unit] ?? 1000);
  };
  return { variable, read };
}
