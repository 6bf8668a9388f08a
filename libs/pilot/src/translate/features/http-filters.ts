import type { HttpFilter } from '@meltemi/api/gen/envoy/extensions/filters/network/http_connection_manager/v3/http_connection_manager.ts';
import { cors } from './cors.ts';
import { fault } from './fault.ts';
import type { FeatureContext, HttpFeature } from './feature.ts';
import { peerMetadata } from './peer-metadata.ts';
import { router } from './router.ts';
import { stats } from './stats.ts';

/** The order that users can observe. Source: Istio's listener_builder.go. */
const order: readonly HttpFeature[] = [
  peerMetadata, // first: a request that a later filter refuses is still counted with who sent it
  fault, // before cors: an aborted request is not answered as a preflight
  cors, // before the router: preflights never reach the service
  stats, // sees what all filters before it did
  router, // ends every chain
];

/** The filters of one HTTP connection manager. */
export function httpFilters(context: FeatureContext): HttpFilter[] {
  return order.map((feature) => feature.filter(context)).filter((filter) => filter !== undefined);
}

/** What proxyless gRPC understands. Source: Istio's grpcgen. */
export function proxylessFilters(context: FeatureContext): HttpFilter[] {
  return [fault, router].map((feature) => feature.filter(context)).filter((filter) => filter !== undefined);
}
