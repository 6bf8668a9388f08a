import dns from 'node:dns';
import { isIP } from 'node:net';
import type { Cluster, Endpoint, LoadAssignment } from '@meltemi/snapshot';

/** Looks names up; a port, so that tests bring their own. */
export interface Resolver {
  /** All addresses of a name; rejects when there are none, with code ENOTFOUND when the name servers say so. */
  resolve(name: string, lookup: Cluster['dns']['lookup']): Promise<string[]>;
}

export const systemResolver: Resolver = {
  async resolve(name, lookup) {
    const family = lookup === 'v4' ? 4 : lookup === 'v6' ? 6 : 0;
    const found = await dns.promises.lookup(name, { all: true, family });
    const addresses = found.map(({ address }) => address);
    if (lookup === 'all') return addresses;
    // One family at a time: the first that answered, IPv4 where that is preferred.
    const v4 = addresses.filter((address) => isIP(address) === 4);
    const v6 = addresses.filter((address) => isIP(address) === 6);
    if (lookup === 'v4-preferred') return v4.length > 0 ? v4 : v6;
    return lookup === 'auto' && v6.length > 0 && v4.length === 0 ? v6 : v4.length > 0 ? v4 : v6;
  },
};

/** Keeps the endpoints of a strict_dns or logical_dns cluster fresh until stopped. Told first when the first look-ups are over, well or not. */
export function watchDns(cluster: Cluster, resolver: Resolver, onUpdate: (assignment: LoadAssignment) => void): () => void {
  const template = cluster.loadAssignment;
  const known = new Map<string, string[]>();
  let stopped = false;
  let timer: NodeJS.Timeout | null = null;
  let failures = 0;
  const refresh = async () => {
    if (template === null) return;
    const failed = await resolveAll(template, cluster, resolver, known);
    if (stopped) return;
    failures = failed ? failures + 1 : 0;
    onUpdate(expand(template, cluster.discovery === 'logical_dns', known));
    const { refreshMs, failureRefreshBaseMs, failureRefreshMaxMs } = cluster.dns;
    const delayMs = failed ? Math.min(failureRefreshMaxMs, failureRefreshBaseMs * 2 ** Math.min(20, failures - 1)) : refreshMs;
    timer = setTimeout(() => void refresh(), Math.max(50, delayMs));
    timer.unref();
  };
  void refresh();
  return () => {
    stopped = true;
    if (timer !== null) clearTimeout(timer);
  };
}

async function resolveAll(template: LoadAssignment, cluster: Cluster, resolver: Resolver, known: Map<string, string[]>): Promise<boolean> {
  const names = new Set(template.priorities.flat().flatMap(({ endpoints }) => endpoints.flatMap(({ target }) => (target.kind === 'ip' ? [target.address] : []))));
  let failed = false;
  await Promise.all(
    [...names].map(async (name) => {
      if (isIP(name) !== 0) return void known.set(name, [name]);
      try {
        known.set(name, (await resolver.resolve(name, cluster.dns.lookup)).sort());
      } catch (cause) {
        // Envoy's rule: a name without addresses has no hosts (who got its old ones may be somebody else); whatever else fails, and for logical_dns, what was known stays in use.
        if (cluster.discovery === 'strict_dns' && (cause as NodeJS.ErrnoException).code === 'ENOTFOUND') known.set(name, []);
        else failed = true;
      }
      return undefined;
    }),
  );
  return failed;
}

function expand(template: LoadAssignment, first: boolean, known: ReadonlyMap<string, string[]>): LoadAssignment {
  const addresses = (endpoint: Endpoint): Endpoint[] => {
    const { target } = endpoint;
    if (target.kind !== 'ip') return [endpoint];
    const found = known.get(target.address) ?? [];
    return (first ? found.slice(0, 1) : found).map((address) => ({
      ...endpoint,
      target: { kind: 'ip', address, port: target.port },
      key: address.includes(':') ? `[${address}]:${target.port}` : `${address}:${target.port}`,
      hostname: endpoint.hostname || target.address,
    }));
  };
  return { ...template, priorities: template.priorities.map((localities) => localities.map((locality) => ({ ...locality, endpoints: locality.endpoints.flatMap(addresses) }))) };
}
