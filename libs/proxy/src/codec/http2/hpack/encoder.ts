import { encodeHuffman, huffmanLength } from './huffman.ts';
import { staticSize, staticTable } from './static-table.ts';

/** Values remembered per name. */
const slots = 4;
/** Names remembered per connection: a peer that invents names must not grow it. */
const maxNames = 256;
/** A value this short is written byte by byte: cheaper than a call into C++. */
const shortText = 24;

const beyondLatin1 = /[^\0-\xff]/;

/** What an encoder knows of a field name. */
class NameEntry {
  readonly name: string;
  /** First static index of the name; 0 = none. */
  readonly nameIndex: number;
  readonly sensitive: boolean;
  readonly dropped: boolean;
  /** False for names beyond the limit: nothing of them is remembered. */
  readonly kept: boolean;
  /** Values seen last, round robin, and when each was put into the table: its insertion number, or -1. */
  readonly values: string[] = ['', '', '', ''];
  readonly inserted: number[] = [-1, -1, -1, -1];
  next = 0;
  seen = 0;
  /** Last insertion of this name, whatever value: what a literal can name. -1 = none. */
  lastInserted = -1;

  constructor(name: string, kept: boolean) {
    this.name = name;
    this.nameIndex = Math.max(0, staticTable.findIndex((entry) => entry.name === name));
    this.sensitive = sensitiveNames.has(name);
    this.dropped = connectionNames.has(name);
    this.kept = kept;
  }
}

const sensitiveNames: ReadonlySet<string> = new Set(['authorization', 'proxy-authorization', 'set-cookie']);
/** RFC 9113 §8.2.2: these belong to an HTTP/1 connection and are never sent. */
const connectionNames: ReadonlySet<string> = new Set(['connection', 'proxy-connection', 'keep-alive', 'transfer-encoding', 'upgrade', 'host']);
/** Cookies shorter than this could be guessed byte by byte through the table (RFC 7541 §7.1.3). */
const guessableCookie = 20;

const fullMatches: ReadonlyMap<string, number> = new Map(staticTable.flatMap((entry, index) => (entry.value === '' ? [] : [[`${entry.name}=${entry.value}`, index] as const])));
/** Names that have static entries with values. */
const withValues: ReadonlySet<string> = new Set(staticTable.filter((entry) => entry.value !== '').map((entry) => entry.name));
/** Static full matches live in `inserted` as numbers below this, so that one look finds both. */
const staticBase = -1000;

/**
 * Compresses the field blocks of one direction of one connection (RFC 7541). A name's first value and any value seen twice go into the
 * dynamic table: what repeats costs a byte, and what changes with every request (ids, dates) does not push it out. Literals that are not kept
 * go out plain: Huffman coding them would cost more time than the bytes are worth between machines of one mesh. @hot
 */
export class HpackEncoder {
  /** Where `begin` … `field` write; grows, valid until the next block. */
  buffer = scratch;
  at = 0;
  #maxSize = 0;
  #size = 0;
  readonly #limit: number;
  /** Insertions ever, and the first of them that is still there. */
  #insertions = 0;
  #oldest = 0;
  #sizes = new Uint32Array(128);
  #names = new Map<string, NameEntry>();
  /** Sizes to be announced at the next block: the smallest meanwhile, and the last. -1 = none. */
  #announceLeast = -1;
  #announce = -1;

  /** `limit`: bytes of the dynamic table we are willing to keep. */
  constructor(limit = 4096) {
    this.#limit = limit;
    this.#maxSize = Math.min(limit, 4096);
  }

