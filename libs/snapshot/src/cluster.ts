import type { Cluster as ClusterMessage } from '@meltemi/api/gen/envoy/config/cluster/v3/cluster.ts';
import type { BindConfig } from '@meltemi/api/gen/envoy/config/core/v3/address.ts';
import type { Result } from '@meltemi/base';
import { parseIp } from '@meltemi/match';
import { checkFields, durationMs, plainMetadata, type Report } from '@meltemi/route';
import { compileCircuitBreakers } from './circuit-breakers.ts';
import { bindFields, clusterFields, connectionOptionFields, edsFields, originalDstFields } from './cluster-tables.ts';
import { compileConfigSource } from './config-source.ts';
import type { Cluster, DnsConfig, LoadAssignment } from './cluster-types.ts';
import { compileDynamicHosts, dynamicForwardProxyUrl } from './dynamic-forward-proxy.ts';
import { finish, newContext, type Context } from './context.ts';
import type { Compiled, Extensions } from './extensions.ts';
import { compileHealthChecks } from './health-check.ts';
import { compileBalancing } from './lb-policy.ts';
import { compileAssignment } from './load-assignment.ts';
import { compileOutlier } from './outlier.ts';
import { compileUpstreamSocket } from './tls.ts';
import { unwrapProxyProtocol } from './upstream-proxy-protocol.ts';
import { compileUpstreamHttp } from './upstream-http.ts';

const discoveries = ['static', 'strict_dns', 'logical_dns', 'eds', 'original_dst'] as const;
const lookups = ['auto', 'v4', 'v6', 'v4-preferred', 'all'] as const;
/** Envoy's defaults. */
const connectTimeoutMs = 5000;
const dnsRefreshMs = 5000;
const cleanupMs = 5000;
const panicThreshold = 50;
const defaultBufferBytes = 1_048_576;

/** Compiles a cluster, or names everything in it that cannot be run. */
export function compileCluster(message: ClusterMessage, extensions: Extensions): Result<Compiled<Cluster>> {
  const context = newContext(extensions);
  const { report } = context;
  checkFields(message, clusterFields, '', report);
  if (message.name === '') report.refuse('name', 'is required');
  const discovery = discoveryOf(message, report);
  const http = upstreamHttp(message, discovery, context);
  const { inner, innerPath, proxyProtocol } = unwrapProxyProtocol(message.transportSocket, 'transport_socket', context);
  const matches = socketMatches(message, context);
  const cluster: Cluster = {
    name: message.name,
    statName: message.altStatName || message.name,
    altStatName: message.altStatName || null,
    discovery,
    edsServiceName: discovery === 'eds' ? edsName(message, context) : '',
    loadAssignment: inlineEndpoints(message, discovery, report),
    ...compileBalancing(message, report),
    healthyPanicThreshold: message.commonLbConfig?.healthyPanicThreshold?.value ?? panicThreshold,
    connectTimeoutMs: durationMs(message.connectTimeout, connectTimeoutMs),
    perConnectionBufferLimit: message.perConnectionBufferLimitBytes ?? defaultBufferBytes,
    circuitBreakers: compileCircuitBreakers(message.circuitBreakers, report),
    outlierDetection: compileOutlier(message.outlierDetection, http.errorStatuses, report),
    healthCheck: compileHealthChecks(message, report),
    http,
    tls: compileUpstreamSocket(inner, innerPath, context),
    proxyProtocol: proxyProtocol ?? matches.proxyProtocol,
    transportSocketMatches: matches.sockets,
    dns: dnsConfig(message),
    originalDst: originalDst(message, report),
    dynamicHosts: compileDynamicHosts(message, http, report),
    bindAddress: bindAddress(message.upstreamBindConfig, report),
    tcpKeepaliveMs: keepalive(message, report),
    closeConnectionsOnHealthFailure: message.closeConnectionsOnHostHealthFailure,
    ignoreHealthOnHostRemoval: message.ignoreHealthOnHostRemoval,
    cleanupIntervalMs: durationMs(message.cleanupInterval, cleanupMs),
    metadata: plainMetadata(message.metadata),
    sdsNames: context.sdsNames,
    references: context.references,
  };
  if (cluster.connectTimeoutMs <= 0) report.refuse('connect_timeout', 'must be more than zero');
  const providesHosts = discovery === 'original_dst' || discovery === 'dynamic_forward_proxy';
  if (providesHosts !== (cluster.lbPolicy.kind === 'cluster_provided')) report.refuse('lb_policy', 'CLUSTER_PROVIDED belongs to ORIGINAL_DST and dynamic forward proxies, and to nothing else');
  return finish(report, cluster);
}

function discoveryOf(message: ClusterMessage, report: Report): Cluster['discovery'] {
  const type = message.clusterDiscoveryType;
  if (type?.$case === 'clusterType') return type.value.typedConfig?.typeUrl === dynamicForwardProxyUrl ? 'dynamic_forward_proxy' : 'static';
  const discovery = type?.$case === 'type' ? discoveries[type.value as 0 | 1 | 2 | 3 | 4] : 'static';
  if (discovery === undefined) report.refuse('type', 'is not a discovery type we know');
  return discovery ?? 'static';
}

