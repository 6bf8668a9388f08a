import { StreamInfo } from '@meltemi/http';
import type { AccessRules } from '@meltemi/proxy';
import type { FilterChain, NetworkFilter, TcpProxyConfig } from '@meltemi/snapshot';
import { wellKnownClusters } from '@meltemi/xds';
import type { Answer, ClusterWeight, Step } from '../answer.ts';
import type { Call } from '../question.ts';
import type { ProxyView } from '../view.ts';
import { addressesOf, connectionInfo, connectionView, hostOf, namedByProxy, showsCertificate, spiffeId } from './connection.ts';
import { walkHttp } from './http.ts';
import type { OnTheWay } from './on-the-way.ts';
import { originOfRule, policyOfRule, providerOfRule } from './origins.ts';
import { pickListener } from './pick-listener.ts';
import { connectionEnds, targetOf } from './target.ts';

type Found = Omit<Answer, 'steps'>;

/** What the proxy would do with one call, and everything it looks at on the way. `nowMs` is the wall clock, for tokens that expire. */
export function walk(view: ProxyView, call: Call, nowMs: number): Answer {
  const steps: Step[] = [];
  return { ...walkListener(view, call, { steps, nowMs }), steps };
}

interface Notes {
  readonly steps: Step[];
  readonly nowMs: number;
}

/** Chains of gateways have no names: those are counted. */
function chainNames(chains: readonly { readonly name: string }[]): string {
  const names = chains.map(({ name }) => name).filter((name) => name !== '');
  return names.length === chains.length ? names.join(', ') : `${chains.length} filter chains${names.length > 0 ? ` (${names.join(', ')} among them)` : ''}`;
}

function walkListener(view: ProxyView, call: Call, { steps, nowMs }: Notes): Found {
  const asked = addressesOf(view, call);
  if (namedByProxy(view, call, asked.ip)) steps.push({ at: 'dns', name: hostOf(call), matched: true, detail: `the proxy's DNS server answers ${asked.ip}` });
  const picked = pickListener(view, call, asked);
  if (picked === null) {
    steps.push({ at: 'listener', name: '', matched: false, detail: `no listener of the proxy takes ${asked.ip}:${asked.port}` });
    return { outcome: 'no_listener' };
  }
  const { listener } = picked;
  steps.push({ at: 'listener', name: listener.name, matched: true, detail: `takes ${asked.ip}:${asked.port}${picked.captured !== null && picked.captured !== listener ? `, handed on by ${picked.captured.name}` : ''}` });
  const addresses = { ...asked, port: picked.port };
  const seen = connectionView(listener, call, addresses, view.proxy.addresses[0]);
  const chain = listener.filterChains.match(seen);
  const like = `transport ${seen.transportProtocol}, SNI "${seen.serverName}", application protocols [${seen.applicationProtocols.join(', ')}]`;
  if (chain === null) {
    steps.push({ at: 'filter_chain', name: '', matched: false, detail: `none of ${chainNames(listener.allFilterChains)} takes a connection with ${like}` });
    return { outcome: 'no_filter_chain', listener: listener.name };
  }
  steps.push({ at: 'filter_chain', name: chain.name, matched: true, detail: like });
  const found = { listener: listener.name, filterChain: chain.name };
  const failed = handshake(chain, call, steps);
  if (failed !== null) return { ...failed, ...found };
  return { ...walkFilters({ view, call, listener, connection: connectionInfo(chain, call, addresses), steps, nowMs }, chain), ...found };
}

/** What goes wrong before the first byte that filters see. */
function handshake(chain: FilterChain, call: Call, steps: Step[]): Pick<Answer, 'outcome'> | null {
  const fail = (outcome: 'tls_error' | 'mtls_error', detail: string): Pick<Answer, 'outcome'> => {
    steps.push({ at: 'tls', name: chain.name, matched: false, detail });
    return { outcome };
  };
  const { tls } = chain;
  if (tls === null) return null;
  if (call.tls === 'none') return fail('tls_error', 'the chain speaks TLS, the client plaintext');
  if (tls.requireClientCertificate && call.tls !== 'mtls') return fail('mtls_error', 'the chain wants a client certificate, the client has none');
  const matchers = tls.validation?.sanMatchers ?? [];
  const name = spiffeId(call.principal);
  const shown = showsCertificate(tls, call);
  if (shown && matchers.length > 0 && name !== '' && !matchers.some(({ matcher }) => matcher.matches(name))) return fail('mtls_error', `${name} is none of the names that the chain accepts`);
  steps.push({ at: 'tls', name: chain.name, matched: true, detail: shown ? `mutual TLS with ${name || 'a certificate without SPIFFE id'}` : call.tls === 'mtls' ? 'TLS; the chain does not ask for the client\'s certificate' : 'TLS without a client certificate' });
  return null;
}

