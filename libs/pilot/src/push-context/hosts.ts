/** A short name becomes `name.<namespace>.svc.<domain>`; "*", IPs and anything with a dot stay. Source: Istio's ResolveShortnameToFQDN. */
export function resolveHost(host: string, namespace: string, domain: string): string {
  if (host === '' || host === '*' || host.includes('.') || host.includes(':')) return host;
  return `${host}.${namespace}.svc.${domain}`;
}

/** True when some name is meant by both; either may start with "*". */
export function hostsOverlap(a: string, b: string): boolean {
  if (a.startsWith('*')) {
    if (b.startsWith('*')) return a.length <= b.length ? b.endsWith(a.slice(1)) : a.endsWith(b.slice(1));
    return hostCovers(a, b);
  }
  return hostCovers(b, a);
}

/** True when every name that `narrow` means is meant by `wide`. */
export function hostCovers(wide: string, narrow: string): boolean {
  if (!wide.startsWith('*')) return wide === narrow;
  const suffix = wide.slice(1);
  return narrow.startsWith('*') ? narrow.slice(1).endsWith(suffix) : narrow.length > suffix.length && narrow.endsWith(suffix);
}

/** Of `candidates`, the one that fits `host` best: itself, else the longest wildcard that covers it. */
export function mostSpecificHost(host: string, candidates: Iterable<string>): string | undefined {
  let best: string | undefined;
  for (const candidate of candidates) {
    if (candidate === host) return candidate;
    if (candidate.startsWith('*') && hostCovers(candidate, host) && (best === undefined || candidate.length > best.length)) best = candidate;
  }
  return best;
}

/** Order by specificity: exact names before wildcards, longer before shorter, then by name; "*" comes last. */
export function moreSpecific(a: string, b: string): number {
  const aWild = a.startsWith('*');
  if (aWild !== b.startsWith('*')) return aWild ? 1 : -1;
  return b.length - a.length || (a < b ? -1 : a > b ? 1 : 0);
}

/** True when something of `owner` with this exportTo is seen from `viewer`. An empty list means everybody, "~" nobody. */
export function isVisible(exportTo: readonly string[], owner: string, viewer: string): boolean {
  if (exportTo.length === 0 || exportTo.includes('*')) return true;
  return !exportTo.includes('~') && exportTo.some((entry) => (entry === '.' && owner === viewer) || entry === viewer);
}
