import type { Config, ServiceEntrySpec } from '@meltemi/config';

/** Addresses per family that are given out: 240.240.0.1 … 240.240.255.254 and their like below 2001:2::/48. */
const poolSize = 65_534;

/** Host → addresses (IPv4 first) of one ServiceEntry. */
export type AutoAddresses = ReadonlyMap<string, readonly string[]>;

/**
 * Addresses of their own for the hosts of ServiceEntries that have none: what an entry's status says, else computed from namespace and host, so
 * that they are the same after a restart and in every pilot. Of two hosts that fall on one address the older keeps it. Source: Istio's
 * ipallocate.go for who gets one and from which ranges; there they are numbered as they come.
 */
export function autoAddresses(entries: readonly Config<ServiceEntrySpec>[]): ReadonlyMap<Config<ServiceEntrySpec>, AutoAddresses> {
  const waiting = entries.filter(wantsAddresses);
  const written = new Map(waiting.map((entry) => [entry, statusAddresses(entry)]));
  const taken = new Set([...entries.flatMap(({ spec }) => spec.addresses), ...[...written.values()].flatMap((byHost) => [...byHost.values()].flat())]);
  return new Map(waiting.map((entry) => [entry, new Map(hostsOf(entry).map((host) => [host, written.get(entry)?.get(host) ?? free(`${entry.meta.namespace}/${host}`, taken)]))]));
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
