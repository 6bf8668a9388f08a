import type { RouteMatch } from '@meltemi/api/gen/envoy/config/route/v3/route_components.ts';
import { pathOf, type RequestHead, type StreamInfo } from '@meltemi/http';
import type { Report } from './report.ts';
import { compileConditions, RouteRule } from './route-rule.ts';

/** The conditions of a route for who does not route: rules of filters over requests. `random` in [0, 1) is for runtime_fraction. */
export interface RequestMatcher {
  matches(request: RequestHead, random: number, info: StreamInfo | null): boolean;
}

/** Compiles a RouteMatch; null when it was refused. */
export function compileRequestMatcher(match: RouteMatch, path: string, report: Report): RequestMatcher | null {
  const conditions = compileConditions(match, path, report);
  if (conditions === null) return null;
  const rule = new RouteRule('', conditions, [], []);
  return { matches: (request, random, info) => rule.matches(request, pathOf(request.path), random, info) };
}
