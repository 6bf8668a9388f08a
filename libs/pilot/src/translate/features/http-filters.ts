import type { HttpFilter } from '@meltemi/api/gen/envoy/extensions/filters/network/http_connection_manager/v3/http_connection_manager.ts';
import { cors } from './cors.ts';
import { decisionTrace } from './decision-trace.ts';
import { dynamicForwardProxy } from './dynamic-forward-proxy.ts';
import { customAuthorization } from './ext-authz/ext-authz.ts';
import { fault } from './fault.ts';
import type { FeatureContext, HttpFeature } from './feature.ts';
import { grpcStats } from './grpc-stats.ts';
import { grpcWeb } from './grpc-web.ts';
import { jwtAuthn } from './jwt-authn/jwt-authn.ts';
import { peerMetadata } from './peer-metadata.ts';
import { grpcServerRbac, rbac } from './rbac/rbac.ts';
import { router } from './router.ts';
import { stats } from './stats.ts';

/**
 * The order that users can observe. Source: Istio's listener_builder.go. Deviation: no alpn filter: clusters know what their hosts speak.
 */
const order: readonly HttpFeature[] = [
  decisionTrace, // outermost: it hears what all others answered
  peerMetadata, // before policies: a request that a later filter refuses is still counted with who sent it
  customAuthorization, // before all other policies: what an authorizer refuses needs no further look
  jwtAuthn, // before the policies that look at what tokens say
  rbac, // before whatever acts on a request: what is denied has no other effect
  grpcWeb, // before whatever reads a request's body or answers it: they see gRPC
  grpcStats, // behind grpc_web, which makes the messages it counts
  fault, // before cors: an aborted request is not answered as a preflight
  cors, // before the router: preflights never reach the service
  stats, // sees what all filters before it did
  dynamicForwardProxy, // behind whatever answers or changes the request: names are looked up for what goes on
  router, // ends every chain
];

/** The filters of one HTTP connection manager. */
export function httpFilters(context: FeatureContext): HttpFilter[] {
  return filtersOf(order, context);
}

/** What proxyless gRPC understands. Source: Istio's grpcgen. */
export function proxylessFilters(context: FeatureContext): HttpFilter[] {
  return filtersOf([fault, router], context);
}

/** The same for gRPC servers. */
export function proxylessServerFilters(context: FeatureContext): HttpFilter[] {
  return [...grpcServerRbac(context), ...filtersOf([router], context)];
}

function filtersOf(features: readonly HttpFeature[], context: FeatureContext): HttpFilter[] {
  return features.flatMap((feature) => feature.filter(context) ?? []);
}
