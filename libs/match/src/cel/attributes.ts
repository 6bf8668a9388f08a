import { addressWithoutPort, fromWire, type HeaderMap, type StreamInfo, type TlsInfo } from '@meltemi/http';

/** Values of an expression; undefined: there is no such value, and what is made of it is none either. Durations are milliseconds, times milliseconds since the epoch. */
export type CelValue = unknown;

type Read = (info: StreamInfo) => CelValue;

/** Something with entries by name that is no plain object. */
export interface CelMap {
  entry(key: string): CelValue;
}

const serverName = ({ connection }: StreamInfo) => connection.tls?.sni || connection.requestedServerName || undefined;
const ownTls = (read: (tls: TlsInfo) => string | undefined): Read => ({ connection }) => connection.tls && (read(connection.tls) || undefined);
const upstreamTls = (read: (tls: TlsInfo) => string | undefined): Read => ({ upstreamTls: tls }) => tls && (read(tls) || undefined);
const portOf = (address: string | null) => (address === null ? undefined : Number(address.slice(address.lastIndexOf(':') + 1)) || undefined);
const orNone = <T>(value: T | null | '') => (value === null || value === '' ? undefined : value);
const fieldOf = (headers: HeaderMap, name: string) => orNone(fromWire(headers.get(name) ?? ''));
const header = (name: string): Read => ({ request }) => request ? fieldOf(request.headers, name) : undefined;

