import type { Hash64 } from '@meltemi/base';

/** Where hashes belong: the number of an entry. */
export interface HashTable {
  find(hash: Hash64, attempt: number): number;
}
