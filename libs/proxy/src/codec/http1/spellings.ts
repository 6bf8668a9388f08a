import { latin1 } from '../../latin1.ts';
import { fieldName, maxKnownLength, type FieldName } from './field-names.ts';

/** A field's name as some peer spells it, by its bytes. */
export interface Spelling {
  readonly field: FieldName;
  /** Bytes of the name and the colon behind it … */
  readonly length: number;
  /** … as little-endian words; `mask` has the bits of the last one that belong to it. */
  readonly words: Int32Array;
  readonly mask: number;
  /** It is remembered, and so may be remembered as a `next`. */
  readonly kept: boolean;
  /** What followed it the last time: peers send their fields in the same order again and again. */
  next: Spelling | null;
}

/** By the hash of their bytes. Who comes first stays: others with the same place are made anew each time. */
const spellings: (Spelling | null)[] = Array.from({ length: 1024 }, () => null);

/** The spelling of the name `buffer[start, end)`, or null when that is no token; `hash` is of these bytes. @hot */
export function spellingOf(buffer: Buffer, start: number, end: number, hash: number): Spelling | null {
  const place = (hash ^ (hash >>> 10)) & 1023;
  const found = spellings[place] ?? null;
  if (found !== null && sameBytes(found, buffer, start, end)) return found;
  const field = fieldName(latin1(buffer, start, end));
  if (field === null) return null;
  const kept = found === null && end - start <= maxKnownLength;
  const made = newSpelling(field, buffer.subarray(start, end), kept);
  if (kept) spellings[place] = made;
  return made;
}

/** Stands in front of a head's first field. */
export function beginning(): Spelling {
  return newSpelling({ name: '', kind: 0 }, Buffer.alloc(0), true);
}

/** Whether this name and its colon are at `at`; words can be read up to `lastWord`. @hot */
export function isAt({ words, mask }: Spelling, view: DataView, at: number, lastWord: number): boolean {
  const last = words.length - 1;
  if (at + last * 4 > lastWord) return false;
  for (let i = 0; i < last; i++) if (view.getInt32(at + i * 4, true) !== words[i]) return false;
  return ((view.getInt32(at + last * 4, true) ^ (words[last] ?? 0)) & mask) === 0;
}

function sameBytes({ words, length }: Spelling, buffer: Buffer, start: number, end: number): boolean {
  if (length !== end - start + 1) return false;
  for (let i = 0; i < length - 1; i++) if ((((words[i >> 2] ?? 0) >>> ((i & 3) * 8)) & 255) !== buffer[start + i]) return false;
  return true;
}

function newSpelling(field: FieldName, name: Buffer, kept: boolean): Spelling {
  const length = name.length + 1;
  const words = new Int32Array(Math.ceil(length / 4));
  for (let i = 0; i < length; i++) words[i >> 2] = (words[i >> 2] ?? 0) | ((name[i] ?? 58) << ((i & 3) * 8));
  const rest = length & 3;
  return { field, length, words, mask: rest === 0 ? -1 : (1 << (rest * 8)) - 1, kept, next: null };
}
