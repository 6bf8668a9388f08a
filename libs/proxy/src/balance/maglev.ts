import { hash64, hashModulo, xxHash64, type Hash64 } from '@meltemi/base';
import type { HashEntry } from './hash-entries.ts';
import type { HashTable } from './hash-table.ts';

interface Filling {
  readonly number: number;
  readonly weight: number;
  readonly skip: number;
  /** Where the host wants to stand next. */
  at: number;
  target: number;
}

/**
 * Envoy's Maglev table ("Maglev: a fast and reliable software network load balancer", listing 1): hosts take turns in choosing their next
 * preferred free place until all are taken; lighter hosts sit out turns. Hosts are in the order of their keys, whatever order they came in. @hot
 */
export class MaglevTable implements HashTable {
  readonly #entry: Uint32Array;
  /** Reused: the hash of a pick that is made again. */
  readonly #other: Hash64 = hash64();

  constructor(entries: readonly HashEntry[], size: number) {
    this.#entry = fill(entries, size);
  }

  find(hash: Hash64, attempt: number): number {
    if (attempt === 0) return this.#entry[hashModulo(hash, this.#entry.length)] ?? 0;
    // All bits but a few change, so that picking again leads to another host.
    this.#other.hi = ~hash.hi >>> 0;
    this.#other.lo = (hash.lo ^ -attempt) >>> 0;
    return this.#entry[hashModulo(this.#other, this.#entry.length)] ?? 0;
  }
}

function fill(entries: readonly HashEntry[], size: number): Uint32Array {
  const filling = prepare(entries, size);
  const table = new Uint32Array(size);
  const taken = new Uint8Array(size);
  const heaviest = entries.reduce((most, { weight }) => Math.max(most, weight), 0);
  let filled = 0;
  for (let turn = 1; filled < size; turn++) {
    for (let i = 0; i < filling.length && filled < size; i++) {
      const one = filling[i];
      if (one === undefined || turn * one.weight < one.target) continue;
      one.target += heaviest;
      let at = one.at;
      // Both are below the size: taking it away is a modulo without the division, a million times a table.
      while (taken[at] === 1) at = at + one.skip < size ? at + one.skip : at + one.skip - size;
      taken[at] = 1;
      table[at] = one.number;
      one.at = at;
      filled++;
    }
  }
  return table;
}

function prepare(entries: readonly HashEntry[], size: number): Filling[] {
  const hash = hash64();
  return entries
    .map(({ key, weight }, number) => ({ key, weight, number }))
    .toSorted((a, b) => (a.key < b.key ? -1 : a.key > b.key ? 1 : 0))
    .map(({ key, weight, number }) => {
      xxHash64(key, hash);
      const at = hashModulo(hash, size);
      xxHash64(key, hash, 1);
      return { number, weight, at, skip: (size > 2 ? hashModulo(hash, size - 1) : 0) + 1, target: 0 };
    });
}
