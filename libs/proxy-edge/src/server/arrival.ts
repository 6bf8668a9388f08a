import { formatAddress, type DynamicMetadata } from '@meltemi/http';
import type { CapturedConnectionInfo, ClientHello, ProxyHeader } from '@meltemi/proxy';
import type { ConnectionView, ProxyProtocolSettings } from '@meltemi/snapshot';
import type { AcceptedSocket } from '../transport/accepted-socket.ts';
import type { SocketConnection } from '../transport/socket-connection.ts';

/** Where a client was going. */
export interface Destination {
  readonly ip: string;
  readonly port: number;
  /** Not where it arrived: a rule or a balancer brought it here. False when the client dialled this listener itself. */
  readonly captured: boolean;
}

/** A connection on its way to its filter chain, with what the listener filters found out. */
export interface Arrival {
  readonly accepted: AcceptedSocket;
  readonly destination: Destination;
  /** What a balancer said of the client. */
  readonly proxied: { readonly header: ProxyHeader; readonly settings: ProxyProtocolSettings } | null;
}

/** What the first bytes told. */
export interface Seen {
  readonly hello: ClientHello | null;
  readonly protocols: readonly string[];
  /** It was not waited for the client's first bytes: the destination's clients say nothing first. */
  readonly skipped: boolean;
}

export const nothingSeen: Seen = { hello: null, protocols: [], skipped: false };

/** The client: the TCP peer, or whom the balancer named. */
export function sourceOf({ accepted, proxied }: Arrival): { readonly ip: string; readonly port: number } {
  const named = proxied?.header.addresses;
  return named ? { ip: named.sourceIp, port: named.sourcePort } : { ip: accepted.remoteIp, port: accepted.remotePort };
}

/** What filter chains are matched by. */
export function viewOf(arrival: Arrival, seen: Seen): ConnectionView {
  const { accepted, destination } = arrival;
  const source = sourceOf(arrival);
  return {
    destinationPort: destination.port, destinationIp: destination.ip, serverName: seen.hello?.serverName ?? '', transportProtocol: seen.hello !== null ? 'tls' : 'raw_buffer',
    applicationProtocols: seen.protocols, directSourceIp: accepted.remoteIp, sourceIp: source.ip, sourcePort: source.port, localIp: accepted.localIp,
  };
}

/** What the connection's owner is told of it. */
export function infoOf(arrival: Arrival, connection: SocketConnection, view: ConnectionView): CapturedConnectionInfo {
  const { accepted, destination, proxied } = arrival;
  const originalDst = destination.captured ? formatAddress(destination.ip, destination.port) : '';
  const info = { id: connection.id, localAddress: originalDst || accepted.localAddress, directLocalAddress: accepted.localAddress, directRemoteAddress: accepted.remoteAddress, requestedServerName: view.serverName, tls: connection.tls, originalDst, view };
  if (proxied === null) return info;
  const { header, settings } = proxied;
  const source = sourceOf(arrival);
  return {
    ...info,
    ...(header.addresses !== null && { proxiedAddress: formatAddress(source.ip, source.port) }),
    tlvs: header.tlvs.filter(({ type }) => settings.passThrough === 'all' || settings.passThrough.includes(type)),
    ...metadataOf(header, settings),
  };
}

function metadataOf(header: ProxyHeader, settings: ProxyProtocolSettings): { metadata?: DynamicMetadata } {
  const metadata: DynamicMetadata = {};
  for (const { type, namespace, key } of settings.metadata) {
    const value = header.tlvs.findLast((tlv) => tlv.type === type)?.value;
    if (value !== undefined) (metadata[namespace] ??= {})[key] = value.toString('utf8');
  }
  return Object.keys(metadata).length > 0 ? { metadata } : {};
}
