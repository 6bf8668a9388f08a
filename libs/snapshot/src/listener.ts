import { createHash } from 'node:crypto';
import type { AccessLog as AccessLogMessage } from '@meltemi/api/gen/envoy/config/accesslog/v3/accesslog.ts';
import { TransportSocket } from '@meltemi/api/gen/envoy/config/core/v3/base.ts';
import { ProxyProtocol } from '@meltemi/api/gen/envoy/extensions/filters/listener/proxy_protocol/v3/proxy_protocol.ts';
import type { Listener as ListenerMessage } from '@meltemi/api/gen/envoy/config/listener/v3/listener.ts';
import { FilterChain as ChainMessage, type Filter, type ListenerFilter as ListenerFilterMessage, type ListenerFilterChainMatchPredicate } from '@meltemi/api/gen/envoy/config/listener/v3/listener_components.ts';
import type { Result } from '@meltemi/base';
import { checkFields, durationMs } from '@meltemi/route';
import { compileAccessLogs } from './access-log.ts';
import { compileAddress } from './address.ts';
import { decodeAt, finish, newContext, parseExtension, type Context } from './context.ts';
import type { Compiled, Extensions } from './extensions.ts';
import { compileFilterChainMatcher, type ChainEntry } from './filter-chain-match.ts';
import { compileFilterChainNames } from './filter-chain-names.ts';
import { compileHcm, hcmUrl } from './hcm.ts';
import { additionalAddressFields, filterChainFields, filterFields, listenerFields, listenerFilterFields } from './listener-tables.ts';
import type { FilterChain, Listener, ListenerFilter, NetworkFilter, PortPredicate, SocketTarget } from './listener-types.ts';
import { compileTcpProxy, tcpProxyUrl } from './tcp-proxy.ts';
import { compileTlvs } from './tlv-selection.ts';
import { compileDownstreamSocket } from './tls.ts';

const filterPrefix = 'type.googleapis.com/envoy.extensions.filters.listener';
const directions = ['unspecified', 'inbound', 'outbound'] as const;
/** Envoy's limits when unset. */
const defaultBufferBytes = 1_048_576;
const defaultFiltersTimeoutMs = 15_000;
const maxPredicateDepth = 8;

/** Compiles a listener, or names everything in it that cannot be run. */
export function compileListener(message: ListenerMessage, extensions: Extensions): Result<Compiled<Listener>> {
  const context = newContext(extensions);
  const { report } = context;
  checkFields(message, listenerFields, '', report);
  const entries = message.filterChains.flatMap((chain, i): ChainEntry[] => {
    const path = `filter_chains[${i}]`;
    const compiled = compileChain(chain, path, context);
    return compiled ? [{ match: chain.filterChainMatch, chain: compiled, path }] : [];
  });
  const fallback = message.defaultFilterChain ? compileChain(message.defaultFilterChain, 'default_filter_chain', context) : null;
  if (message.filterChains.length === 0 && !message.defaultFilterChain) report.refuse('filter_chains', 'a listener needs a filter chain');
  const chains = entries.map((entry) => entry.chain);
  const listenerFilters = withInspector(compileListenerFilters(message.listenerFilters, context), message, context);
  const inspectsTls = listenerFilters.some(({ kind }) => kind === 'tls_inspector');
  const listener: Listener = {
    name: message.name,
    statPrefix: message.statPrefix,
    addresses: compileAddresses(message, context),
    bindToPort: message.bindToPort ?? message.deprecatedV1?.bindToPort ?? true,
    useOriginalDst: message.useOriginalDst ?? false,
    transparent: message.transparent ?? false,
    freebind: message.freebind ?? false,
    listenerFilters,
    listenerFiltersTimeoutMs: durationMs(message.listenerFiltersTimeout, defaultFiltersTimeoutMs),
    continueOnListenerFiltersTimeout: message.continueOnListenerFiltersTimeout,
    filterChains: message.filterChainMatcher ? compileFilterChainNames(message.filterChainMatcher, { entries, defaultChain: fallback, inspectsTls }, report) : compileFilterChainMatcher(entries, fallback, report),
    allFilterChains: fallback ? [...chains, fallback] : chains,
    perConnectionBufferLimit: message.perConnectionBufferLimitBytes ?? defaultBufferBytes,
    drainType: message.drainType === 1 ? 'modify-only' : 'default',
    trafficDirection: directions[message.trafficDirection as 0 | 1 | 2] ?? 'unspecified',
    ignoreGlobalConnLimit: message.ignoreGlobalConnLimit,
    bypassOverloadManager: message.bypassOverloadManager,
    tcpBacklog: message.tcpBacklogSize ?? null,
    accessLogs: logs(message.accessLog, context),
    rdsNames: context.rdsNames, sdsNames: context.sdsNames, extensionNames: context.extensionNames, references: context.references, clusterNames: context.clusterNames,
  };
  return finish(report, listener);
}

