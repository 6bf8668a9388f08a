import type { Hash64 } from '@meltemi/base';
import type { MaglevPolicy, RingHashPolicy } from '@meltemi/snapshot';
import type { HashEntry } from './hash-entries.ts';
import type { Host } from './host.ts';
import type { HashTable } from './hash-table.ts';
import type { HostPicker } from './host-pickers.ts';
import { MaglevTable } from './maglev.ts';
import type { BalanceParts, Draw } from './picker.ts';
import { Ring } from './ring.ts';

export type HashPolicy = RingHashPolicy | MaglevPolicy;

/** Hosts by hash. The table is made at the first pick: most sets are replaced before one comes. @hot */
export class HashPicker implements HostPicker {
  readonly #policy: HashPolicy;
  readonly #entriesOf: () => readonly HashEntry[];
  readonly #parts: BalanceParts;
  #entries: readonly HashEntry[] = [];
  #table: HashTable | null = null;
  /** Numbers of the entries, shuffled anew for each pick that finds its host overloaded. */
  #order: Uint32Array | null = null;

  constructor(policy: HashPolicy, entries: () => readonly HashEntry[], parts: BalanceParts) {
    this.#policy = policy;
    this.#entriesOf = entries;
    this.#parts = parts;
  }

  next({ hash, attempt }: Draw): Host | null {
    const table = (this.#table ??= this.#build());
    if (this.#entries.length === 0) return null;
    const entry = this.#entries[table.find(hash, attempt)];
    if (entry === undefined) return null;
    return this.#policy.balanceFactor === 0 || this.#overload(entry) <= 1 ? entry.host : this.#lessLoaded(entry, hash);
  }

  #build(): HashTable {
    this.#entries = this.#entriesOf();
    if (this.#entries.length === 0) return nothing;
    return this.#policy.kind === 'ring_hash' ? new Ring(this.#entries, this.#policy) : new MaglevTable(this.#entries, this.#policy.tableSize);
  }

  /** The host's requests over what it may have: its part of the balance factor times the average, at least one. */
  #overload({ host, weight }: HashEntry): number {
    const slots = Math.floor(((this.#parts.activeRequests() + 1) * this.#policy.balanceFactor + 99) / 100);
    return host.state.activeRequests / Math.max(1, Math.ceil(slots * weight));
  }

  /** Others in an order that is the hash's own, until one has room; the least loaded when none has. */
  #lessLoaded(first: HashEntry, hash: Hash64): Host {
    const count = this.#entries.length;
    const order = (this.#order ??= new Uint32Array(count));
    for (let i = 0; i < count; i++) order[i] = i;
    let best = first;
    let least = this.#overload(first);
    let state = hash.lo ^ hash.hi;
    for (let i = 0; i < count; i++) {
      state = Math.imul(state ^ (state >>> 15), 0x2c1b3c6d) + 0x6d2b79f5;
      const swapped = i + (((state ^ (state >>> 13)) >>> 0) % (count - i));
      const number = order[swapped] ?? 0;
      order[swapped] = order[i] ?? 0;
      const entry = this.#entries[number];
      if (entry === undefined || entry === first) continue;
      const load = this.#overload(entry);
      if (load <= 1) return entry.host;
      if (load < least) {
        least = load;
        best = entry;
      }
    }
    return best.host;
  }
}

const nothing: HashTable = { find: () => 0 };
