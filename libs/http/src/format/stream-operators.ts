import { addressWithoutPort, portOf } from '../address.ts';
import { grpcFromHttp, isGrpc } from '../grpc.ts';
import { formatResponseFlags, formatResponseFlagsLong } from '../response-flags.ts';
import { logTypeNames, logTypeOf, type StreamInfo, type TlsInfo } from '../stream-info.ts';
import { numberOperator, textOperator, type Operator } from './operator.ts';

const missing = textOperator(() => null);

/** Commands without arguments. Missing is null, never "". */
export const streamOperators: Readonly<Record<string, Operator>> = {
  PROTOCOL: textOperator((info) => info.request?.protocol ?? null),
  UPSTREAM_PROTOCOL: textOperator((info) => info.upstreamProtocol),
  RESPONSE_CODE: { text: (info) => String(info.responseCode), value: (info) => info.responseCode },
  CONNECTION_TERMINATION_DETAILS: textOperator((info) => info.connectionTerminationDetails),
  RESPONSE_FLAGS: textOperator((info) => formatResponseFlags(info.responseFlags)),
  RESPONSE_FLAGS_LONG: textOperator((info) => formatResponseFlagsLong(info.responseFlags)),
  BYTES_RECEIVED: numberOperator((info) => info.bytesReceived),
  BYTES_SENT: numberOperator((info) => info.bytesSent),
  REQUEST_HEADERS_BYTES: numberOperator((info) => info.requestHeaderBytes),
  RESPONSE_HEADERS_BYTES: numberOperator((info) => info.responseHeaderBytes),
  RESPONSE_TRAILERS_BYTES: numberOperator(({ responseTrailers }) => responseTrailers?.reduce((sum, text) => sum + text.length, 0) ?? 0),
  DOWNSTREAM_WIRE_BYTES_RECEIVED: numberOperator((info) => info.downstreamWireBytesReceived),
  DOWNSTREAM_WIRE_BYTES_SENT: numberOperator((info) => info.downstreamWireBytesSent),
  UPSTREAM_WIRE_BYTES_RECEIVED: numberOperator((info) => info.upstreamWireBytesReceived),
  UPSTREAM_WIRE_BYTES_SENT: numberOperator((info) => info.upstreamWireBytesSent),
  DURATION: durationTo((info) => info.endMonoMs),
  REQUEST_DURATION: durationTo((info) => info.requestCompleteMonoMs),
  REQUEST_TX_DURATION: durationTo((info) => info.upstreamLastSentMonoMs),
  RESPONSE_DURATION: durationTo((info) => info.upstreamFirstReceivedMonoMs),
  RESPONSE_TX_DURATION: numberOperator((info) =>
    info.downstreamLastSentMonoMs < 0 || info.upstreamFirstReceivedMonoMs < 0 ? null : span(info.upstreamFirstReceivedMonoMs, info.downstreamLastSentMonoMs)),
  UPSTREAM_REQUEST_ATTEMPT_COUNT: numberOperator((info) => info.attemptCount),
  UPSTREAM_CLUSTER: textOperator((info) => info.upstreamClusterAlt ?? info.upstreamCluster),
  UPSTREAM_CLUSTER_RAW: textOperator((info) => info.upstreamCluster),
  UPSTREAM_HOST: textOperator((info) => info.upstreamHost),
  UPSTREAM_HOST_NAME: textOperator(upstreamName),
  UPSTREAM_HOST_NAME_WITHOUT_PORT: textOperator((info) => {
    const name = upstreamName(info);
    return name === null ? null : addressWithoutPort(name);
  }),
  ...addressOperators('UPSTREAM_REMOTE', (info) => info.upstreamHost),
  ...addressOperators('UPSTREAM_LOCAL', (info) => info.upstreamLocalAddress),
  ...addressOperators('DOWNSTREAM_REMOTE', (info) => info.downstreamRemoteAddress || null),
  ...addressOperators('DOWNSTREAM_DIRECT_REMOTE', (info) => info.connection.directRemoteAddress || null),
  ...addressOperators('DOWNSTREAM_DIRECT_LOCAL', (info) => info.connection.directLocalAddress ?? (info.connection.localAddress || null)),
  ...addressOperators('DOWNSTREAM_LOCAL', (info) => info.connection.localAddress || null),
  UPSTREAM_TRANSPORT_FAILURE_REASON: textOperator((info) => info.upstreamTransportFailureReason || null),
  DOWNSTREAM_TRANSPORT_FAILURE_REASON: textOperator((info) => info.downstreamTransportFailureReason || null),
  CONNECTION_ID: numberOperator((info) => info.connection.id),
  UPSTREAM_CONNECTION_ID: numberOperator((info) => info.upstreamConnectionId || null),
  REQUESTED_SERVER_NAME: textOperator((info) => info.connection.requestedServerName || null),
  ROUTE_NAME: textOperator((info) => info.routeName || null),
  VIRTUAL_HOST_NAME: textOperator((info) => info.virtualHostName || null),
  VIRTUAL_CLUSTER_NAME: textOperator((info) => info.virtualClusterName || null),
  ACCESS_LOG_TYPE: textOperator((info) => logTypeNames[logTypeOf(info)] ?? null),
  // Known to Envoy and never known here: of HTTP/3, of the kernel's TCP_INFO, of TLS session ids.
  ROUNDTRIP_DURATION: missing, DOWNSTREAM_HANDSHAKE_DURATION: missing, BYTES_RETRANSMITTED: missing, PACKETS_RETRANSMITTED: missing, DOWNSTREAM_TLS_SESSION_ID: missing, UPSTREAM_TLS_SESSION_ID: missing,
  DOWNSTREAM_HEADER_BYTES_RECEIVED: numberOperator((info) => info.requestHeaderBytes),
  DOWNSTREAM_HEADER_BYTES_SENT: numberOperator((info) => info.responseHeaderBytes),
  STREAM_ID: textOperator((info) => info.requestId),
  TRACE_ID: textOperator((info) => info.traceId),
  LOCAL_REPLY_BODY: textOperator((info) => info.localReplyBody),
  GRPC_STATUS_NUMBER: numberOperator(loggedGrpcStatus),
  ...tlsOperators('DOWNSTREAM', (info) => info.connection.tls),
  ...tlsOperators('UPSTREAM', (info) => info.upstreamTls),
};

