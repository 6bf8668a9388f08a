import type { AdditionalAddress, Listener } from '@meltemi/api/gen/envoy/config/listener/v3/listener.ts';
import type { Filter, FilterChain, FilterChainMatch, ListenerFilter } from '@meltemi/api/gen/envoy/config/listener/v3/listener_components.ts';
import type { ExtensionWithMatcher } from '@meltemi/api/gen/envoy/extensions/common/matching/v3/extension_matcher.ts';
import type { ScopedRouteConfiguration } from '@meltemi/api/gen/envoy/config/route/v3/scoped_route.ts';
import type { HttpConnectionManager, HttpFilter, ScopedRds } from '@meltemi/api/gen/envoy/extensions/filters/network/http_connection_manager/v3/http_connection_manager.ts';
import type { TcpProxy, TcpProxy_TunnelingConfig, TcpProxy_WeightedCluster_ClusterWeight } from '@meltemi/api/gen/envoy/extensions/filters/network/tcp_proxy/v3/tcp_proxy.ts';
import type { Http1ProtocolOptions, Http2ProtocolOptions, HttpProtocolOptions } from '@meltemi/api/gen/envoy/config/core/v3/protocol.ts';
import { oneof, refuse, use, warn, type FieldTable } from '@meltemi/route';

const quic = refuse('UDP and QUIC listeners are not supported');
const discovery = refuse('extension config discovery (ECDS) is for HTTP filters: give typed_config');
const socketTuning = warn('socket options are left to the system');
const noHttp3 = warn('there is no HTTP/3');

export const listenerFields: FieldTable<Listener> = {
  name: use, address: use, additionalAddresses: use, statPrefix: use, filterChains: use,
  filterChainMatcher: use,
  useOriginalDst: use, defaultFilterChain: use, perConnectionBufferLimitBytes: use,
  metadata: use, deprecatedV1: use,
  drainType: use,
  listenerFilters: use, listenerFiltersTimeout: use, continueOnListenerFiltersTimeout: use,
  transparent: use,
  freebind: warn('an address that is not there yet cannot be bound'), socketOptions: socketTuning,
  tcpFastOpenQueueLength: warn('TCP fast open is not used'),
  trafficDirection: use, udpListenerConfig: quic,
  apiListener: refuse('API listeners are for proxyless clients'),
  connectionBalanceConfig: warn('workers share connections as the system balances them'),
  reusePort: warn('workers decide how they share the port'),
  enableReusePort: warn('workers decide how they share the port'),
  accessLog: use, tcpBacklogSize: use,
  maxConnectionsToAcceptPerSocketEvent: warn('the runtime decides'),
  bindToPort: use,
  listenerSpecifier: oneof({ internalListener: refuse('internal listeners are not supported') }),
  enableMptcp: warn('multipath TCP is not used'),
  ignoreGlobalConnLimit: use,
  bypassOverloadManager: use,
};

export const additionalAddressFields: FieldTable<AdditionalAddress> = { address: use, socketOptions: socketTuning };

export const listenerFilterFields: FieldTable<ListenerFilter> = {
  name: use, configType: oneof({ typedConfig: use, configDiscovery: discovery }), filterDisabled: use,
};

export const filterChainFields: FieldTable<FilterChain> = {
  filterChainMatch: use, filters: use,
  useProxyProto: refuse('use_proxy_proto is deprecated: use the proxy_protocol listener filter'),
  metadata: use, transportSocket: use, transportSocketConnectTimeout: use, name: use,
  onDemandConfiguration: refuse('filter chains on demand are not supported'),
};

export const filterChainMatchFields: FieldTable<FilterChainMatch> = {
  destinationPort: use, prefixRanges: use,
  addressSuffix: refuse('address_suffix is not implemented (nor is it in Envoy)'), suffixLen: refuse('suffix_len is not implemented (nor is it in Envoy)'),
  directSourcePrefixRanges: use, sourceType: use, sourcePrefixRanges: use, sourcePorts: use, serverNames: use, transportProtocol: use, applicationProtocols: use,
};

export const filterFields: FieldTable<Filter> = { name: use, configType: oneof({ typedConfig: use, configDiscovery: discovery }) };

export const httpFilterFields: FieldTable<HttpFilter> = {
  name: use, configType: oneof({ typedConfig: use, configDiscovery: use }), isOptional: use, disabled: use,
};

export const withMatcherFields: FieldTable<ExtensionWithMatcher> = { matcher: refuse('the old matcher is not supported: use xds_matcher'), xdsMatcher: use, extensionConfig: use };

