import type { Filter } from '@meltemi/api/gen/envoy/config/listener/v3/listener_components.ts';
import { tcpCustomAuthorization } from './ext-authz/ext-authz.ts';
import type { FeatureContext } from './feature.ts';
import { tcpRbac } from './rbac/rbac.ts';
import { tcpStats } from './stats.ts';

/** The order that users can observe. Source: Istio's networkfilter.go. */
const order: readonly ((context: FeatureContext) => Filter[])[] = [
  tcpCustomAuthorization, // before all other policies, as for requests
  tcpRbac, // before anything of the connection is passed on
  tcpStats, // counts what goes to the TCP proxy
];

/** What stands in front of connections between networks: whoever they are for decides about them. Source: Istio's builtAutoPassthroughFilterChains. */
export function uncheckedNetworkFilters(context: FeatureContext): Filter[] {
  return tcpStats(context);
}

/** What stands in front of a TCP proxy. */
export function networkFilters(context: FeatureContext): Filter[] {
  return order.flatMap((build) => build(context));
}
