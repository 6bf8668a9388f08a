import type { Config, ServiceEntrySpec } from '@meltemi/config';
import { serviceKey, type Service } from './model.ts';

/** Addresses per family that are given out: 240.240.0.1 … 240.240.255.254 and their like below 2001:2::/48. */
const poolSize = 65_534;

/** Host → addresses (IPv4 first) of one ServiceEntry. */
export type AutoAddresses = ReadonlyMap<string, readonly string[]>;

/** What a host of a namespace was given before. */
export type GivenBefore = (namespace: string, host: string) => readonly string[];

/**
 * Addresses of their own for the hosts of ServiceEntries that have none: what an entry's status says, what they had before, else computed from
 * namespace and host, so that they are the same after a restart and in every pilot. Of two hosts that claim one address the older keeps it. Source: Istio's
 * ipallocate.go for who gets one and from which ranges; there they are numbered as they come.
 */
export function autoAddresses(entries: readonly Config<ServiceEntrySpec>[], before: GivenBefore = () => []): ReadonlyMap<Config<ServiceEntrySpec>, AutoAddresses> {
  const waiting = entries.filter(wantsAddresses).map((entry) => ({ entry, hosts: hostsOf(entry), given: new Map<string, readonly string[]>() }));
  const oldestFirst = waiting.toSorted((a, b) => (a.entry.meta.creationTimestamp < b.entry.meta.creationTimestamp ? -1 : a.entry.meta.creationTimestamp > b.entry.meta.creationTimestamp ? 1 : 0));
  const taken = new Set(entries.flatMap(({ spec }) => spec.addresses));
  const claim = (claims: (entry: Config<ServiceEntrySpec>) => (host: string) => readonly string[]) => {
    for (const { entry, hosts, given } of oldestFirst) {
      const claimed = claims(entry);
      for (const host of hosts) {
        const addresses = given.has(host) ? [] : claimed(host);
        if (addresses.length === 0 || addresses.some((address) => taken.has(address))) continue;
        given.set(host, addresses);
        for (const address of addresses) taken.add(address);
      }
    }
  };
  claim((entry) => {
    const written = statusAddresses(entry);
    return (host) => written.get(host) ?? [];
  });
  claim(({ meta }) => (host) => before(meta.namespace, host));
  for (const { entry, hosts, given } of waiting) for (const host of hosts) if (!given.has(host)) given.set(host, free(`${entry.meta.namespace}/${host}`, taken));
  return new Map(waiting.map(({ entry, given }) => [entry, given]));
}

/** As an entry's status.addresses has it. */
export interface AddressOfHost {
  readonly value: string;
  readonly host: string;
}

/** What a registry gave to the hosts of an entry; empty for who wants none. */
export function givenAddresses(registry: { readonly services: readonly Service[] }): (entry: Config<ServiceEntrySpec>) => readonly AddressOfHost[] {
  const before = givenBefore(registry);
  return (entry) => (wantsAddresses(entry) ? hostsOf(entry).flatMap((host) => before(entry.meta.namespace, host).map((value) => ({ value, host }))) : []);
}

const byServices = new WeakMap<readonly Service[], GivenBefore>();

/** What a registry gave. */
export function givenBefore(registry: { readonly services: readonly Service[] } | undefined): GivenBefore {
  const services = registry?.services ?? [];
  const known = byServices.get(services);
  if (known) return known;
  const given = new Map(services.filter(({ autoAddresses: own }) => own.length > 0).map((service) => [serviceKey(service), service.autoAddresses]));
  const before: GivenBefore = (namespace, hostname) => given.get(serviceKey({ namespace, hostname })) ?? [];
  byServices.set(services, before);
  return before;
}

function wantsAddresses({ spec, meta }: Config<ServiceEntrySpec>): boolean {
  return spec.resolution !== 'NONE' && spec.addresses.length === 0 && meta.labels['networking.istio.io/enable-autoallocate-ip']?.toLowerCase() !== 'false';
}

/** A wildcard is no name that could be looked up, unless names are resolved as they come. */
function hostsOf({ spec }: Config<ServiceEntrySpec>): readonly string[] {
  return [...new Set(spec.hosts)].filter((host) => !host.startsWith('*') || spec.resolution === 'DYNAMIC_DNS');
}

/** status.addresses: {value, host}. */
function statusAddresses({ status }: Config<ServiceEntrySpec>): Map<string, string[]> {
  const byHost = new Map<string, string[]>();
  const list = isRecord(status) && Array.isArray(status['addresses']) ? (status['addresses'] as unknown[]) : [];
  for (const entry of list) {
    if (!isRecord(entry) || typeof entry['value'] !== 'string') continue;
    const host = typeof entry['host'] === 'string' ? entry['host'] : '';
    byHost.set(host, [...(byHost.get(host) ?? []), entry['value']].toSorted((a, b) => Number(a.includes(':')) - Number(b.includes(':'))));
  }
  return byHost;
}

/** The first free pair from where the key's hash points. A pool without free addresses gives none. */
function free(key: string, taken: Set<string>): readonly string[] {
  const start = hash(key) % poolSize;
  for (let step = 0; step < poolSize; step++) {
    const number = ((start + step) % poolSize) + 1;
    const pair = [`240.240.${number >> 8}.${number & 255}`, `2001:2::${number.toString(16)}`];
    if (pair.some((address) => taken.has(address))) continue;
    for (const address of pair) taken.add(address);
    return pair;
  }
  return [];
}

/** FNV-1a, 32 bits. */
function hash(text: string): number {
  let value = 0x811c_9dc5;
  for (let i = 0; i < text.length; i++) value = Math.imul(value ^ text.charCodeAt(i), 0x0100_0193) >>> 0;
  return value;
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
