import { hostsOverlap, hostCovers } from './hosts.ts';

/** Which hosts of which namespaces an egress listener of a Sidecar imports. Source: Istio's sidecar.go convertIstioListenerToWrapper. */
export interface ImportedHosts {
  /** A service is imported when an entry covers its host; one that is excluded never is. */
  service(host: string, namespace: string): boolean;
  /** A rule is imported when one of its hosts overlaps an entry and is not excluded; a route of the Gateway API when an entry covers one. */
  rule(hosts: readonly string[], namespace: string, semantics?: 'gateway' | 'ingress'): boolean;
}

interface Hosts {
  readonly include: string[];
  readonly exclude: string[];
}

/** "ns/dns" with ns a name, "*" or "." (`namespace`); "~ns/dns" takes away again, and "~/dns" does so in all namespaces. */
export function importedHosts(written: readonly string[], namespace: string): ImportedHosts {
  const byNamespace = new Map<string, Hosts>();
  for (const entry of written) {
    const slash = entry.indexOf('/');
    const place = slash < 0 ? '*' : entry.slice(0, slash);
    const name = place.startsWith('~') ? place.slice(1) || '*' : place;
    const key = name === '.' ? namespace : name;
    const hosts = byNamespace.get(key) ?? { include: [], exclude: [] };
    byNamespace.set(key, hosts);
    hosts[place.startsWith('~') ? 'exclude' : 'include'].push(entry.slice(slash + 1));
  }
  const places = (owner: string) => [byNamespace.get(owner), byNamespace.get('*')].filter((hosts) => hosts !== undefined);
  const excluded = (host: string, owner: string) => places(owner).some(({ exclude }) => exclude.some((wide) => hostCovers(wide, host)));
  return {
    service: (host, owner) => places(owner).some(({ include }) => include.some((wide) => hostCovers(wide, host))) && !excluded(host, owner),
    rule: (hosts, owner, semantics) => places(owner).some(({ include }) => hosts.some((host) => include.some((entry) => (semantics === 'gateway' ? hostCovers : hostsOverlap)(entry, host)) && !excluded(host, owner))),
  };
}
