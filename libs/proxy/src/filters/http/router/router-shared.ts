import { HeaderMap } from '@meltemi/http';
import { applyHeaderOps, type RouteMatch } from '@meltemi/route';
import type { StreamControls } from '../../../filter.ts';
import type { HttpStats } from '../../../http/http-stats.ts';
import type { StrictHeader } from './control-headers.ts';
import type { InternalRedirects } from './internal-redirects.ts';
import type { VirtualClusters } from './virtual-cluster.ts';

/** What one router filter's config compiles to. */
export interface RouterConfig {
  readonly suppressEnvoyHeaders: boolean;
  /** Requests in which one of these cannot be read are refused. */
  readonly strictHeaders: readonly StrictHeader[];
  /** x-envoy-expected-rq-timeout-ms of a sidecar before this one is the timeout. */
  readonly respectExpectedTimeout: boolean;
}

/** Bound to a chain: shared by its streams. */
export interface RouterShared {
  readonly config: RouterConfig;
  readonly stats: HttpStats;
  readonly bufferLimit: number;
  readonly virtualClusters: VirtualClusters;
  readonly redirects: InternalRedirects;
}

/** Response fields that the route adds to an answer of our own. */
export function routeHeaders(route: RouteMatch, stream: StreamControls): (readonly [string, string])[] {
  if (route.responseHeaders.length === 0) return [];
  const headers = new HeaderMap();
  applyHeaderOps(route.responseHeaders, headers, stream.info);
  return [...headers];
}
