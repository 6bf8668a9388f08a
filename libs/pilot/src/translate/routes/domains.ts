import type { Service } from '../../registry/model.ts';

/** How a table lists its hosts: tables of one port ignore the port of the Host header and list bare names; the shared proxy port tells ports apart. */
export interface DomainForm {
  /** The client's, "default.svc.cluster.local". */
  readonly dnsDomain: string;
  /** The client resolves names itself, so it may call services by the addresses the mesh gave them. */
  readonly autoAddresses: boolean;
  /** Names that end in a dot, too. */
  readonly absolute: boolean;
  readonly bare: boolean;
  /** "name:port", too. */
  readonly port?: number;
}

/** What a virtual host answers to. */
export interface Domains {
  readonly all: readonly string[];
  /** The same in small letters: two that differ by case alone are one to Envoy. */
  readonly lower: readonly string[];
  /** Those of them that are other ways to write the service's name: they give way to a service of that very name. */
  readonly short: ReadonlySet<string>;
}

const known = new WeakMap<Service, Map<string, Domains>>();

/** Every way a client may write a service's name, those of its aliases, and its addresses: the same object for clients that may write it alike. */
export function serviceDomains(service: Service, form: DomainForm): Domains {
  const ofService = known.get(service) ?? new Map<string, Domains>();
  known.set(service, ofService);
  const key = keyOf(service, form);
  const before = ofService.get(key);
  if (before) return before;
  const made = newServiceDomains(service, form);
  ofService.set(key, made);
  return made;
}

/** In Kubernetes a client's namespace tells only whether the first part of a name is enough. */
function keyOf({ hostname, aliases }: Service, { dnsDomain, autoAddresses, absolute, bare, port }: DomainForm): string {
  const at = dnsDomain.indexOf('.svc.');
  const isLocal = (name: string) => (name.length - dnsDomain.length - 1 === name.indexOf('.') && name.endsWith(dnsDomain) ? '1' : '0');
  const client = at < 0 ? dnsDomain : `${dnsDomain.slice(at)} ${isLocal(hostname)}${aliases.map(isLocal).join('')}`;
  return `${client} ${autoAddresses}${absolute}${bare}${port}`;
}

/** Of one host as it is written. */
export function hostDomains(host: string, form: DomainForm): Domains {
  return domainsOf(written(host, form), []);
}

function domainsOf(all: readonly string[], short: readonly string[]): Domains {
  return { all, lower: all.map((domain) => domain.toLowerCase()), short: new Set(short) };
}

function newServiceDomains(service: Service, form: DomainForm): Domains {
  const names = [service.hostname, ...service.aliases];
  const short = names.flatMap((name) => alternatives(name, form)).flatMap((name) => written(name, form));
  const named = [...names.flatMap((name) => written(name, form)), ...short];
  const pods = service.resolution === 'passthrough' && service.registry === 'kubernetes' ? named.map((name) => `*.${name}`) : [];
  const listed = service.addresses.length > 0 || !form.autoAddresses ? service.addresses : service.autoAddresses;
  const addresses = listed.filter((address) => !address.includes('/') && address !== '0.0.0.0').flatMap((address) => written(address, form));
  return domainsOf([...named, ...pods, ...addresses], short);
}

/** The forms of one name or address. */
export function written(name: string, { bare, port }: Pick<DomainForm, 'bare' | 'port'>): string[] {
  const host = bracketed(name);
  return [...(bare ? [host] : []), ...(port === undefined ? [] : [`${host}:${port}`])];
}

/** An IPv6 address as a Host header has it. */
export function bracketed(name: string): string {
  return name.includes(':') ? `[${name}]` : name;
}

function alternatives(hostname: string, { dnsDomain, absolute }: DomainForm): string[] {
  const dotted = absolute && !hostname.includes(':') && !/^[0-9.]+$/.test(hostname) ? [`${hostname}.`] : [];
  return [...dotted, ...shortNames(hostname, dnsDomain)];
}

/** "reviews", "reviews.default.svc", "reviews.default" for a client in the same namespace; without the first from another one. Source: Istio's GenerateAltVirtualHosts. */
export function shortNames(hostname: string, dnsDomain: string): string[] {
  const at = dnsDomain.indexOf('.svc.');
  if (at < 0) return sharedSuffix(hostname, dnsDomain);
  const suffix = dnsDomain.slice(at);
  if (!hostname.endsWith(suffix)) return [];
  const base = hostname.slice(0, -suffix.length);
  const dot = base.indexOf('.');
  if (dot < 0) return [];
  const local = base.slice(dot + 1) === dnsDomain.slice(0, at);
  return [...(local ? [base.slice(0, dot)] : []), `${base}.svc`, base];
}

/** Outside of Kubernetes: what is left of the name without the part it shares with the client's domain. */
function sharedSuffix(hostname: string, dnsDomain: string): string[] {
  const name = hostname.split('.').reverse();
  const domain = dnsDomain.split('.').reverse();
  let shared = 0;
  while (shared < name.length && shared < domain.length && name[shared] === domain[shared]) shared += 1;
  if (shared === 0 || shared === name.length) return [];
  const unique = name.slice(shared).reverse().join('.');
  return name.length - shared === 2 ? [unique, `${unique}.${name[shared - 1]}`] : [unique];
}