function logs(accessLog: readonly AccessLogMessage[], context: Context): Listener['accessLogs'] {
  return compileAccessLogs(accessLog, 'access_log', context);
}

function compileAddresses(message: ListenerMessage, context: Context): SocketTarget[] {
  const main = compileAddress(message.address, 'address', false, context.report);
  const more = message.additionalAddresses.flatMap((additional, i) => {
    const path = `additional_addresses[${i}]`;
    checkFields(additional, additionalAddressFields, path, context.report);
    return compileAddress(additional.address, `${path}.address`, false, context.report) ?? [];
  });
  return main ? [main, ...more] : more;
}

function compileChain(chain: ChainMessage, path: string, context: Context): FilterChain | null {
  checkFields(chain, filterChainFields, path, context.report);
  const tls = compileDownstreamSocket(chain.transportSocket, `${path}.transport_socket`, context);
  const networkFilters = chain.filters.flatMap((filter, i) => compileNetworkFilter(filter, `${path}.filters[${i}]`, context) ?? []);
  const last = chain.filters.length - 1;
  for (const [i, filter] of networkFilters.entries()) {
    const ends = filter.kind !== 'extension';
    if (ends && i < networkFilters.length - 1) context.report.refuse(`${path}.filters[${i}]`, 'nothing may follow a terminal filter');
  }
  if (last < 0) context.report.warn(`${path}.filters`, 'a chain without filters closes its connections');
  return {
    name: chain.name, tls, networkFilters,
    transportSocketConnectTimeoutMs: durationMs(chain.transportSocketConnectTimeout, 0),
    fingerprint: hashOf(ChainMessage.encode(chain).finish(), context.extensions.version),
    transportFingerprint: chain.transportSocket === undefined ? '' : hashOf(TransportSocket.encode(chain.transportSocket).finish()),
  };
}

function hashOf(bytes: Uint8Array, version = ''): string {
  return createHash('sha256').update(version).update(bytes).digest('base64');
}

function compileNetworkFilter(filter: Filter, path: string, context: Context): NetworkFilter | null {
  checkFields(filter, filterFields, path, context.report);
  const any = filter.configType?.$case === 'typedConfig' ? filter.configType.value : undefined;
  if (filter.configType?.$case === 'configDiscovery') return null;
  if (any?.typeUrl === hcmUrl) {
    const config = compileHcm(any.value, `${path}.typed_config`, context);
    return config && { kind: 'http_connection_manager', name: filter.name, config };
  }
  if (any?.typeUrl === tcpProxyUrl) {
    const config = compileTcpProxy(any.value, `${path}.typed_config`, context);
    return config && { kind: 'tcp_proxy', name: filter.name, config };
  }
  const parsed = parseExtension(context.extensions.networkFilters, any, { path, optional: false, what: 'network filter' }, context);
  return parsed ? { kind: 'extension', name: filter.name, typeUrl: any?.typeUrl ?? '', config: parsed.config } : null;
}

function compileListenerFilters(filters: readonly ListenerFilterMessage[], context: Context): ListenerFilter[] {
  return filters.flatMap((filter, i) => {
    const path = `listener_filters[${i}]`;
    checkFields(filter, listenerFilterFields, path, context.report);
    const disabled = filter.filterDisabled ? compilePredicate(filter.filterDisabled, `${path}.filter_disabled`, context, 0) : null;
    return compileListenerFilter(filter, disabled, path, context) ?? [];
  });
}

