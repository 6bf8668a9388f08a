import { fail } from '@meltemi/base';
import type { Extensions, HttpFilterExtension } from '@meltemi/snapshot';
import type { HttpFilterFactory, NetworkFilterFactory } from '../filter.ts';
import { bufferFilter } from './http/buffer/buffer.ts';
import { compressorFilter } from './http/compressor/compressor.ts';
import { corsFilter } from './http/cors/cors.ts';
import { csrfFilter } from './http/csrf/csrf.ts';
import { decisionTraceFilter } from './http/decision-trace/decision-trace.ts';
import { decompressorFilter } from './http/decompressor/decompressor.ts';
import { dynamicForwardProxyFilter } from './http/dynamic-forward-proxy/dynamic-forward-proxy.ts';
import { extAuthzFilter } from './http/ext-authz/ext-authz.ts';
import { faultFilter } from './http/fault/fault.ts';
import { grpcHttp1BridgeFilter } from './http/grpc-http1-bridge/grpc-http1-bridge.ts';
import { grpcStatsFilter } from './http/grpc-stats/grpc-stats.ts';
import { grpcWebFilter } from './http/grpc-web/grpc-web.ts';
import { headerMutationFilter } from './http/header-mutation/header-mutation.ts';
import { healthCheckFilter } from './http/health-check/health-check.ts';
import { istioStatsFilter } from './http/istio-stats/istio-stats.ts';
import { jwtAuthnFilter } from './http/jwt-authn/jwt-authn.ts';
import { httpLocalRateLimitFilter } from './http/local-ratelimit/local-ratelimit.ts';
import { moduleFilter } from './http/module/module-filter.ts';
import { peerMetadataFilter } from './http/peer-metadata/peer-metadata.ts';
import { rateLimitFilter } from './http/ratelimit/ratelimit.ts';
import { rbacFilter } from './http/rbac/rbac.ts';
import { routerFilter } from './http/router/router.ts';
import { connectionLimitFilter } from './network/connection-limit/connection-limit.ts';
import { networkExtAuthzFilter } from './network/ext-authz/ext-authz.ts';
import { istioTcpStatsFilter } from './network/istio-tcp-stats/istio-tcp-stats.ts';
import { localRateLimitFilter } from './network/local-ratelimit/local-ratelimit.ts';
import { metadataExchangeFilter } from './network/metadata-exchange/metadata-exchange.ts';
import { networkRbacFilter } from './network/rbac/rbac.ts';
import { sniClusterFilter } from './network/sni-cluster/sni-cluster.ts';
import { sniDynamicForwardProxyFilter } from './network/sni-dynamic-forward-proxy/sni-dynamic-forward-proxy.ts';

/** Every HTTP filter of this proxy, in the order a sidecar runs them. */
export const httpFilters: readonly HttpFilterFactory[] = [
  // Outermost: it hears what all others answered.
  decisionTraceFilter,
  // Its headers must be gone before anything matches on them.
  peerMetadataFilter,
  // Before what refuses requests: who checks the proxy has no credentials.
  healthCheckFilter,
  // Istio's CUSTOM policies come before all others: what they refuse needs no further look.
  extAuthzFilter,
  // Before the policies that look at what tokens say.
  jwtAuthnFilter,
  // Before whatever acts on a request: what is denied has no other effect.
  rbacFilter,
  // Before what looks at gRPC: behind it requests are plain gRPC.
  grpcWebFilter,
  // Beside it: its clients speak gRPC but have no trailers.
  grpcHttp1BridgeFilter,
  grpcStatsFilter,
  // Before CORS, as in Istio: an aborted preflight is aborted.
  faultFilter,
  corsFilter,
  // Behind CORS: preflights are answered, and change nothing.
  csrfFilter,
  // Behind CORS: browsers may read the answer, and preflights cost no token.
  httpLocalRateLimitFilter,
  // Behind the local one, which spares its service.
  rateLimitFilter,
  // Behind what may refuse the request by its head: nothing is gathered for those.
  bufferFilter,
  // Sees the plain body of the upstream; those above see it as the client gets it.
  compressorFilter,
  // Nearer to the upstream: what that compressed may be compressed otherwise for the client.
  decompressorFilter,
  // Last to touch the fields that the upstream gets, first those it answers with.
  headerMutationFilter,
  // Behind what may answer or change the request: names are looked up for what goes on.
  dynamicForwardProxyFilter,
  // Sees what all others did.
  istioStatsFilter,
  // Last always: it takes the request away.
  routerFilter,
];

/** Every network filter besides the terminal ones (HTTP connection manager, TCP proxy), which the server owns. */
export const networkFilters: readonly NetworkFilterFactory[] = [networkRbacFilter, networkExtAuthzFilter, connectionLimitFilter, localRateLimitFilter, sniClusterFilter, sniDynamicForwardProxyFilter, metadataExchangeFilter, istioTcpStatsFilter];

/** Besides them, what users bring: its parsers are replaced by whoever may load modules. */
const httpByType = new Map([...httpFilters, moduleFilter].flatMap((factory) => factory.typeUrls.map((typeUrl) => [typeUrl, factory] as const)));
const networkByType = new Map(networkFilters.flatMap((factory) => factory.typeUrls.map((typeUrl) => [typeUrl, factory] as const)));

/** Types that only routes may name. */
const routeOnly = httpFilters.flatMap((factory) =>
  (factory.routeTypeUrls ?? []).map((typeUrl): readonly [string, HttpFilterExtension] => [
    typeUrl,
    { parse: (_bytes, ctx) => fail(ctx.path, `${typeUrl} is a route's setting of ${factory.name}, not a filter`), parseRoute: (bytes, ctx) => factory.parseRoute?.(bytes, ctx) ?? fail(ctx.path, 'takes no settings per route') },
  ]),
);

export function httpFilterFactory(typeUrl: string): HttpFilterFactory | undefined {
  return httpByType.get(typeUrl);
}

export function networkFilterFactory(typeUrl: string): NetworkFilterFactory | undefined {
  return networkByType.get(typeUrl);
}

/** The filters as xDS compilation wants them. Access loggers come from whoever writes them. */
export function filterExtensions(accessLoggers: Extensions['accessLoggers'] = new Map()): Extensions {
  return { httpFilters: new Map<string, HttpFilterExtension>([...httpByType, ...routeOnly]), networkFilters: networkByType, listenerFilters: new Map(), accessLoggers, proxyProtocol: true, http2: true, extensionDiscovery: true };
}
