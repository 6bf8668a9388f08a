import type { ConsistentHashing } from '@meltemi/snapshot';
import type { Host } from './host.ts';
import type { LocalityHosts } from './host-set.ts';

/** A host on a ring or in a table, with its part of all weights. */
export interface HashEntry {
  readonly host: Host;
  /** 0–1; all of them add up to 1. */
  readonly weight: number;
  /** What stands for the host when it is hashed: latin1, one character per byte. */
  readonly key: string;
}

/** Entries of a flat list of hosts. */
export function hashEntries(hosts: readonly Host[], share: number, hashing: ConsistentHashing): HashEntry[] {
  const total = hosts.reduce((sum, { weight }) => sum + weight, 0);
  return hosts.map((host) => ({ host, weight: (host.weight * share) / total, key: hashKey(host, hashing.useHostname) }));
}

/** Entries of localities that share by weight; those without weight or hosts take no part. */
export function localityEntries(localities: readonly LocalityHosts[], source: 'all' | 'healthy' | 'degraded', hashing: ConsistentHashing): HashEntry[] {
  const used = localities.filter((locality) => (locality.weight ?? 0) > 0 && locality[source].length > 0);
  const total = used.reduce((sum, { weight }) => sum + (weight ?? 0), 0);
  return used.flatMap((locality) => hashEntries(locality[source], (locality.weight ?? 0) / total, hashing));
}

/** `hash_key` of the endpoint's envoy.lb metadata, else hostname or address. */
function hashKey(host: Host, useHostname: boolean): string {
  const own = host.lbMetadata?.['hash_key'];
  const key = typeof own === 'string' && own !== '' ? own : useHostname ? host.endpoint.hostname || host.key : host.key;
  return Buffer.from(key, 'utf8').toString('latin1');
}
