import { compileRbac, deniedDetails } from '@meltemi/authz';
import type { RBAC } from '@meltemi/api/gen/envoy/config/rbac/v3/rbac.ts';
import { Listener } from '@meltemi/api/gen/envoy/config/listener/v3/listener.ts';
import type { FilterChain } from '@meltemi/api/gen/envoy/config/listener/v3/listener_components.ts';
import { RBAC as HttpRbac } from '@meltemi/api/gen/envoy/extensions/filters/http/rbac/v3/rbac.ts';
import { HttpConnectionManager } from '@meltemi/api/gen/envoy/extensions/filters/network/http_connection_manager/v3/http_connection_manager.ts';
import { RBAC as NetworkRbac } from '@meltemi/api/gen/envoy/extensions/filters/network/rbac/v3/rbac.ts';
import { HeaderMap, RequestHead, StreamInfo, unknownConnection, type TlsInfo } from '@meltemi/http';
import { xdsType } from '@meltemi/xds';
import type { PushContext } from '../push-context/push-context.ts';
import type { Proxy } from '../proxy/proxy.ts';
import { translate } from '../translate/translate.ts';

/** A request or connection at a workload, as its proxy sees it. */
export interface Asked {
  readonly method?: string;
  /** Default "/". */
  readonly path?: string;
  readonly host?: string;
  readonly headers?: Readonly<Record<string, string>>;
  /** "cluster.local/ns/default/sa/sleep" of the client's certificate; absent: plaintext. */
  readonly principal?: string;
  /** The TCP peer. Default 10.1.0.1. */
  readonly source?: string;
  /** Whom x-forwarded-for names. Default the peer. */
  readonly remote?: string;
  /** Where it was sent. Default 10.0.0.1. */
  readonly destination?: string;
  /** Port of the workload. Default 9080. */
  readonly port?: number;
  readonly sni?: string;
  /** What a verified token says. */
  readonly claims?: Readonly<Record<string, unknown>>;
  /** Other metadata. */
  readonly metadata?: Readonly<Record<string, Readonly<Record<string, unknown>>>>;
}

/** One RBAC filter, of requests or connections. */
export interface AccessFilter {
  readonly rules?: RBAC | undefined;
  readonly shadowRules?: RBAC | undefined;
  readonly shadowRulesStatPrefix: string;
}

/** The RBAC filters, in order, of a proxy's listener chain. `tcp`: of the chain that reads no HTTP. */
export function accessFilters(push: PushContext, proxy: Proxy, wanted: { readonly chain: (chain: FilterChain) => boolean; readonly tcp: boolean }): AccessFilter[] {
  const listeners = [...translate(push, proxy, { typeUrl: xdsType.listener }).resources.values()].map(({ any }) => Listener.decode(any.value));
  const chains = listeners.flatMap((listener) => listener.filterChains).filter(wanted.chain);
  const chain = chains.find((candidate) => candidate.filters.some(({ name }) => name === 'envoy.filters.network.http_connection_manager') !== wanted.tcp);
  if (!chain) throw new Error(`no such chain among ${listeners.map(({ name }) => name).join(', ')}`);
  if (wanted.tcp) return chain.filters.filter(({ name }) => name === 'envoy.filters.network.rbac').map((filter) => NetworkRbac.decode(configOf(filter)));
  const manager = chain.filters.find(({ name }) => name === 'envoy.filters.network.http_connection_manager');
  return manager ? HttpConnectionManager.decode(configOf(manager)).httpFilters.filter(({ name }) => name === 'envoy.filters.http.rbac').map((filter) => HttpRbac.decode(configOf(filter))) : [];
}

function configOf(filter: { readonly configType?: { readonly $case: string; readonly value: unknown } | undefined }): Uint8Array {
  const any = filter.configType?.value as { readonly value: Uint8Array } | undefined;
  return any?.value ?? new Uint8Array(0);
}

/** "allowed", or what the proxy's log says of the denial. */
export function verdict(filters: readonly AccessFilter[], asked: Asked, tcp = false): string {
  const info = infoOf(asked, tcp);
  for (const { rules } of filters) {
    if (!rules) continue;
    const compiled = compileRbac(rules, 'rules');
    if (!compiled.ok) throw new Error(JSON.stringify(compiled.error));
    const { policy, allowed } = compiled.value.decide(info);
    if (!allowed) return deniedDetails(policy);
  }
  return 'allowed';
}

/** What a proxy knows of a request, or of a connection. */
export function infoOf(asked: Asked, tcp: boolean): StreamInfo {
  const address = (ip: string, port: number) => (ip.includes(':') ? `[${ip}]:${port}` : `${ip}:${port}`);
  const info = new StreamInfo({
    ...unknownConnection,
    localAddress: address(asked.destination ?? '10.0.0.1', asked.port ?? 9080),
    directRemoteAddress: address(asked.source ?? '10.1.0.1', 41_000),
    requestedServerName: asked.sni ?? '',
    tls: asked.principal === undefined ? null : peer(`spiffe://${asked.principal}`),
  }, 0, 0);
  if (asked.remote !== undefined) info.downstreamRemoteAddress = address(asked.remote, 0);
  if (!tcp) info.request = new RequestHead(asked.method ?? 'GET', asked.path ?? '/', asked.host ?? 'productpage:9080', HeaderMap.from({ ...asked.headers }));
  if (asked.claims) info.setMetadata('envoy.filters.http.jwt_authn', 'payload', asked.claims);
  for (const [filter, values] of Object.entries(asked.metadata ?? {})) for (const [key, value] of Object.entries(values)) info.setMetadata(filter, key, value);
  return info;
}

function peer(uri: string): TlsInfo {
  return {
    version: 'TLSv1.3', cipher: '', sni: '', alpn: '', peerPresented: true, peerValidated: true, peerSubject: '', peerIssuer: '', peerUriSans: [uri], peerDnsSans: [], peerSerial: '', peerFingerprint256: '',
    peerCertPem: '', peerChainPem: '', peerCertValidFromMs: 0, peerCertValidToMs: 0, localSubject: '', localUriSans: [], localDnsSans: [],
  };
}