  /** The peer's SETTINGS_HEADER_TABLE_SIZE. */
  setPeerLimit(bytes: number): void {
    const size = Math.min(bytes, this.#limit);
    if (size === this.#maxSize && this.#announce < 0) return;
    this.#announceLeast = this.#announceLeast < 0 ? size : Math.min(this.#announceLeast, size);
    this.#announce = size;
    this.#maxSize = size;
    this.#evict(0);
  }

  begin(): void {
    this.at = 0;
    this.buffer = scratch;
    if (this.#announce < 0) return;
    if (this.#announceLeast < this.#announce) this.#integer(0x20, 5, this.#announceLeast);
    this.#integer(0x20, 5, this.#announce);
    this.#announce = -1;
    this.#announceLeast = -1;
  }

  /** Appends one field; `name` is lower-case. Fields that belong to an HTTP/1 connection are left out. */
  field(name: string, value: string): void {
    const entry = this.#names.get(name) ?? this.#learn(name);
    if (entry.dropped) return;
    const { values, inserted } = entry;
    for (let i = 0; i < slots; i++) {
      if (values[i] !== value || i >= entry.seen) continue;
      const when = inserted[i] ?? -1;
      if (when >= this.#oldest) return this.#index(staticSize + this.#insertions - when);
      if (when < staticBase) return this.#index(staticBase - when);
      return this.#again(entry, i, value);
    }
    return this.#first(entry, value);
  }

  #index(index: number): void {
    if (this.at + 8 > this.buffer.length) this.#room(8);
    if (index < 127) this.buffer[this.at++] = 0x80 | index;
    else this.#integer(0x80, 7, index);
  }

  /** A value seen before but not in the table any more or not yet. */
  #again(entry: NameEntry, slot: number, value: string): void {
    if (!this.#worthKeeping(entry, value)) return this.#literal(entry, value);
    entry.inserted[slot] = this.#insert(entry, value);
    return undefined;
  }

  #first(entry: NameEntry, value: string): void {
    const slot = entry.next;
    const full = withValues.has(entry.name) ? fullMatches.get(`${entry.name}=${value}`) : undefined;
    const sensitive = entry.sensitive || (entry.name === 'cookie' && value.length < guessableCookie);
    if (sensitive || !entry.kept) return this.#literal(entry, value);
    entry.next = (slot + 1) % slots;
    entry.seen = Math.max(entry.seen, slot + 1);
    entry.values[slot] = value;
    if (full !== undefined) {
      entry.inserted[slot] = staticBase - full;
      return this.#index(full);
    }
    const named = entry.nameIndex > 0 || entry.lastInserted >= this.#oldest;
    if (named || !this.#worthKeeping(entry, value)) {
      entry.inserted[slot] = -1;
      return this.#literal(entry, value);
    }
    entry.inserted[slot] = this.#insert(entry, value);
    return undefined;
  }

  #worthKeeping(entry: NameEntry, value: string): boolean {
    return entry.name.length + value.length + 32 <= this.#maxSize >>> 2 && !beyondLatin1.test(value);
  }

  /** Literal with incremental indexing; its insertion number. */
  #insert(entry: NameEntry, value: string): number {
    const size = entry.name.length + value.length + 32;
    this.#nameOf(entry, 0x40, 6);
    this.#huffman(value);
    this.#evict(size);
    const when = this.#insertions++;
    if (when - this.#oldest >= this.#sizes.length) this.#grow();
    this.#sizes[when & (this.#sizes.length - 1)] = size;
    this.#size += size;
    entry.lastInserted = when;
    return when;
  }

  /** Literal without indexing; never indexed when it is a secret. */
  #literal(entry: NameEntry, value: string): void {
    const sensitive = entry.sensitive || (entry.name === 'cookie' && value.length < guessableCookie);
    this.#nameOf(entry, sensitive ? 0x10 : 0, 4);
    this.#plain(value);
  }

  #nameOf(entry: NameEntry, pattern: number, prefix: number): void {
    this.#room(16);
    if (entry.nameIndex > 0) return this.#integer(pattern, prefix, entry.nameIndex);
    if (entry.lastInserted >= this.#oldest) return this.#integer(pattern, prefix, staticSize + this.#insertions - entry.lastInserted);
    this.buffer[this.at++] = pattern;
    return this.#huffman(entry.name);
  }

  #huffman(text: string): void {
    const length = huffmanLength(text);
    if (length >= text.length) return this.#plain(text);
    this.#room(length + 8);
    this.#integer(0x80, 7, length);
    this.at = encodeHuffman(text, this.buffer, this.at);
    return undefined;
  }

  #plain(asked: string): void {
    // One byte per character; what does not fit into one goes out as UTF-8, never with its upper bits lost.
    const text = beyondLatin1.test(asked) ? Buffer.from(asked, 'utf8').toString('latin1') : asked;
    const length = text.length;
    this.#room(length + 8);
    if (length < 127) this.buffer[this.at++] = length;
    else this.#integer(0, 7, length);
    const out = this.buffer;
    const at = this.at;
    if (length <= shortText) for (let i = 0; i < length; i++) out[at + i] = text.charCodeAt(i);
    else out.latin1Write(text, at, length);
    this.at = at + length;
  }

  #integer(pattern: number, prefix: number, value: number): void {
    const most = (1 << prefix) - 1;
    const out = this.buffer;
    if (value < most) {
      out[this.at++] = pattern | value;
      return;
    }
    out[this.at++] = pattern | most;
    let rest = value - most;
    for (; rest >= 128; rest = Math.floor(rest / 128)) out[this.at++] = (rest & 127) | 128;
    out[this.at++] = rest;
  }

  #room(bytes: number): void {
    if (this.at + bytes <= scratch.length) return;
    const larger = Buffer.allocUnsafeSlow(Math.max(scratch.length * 2, this.at + bytes)) as Latin1Writable;
    scratch.copy(larger, 0, 0, this.at);
    scratch = larger;
    this.buffer = larger;
  }

  #evict(more: number): void {
    while (this.#oldest < this.#insertions && this.#size + more > this.#maxSize) {
      this.#size -= this.#sizes[this.#oldest & (this.#sizes.length - 1)] ?? 0;
      this.#oldest++;
    }
  }

  #grow(): void {
    const larger = new Uint32Array(this.#sizes.length * 2);
    for (let i = this.#oldest; i < this.#insertions; i++) larger[i & (larger.length - 1)] = this.#sizes[i & (this.#sizes.length - 1)] ?? 0;
    this.#sizes = larger;
  }

  #learn(name: string): NameEntry {
    const kept = this.#names.size < maxNames;
    const entry = new NameEntry(name, kept);
    if (kept) this.#names.set(name, entry);
    return entry;
  }
}

interface Latin1Writable extends Buffer {
  latin1Write(text: string, offset: number, length: number): number;
}

/** Blocks are made one at a time and copied out at once: one buffer serves all connections of the thread. */
let scratch = Buffer.allocUnsafeSlow(16 * 1024) as Latin1Writable;
