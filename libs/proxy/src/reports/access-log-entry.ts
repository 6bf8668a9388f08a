import type { Address } from '@meltemi/api/gen/envoy/config/core/v3/address.ts';
import { RequestMethod } from '@meltemi/api/gen/envoy/config/core/v3/base.ts';
import {
  HTTPAccessLogEntry, HTTPAccessLogEntry_HTTPVersion, TCPAccessLogEntry, TLSProperties_TLSVersion,
  type AccessLogCommon, type AccessLogType, type ResponseFlags, type TLSProperties,
} from '@meltemi/api/gen/envoy/data/accesslog/v3/accesslog.ts';
import type { Any } from '@meltemi/api/gen/google/protobuf/any.ts';
import { Value } from '@meltemi/api/gen/google/protobuf/struct.ts';
import { fromWire, LogType, logTypeOf, ResponseFlag, type StreamInfo, type TlsInfo } from '@meltemi/http';
import type { GrpcAccessLogConfig } from './grpc-access-log.ts';

/** Dynamic metadata under which the stats filters leave both ends of a request, by Istio's label names. */
export const peerMetadataKey = 'meltemi.peer';

/** Reads a variable of the process. */
type Environment = (name: string) => string | undefined;

/** One finished HTTP stream as Envoy's access log service takes it. */
export function httpAccessLogEntry(info: StreamInfo, config: GrpcAccessLogConfig, environment: Environment = () => undefined): Uint8Array {
  const { request, response } = info;
  const header = (name: string) => fromWire(request?.field(name) ?? '');
  return HTTPAccessLogEntry.encode({
    commonProperties: commonProperties(info, config, environment),
    protocolVersion: versions[request?.protocol ?? ''] ?? HTTPAccessLogEntry_HTTPVersion.PROTOCOL_UNSPECIFIED,
    request: {
      requestMethod: methods[request?.method ?? ''] ?? RequestMethod.METHOD_UNSPECIFIED,
      scheme: request?.scheme ?? '', authority: request?.authority ?? '', path: request?.path ?? '',
      userAgent: header('user-agent'), referer: header('referer'), forwardedFor: header('x-forwarded-for'), requestId: info.requestId ?? header('x-request-id'), originalPath: header('x-envoy-original-path'),
      requestHeadersBytes: BigInt(info.requestHeaderBytes), requestBodyBytes: BigInt(info.bytesReceived), requestHeaders: pickHeaders(config.requestHeaders, (name) => request?.field(name) ?? null),
      upstreamHeaderBytesSent: 0n, downstreamHeaderBytesReceived: BigInt(info.requestHeaderBytes),
    },
    response: {
      responseCode: info.responseCode, responseHeadersBytes: BigInt(info.responseHeaderBytes), responseBodyBytes: BigInt(info.bytesSent),
      responseHeaders: pickHeaders(config.responseHeaders, (name) => response?.field(name) ?? null), responseTrailers: pickHeaders(config.responseTrailers, (name) => trailer(info, name)), responseCodeDetails: info.responseCodeDetails ?? '',
      upstreamHeaderBytesReceived: 0n, downstreamHeaderBytesSent: BigInt(info.responseHeaderBytes),
    },
  }).finish();
}

/** One finished TCP session. */
export function tcpAccessLogEntry(info: StreamInfo, config: GrpcAccessLogConfig, environment: Environment = () => undefined): Uint8Array {
  return TCPAccessLogEntry.encode({
    commonProperties: { ...commonProperties(info, config, environment), streamId: String(info.connection.id) },
    connectionProperties: { receivedBytes: BigInt(info.bytesReceived), sentBytes: BigInt(info.bytesSent) },
  }).finish();
}

