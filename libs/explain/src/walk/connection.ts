import { nameTable } from '@meltemi/pilot';
import type { CapturedConnectionInfo } from '@meltemi/proxy';
import type { TlsInfo } from '@meltemi/http';
import type { ConnectionView, DownstreamTls, FilterChain, Listener } from '@meltemi/snapshot';
import type { Call } from '../question.ts';
import type { ProxyView } from '../view.ts';

/** Where a call goes and whence it comes, with all that its question left open filled in. */
export interface Addresses {
  readonly ip: string;
  readonly port: number;
  readonly sourceIp: string;
  readonly sni: string;
}

/** An address of documentation (RFC 5737): a destination that no object knows, and clients that name none. */
const unknownDestination = '203.0.113.1';
const unknownClient = '192.0.2.1';
const sourcePort = 40_000;

/** The host that a request is for, wherever the call says it; over TLS a server name alone is that, too. */
export function hostOf({ host, headers, tls, sni = '' }: Call): string {
  const written = Object.entries(headers).find(([name]) => /^(:authority|host)$/i.test(name))?.[1];
  return host || written || (tls === 'none' ? '' : sni);
}

export function addressesOf(view: ProxyView, call: Call): Addresses {
  const { proxy } = view;
  const { name, port: written } = splitHost(hostOf(call));
  const port = call.port || written || (call.tls === 'none' ? 80 : 443);
  const own = call.mode !== 'outbound';
  const ip = call.address || (own ? proxy.addresses[0] : destinationOf(view, name, port));
  const sourceIp = call.sourceAddress || (own ? unknownClient : proxy.addresses[0]);
  return { ip, port, sourceIp, sni: call.tls === 'none' ? '' : (call.sni ?? (isIp(name) ? '' : name)) };
}

/** What the application's resolver would answer: what the proxy knows of that name, else the address of a service that it does not see. */
function destinationOf(view: ProxyView, host: string, port: number): string {
  if (isIp(host)) return host;
  const { push, proxy } = view;
  const wanted = host.toLowerCase().replace(/\.$/, '');
  const names = [wanted, `${wanted}.${proxy.namespace}.svc.${push.domain}`, `${wanted}.svc.${push.domain}`, `${wanted}.${push.domain}`];
  const concrete = names.map((name) => push.services.byHost.get(name)?.find(({ aliasOf }) => aliasOf !== undefined)?.aliasOf ?? name);
  const table = tableOf(view);
  for (const name of proxy.dnsCapture ? [...concrete, ...wildcardsOf(wanted)] : concrete) {
    const known = table[name]?.ips.filter((one) => isIp(one)) ?? [];
    const address = known.find((one) => !proxy.addresses.includes(one)) ?? known[0];
    if (address !== undefined) return address;
  }
  const services = concrete.flatMap((name) => push.services.byHost.get(name) ?? []);
  const service = services.find(({ ports }) => ports.some((one) => one.number === port)) ?? services[0];
  return service?.addresses.find((one) => isIp(one)) ?? unknownDestination;
}

/** The wildcards that the proxy's DNS server looks for when it does not have the name itself, the nearest first. */
function wildcardsOf(name: string): readonly string[] {
  return name.split('.').map((_, i, labels) => ['*', ...labels.slice(i + 1)].join('.'));
}

/** True when the proxy's own DNS server is who answers the name of this call with that address. */
export function namedByProxy(view: ProxyView, call: Call, ip: string): boolean {
  if (!view.proxy.dnsCapture || view.proxy.type !== 'sidecar' || call.mode !== 'outbound' || call.address !== '' || splitHost(hostOf(call)).name === ip) return false;
  return Object.values(tableOf(view)).some(({ ips }) => ips.includes(ip));
}

const tables = new WeakMap<ProxyView, ReturnType<typeof nameTable>>();

function tableOf(view: ProxyView): ReturnType<typeof nameTable> {
  const table = tables.get(view) ?? nameTable(view.push, view.proxy);
  tables.set(view, table);
  return table;
}