export const hcmFields: FieldTable<HttpConnectionManager> = {
  codecType: use, statPrefix: use,
  routeSpecifier: oneof({ rds: use, routeConfig: use, scopedRoutes: use }),
  httpFilters: use, addUserAgent: use, tracing: use, commonHttpProtocolOptions: use, httpProtocolOptions: use, http2ProtocolOptions: use,
  http3ProtocolOptions: noHttp3, serverName: use, serverHeaderTransformation: use, schemeHeaderTransformation: use, maxRequestHeadersKb: use,
  streamIdleTimeout: use, requestTimeout: use, requestHeadersTimeout: use, drainTimeout: warn('HTTP/1.1 connections close with their next response, without a first notice'), delayedCloseTimeout: use, accessLog: use,
  accessLogFlushInterval: use, flushAccessLogOnNewRequest: use, accessLogOptions: use, useRemoteAddress: use, xffNumTrustedHops: use,
  originalIpDetectionExtensions: use,
  earlyHeaderMutationExtensions: refuse('early header mutation is not supported'),
  internalAddressConfig: use, skipXffAppend: use, via: use, generateRequestId: use, preserveExternalRequestId: use, alwaysSetRequestIdInResponse: use,
  forwardClientCertDetails: use, setCurrentClientCertDetails: use, proxy100Continue: use,
  representIpv4RemoteAddressAsIpv4MappedIpv6: refuse('IPv4-mapped remote addresses are not supported'),
  upgradeConfigs: use, normalizePath: use, mergeSlashes: use, pathWithEscapedSlashesAction: use, requestIdExtension: use, localReplyConfig: use,
  stripMatchingHostPort: use, stripPortMode: oneof({ stripAnyHostPort: use }),
  streamErrorOnInvalidHttpMessage: use,
  pathNormalizationOptions: refuse('path_normalization_options is not supported: use normalize_path and merge_slashes'),
  stripTrailingHostDot: use,
  proxyStatusConfig: warn('the Proxy-Status header is not sent'),
  typedHeaderValidationConfig: refuse('header validation extensions are not supported'),
  appendXForwardedPort: use,
  appendLocalOverload: use,
  addProxyProtocolConnectionState: warn('filter state of the PROXY protocol is not added'),
};

export const scopedRdsFields: FieldTable<ScopedRds> = { scopedRdsConfigSource: use, srdsResourcesLocator: refuse('xdstp collections are not supported: use scoped_rds_config_source') };

export const scopedRouteFields: FieldTable<ScopedRouteConfiguration> = {
  name: use, routeConfigurationName: use, routeConfiguration: use, key: use,
  onDemand: warn('routes of scopes on demand are asked for at once, though listeners do not wait for them'),
};

export const commonHttpFields: FieldTable<HttpProtocolOptions> = {
  idleTimeout: use, maxConnectionDuration: use, maxHeadersCount: use, maxStreamDuration: use, headersWithUnderscoresAction: use, maxRequestsPerConnection: use,
};

export const http1Fields: FieldTable<Http1ProtocolOptions> = {
  allowAbsoluteUrl: use, acceptHttp10: use, defaultHostForHttp10: use, headerKeyFormat: use, enableTrailers: use,
  allowChunkedLength: use,
  overrideStreamErrorOnInvalidHttpMessage: use,
  sendFullyQualifiedUrl: use,
  useBalsaParser: warn('there is one parser'),
  allowCustomMethods: warn('any method token is accepted'),
};

export const http2Fields: FieldTable<Http2ProtocolOptions> = {
  hpackTableSize: use, maxConcurrentStreams: use, initialStreamWindowSize: use, initialConnectionWindowSize: use, allowConnect: use,
  allowMetadata: refuse('HTTP/2 METADATA frames are not supported'),
  maxOutboundFrames: use, maxOutboundControlFrames: use, maxConsecutiveInboundFramesWithEmptyPayload: use,
  maxInboundPriorityFramesPerStream: use, maxInboundWindowUpdateFramesPerDataFrameSent: use,
  streamErrorOnInvalidHttpMessaging: use, overrideStreamErrorOnInvalidHttpMessage: use,
  customSettingsParameters: warn('custom SETTINGS are not sent'), connectionKeepalive: use, useOghttp2Codec: warn('there is one codec'),
};

export const tcpProxyFields: FieldTable<TcpProxy> = {
  statPrefix: use, clusterSpecifier: oneof({ cluster: use, weightedClusters: use }),
  onDemand: refuse('clusters on demand are not supported'),
  metadataMatch: use, idleTimeout: use,
  downstreamIdleTimeout: warn('not implemented (nor is it in Envoy): use idle_timeout'),
  upstreamIdleTimeout: warn('not implemented (nor is it in Envoy): use idle_timeout'),
  accessLog: use, maxConnectAttempts: use, hashPolicy: use,
  tunnelingConfig: use,
  maxDownstreamConnectionDuration: use, accessLogFlushInterval: use, flushAccessLogOnConnected: use, accessLogOptions: use,
};

export const tunnelingFields: FieldTable<TcpProxy_TunnelingConfig> = {
  hostname: use, usePost: use, headersToAdd: use, propagateResponseHeaders: use, postPath: use, propagateResponseTrailers: use,
};

export const tcpClusterWeightFields: FieldTable<TcpProxy_WeightedCluster_ClusterWeight> = { name: use, weight: use, metadataMatch: use };