function compileListenerFilter(filter: ListenerFilterMessage, disabled: PortPredicate | null, path: string, context: Context): ListenerFilter | null {
  const any = filter.configType?.$case === 'typedConfig' ? filter.configType.value : undefined;
  const name = filter.name;
  switch (any?.typeUrl) {
    case `${filterPrefix}.tls_inspector.v3.TlsInspector`:
      return { kind: 'tls_inspector', name, disabled };
    case `${filterPrefix}.http_inspector.v3.HttpInspector`:
      return { kind: 'http_inspector', name, disabled };
    case `${filterPrefix}.original_dst.v3.OriginalDst`:
      return { kind: 'original_dst', name, disabled };
    case `${filterPrefix}.proxy_protocol.v3.ProxyProtocol`:
      return compileProxyProtocol(any.value, { name, disabled, path: `${path}.typed_config` }, context);
    default: {
      if (filter.configType?.$case === 'configDiscovery') return null;
      const parsed = parseExtension(context.extensions.listenerFilters, any, { path, optional: false, what: 'listener filter' }, context);
      return parsed ? { kind: 'extension', name, disabled, typeUrl: any?.typeUrl ?? '', config: parsed.config } : null;
    }
  }
}

function compileProxyProtocol(bytes: Uint8Array, at: { name: string; disabled: PortPredicate | null; path: string }, context: Context): ListenerFilter | null {
  const message = decodeAt(ProxyProtocol, bytes, at.path, context.report);
  if (!message) return null;
  if (context.extensions.proxyProtocol !== true) context.report.refuse(at.path, 'the PROXY protocol is not read by this proxy: clients would be taken for the balancer before it; remove the listener filter and the header at its sender');
  const versions = { v1: !message.disallowedVersions.includes(0), v2: !message.disallowedVersions.includes(1) };
  if (!versions.v1 && !versions.v2) context.report.refuse(`${at.path}.disallowed_versions`, 'leaves no version: remove the listener filter instead');
  const metadata = message.rules.map(({ tlvType, onTlvPresent }, i) => {
    if (tlvType > 255) context.report.refuse(`${at.path}.rules[${i}].tlv_type`, 'must be less than 256');
    if (!onTlvPresent?.key) context.report.refuse(`${at.path}.rules[${i}].on_tlv_present.key`, 'is required');
    return { type: tlvType, namespace: onTlvPresent?.metadataNamespace || 'envoy.filters.listener.proxy_protocol', key: onTlvPresent?.key ?? '' };
  });
  return {
    kind: 'proxy_protocol', name: at.name, disabled: at.disabled, allowWithoutHeader: message.allowRequestsWithoutProxyProtocol, versions, metadata,
    passThrough: compileTlvs(message.passThroughTlvs), statPrefix: message.statPrefix,
  };
}

/** Chains for TLS, and those that look at SNI or ALPN of whatever comes, need the TLS inspector; like Envoy, it is added when it was forgotten. */
function withInspector(filters: ListenerFilter[], message: ListenerMessage, context: Context): ListenerFilter[] {
  const asks = message.filterChains.some(({ filterChainMatch: match }) => match && (match.transportProtocol === 'tls' || (match.transportProtocol === '' && (match.serverNames.length > 0 || match.applicationProtocols.length > 0))));
  if (!asks || filters.some((filter) => filter.kind === 'tls_inspector')) return filters;
  context.report.warn('listener_filters', 'filter chains match on SNI, transport or application protocol, so a tls_inspector was added');
  return [{ kind: 'tls_inspector', name: 'envoy.filters.listener.tls_inspector', disabled: null }, ...filters];
}

function compilePredicate(predicate: ListenerFilterChainMatchPredicate, path: string, context: Context, depth: number): PortPredicate {
  const rule = predicate.rule;
  if (depth > maxPredicateDepth) context.report.refuse(path, `rules are nested deeper than ${maxPredicateDepth}`);
  else if (!rule) context.report.refuse(path, 'needs a rule');
  else {
    switch (rule.$case) {
      case 'orMatch': {
        const rules = rule.value.rules.map((one) => compilePredicate(one, path, context, depth + 1));
        return (port) => rules.some((one) => one(port));
      }
      case 'andMatch': {
        const rules = rule.value.rules.map((one) => compilePredicate(one, path, context, depth + 1));
        return (port) => rules.every((one) => one(port));
      }
      case 'notMatch': {
        const inner = compilePredicate(rule.value, path, context, depth + 1);
        return (port) => !inner(port);
      }
      case 'anyMatch':
        return () => rule.value;
      case 'destinationPortRange':
        return (port) => port >= rule.value.start && port < rule.value.end;
    }
  }
  return () => false;
}
