import { Route, RouteAction, VirtualHost } from '@meltemi/api/gen/envoy/config/route/v3/route_components.ts';
import { outboundCluster, wellKnownClusters } from '@meltemi/xds';
import type { Scope } from '../../push-context/scope.ts';
import type { Proxy } from '../../proxy/proxy.ts';
import { create, duration } from '../message.ts';
import { routeMatch } from './matchers.ts';

/** What becomes of hosts that nobody knows: looked up (`allow_any_dynamic_dns`), passed on as they came or to the Sidecar's egressProxy (`allow_any`), else 502 (`block_all`). */
export function catchAll(scope: Scope, proxy: Proxy): VirtualHost {
  if (scope.dynamicDns) return virtualHost('allow_any_dynamic_dns', { $case: 'route', value: forward(wellKnownClusters.anyDynamicDns) });
  const cluster = unknownHostsCluster(scope, proxy);
  return cluster === undefined ? virtualHost('block_all', { $case: 'directResponse', value: { status: 502 } }) : virtualHost('allow_any', { $case: 'route', value: forward(cluster) });
}

function unknownHostsCluster(scope: Scope, proxy: Proxy): string | undefined {
  if (!scope.allowAny) return undefined;
  const egressProxy = scope.sidecar?.spec.outboundTrafficPolicy?.egressProxy;
  if (egressProxy) return outboundCluster(egressProxy.port?.number ?? 0, egressProxy.host, egressProxy.subset);
  // Deviation: without interception there is no original destination to pass an unknown host to
  return proxy.interception === 'NONE' ? undefined : wellKnownClusters.passthrough;
}

function forward(cluster: string): RouteAction {
  return create(RouteAction, { clusterSpecifier: { $case: 'cluster', value: cluster }, timeout: duration(0), maxGrpcTimeout: duration(0) });
}

function virtualHost(name: string, action: NonNullable<Route['action']>): VirtualHost {
  return create(VirtualHost, { name, domains: ['*'], routes: [create(Route, { name, match: routeMatch(undefined), action })], includeRequestAttemptCount: true });
}