/** Envoy's attributes, by name. Source: envoy docs, "Attributes"; those Istio adds: istio/proxy. */
export const attributes: Readonly<Record<string, Read>> = {
  'request.path': ({ request }) => request?.path,
  'request.url_path': ({ request }) => request?.path.replace(/[?#].*$/s, ''),
  'request.query': ({ request }) => (request ? (/\?(.*)$/s.exec(request.path)?.[1] ?? '') : undefined),
  'request.host': ({ request }) => request?.authority,
  'request.scheme': ({ request }) => request?.scheme,
  'request.method': ({ request }) => request?.method,
  'request.headers': ({ request }): CelMap | undefined => (request ? { entry: (name) => pseudo(request, name) ?? fieldOf(request.headers, name.toLowerCase()) } : undefined),
  'request.referer': header('referer'),
  'request.useragent': header('user-agent'),
  'request.id': ({ requestId }) => orNone(requestId),
  'request.protocol': ({ request }) => request?.protocol,
  'request.time': ({ startTimeMs }) => startTimeMs,
  'request.duration': ({ endMonoMs, startMonoMs }) => (endMonoMs < 0 ? undefined : endMonoMs - startMonoMs),
  'request.size': ({ bytesReceived }) => bytesReceived,
  'request.total_size': ({ bytesReceived, requestHeaderBytes }) => bytesReceived + requestHeaderBytes,
  'response.code': ({ responseCode }) => responseCode || undefined,
  'response.code_details': ({ responseCodeDetails }) => orNone(responseCodeDetails),
  'response.flags': ({ responseFlags }) => responseFlags,
  'response.grpc_status': (info) => number(grpcField(info, 'grpc-status')),
  'response.headers': ({ response }): CelMap | undefined => (response ? { entry: (name) => fieldOf(response.headers, name.toLowerCase()) } : undefined),
  'response.size': ({ bytesSent }) => bytesSent,
  'response.total_size': ({ bytesSent, responseHeaderBytes }) => bytesSent + responseHeaderBytes,
  'response.backend_latency': ({ upstreamFirstReceivedMonoMs: first, upstreamFirstSentMonoMs: sent }) => (first < 0 || sent < 0 ? undefined : first - sent),
  'source.address': ({ downstreamRemoteAddress }) => downstreamRemoteAddress,
  'source.port': ({ downstreamRemoteAddress }) => portOf(downstreamRemoteAddress),
  'destination.address': ({ connection }) => connection.localAddress,
  'destination.port': ({ connection }) => portOf(connection.localAddress),
  'connection.id': ({ connection }) => connection.id,
  'connection.mtls': ({ connection }) => connection.tls !== null && connection.tls.peerPresented,
  'connection.requested_server_name': serverName,
  'connection.tls_version': ownTls(({ version }) => version),
  'connection.subject_peer_certificate': ownTls(({ peerSubject }) => peerSubject),
  'connection.subject_local_certificate': ownTls(({ localSubject }) => localSubject),
  'connection.uri_san_peer_certificate': ownTls(({ peerUriSans }) => peerUriSans[0]),
  'connection.uri_san_local_certificate': ownTls(({ localUriSans }) => localUriSans[0]),
  'connection.dns_san_peer_certificate': ownTls(({ peerDnsSans }) => peerDnsSans[0]),
  'connection.termination_details': ({ connectionTerminationDetails }) => orNone(connectionTerminationDetails),
  'connection.transport_failure_reason': ({ downstreamTransportFailureReason }) => orNone(downstreamTransportFailureReason),
  'upstream.address': ({ upstreamHost }) => orNone(upstreamHost),
  'upstream.port': ({ upstreamHost }) => portOf(upstreamHost),
  'upstream.local_address': ({ upstreamLocalAddress }) => orNone(upstreamLocalAddress),
  'upstream.tls_version': upstreamTls(({ version }) => version),
  'upstream.subject_peer_certificate': upstreamTls(({ peerSubject }) => peerSubject),
  'upstream.uri_san_peer_certificate': upstreamTls(({ peerUriSans }) => peerUriSans[0]),
  'upstream.transport_failure_reason': ({ upstreamTransportFailureReason }) => orNone(upstreamTransportFailureReason),
  'upstream.request_attempt_count': ({ attemptCount }) => attemptCount,
  'xds.cluster_name': ({ upstreamCluster }) => orNone(upstreamCluster),
  'xds.route_name': ({ routeName }) => orNone(routeName),
  'xds.virtual_host_name': ({ virtualHostName }) => orNone(virtualHostName),
  'xds.cluster_metadata': ({ clusterMetadata }) => orNone(clusterMetadata),
  'xds.route_metadata': ({ routeMetadata }) => orNone(routeMetadata),
  'xds.upstream_host_metadata': ({ upstreamMetadata }) => orNone(upstreamMetadata),
  'metadata.filter_metadata': ({ dynamicMetadata }) => dynamicMetadata ?? {},
  filter_state: (info): CelMap => ({ entry: (name) => (name === 'downstream_peer' || name === 'upstream_peer' ? peer(info, name) : info.filterState?.get(name)) }),
  downstream_peer: (info) => peer(info, 'downstream_peer'),
  upstream_peer: (info) => peer(info, 'upstream_peer'),
  'source.ip': ({ downstreamRemoteAddress }) => addressWithoutPort(downstreamRemoteAddress),
};

function pseudo(request: NonNullable<StreamInfo['request']>, name: string): string | undefined {
  switch (name) {
    case ':method':
      return request.method;
    case ':path':
      return request.path;
    case ':authority':
      return request.authority;
    case ':scheme':
      return request.scheme;
    default:
      return undefined;
  }
}

/** Istio's names for what a peer told of itself. */
const peerFields: Readonly<Record<string, string>> = { workload: 'workload', namespace: 'namespace', service: 'canonicalService', revision: 'canonicalRevision', app: 'app', version: 'version', cluster: 'clusterId' };

type Facts = Readonly<Record<string, string>>;

function peer({ filterState }: StreamInfo, key: string): CelMap | undefined {
  const facts = filterState?.get(key);
  if (typeof facts !== 'object' || facts === null) return undefined;
  return { entry: (name) => (name === 'labels' ? labels(facts as Facts) : orNone((facts as Facts)[peerFields[name] ?? ''] ?? null)) };
}

/** Those that proxies tell one another. */
const labelFields: Readonly<Record<string, string>> = {
  app: 'app', version: 'version', 'service.istio.io/canonical-name': 'canonicalService', 'service.istio.io/canonical-revision': 'canonicalRevision',
};

function labels(facts: Facts): CelMap {
  return { entry: (name) => orNone(facts[(Object.hasOwn(labelFields, name) ? labelFields[name] : undefined) ?? ''] ?? null) };
}

function grpcField({ response, responseTrailers: trailers }: StreamInfo, name: string): string | null {
  const at = trailers === null ? -1 : trailers.indexOf(name);
  return (at >= 0 && at % 2 === 0 ? trailers?.[at + 1] : undefined) ?? response?.headers.get(name) ?? null;
}

function number(text: string | null): number | undefined {
  return text === null || !/^\d+$/.test(text) ? undefined : Number(text);
}