function commonProperties(info: StreamInfo, config: GrpcAccessLogConfig, environment: Environment): AccessLogCommon {
  const type = logTypeOf(info);
  return {
    sampleRate: 0,
    downstreamRemoteAddress: address(info.downstreamRemoteAddress),
    downstreamLocalAddress: address(info.connection.localAddress),
    downstreamDirectRemoteAddress: address(info.connection.directRemoteAddress),
    tlsProperties: info.connection.tls ? tlsProperties(info.connection.tls) : undefined,
    startTime: { seconds: BigInt(Math.floor(info.startTimeMs / 1000)), nanos: Math.floor((info.startTimeMs % 1000) * 1e6) },
    timeToLastRxByte: since(info, info.requestCompleteMonoMs),
    timeToFirstUpstreamTxByte: since(info, info.upstreamFirstSentMonoMs),
    timeToLastUpstreamTxByte: since(info, info.upstreamLastSentMonoMs),
    timeToFirstUpstreamRxByte: since(info, info.upstreamFirstReceivedMonoMs),
    timeToLastUpstreamRxByte: since(info, info.upstreamLastReceivedMonoMs),
    timeToFirstDownstreamTxByte: since(info, info.downstreamFirstSentMonoMs),
    timeToLastDownstreamTxByte: since(info, info.endMonoMs),
    upstreamRemoteAddress: info.upstreamHost === null ? undefined : address(info.upstreamHost),
    upstreamLocalAddress: info.upstreamLocalAddress === null ? undefined : address(info.upstreamLocalAddress),
    upstreamCluster: info.upstreamCluster ?? '',
    responseFlags: responseFlags(info.responseFlags),
    metadata: peerMetadata(info),
    upstreamTransportFailureReason: info.upstreamTransportFailureReason ?? '',
    routeName: info.routeName,
    filterStateObjects: filterState(info, config.filterState), customTags: tags(info, config, environment),
    duration: since(info, info.endMonoMs),
    upstreamRequestAttemptCount: info.attemptCount,
    connectionTerminationDetails: info.connectionTerminationDetails ?? '',
    streamId: info.requestId ?? '', intermediateLogEntry: type !== LogType.downstreamEnd && type !== LogType.tcpConnectionEnd, downstreamTransportFailureReason: info.downstreamTransportFailureReason ?? '',
    downstreamWireBytesSent: BigInt(info.downstreamWireBytesSent), downstreamWireBytesReceived: BigInt(info.downstreamWireBytesReceived),
    upstreamWireBytesSent: BigInt(info.upstreamWireBytesSent), upstreamWireBytesReceived: BigInt(info.upstreamWireBytesReceived),
    accessLogType: type as AccessLogType,
  };
}

function peerMetadata(info: StreamInfo): AccessLogCommon['metadata'] {
  const peer = info.dynamicMetadata?.[peerMetadataKey];
  return peer === undefined ? undefined : { filterMetadata: { [peerMetadataKey]: peer }, typedFilterMetadata: {} };
}

function tags(info: StreamInfo, config: GrpcAccessLogConfig, environment: Environment): Record<string, string> {
  const found: Record<string, string> = {};
  for (const custom of config.customTags) {
    const text = custom.value(info, environment);
    if (text !== null && text !== '') found[custom.tag] = text;
  }
  return found;
}

/** What filters left under these names, as JSON of a google.protobuf.Value. */
function filterState(info: StreamInfo, names: readonly string[]): AccessLogCommon['filterStateObjects'] {
  const found: Record<string, Any> = {};
  for (const name of names) {
    const value = info.filterState?.get(name);
    if (value !== undefined) found[name] = { typeUrl: 'type.googleapis.com/google.protobuf.Value', value: Value.encode(Value.wrap(value)).finish() as Buffer };
  }
  return found;
}

function trailer(info: StreamInfo, name: string): string | null {
  const trailers = info.responseTrailers ?? [];
  for (let i = 0; i < trailers.length; i += 2) if (trailers[i] === name) return trailers[i + 1] ?? null;
  return null;
}

function since(info: StreamInfo, monoMs: number): AccessLogCommon['duration'] {
  if (monoMs < 0) return undefined;
  const ms = Math.max(0, monoMs - info.startMonoMs);
  return { seconds: BigInt(Math.floor(ms / 1000)), nanos: Math.floor((ms % 1000) * 1e6) };
}

/** "ip:port", "[ip6]:port" or a path. */
function address(text: string): Address | undefined {
  const parts = /^(?:\[([^\]]+)\]|([^:]+)):(\d+)$/.exec(text);
  if (!parts) return text === '' ? undefined : { address: { $case: 'pipe', value: { path: text, mode: 0 } } };
  return { address: { $case: 'socketAddress', value: { protocol: 0, address: parts[1] ?? parts[2] ?? '', portSpecifier: { $case: 'portValue', value: Number(parts[3]) }, resolverName: '', ipv4Compat: false } } };
}

