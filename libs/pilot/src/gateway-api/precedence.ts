import type { HttpMatchRequest, HttpRoute } from '@meltemi/config';

/**
 * Routes in the order in which the Gateway API lets them decide: an exact path, then the longest prefix, then patterns; a method; more headers; more query
 * parameters; what is still equal stays in order (the older route, then the earlier rule). Rules without a match come last.
 */
export function byPrecedence(routes: readonly HttpRoute[]): HttpRoute[] {
  return routes.toSorted((a, b) => compare(a.match[0], b.match[0]));
}

function compare(a: HttpMatchRequest | undefined, b: HttpMatchRequest | undefined): number {
  if (!a || !b) return (a ? 0 : 1) - (b ? 0 : 1);
  return (
    pathRank(b) - pathRank(a) ||
    pathLength(b) - pathLength(a) ||
    (b.method ? 1 : 0) - (a.method ? 1 : 0) ||
    Object.keys(b.headers).length - Object.keys(a.headers).length ||
    Object.keys(b.queryParams).length - Object.keys(a.queryParams).length
  );
}

function pathRank({ uri }: HttpMatchRequest): number {
  if (!uri) return -1;
  return uri.exact !== undefined ? 3 : uri.prefix !== undefined ? 2 : 1;
}

function pathLength({ uri }: HttpMatchRequest): number {
  return (uri?.exact ?? uri?.prefix ?? uri?.regex ?? '').length;
}
