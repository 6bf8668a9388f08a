import type { Address } from '@meltemi/api/gen/envoy/config/core/v3/address.ts';
import type { Metadata } from '@meltemi/api/gen/envoy/config/core/v3/base.ts';
import type { AttributeContext, AttributeContext_HttpRequest, AttributeContext_Peer } from '@meltemi/api/gen/envoy/service/auth/v3/attribute_context.ts';
import { CheckRequest } from '@meltemi/api/gen/envoy/service/auth/v3/external_auth.ts';
import { addressWithoutPort, percentEncode, portOf, type DynamicMetadata, type RequestHead, type StreamInfo, type TlsInfo } from '@meltemi/http';
import type { StreamControls } from '../../../filter.ts';
import { anyMatches } from './field-lists.ts';
import type { ExtAuthzConfig } from './settings.ts';

/** As much of the body as a service is shown. */
export interface ShownBody {
  readonly bytes: Buffer;
  /** More than this was sent or is still to come. */
  readonly partial: boolean;
}

export const partialBodyHeader = 'x-envoy-auth-partial-body';

/** The fields of a request that a service is shown, as Envoy names them: pseudo headers too, several values joined. Not the clients' own say about the body. */
export function shownFields(head: RequestHead, shown: (name: string) => boolean, body: ShownBody | null): Map<string, string> {
  const fields = new Map<string, string>();
  const add = (name: string, value: string): void => {
    if (value === '' || name === partialBodyHeader || !shown(name)) return;
    const before = fields.get(name);
    fields.set(name, before === undefined ? value : `${before},${value}`);
  };
  add(':authority', head.authority);
  add(':method', head.method);
  add(':path', head.path);
  add(':scheme', head.scheme);
  for (const [name, value] of head.headers) add(name, value);
  if (body !== null) fields.set(partialBodyHeader, String(body.partial));
  return fields;
}

/** Encodes the question of the gRPC service. */
export function encodeCheck(config: ExtAuthzConfig, stream: StreamControls, extensions: Readonly<Record<string, string>>, body: ShownBody | null): Uint8Array {
  const { info, request } = stream;
  const service = request.headers.get('x-envoy-downstream-service-cluster') ?? '';
  const message: CheckRequest = {
    attributes: {
      ...connectionAttributes(info, config, service),
      request: { time: { seconds: BigInt(Math.floor(info.startTimeMs / 1000)), nanos: Math.floor(info.startTimeMs % 1000) * 1_000_000 }, http: httpRequest(config, info, request, body) },
      contextExtensions: { ...extensions },
      metadataContext: metadataOf(config.metadataNamespaces, info.dynamicMetadata) ?? { filterMetadata: {}, typedFilterMetadata: {} },
      routeMetadataContext: metadataOf(config.routeMetadataNamespaces, stream.route()?.metadata ?? null),
    },
  };
  return CheckRequest.encode(message).finish();
}

/** Encodes the question about a connection. */
export function encodeConnectionCheck(info: StreamInfo, shown: ShownOfPeers): Uint8Array {
  const message: CheckRequest = {
    attributes: { ...connectionAttributes(info, shown, ''), request: undefined, contextExtensions: {}, metadataContext: undefined, routeMetadataContext: undefined },
  };
  return CheckRequest.encode(message).finish();
}

/** What of TLS a service is shown. */
export interface ShownOfPeers {
  readonly includePeerCertificate: boolean;
  readonly includeTlsSession: boolean;
}

/** Who talks to whom. `service`: what the client says it is. */
function connectionAttributes({ connection }: StreamInfo, shown: ShownOfPeers, service: string): Pick<AttributeContext, 'source' | 'destination' | 'tlsSession'> {
  const { tls } = connection;
  return {
    source: peer(connection.directRemoteAddress, {
      service,
      // Deviation: a certificate that nobody verified names nobody.
      principal: tls?.peerValidated === true ? principal(tls.peerUriSans, tls.peerDnsSans, tls.peerSubject) : '',
      certificate: shown.includePeerCertificate ? certificateOf(tls) : '',
    }),
    destination: peer(connection.localAddress, { service: '', principal: tls === null ? '' : principal(tls.localUriSans, tls.localDnsSans, tls.localSubject), certificate: '' }),
    tlsSession: shown.includeTlsSession && tls !== null ? { sni: connection.requestedServerName } : undefined,
  };
}

function httpRequest(config: ExtAuthzConfig, info: StreamInfo, head: RequestHead, body: ShownBody | null): AttributeContext_HttpRequest {
  const { allowed, disallowed } = config;
  const fields = shownFields(head, (name) => !anyMatches(disallowed, name) && (allowed === null || anyMatches(allowed, name)), body);
  return {
    id: info.requestId ?? '', method: head.method, path: text(head.path), host: text(head.authority), scheme: head.scheme, protocol: head.protocol,
    // As in Envoy these two stay empty: both are in the path.
    query: '', fragment: '',
    headers: config.rawHeaders ? {} : Object.fromEntries([...fields].map(([name, value]) => [name, text(value)])),
    headerMap: config.rawHeaders ? { headers: [...fields].map(([key, value]) => ({ key, value: '', rawValue: Buffer.from(value, 'latin1') })) } : undefined,
    size: BigInt(info.bytesReceived),
    body: body === null || config.packAsBytes ? '' : body.bytes.toString(),
    rawBody: body !== null && config.packAsBytes ? body.bytes : Buffer.alloc(0),
  };
}

/** One character per byte → the UTF-8 it is meant to be; what is none becomes U+FFFD, for protobuf takes nothing else. */
function text(latin1: string): string {
  return Buffer.from(latin1, 'latin1').toString();
}

function peer(address: string, { service, principal: name, certificate }: { service: string; principal: string; certificate: string }): AttributeContext_Peer {
  return { address: addressOf(address), service, labels: {}, principal: name, certificate };
}

function addressOf(address: string): Address {
  const port = portOf(address);
  if (port < 0) return { address: { $case: 'pipe', value: { path: address, mode: 0 } } };
  return { address: { $case: 'socketAddress', value: { protocol: 0, address: addressWithoutPort(address), portSpecifier: { $case: 'portValue', value: port }, resolverName: '', ipv4Compat: false } } };
}

function principal(uris: readonly string[], names: readonly string[], subject: string): string {
  return uris[0] ?? names[0] ?? subject;
}

function certificateOf(tls: TlsInfo | null): string {
  return tls === null ? '' : percentEncode(tls.peerCertPem, '%+/=');
}

function metadataOf(namespaces: readonly string[], metadata: DynamicMetadata | null): Metadata | undefined {
  if (namespaces.length === 0 || metadata === null) return undefined;
  const found = namespaces.flatMap((name) => (Object.hasOwn(metadata, name) ? [[name, metadata[name]] as const] : []));
  return found.length === 0 ? undefined : { filterMetadata: Object.fromEntries(found), typedFilterMetadata: {} };
}
