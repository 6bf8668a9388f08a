import type { TransportSocket } from '@meltemi/api/gen/envoy/config/core/v3/base.ts';
import { ProxyProtocolUpstreamTransport } from '@meltemi/api/gen/envoy/extensions/transport_sockets/proxy_protocol/v3/upstream_proxy_protocol.ts';
import { decodeAt, type Context } from './context.ts';
import type { TlvSelection } from './listener-types.ts';
import { compileAddedTlvs, compileTlvs, type AddedTlv } from './tlv-selection.ts';

/** A PROXY header goes in front of what a cluster's connections carry, TLS included. */
export interface UpstreamProxyProtocol {
  readonly version: 1 | 2;
  /** Values that the client's own header had, which go on. */
  readonly passThrough: TlvSelection;
  /** In place of such of the same type. */
  readonly added: readonly AddedTlv[];
}

const typeUrl = 'type.googleapis.com/envoy.extensions.transport_sockets.proxy_protocol.v3.ProxyProtocolUpstreamTransport';

/** Takes the PROXY protocol off a transport socket: what it wraps, and how it wraps it (null = it does not). */
export function unwrapProxyProtocol(socket: TransportSocket | undefined, path: string, context: Context): { readonly inner: TransportSocket | undefined; readonly innerPath: string; readonly proxyProtocol: UpstreamProxyProtocol | null } {
  const any = socket?.configType?.value;
  if (any?.typeUrl !== typeUrl) return { inner: socket, innerPath: path, proxyProtocol: null };
  const at = `${path}.typed_config`;
  const message = decodeAt(ProxyProtocolUpstreamTransport, any.value, at, context.report);
  if (!message?.transportSocket) context.report.refuse(`${at}.transport_socket`, 'is required: raw_buffer or tls');
  context.report.warn(at, 'HTTP requests share connections: there the header says that the proxy speaks for itself. Use a tcp_proxy where the client must be named');
  return {
    inner: message?.transportSocket, innerPath: `${at}.transport_socket`,
    proxyProtocol: { version: message?.config?.version === 1 ? 2 : 1, passThrough: compileTlvs(message?.config?.passThroughTlvs), added: compileAddedTlvs(message?.config?.addedTlvs ?? [], `${at}.config.added_tlvs`, context.report) },
  };
}
