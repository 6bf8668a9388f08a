import { hash64, murmurHash2, xxHash64, type Hash64 } from '@meltemi/base';
import type { RingHashPolicy } from '@meltemi/snapshot';
import type { HashEntry } from './hash-entries.ts';
import type { HashTable } from './hash-table.ts';

/**
 * Envoy's ring: each host stands on it at the hashes of "<key>_0", "<key>_1", …, as often as its weight asks for; a request belongs to
 * the first place at or after its hash. Hosts that leave give only their own places away. @hot
 */
export class Ring implements HashTable {
  /** Sorted by hash; the halves of the hashes and the entry's number side by side. */
  readonly #hi: Uint32Array;
  readonly #lo: Uint32Array;
  readonly #entry: Uint32Array;

  constructor(entries: readonly HashEntry[], policy: RingHashPolicy) {
    const places = place(entries, policy);
    const size = places.entry.length;
    const order = Uint32Array.from({ length: size }, (_unused, i) => i);
    order.sort((a, b) => at(places.hi, a) - at(places.hi, b) || at(places.lo, a) - at(places.lo, b));
    const sorted = (values: readonly number[]) => Uint32Array.from(order, (i) => values[i] ?? 0);
    this.#hi = sorted(places.hi);
    this.#lo = sorted(places.lo);
    this.#entry = sorted(places.entry);
  }

  get size(): number {
    return this.#entry.length;
  }

  find({ hi, lo }: Hash64, attempt: number): number {
    const size = this.#entry.length;
    let from = 0;
    let to = size;
    while (from < to) {
      const middle = (from + to) >>> 1;
      const high = this.#hi[middle] ?? 0;
      if (high < hi || (high === hi && (this.#lo[middle] ?? 0) < lo)) from = middle + 1;
      else to = middle;
    }
    // Past the last place the ring begins again; picking again moves on by a place.
    return this.#entry[((from === size ? 0 : from) + attempt) % size] ?? 0;
  }
}

interface Places {
  readonly hi: number[];
  readonly lo: number[];
  readonly entry: number[];
}

/** The ring is as small as gives the lightest host a whole number of places, and at least the configured minimum. */
function place(entries: readonly HashEntry[], policy: RingHashPolicy): Places {
  const places: Places = { hi: [], lo: [], entry: [] };
  const lightest = entries.reduce((least, { weight }) => Math.min(least, weight), 1);
  const scale = Math.min(Math.ceil(lightest * policy.minRingSize) / lightest, policy.maxRingSize);
  const hash = hash64();
  let wanted = 0;
  for (const [number, { key, weight }] of entries.entries()) {
    wanted += scale * weight;
    for (let i = 0; places.entry.length < wanted; i++) {
      const name = `${key}_${i}`;
      if (policy.hashFunction === 'xx') xxHash64(name, hash);
      else murmurHash2(name, hash);
      places.hi.push(hash.hi);
      places.lo.push(hash.lo);
      places.entry.push(number);
    }
  }
  return places;
}

function at(values: readonly number[], i: number): number {
  return values[i] ?? 0;
}
