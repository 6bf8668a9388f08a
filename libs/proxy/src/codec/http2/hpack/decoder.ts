import { latin1 } from '../../../latin1.ts';
import { http2FieldName, staticNames, type Http2FieldName } from '../field-names.ts';
import { decodeHuffman } from './huffman.ts';
import { staticSize, staticTable } from './static-table.ts';

/** Who gets the fields of a block. `valid` is about the value's characters. */
export interface FieldSink {
  onField(field: Http2FieldName, value: string, valid: boolean): void;
}

/** RFC 9113 §8.2.1: no NUL, CR, LF, nor (as in Envoy) another control character; no blank at either end. */
const badValue = /[^\t\x20-\x7e\x80-\xff]|^[ \t]|[ \t]$/;

/** RFC 9113 §6.5.2. */
export const initialTableSize = 4096;

const noField: Http2FieldName = { name: '', kind: 0 };
const staticValues: readonly string[] = staticTable.map((entry) => entry.value);

/** Decompresses the field blocks of one direction of one connection (RFC 7541). Fields indexed cost no string and no check. @hot */
export class HpackDecoder {
  readonly #limit: number;
  #maxSize = initialTableSize;
  #size = 0;
  #count = 0;
  /** Place of the newest entry in the ring. */
  #head = -1;
  #mask = 15;
  #fields = ring(16, noField);
  #values = ring(16, '');
  #valid = ring<boolean>(16, true);
  #at = 0;
  #end = 0;
  #buffer: Buffer = Buffer.alloc(0);

  /** `tableSize`: our SETTINGS_HEADER_TABLE_SIZE. Until the peer has seen it, it may use what every connection begins with. */
  constructor(tableSize = initialTableSize) {
    this.#limit = Math.max(tableSize, initialTableSize);
  }

  /** Bytes of the dynamic table in use. */
  get size(): number {
    return this.#size;
  }

  /** Tells the fields of the block `buffer[start, end)` in order. False: it cannot be read, and nothing after it on this connection can. */
  decode(buffer: Buffer, start: number, end: number, sink: FieldSink): boolean {
    this.#buffer = buffer;
    this.#at = start;
    this.#end = end;
    let first = true;
    while (this.#at < end) {
      const byte = buffer[this.#at] ?? 0;
      if (byte >= 128) {
        if (!this.#indexed(byte, sink)) return false;
      } else if ((byte & 0xe0) === 0x20) {
        // RFC 7541 §4.2: a size update stands at the beginning of a block only.
        if (!first || !this.#resize()) return false;
        continue;
      } else if (!this.#literal(byte, sink)) return false;
      first = false;
    }
    return true;
  }

  #indexed(byte: number, sink: FieldSink): boolean {
    let index = byte & 127;
    if (index === 127) index = this.#integer(7);
    else this.#at++;
    if (index <= 0) return false;
    if (index <= staticSize) {
      sink.onField(staticNames[index] ?? noField, staticValues[index] ?? '', true);
      return true;
    }
    const back = index - staticSize - 1;
    if (back >= this.#count) return false;
    const place = (this.#head - back) & this.#mask;
    sink.onField(this.#fields[place] ?? noField, this.#values[place] ?? '', this.#valid[place] === true);
    return true;
  }

  #literal(byte: number, sink: FieldSink): boolean {
    const indexing = byte >= 64;
    const index = this.#integer(indexing ? 6 : 4);
    if (index < 0) return false;
    const field = index === 0 ? this.#literalName() : this.#nameAt(index);
    if (field === null) return false;
    const value = this.#string();
    if (value === null) return false;
    const valid = value === '' || !badValue.test(value);
    if (indexing) this.#insert(field, value, valid);
    sink.onField(field, value, valid);
    return true;
  }

  #literalName(): Http2FieldName | null {
    const name = this.#string();
    return name === null ? null : http2FieldName(name);
  }

  #nameAt(index: number): Http2FieldName | null {
    if (index <= staticSize) return staticNames[index] ?? null;
    const back = index - staticSize - 1;
    return back >= this.#count ? null : (this.#fields[(this.#head - back) & this.#mask] ?? null);
  }

  #resize(): boolean {
    const size = this.#integer(5);
    if (size < 0 || size > this.#limit) return false;
    this.#maxSize = size;
    this.#evict(0);
    return true;
  }

  /** An integer of RFC 7541 §5.1 with this prefix; -1 when it is cut off or beyond 2^28. */
  #integer(prefix: number): number {
    const buffer = this.#buffer;
    const most = (1 << prefix) - 1;
    let value = (buffer[this.#at++] ?? 0) & most;
    if (value < most) return value;
    for (let shift = 0; shift < 28; shift += 7) {
      if (this.#at >= this.#end) return -1;
      const byte = buffer[this.#at++] ?? 0;
      value += (byte & 127) << shift;
      if (byte < 128) return value;
    }
    return -1;
  }

  #string(): string | null {
    if (this.#at >= this.#end) return null;
    const huffman = (this.#buffer[this.#at] ?? 0) >= 128;
    const length = this.#integer(7);
    const start = this.#at;
    if (length < 0 || start + length > this.#end) return null;
    this.#at = start + length;
    if (length === 0) return '';
    return huffman ? decodeHuffman(this.#buffer, start, start + length) : latin1(this.#buffer, start, start + length);
  }

  #insert(field: Http2FieldName, value: string, valid: boolean): void {
    const size = field.name.length + value.length + 32;
    this.#evict(size);
    // RFC 7541 §4.4: an entry larger than the table empties it.
    if (size > this.#maxSize) return;
    if (this.#count > this.#mask) this.#grow();
    const place = (this.#head + 1) & this.#mask;
    this.#head = place;
    this.#fields[place] = field;
    this.#values[place] = value;
    this.#valid[place] = valid;
    this.#count++;
    this.#size += size;
  }

  /** Makes room for `more` bytes, oldest entries first. */
  #evict(more: number): void {
    while (this.#count > 0 && this.#size + more > this.#maxSize) {
      const place = (this.#head - this.#count + 1) & this.#mask;
      this.#size -= (this.#fields[place]?.name.length ?? 0) + (this.#values[place]?.length ?? 0) + 32;
      this.#fields[place] = noField;
      this.#values[place] = '';
      this.#count--;
    }
  }

  #grow(): void {
    const size = (this.#mask + 1) * 2;
    const fields = ring(size, noField);
    const values = ring(size, '');
    const valid = ring<boolean>(size, true);
    for (let i = 0; i < this.#count; i++) {
      const place = (this.#head - this.#count + 1 + i) & this.#mask;
      fields[i] = this.#fields[place] ?? noField;
      values[i] = this.#values[place] ?? '';
      valid[i] = this.#valid[place] ?? true;
    }
    this.#fields = fields;
    this.#values = values;
    this.#valid = valid;
    this.#head = this.#count - 1;
    this.#mask = size - 1;
  }
}

/** Pushed one by one: each connection makes three, and Array.from takes as long for them as for all else of it. */
function ring<T>(size: number, empty: T): T[] {
  const places: T[] = [];
  for (let i = 0; i < size; i++) places.push(empty);
  return places;
}
