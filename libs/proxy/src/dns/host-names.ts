import { parseIp } from '@meltemi/match';
import type { DnsRecord } from './reply.ts';
import { isWritable, recordType } from './wire.ts';

/** What a name table says of one host. Source: Istio's nds.proto. */
export interface NamedHost {
  readonly ips: readonly string[];
  readonly registry: string;
  readonly shortname: string;
  readonly namespace: string;
  readonly altHosts: readonly string[];
}

export interface HostNamesOptions {
  /** The proxy's namespace: its services are known by their short name alone. */
  readonly namespace: string;
  /** "default.svc.cluster.local" or "svc.cluster.local": the domain of the proxy's cluster. */
  readonly domain: string;
  /** Search domains of resolv.conf. */
  readonly search: readonly string[];
}

interface Addresses {
  readonly v4: readonly Uint8Array[];
  readonly v6: readonly Uint8Array[];
}

/** A host under one of its names; `expanded` when a search domain had been put behind it. */
interface Found {
  readonly name: string;
  readonly addresses: Addresses;
  readonly expanded: boolean;
}

/** The names of a table in all forms that are answered. Replaced whole. Source: Istio's pkg/dns/client. */
export class HostNames {
  readonly #byName = new Map<string, Addresses>();
  /** "default.svc.cluster.local." or "". */
  readonly #search: string;
  #turn = 0;

  constructor(table: Readonly<Record<string, NamedHost>>, options: HostNamesOptions) {
    const [search = ''] = options.search;
    this.#search = search === '' ? '' : withDot(search.toLowerCase());
    const hosts = Object.entries(table).map(([host, named]) => ({ host, named, addresses: addressesOf(named) })).filter(({ addresses }) => addresses.v4.length + addresses.v6.length > 0);
    // A full name is nobody else's short form; short forms of the proxy's own namespace come before those of others.
    for (const { host, addresses } of hosts) this.#add(withDot(host), addresses);
    for (const own of [true, false])
      for (const { host, named, addresses } of hosts) if ((named.namespace === options.namespace) === own) for (const name of shortForms(host, named, options)) this.#add(name, addresses);
  }

  /** How many names are answered, without those that search domains add. */
  get size(): number {
    return this.#byName.size;
  }

  /**
   * The records for a name (lower case, final dot): none for a known name without an address of that family; null for names and types that others must
   * answer. Addresses begin with another one each time.
   */
  lookup(name: string, type: number): readonly DnsRecord[] | null {
    if (type !== recordType.a && type !== recordType.aaaa) return null;
    const exact = this.#find(name);
    const found = exact ?? this.#findWildcard(name);
    if (!found) return null;
    const addresses = type === recordType.a ? found.addresses.v4 : found.addresses.v6;
    if (addresses.length === 0) return [];
    const owner = found.expanded ? found.name : name;
    const records: DnsRecord[] = found.expanded ? [{ name, type: recordType.cname, target: found.name }] : [];
    const first = this.#turn++ % addresses.length;
    for (let i = 0; i < addresses.length; i++) records.push({ name: owner, type, address: addresses[(first + i) % addresses.length] ?? new Uint8Array() });
    return records;
  }

  /** "a.b.example.com." may be "*.b.example.com.", then "*.example.com.", and so on. */
  #findWildcard(name: string): Found | undefined {
    for (let dot = name.indexOf('.'); dot >= 0 && dot + 1 < name.length; dot = name.indexOf('.', dot + 1)) {
      const found = this.#find(`*${name.slice(dot)}`);
      if (found) return found;
    }
    return undefined;
  }

  /** Under this very name, or with the first search domain behind it, which is what resolvers try first: then the client is told the real name at once. */
  #find(name: string): Found | undefined {
    const addresses = this.#byName.get(name);
    if (addresses) return { name, addresses, expanded: false };
    if (this.#search === '' || !name.endsWith(`.${this.#search}`)) return undefined;
    const bare = name.slice(0, -this.#search.length);
    const behind = this.#byName.get(bare);
    return behind && !bare.endsWith(this.#search) ? { name: bare, addresses: behind, expanded: true } : undefined;
  }

  #add(name: string, addresses: Addresses): void {
    const lower = name.toLowerCase();
    if (!this.#byName.has(lower) && isWritable(lower)) this.#byName.set(lower, addresses);
  }
}

/** Forms of a Kubernetes service's name that its clients may use; none for services of other domains, whose short names may be others' here. */
function shortForms(host: string, { registry, shortname, namespace, altHosts }: NamedHost, { namespace: own, domain }: HostNamesOptions): readonly string[] {
  const parts = domain.split('.');
  const [first = '', ...rest] = parts[0] === own ? parts.slice(1) : parts;
  if (registry !== 'Kubernetes' || shortname === '' || first === '' || host.endsWith('.') || !host.endsWith([first, ...rest].join('.'))) return [];
  return [`${shortname}.${namespace}.`, `${shortname}.${namespace}.${first}.`, ...(own === namespace ? [`${shortname}.`] : []), ...altHosts.map(withDot)];
}

function addressesOf({ ips }: NamedHost): Addresses {
  const bytes = ips.map(parseIp).filter((ip) => ip !== null);
  return { v4: bytes.filter((ip) => ip.length === 4), v6: bytes.filter((ip) => ip.length === 16) };
}

function withDot(name: string): string {
  return name.endsWith('.') ? name : `${name}.`;
}