/** grpc-status of trailers, else of the response head; null when absent or no number. */
export function grpcStatus(info: StreamInfo): number | null {
  let text: string | null = null;
  const trailers = info.responseTrailers;
  if (trailers !== null) for (let i = 0; i < trailers.length; i += 2) if (trailers[i] === 'grpc-status') text = trailers[i + 1] ?? null;
  text ??= info.response?.headers.get('grpc-status') ?? null;
  return text === null || !/^\d{1,5}$/.test(text) ? null : Number(text);
}

/** Of a gRPC request: what it was told, else what its HTTP status means; null for others. */
export function loggedGrpcStatus(info: StreamInfo): number | null {
  if (info.request === null || !isGrpc(info.request)) return null;
  return grpcStatus(info) ?? (info.responseCode === 0 ? null : grpcFromHttp(info.responseCode));
}

/** The name of the upstream host, where it has one; else its address. */
function upstreamName(info: StreamInfo): string | null {
  const { upstreamHost: address, upstreamHostName: name } = info;
  const port = address === null ? -1 : portOf(address);
  return name === '' ? address : port < 0 ? name : `${name}:${port}`;
}

function span(from: number, to: number): number {
  return Math.max(0, Math.trunc(to - from));
}

function durationTo(read: (info: StreamInfo) => number): Operator {
  return numberOperator((info) => {
    const end = read(info);
    return end < 0 ? null : span(info.startMonoMs, end);
  });
}

function addressOperators(prefix: string, read: (info: StreamInfo) => string | null): Record<string, Operator> {
  return {
    [`${prefix}_ADDRESS`]: textOperator(read),
    [`${prefix}_ADDRESS_WITHOUT_PORT`]: textOperator((info) => {
      const address = read(info);
      return address === null ? null : addressWithoutPort(address);
    }),
    [`${prefix}_PORT`]: numberOperator((info) => {
      const port = portOf(read(info) ?? '');
      return port < 0 ? null : port;
    }),
  };
}

function tlsOperators(side: string, tls: (info: StreamInfo) => TlsInfo | null): Record<string, Operator> {
  const text = (read: (tls: TlsInfo) => string) => textOperator((info) => {
    const connection = tls(info);
    return connection === null ? null : read(connection) || null;
  });
  return {
    [`${side}_TLS_VERSION`]: text((t) => t.version),
    [`${side}_TLS_CIPHER`]: text((t) => t.cipher),
    [`${side}_PEER_SUBJECT`]: text((t) => t.peerSubject),
    [`${side}_PEER_ISSUER`]: text((t) => t.peerIssuer),
    [`${side}_PEER_URI_SAN`]: text((t) => t.peerUriSans.join(',')),
    [`${side}_PEER_DNS_SAN`]: text((t) => t.peerDnsSans.join(',')),
    [`${side}_PEER_SERIAL`]: text((t) => t.peerSerial),
    [`${side}_PEER_FINGERPRINT_256`]: text((t) => t.peerFingerprint256),
    [`${side}_PEER_FINGERPRINT_1`]: text((t) => t.peerFingerprint1 ?? ''),
    [`${side}_PEER_IP_SAN`]: text((t) => t.peerIpSans?.join(',') ?? ''),
    [`${side}_PEER_EMAIL_SAN`]: text((t) => t.peerEmailSans?.join(',') ?? ''),
    [`${side}_PEER_CERT`]: text((t) => (t.peerCertPem === '' ? '' : encodeURIComponent(t.peerCertPem))),
    [`${side}_LOCAL_SUBJECT`]: text((t) => t.localSubject),
    [`${side}_LOCAL_URI_SAN`]: text((t) => t.localUriSans.join(',')),
    [`${side}_LOCAL_DNS_SAN`]: text((t) => t.localDnsSans.join(',')),
    [`${side}_LOCAL_IP_SAN`]: text((t) => t.localIpSans?.join(',') ?? ''),
    [`${side}_LOCAL_EMAIL_SAN`]: text((t) => t.localEmailSans?.join(',') ?? ''),
  };
}