function walkFilters(way: OnTheWay, chain: FilterChain): Found {
  const info = new StreamInfo(way.connection, way.nowMs, way.nowMs);
  for (const filter of chain.networkFilters) {
    if (filter.kind === 'http_connection_manager') return intoHttp(way, chain, filter.config);
    if (filter.kind === 'tcp_proxy') return intoTcp(way, filter.config, info);
    const denied = networkFilter(way, filter, info);
    if (denied !== null) return denied;
  }
  return { outcome: 'no_route', details: 'the chain has no terminal filter' };
}

function intoHttp(way: OnTheWay, chain: FilterChain, config: Parameters<typeof walkHttp>[1]): Found {
  const { call, steps } = way;
  if (call.protocol === 'tcp' || (chain.tls === null && call.tls !== 'none')) {
    steps.push({ at: 'network_filter', name: 'envoy.filters.network.http_connection_manager', matched: false, detail: call.protocol === 'tcp' ? 'the chain reads HTTP, the client does not speak it' : 'the chain reads plaintext HTTP, the client speaks TLS' });
    return { outcome: 'protocol_error', details: 'http1.codec_error' };
  }
  return walkHttp(way, config);
}

function intoTcp(way: OnTheWay, config: TcpProxyConfig, info: StreamInfo): Found {
  const clusters: ClusterWeight[] = config.clusters.map(({ cluster, upTo }, i) => ({ name: cluster, weight: config.clusters.length === 1 ? 100 : upTo - (config.clusters[i - 1]?.upTo ?? 0) }));
  const target = targetOf(way, clusters, connectionEnds);
  if (target.cluster === wellKnownClusters.blackHole) return { outcome: 'denied', cluster: target.cluster, clusters };
  const { tunneling } = config;
  if (tunneling === null) return { outcome: 'routed', ...target };
  const authority = tunneling.hostname.format(info);
  const path = tunneling.method === 'POST' ? tunneling.path : '';
  way.steps.push({ at: 'network_filter', name: 'envoy.filters.network.tcp_proxy', matched: true, detail: `asks the upstream by ${tunneling.method} to pass bytes on to ${authority}` });
  return { outcome: 'routed', ...target, settings: { timeoutMs: 0, retries: null, faults: [], mirrors: [], path, authority } };
}

type Extension = Extract<NetworkFilter, { kind: 'extension' }>;

function networkFilter(way: OnTheWay, filter: Extension, info: StreamInfo): Found | null {
  if (filter.typeUrl.endsWith('.network.rbac.v3.RBAC')) return networkRbac(way, filter, info);
  if (filter.typeUrl.endsWith('.network.ext_authz.v3.ExtAuthz')) return networkAuthorizer(way, filter, info);
  return null;
}

function networkRbac({ view, steps }: OnTheWay, { name, config }: Extension, info: StreamInfo): Found | null {
  const { rules, shadow, shadowStatPrefix = '' } = config as AccessRules & { readonly shadowStatPrefix?: string };
  if (shadow !== null) {
    const { policy } = shadow.decide(info);
    if (policy !== null) info.setMetadata('envoy.filters.network.rbac', `${shadowStatPrefix}shadow_effective_policy_id`, policy);
  }
  if (rules === null) return null;
  const { policy, allowed } = rules.decide(info);
  const origin = policy === null ? undefined : originOfRule(view, policy);
  steps.push({ at: 'network_filter', name, matched: policy !== null, ...(origin ? { origin } : {}), detail: `${rules.action.toUpperCase()} policies: ${policy === null ? 'no rule matches' : `${policy} matches`}` });
  return allowed ? null : { outcome: 'denied', ...(policy === null ? {} : policyOfRule(view, policy)), details: `rbac_access_denied_matched_policy[${policy ?? 'none'}]` };
}

function networkAuthorizer({ view, call, steps }: OnTheWay, { name, config }: Extension, info: StreamInfo): Found | null {
  const { enabledMetadata = null } = config as { readonly enabledMetadata?: { matches(metadata: StreamInfo['dynamicMetadata']): boolean } | null };
  if (enabledMetadata !== null && !enabledMetadata.matches(info.dynamicMetadata)) return null;
  const rule = Object.entries(info.dynamicMetadata?.['envoy.filters.network.rbac'] ?? {}).find(([key]) => key.includes('ext_authz') && key.endsWith('shadow_effective_policy_id'))?.[1];
  const provider = (typeof rule === 'string' ? providerOfRule(view, rule) : undefined) ?? Object.keys(call.extAuthz)[0] ?? '';
  const verdict = call.extAuthz[provider];
  steps.push({ at: 'network_filter', name, matched: true, detail: verdict === undefined ? `the call does not say what external authorizer "${provider}" answers: taken as allow` : `external authorizer "${provider}" answers ${verdict}` });
  if (verdict !== 'deny') return null;
  return { outcome: 'denied', ...(typeof rule === 'string' ? policyOfRule(view, rule) : {}), details: 'ext_authz_denied' };
}
