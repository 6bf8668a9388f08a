import { HTTPAccessLogEntry, TCPAccessLogEntry, AccessLogType } from '@meltemi/api/gen/envoy/data/accesslog/v3/accesslog.ts';
import { Node } from '@meltemi/api/gen/envoy/config/core/v3/base.ts';
import { RequestMethod } from '@meltemi/api/gen/envoy/config/core/v3/base.ts';
import { peerMetadataKey } from '../attributes/peer-fields.ts';

/** The node a sidecar sends, in namespace default unless told otherwise. */
export function nodeOf(workload: string, options: { namespace?: string; version?: string; serviceAccount?: string } = {}): Node {
  const namespace = options.namespace ?? 'default';
  return {
    ...Node.decode(new Uint8Array()),
    id: `sidecar~127.0.0.2~${workload}.${namespace}~${namespace}.svc.cluster.local`,
    metadata: { NAME: workload, NAMESPACE: namespace, WORKLOAD_NAME: workload, SERVICE_ACCOUNT: options.serviceAccount ?? workload, CLUSTER_ID: 'Kubernetes', LABELS: { app: workload.replace(/-v\d+$/, ''), version: options.version ?? 'v1' } },
  };
}

/** What our proxies say of both ends. */
export function peerOf(reporter: 'source' | 'destination', source: string, destination: string): Record<string, string> {
  const end = (side: string, workload: string) =>
    workload === 'unknown'
      ? {}
      : {
          [`${side}_workload`]: workload,
          [`${side}_workload_namespace`]: 'default',
          [`${side}_app`]: workload.replace(/-v\d+$/, ''),
          [`${side}_version`]: 'v1',
          [`${side}_canonical_service`]: workload.replace(/-v\d+$/, ''),
          [`${side}_canonical_revision`]: 'v1',
          [`${side}_principal`]: `spiffe://cluster.local/ns/default/sa/${workload}`,
          [`${side}_cluster`]: 'Kubernetes',
        };
  const service = destination.replace(/-v\d+$/, '');
  return {
    reporter,
    ...end('source', source),
    ...end('destination', destination),
    destination_service: `${service}.default.svc.cluster.local`,
    destination_service_name: service,
    destination_service_namespace: 'default',
    request_protocol: 'http',
    connection_security_policy: reporter === 'destination' ? 'mutual_tls' : 'unknown',
  };
}

export interface HttpCase {
  readonly peer?: Record<string, unknown>;
  readonly code?: number;
  readonly durationMs?: number;
  readonly cluster?: string;
}

/** A finished HTTP request as an access log entry. */
export function httpEntry(spec: HttpCase = {}): HTTPAccessLogEntry {
  const entry = HTTPAccessLogEntry.decode(HTTPAccessLogEntry.encode({ protocolVersion: 2, commonProperties: undefined, request: undefined, response: undefined }).finish());
  const durationMs = spec.durationMs ?? 10;
  return {
    ...entry,
    commonProperties: { ...emptyCommon(), metadata: metadataOf(spec.peer), downstreamLocalAddress: { address: { $case: 'socketAddress', value: { protocol: 0, address: '127.0.0.3', portSpecifier: { $case: 'portValue', value: 9080 }, resolverName: '', ipv4Compat: false } } }, upstreamCluster: spec.cluster ?? '', duration: { seconds: BigInt(Math.floor(durationMs / 1000)), nanos: Math.round((durationMs % 1000) * 1e6) }, accessLogType: AccessLogType.DownstreamEnd },
    request: { requestMethod: RequestMethod.GET, scheme: 'http', authority: 'reviews:9080', path: '/reviews/0', userAgent: 'test', referer: '', forwardedFor: '', requestId: 'r-1', originalPath: '', requestHeadersBytes: 0n, requestBodyBytes: 7n, requestHeaders: {}, upstreamHeaderBytesSent: 0n, downstreamHeaderBytesReceived: 0n },
    response: { responseCode: spec.code ?? 200, responseHeadersBytes: 0n, responseBodyBytes: 100n, responseHeaders: {}, responseTrailers: {}, responseCodeDetails: 'via_upstream', upstreamHeaderBytesReceived: 0n, downstreamHeaderBytesSent: 0n },
  };
}

/** One report about a TCP connection, with running byte totals. */
export function tcpEntry(spec: { peer?: Record<string, unknown>; type: AccessLogType; id: string; received: number; sent: number }): TCPAccessLogEntry {
  return {
    commonProperties: { ...emptyCommon(), metadata: metadataOf(spec.peer), accessLogType: spec.type, streamId: spec.id },
    connectionProperties: { receivedBytes: BigInt(spec.received), sentBytes: BigInt(spec.sent) },
  };
}

function metadataOf(peer: Record<string, unknown> | undefined) {
  return { filterMetadata: peer ? { [peerMetadataKey]: peer } : {}, typedFilterMetadata: {} };
}

/** Every field at its proto default: decoding field 1 of length 0. */
function emptyCommon() {
  const { commonProperties } = TCPAccessLogEntry.decode(Uint8Array.of(10, 0));
  if (!commonProperties) throw new Error('an empty submessage decodes to undefined');
  return commonProperties;
}
