import type { RecentRequest } from '@meltemi/mixer';
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