function tlsProperties(tls: TlsInfo): TLSProperties {
  const sans = (uris: readonly string[], dns: readonly string[]) => [...uris.map((uri) => ({ san: { $case: 'uri' as const, value: uri } })), ...dns.map((name) => ({ san: { $case: 'dns' as const, value: name } }))];
  return {
    tlsVersion: tlsVersions[tls.version] ?? TLSProperties_TLSVersion.VERSION_UNSPECIFIED, tlsSniHostname: tls.sni, tlsSessionId: '', ja3Fingerprint: '',
    localCertificateProperties: { subjectAltName: sans(tls.localUriSans, tls.localDnsSans), subject: tls.localSubject, issuer: '' },
    ...(tls.peerPresented ? { peerCertificateProperties: { subjectAltName: sans(tls.peerUriSans, tls.peerDnsSans), subject: tls.peerSubject, issuer: tls.peerIssuer } } : {}),
  };
}

function responseFlags(bits: number): ResponseFlags | undefined {
  if (bits === 0) return undefined;
  const has = (bit: number) => (bits & bit) !== 0;
  return {
    failedLocalHealthcheck: has(ResponseFlag.LH), noHealthyUpstream: has(ResponseFlag.UH), upstreamRequestTimeout: has(ResponseFlag.UT), localReset: has(ResponseFlag.LR),
    upstreamRemoteReset: has(ResponseFlag.UR), upstreamConnectionFailure: has(ResponseFlag.UF), upstreamConnectionTermination: has(ResponseFlag.UC), upstreamOverflow: has(ResponseFlag.UO),
    noRouteFound: has(ResponseFlag.NR), delayInjected: has(ResponseFlag.DI), faultInjected: has(ResponseFlag.FI), rateLimited: has(ResponseFlag.RL), rateLimitServiceError: has(ResponseFlag.RLSE),
    downstreamConnectionTermination: has(ResponseFlag.DC), upstreamRetryLimitExceeded: has(ResponseFlag.URX), streamIdleTimeout: has(ResponseFlag.SI), invalidEnvoyRequestHeaders: has(ResponseFlag.IH),
    downstreamProtocolError: has(ResponseFlag.DPE), upstreamMaxStreamDurationReached: has(ResponseFlag.UMSDR), responseFromCacheFilter: has(ResponseFlag.RFCF), noFilterConfigFound: has(ResponseFlag.NFCF),
    durationTimeout: has(ResponseFlag.DT), upstreamProtocolError: has(ResponseFlag.UPE), noClusterFound: has(ResponseFlag.NC), overloadManager: has(ResponseFlag.OM), dnsResolutionFailure: has(ResponseFlag.DF),
    downstreamRemoteReset: has(ResponseFlag.DR),
  };
}

function pickHeaders(names: readonly string[], field: (name: string) => string | null): Record<string, string> {
  const picked: Record<string, string> = {};
  for (const name of names) {
    const value = field(name);
    if (value !== null) picked[name] = fromWire(value);
  }
  return picked;
}

const versions: Readonly<Record<string, HTTPAccessLogEntry_HTTPVersion>> = {
  'HTTP/1.0': HTTPAccessLogEntry_HTTPVersion.HTTP10, 'HTTP/1.1': HTTPAccessLogEntry_HTTPVersion.HTTP11, 'HTTP/2': HTTPAccessLogEntry_HTTPVersion.HTTP2, 'HTTP/3': HTTPAccessLogEntry_HTTPVersion.HTTP3,
};

const methods: Readonly<Record<string, RequestMethod>> = {
  GET: RequestMethod.GET, HEAD: RequestMethod.HEAD, POST: RequestMethod.POST, PUT: RequestMethod.PUT, DELETE: RequestMethod.DELETE, CONNECT: RequestMethod.CONNECT, OPTIONS: RequestMethod.OPTIONS, TRACE: RequestMethod.TRACE, PATCH: RequestMethod.PATCH,
};

const tlsVersions: Readonly<Record<string, TLSProperties_TLSVersion>> = {
  'TLSv1': TLSProperties_TLSVersion.TLSv1, 'TLSv1.1': TLSProperties_TLSVersion.TLSv1_1, 'TLSv1.2': TLSProperties_TLSVersion.TLSv1_2, 'TLSv1.3': TLSProperties_TLSVersion.TLSv1_3,
};
