import type { ObservedAccess, RecentRequest } from '@meltemi/mixer';
import { jsonResponse, type AdminRoute } from '@meltemi/observe-edge';

/** GET /requests?namespace=default: the different requests seen lately, newest first; what `meltemi diff` asks for. */
export function requestsRoute(recent: { read(namespace?: string): readonly RecentRequest[] }): AdminRoute {
  return {
    method: 'GET',
    path: '/requests',
    description: 'different requests seen lately, without headers and queries; ?namespace=default',
    handle: ({ query }) => jsonResponse({ requests: recent.read(query.get('namespace') ?? undefined) }),
  };
}

/** GET /accesses?namespace=default: who reached which workload with what, as the servers' proxies saw it; what `meltemi authz suggest` asks for. */
export function accessesRoute(observed: { read(namespace?: string): readonly ObservedAccess[]; readonly forgotten: number }): AdminRoute {
  return {
    method: 'GET',
    path: '/accesses',
    description: 'who reached which workload with what lately, without headers and queries; ?namespace=default',
    handle: ({ query }) => jsonResponse({ accesses: observed.read(query.get('namespace') ?? undefined), forgotten: observed.forgotten }),
  };
}
