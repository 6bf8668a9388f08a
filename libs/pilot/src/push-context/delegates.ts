import type { HttpMatchRequest, HttpRoute, StringMatch } from '@meltemi/config';

/** The routes that stand in the root's place: each of the delegate's with the root's conditions and-merged. Those that leave the root's conditions are dropped. */
export function mergedRoutes(root: HttpRoute, delegate: readonly HttpRoute[]): HttpRoute[] {
  // one level only: a delegate that delegates has no route to offer
  return delegate.filter((child) => !child.delegate).flatMap((child) => {
    const match = mergedMatches(root.match, child.match);
    return match === undefined ? [] : [mergedRoute(root, child, match)];
  });
}

/** What the delegate sets wins; what it leaves open the root fills in. */
function mergedRoute(root: HttpRoute, child: HttpRoute, match: readonly HttpMatchRequest[]): HttpRoute {
  const { delegate: _, ...filling } = root;
  return { ...filling, ...child, name: joined(root.name, child.name), match, mirrors: child.mirrors.length > 0 ? child.mirrors : root.mirrors };
}

/** undefined: some condition of the delegate fits none of the root's, so the route is in conflict. An empty list: everything matches. */
function mergedMatches(roots: readonly HttpMatchRequest[], children: readonly HttpMatchRequest[]): readonly HttpMatchRequest[] | undefined {
  if (roots.length === 0) return children;
  if (children.length === 0) return roots;
  const merged: HttpMatchRequest[] = [];
  for (const child of children) {
    const fitting = roots.filter((root) => !inConflict(root, child));
    if (fitting.length === 0) return undefined;
    merged.push(...fitting.map((root) => mergedMatch(root, child)));
  }
  return merged;
}

function mergedMatch(root: HttpMatchRequest, child: HttpMatchRequest): HttpMatchRequest {
  return {
    ...root,
    ...child,
    name: joined(root.name, child.name),
    port: child.port || root.port,
    gateways: child.gateways.length > 0 ? child.gateways : root.gateways,
    headers: { ...root.headers, ...child.headers },
    withoutHeaders: { ...root.withoutHeaders, ...child.withoutHeaders },
    queryParams: { ...root.queryParams, ...child.queryParams },
    sourceLabels: { ...root.sourceLabels, ...child.sourceLabels },
    sourceNamespace: child.sourceNamespace || root.sourceNamespace,
    statPrefix: child.statPrefix || root.statPrefix,
  };
}

function joined(root: string, child: string): string {
  return [root, child].filter((part) => part !== '').join('-');
}

/** The delegate may narrow the root's conditions, not leave them. Source: Istio's hasConflict. */
function inConflict(root: HttpMatchRequest, child: HttpMatchRequest): boolean {
  return (
    (['uri', 'scheme', 'method', 'authority'] as const).some((key) => contradicts(root[key], child[key])) ||
    (['headers', 'withoutHeaders', 'queryParams'] as const).some((key) => Object.entries(child[key]).some(([name, value]) => contradicts(root[key][name], value))) ||
    root.ignoreUriCase !== child.ignoreUriCase ||
    (root.port !== 0 && child.port !== 0 && root.port !== child.port) ||
    // who names a namespace in the root means the delegate to name it, too
    (root.sourceNamespace !== '' && root.sourceNamespace !== child.sourceNamespace) ||
    Object.entries(child.sourceLabels).some(([key, value]) => (root.sourceLabels[key] ?? value) !== value) ||
    (root.gateways.length > 0 && child.gateways.some((gateway) => !root.gateways.includes(gateway)))
  );
}

/** Regular expressions cannot be compared, nor can mere presence: beside another condition they are in conflict. */
function contradicts(root: StringMatch | undefined, child: StringMatch | undefined): boolean {
  if (!root || !child) return false;
  if (root.exact) return child.exact !== root.exact;
  const narrowed = child.exact || child.prefix;
  return !root.prefix || !narrowed || !narrowed.startsWith(root.prefix);
}