/** A dynamic forward proxy that says nothing of HTTP checks certificates by the names of requests. */
function upstreamHttp(message: ClusterMessage, discovery: Cluster['discovery'], { extensions, report }: Context): Cluster['http'] {
  const http = compileUpstreamHttp(message, extensions, report);
  const silent = discovery === 'dynamic_forward_proxy' && Object.keys(message.typedExtensionProtocolOptions).length === 0;
  return silent ? { ...http, autoSni: true, autoSanValidation: true } : http;
}

function edsName(message: ClusterMessage, { report, references }: Context): string {
  const eds = message.edsClusterConfig;
  if (!eds) {
    report.refuse('eds_cluster_config', 'is required by type EDS');
    return message.name;
  }
  checkFields(eds, edsFields, 'eds_cluster_config', report);
  const source = compileConfigSource(eds.edsConfig, 'eds_cluster_config.eds_config', report);
  const name = eds.serviceName || message.name;
  if (source) references.push({ kind: 'endpoints', name, source, path: 'eds_cluster_config', statPrefix: `cluster.${message.altStatName || message.name}.` });
  return name;
}

function inlineEndpoints(message: ClusterMessage, discovery: Cluster['discovery'], report: Report): LoadAssignment | null {
  if (discovery === 'eds' || discovery === 'original_dst' || discovery === 'dynamic_forward_proxy') {
    if (message.loadAssignment) report.refuse('load_assignment', `does not go with type ${discovery.toUpperCase()}`);
    return null;
  }
  const dns = discovery !== 'static';
  const assignment = message.loadAssignment ? compileAssignment(message.loadAssignment, 'load_assignment', dns, report) : null;
  const count = assignment?.priorities.flat().reduce((sum, locality) => sum + locality.endpoints.length, 0) ?? 0;
  if (discovery === 'logical_dns' && count !== 1) report.refuse('load_assignment', 'LOGICAL_DNS needs exactly one endpoint');
  return assignment;
}

/** A PROXY header is the cluster's: either all of its sockets begin with the same one, or none does. */
function socketMatches(message: ClusterMessage, context: Context): { readonly sockets: Cluster['transportSocketMatches']; readonly proxyProtocol: Cluster['proxyProtocol'] } {
  const headers: Cluster['proxyProtocol'][] = [];
  const sockets = message.transportSocketMatches.map((match, i) => {
    const path = `transport_socket_matches[${i}].transport_socket`;
    if (!match.transportSocket) context.report.refuse(path, 'is required');
    const { inner, innerPath, proxyProtocol } = unwrapProxyProtocol(match.transportSocket, path, context);
    headers.push(proxyProtocol);
    return { name: match.name, match: { ...match.match }, tls: compileUpstreamSocket(inner, innerPath, context) };
  });
  const [first = null] = headers;
  if (headers.some((header) => header?.version !== first?.version)) context.report.refuse('transport_socket_matches', 'must all begin with the same PROXY header, or none');
  return { sockets, proxyProtocol: first };
}

function dnsConfig(message: ClusterMessage): DnsConfig {
  const refreshMs = durationMs(message.dnsRefreshRate, dnsRefreshMs);
  const baseMs = durationMs(message.dnsFailureRefreshRate?.baseInterval, refreshMs);
  return {
    refreshMs, failureRefreshBaseMs: baseMs, failureRefreshMaxMs: durationMs(message.dnsFailureRefreshRate?.maxInterval, baseMs * 10),
    respectTtl: message.respectDnsTtl, lookup: lookups[message.dnsLookupFamily as 0 | 1 | 2 | 3 | 4] ?? 'auto',
  };
}

/** Where Envoy looks for the destination when no other header is named. */
const originalDstHeader = 'x-envoy-original-dst-host';

function originalDst(message: ClusterMessage, report: Report): Cluster['originalDst'] {
  const config = message.lbConfig?.$case === 'originalDstLbConfig' ? message.lbConfig.value : null;
  if (config) checkFields(config, originalDstFields, 'original_dst_lb_config', report);
  if (config && config.httpHeaderName !== '' && !config.useHttpHeader) report.warn('original_dst_lb_config.http_header_name', 'is only read with use_http_header');
  if ((config?.upstreamPortOverride ?? 0) > 65_535) report.refuse('original_dst_lb_config.upstream_port_override', 'is not a port');
  return { portOverride: config?.upstreamPortOverride ?? null, header: config?.useHttpHeader === true ? config.httpHeaderName.toLowerCase() || originalDstHeader : null };
}

function bindAddress(bind: BindConfig | undefined, report: Report): Cluster['bindAddress'] {
  if (!bind) return null;
  checkFields(bind, bindFields, 'upstream_bind_config', report);
  const source = bind.sourceAddress;
  if (!source) return null;
  if (!parseIp(source.address)) report.refuse('upstream_bind_config.source_address.address', `"${source.address}" is not an IP address`);
  return { address: source.address, port: source.portSpecifier?.$case === 'portValue' ? source.portSpecifier.value : 0 };
}

function keepalive(message: ClusterMessage, report: Report): number | null {
  const options = message.upstreamConnectionOptions;
  if (!options) return null;
  checkFields(options, connectionOptionFields, 'upstream_connection_options', report);
  return options.tcpKeepalive ? (options.tcpKeepalive.keepaliveTime ?? 7200) * 1000 : null;
}
