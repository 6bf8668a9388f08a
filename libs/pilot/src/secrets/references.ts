import { typeNameOf } from '@meltemi/api';
import { Cluster } from '@meltemi/api/gen/envoy/config/cluster/v3/cluster.ts';
import type { TransportSocket } from '@meltemi/api/gen/envoy/config/core/v3/base.ts';
import { Listener } from '@meltemi/api/gen/envoy/config/listener/v3/listener.ts';
import { ProxyProtocolUpstreamTransport } from '@meltemi/api/gen/envoy/extensions/transport_sockets/proxy_protocol/v3/upstream_proxy_protocol.ts';
import { DownstreamTlsContext, UpstreamTlsContext, type CommonTlsContext } from '@meltemi/api/gen/envoy/extensions/transport_sockets/tls/v3/tls.ts';
import { xdsType, type ResourceSet, type XdsResource } from '@meltemi/xds';

/** What a secret is asked for as. */
export type SecretRole = 'certificate' | 'authorities';

const none: ReadonlyMap<string, SecretRole> = new Map();
const marks = ['kubernetes://', 'kubernetes-gateway://', 'configmap://'];
const known = new WeakMap<XdsResource, ReadonlyMap<string, SecretRole>>();

/** Secrets that these resources name, and as what: the only ones that whoever runs them needs. */
export function secretsNamedBy(sets: Iterable<ResourceSet>): ReadonlyMap<string, SecretRole> {
  const found = new Map<string, SecretRole>();
  for (const { typeUrl, resources } of sets) {
    if (typeUrl !== xdsType.cluster && typeUrl !== xdsType.listener) continue;
    for (const resource of resources.values()) for (const [name, role] of namedBy(resource, typeUrl)) found.set(name, role);
  }
  return found;
}

function namedBy(resource: XdsResource, typeUrl: string): ReadonlyMap<string, SecretRole> {
  const before = known.get(resource);
  if (before) return before;
  const named = mentions(resource.any.value) ? read(resource, typeUrl) : none;
  known.set(resource, named);
  return named;
}

/** Most resources name none: the bytes say so without being decoded. */
function mentions(bytes: Uint8Array): boolean {
  const view = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  return marks.some((mark) => view.includes(mark));
}

function read({ any }: XdsResource, typeUrl: string): ReadonlyMap<string, SecretRole> {
  const found = new Map<string, SecretRole>();
  if (typeUrl === xdsType.listener) {
    const { filterChains, defaultFilterChain } = Listener.decode(any.value);
    for (const chain of defaultFilterChain ? [...filterChains, defaultFilterChain] : filterChains) addSocket(chain.transportSocket, found);
  } else {
    const { transportSocket, transportSocketMatches } = Cluster.decode(any.value);
    for (const socket of [transportSocket, ...transportSocketMatches.map((match) => match.transportSocket)]) addSocket(socket, found);
  }
  return found;
}

function addSocket(socket: TransportSocket | undefined, found: Map<string, SecretRole>): void {
  const any = socket?.configType?.value;
  if (!any) return;
  const type = typeNameOf(any.typeUrl);
  if (type.endsWith('.DownstreamTlsContext')) addContext(DownstreamTlsContext.decode(any.value).commonTlsContext, found);
  else if (type.endsWith('.UpstreamTlsContext')) addContext(UpstreamTlsContext.decode(any.value).commonTlsContext, found);
  else if (type.endsWith('.ProxyProtocolUpstreamTransport')) addSocket(ProxyProtocolUpstreamTransport.decode(any.value).transportSocket, found);
}

function addContext(context: CommonTlsContext | undefined, found: Map<string, SecretRole>): void {
  for (const { name } of context?.tlsCertificateSdsSecretConfigs ?? []) found.set(name, 'certificate');
  const trust = context?.validationContextType;
  const name = trust?.$case === 'validationContextSdsSecretConfig' ? trust.value.name : trust?.$case === 'combinedValidationContext' ? trust.value.validationContextSdsSecretConfig?.name : undefined;
  if (name !== undefined) found.set(name, 'authorities');
}