/** What the listener filters would find out. */
export function connectionView(listener: Listener, call: Call, { ip, port, sourceIp, sni }: Addresses, localIp: string): ConnectionView {
  const inspects = (wanted: string) => listener.listenerFilters.some(({ kind, disabled }) => kind === wanted && disabled?.(port) !== true);
  // where nobody looks for TLS it is bytes like others
  const seen = call.tls !== 'none' && inspects('tls_inspector');
  const http = call.tls === 'none' && call.protocol !== 'tcp' && inspects('http_inspector') ? [call.protocol === 'http' ? 'http/1.1' : 'h2c'] : [];
  return {
    destinationPort: port, destinationIp: ip, serverName: seen ? sni.toLowerCase() : '', transportProtocol: seen ? 'tls' : 'raw_buffer',
    applicationProtocols: seen ? offeredAlpn(call) : http, directSourceIp: sourceIp, sourceIp, sourcePort, localIp,
  };
}

function offeredAlpn(call: Call): readonly string[] {
  if (call.alpn !== undefined) return call.alpn;
  return call.tls === 'mtls' && (call.mode === 'inbound' || asksForCluster(call.sni)) ? meshAlpn[call.protocol] : [];
}

/** Names under which only proxies of the mesh ask: those of clusters behind an AUTO_PASSTHROUGH gateway. */
function asksForCluster(sni = ''): boolean {
  return sni.startsWith('outbound_.');
}

/** What a client that makes this call does: for those that make it for real. */
export function clientSide(view: ProxyView, call: Call): Addresses & { readonly alpn: readonly string[]; readonly principal: string } {
  return { ...addressesOf(view, call), alpn: call.tls === 'none' ? [] : offeredAlpn(call), principal: spiffeId(call.principal) };
}

/** What sidecars offer each other. Source: Istio's alpn filter and client TLS contexts. */
const meshAlpn: Readonly<Record<Call['protocol'], readonly string[]>> = {
  http: ['istio-http/1.1', 'istio', 'http/1.1'],
  http2: ['istio-h2', 'istio', 'h2'],
  grpc: ['istio-h2', 'istio', 'h2'],
  tcp: ['istio-peer-exchange', 'istio'],
};

/** The connection as filters see it once its chain is picked. */
export function connectionInfo(chain: FilterChain, call: Call, { ip, port, sourceIp, sni }: Addresses): CapturedConnectionInfo {
  const localAddress = endpointText(ip, port);
  return {
    id: 1, localAddress, directRemoteAddress: endpointText(sourceIp, sourcePort), requestedServerName: sni,
    tls: chain.tls === null || call.tls === 'none' ? null : tlsInfo(call, sni, showsCertificate(chain.tls, call)), originalDst: localAddress,
  };
}

/** A client that has a certificate shows it to servers that ask for one. */
export function showsCertificate({ requireClientCertificate, validation, validationSdsName }: DownstreamTls, { tls }: Pick<Call, 'tls'>): boolean {
  return tls === 'mtls' && (requireClientCertificate || validationSdsName !== null || (validation?.trustedCa ?? null) !== null);
}

function tlsInfo(call: Call, sni: string, certified: boolean): TlsInfo {
  const uri = spiffeId(call.principal);
  return {
    version: 'TLSv1.3', cipher: 'TLS_AES_128_GCM_SHA256', sni, alpn: '', peerPresented: certified, peerValidated: certified, peerSubject: '', peerIssuer: '',
    peerUriSans: certified && uri !== '' ? [uri] : [], peerDnsSans: [], peerSerial: '', peerFingerprint256: '', peerCertPem: '', peerChainPem: '', peerCertValidFromMs: 0, peerCertValidToMs: 0,
    localSubject: '', localUriSans: [], localDnsSans: [],
  };
}

/** "cluster.local/ns/foo/sa/bar" is written in policies, "spiffe://…" in certificates. */
export function spiffeId(principal: string): string {
  return principal === '' || principal.includes('://') ? principal : `spiffe://${principal}`;
}

export function endpointText(ip: string, port: number): string {
  return ip.includes(':') ? `[${ip}]:${port}` : `${ip}:${port}`;
}

/** "reviews:9080" → reviews, 9080; "[::1]:80" → ::1, 80; 0 = no port. */
export function splitHost(host: string): { readonly name: string; readonly port: number } {
  const bracketed = /^\[([^\]]*)\](?::(\d+))?$/.exec(host);
  if (bracketed) return { name: bracketed[1] ?? '', port: Number(bracketed[2] ?? 0) };
  const parts = /^([^:]*):(\d+)$/.exec(host);
  return parts ? { name: parts[1] ?? '', port: Number(parts[2]) } : { name: host, port: 0 };
}

export function isIp(text: string): boolean {
  return /^\d{1,3}(\.\d{1,3}){3}$/.test(text) || (text.includes(':') && /^[0-9a-f:.]+$/i.test(text));
}
