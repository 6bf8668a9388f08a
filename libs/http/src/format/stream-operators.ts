import { addressWithoutPort, portOf } from '../address.ts';
import { formatResponseFlags, formatResponseFlagsLong } from '../response-flags.ts';
import { logTypeNames, logTypeOf, type StreamInfo, type TlsInfo } from '../stream-info.ts';
import { numberOperator, textOperator, type Operator } from './operator.ts';
import { isoTime } from './time-format.ts';

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
  EMIT_TIME: textOperator((info) => isoTime(info.startTimeMs + (info.endMonoMs < 0 ? 0 : info.endMonoMs - info.startMonoMs))),
  UPSTREAM_REQUEST_ATTEMPT_COUNT: numberOperator((info) => info.attemptCount),
  UPSTREAM_CLUSTER: textOperator((info) => info.upstreamClusterAlt ?? info.upstreamCluster),
  UPSTREAM_CLUSTER_RAW: textOperator((info) => info.upstreamCluster),
  UPSTREAM_HOST: textOperator((info) => info.upstreamHost),
  ...addressOperators('UPSTREAM_REMOTE', (info) => info.upstreamHost),
  ...addressOperators('UPSTREAM_LOCAL', (info) => info.upstreamLocalAddress),
  ...addressOperators('DOWNSTREAM_REMOTE', (info) => info.downstreamRemoteAddress || null),
  ...addressOperators('DOWNSTREAM_DIRECT_REMOTE', (info) => info.connection.directRemoteAddress || null),
  ...addressOperators('DOWNSTREAM_LOCAL', (info) => info.connection.localAddress || null),
  UPSTREAM_TRANSPORT_FAILURE_REASON: textOperator((info) => info.upstreamTransportFailureReason || null),
  DOWNSTREAM_TRANSPORT_FAILURE_REASON: textOperator((info) => info.downstreamTransportFailureReason || null),
  CONNECTION_ID: numberOperator((info) => info.connection.id),
  UPSTREAM_CONNECTION_ID: numberOperator((info) => info.upstreamConnectionId || null),
  REQUESTED_SERVER_NAME: textOperator((info) => info.connection.requestedServerName || null),
  ROUTE_NAME: textOperator((info) => info.routeName || null),
  VIRTUAL_HOST_NAME: textOperator((info) => info.virtualHostName || null),
  // Virtual clusters are not kept: the command is known and always missing.
  VIRTUAL_CLUSTER_NAME: missing,
  ACCESS_LOG_TYPE: textOperator((info) => logTypeNames[logTypeOf(info)] ?? null),
  // Known to Envoy and never known here: of HTTP/3, of the kernel's TCP_INFO, of TLS session ids.
  ROUNDTRIP_DURATION: missing, DOWNSTREAM_HANDSHAKE_DURATION: missing, BYTES_RETRANSMITTED: missing, PACKETS_RETRANSMITTED: missing, DOWNSTREAM_TLS_SESSION_ID: missing, UPSTREAM_TLS_SESSION_ID: missing,
  DOWNSTREAM_HEADER_BYTES_RECEIVED: numberOperator((info) => info.requestHeaderBytes),
  DOWNSTREAM_HEADER_BYTES_SENT: numberOperator((info) => info.responseHeaderBytes),
  STREAM_ID: textOperator((info) => info.requestId),
  TRACE_ID: textOperator((info) => info.traceId),
  LOCAL_REPLY_BODY: textOperator((info) => info.localReplyBody),
  GRPC_STATUS_NUMBER: numberOperator(grpcStatus),
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
  const time = (read: (tls: TlsInfo) => number) => textOperator((info) => {
    const connection = tls(info);
    return connection === null || !connection.peerPresented ? null : isoTime(read(connection));
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
    [`${side}_PEER_CERT`]: text((t) => (t.peerCertPem === '' ? '' : encodeURIComponent(t.peerCertPem))),
    [`${side}_PEER_CERT_V_START`]: time((t) => t.peerCertValidFromMs),
    [`${side}_PEER_CERT_V_END`]: time((t) => t.peerCertValidToMs),
    [`${side}_LOCAL_SUBJECT`]: text((t) => t.localSubject),
    [`${side}_LOCAL_URI_SAN`]: text((t) => t.localUriSans.join(',')),
    [`${side}_LOCAL_DNS_SAN`]: text((t) => t.localDnsSans.join(',')),
  };
}
