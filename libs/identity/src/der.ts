/** One ASN.1 value that was read. It is a view: what is handed out of it shares its bytes. */
export interface DerNode {
  /** Bits 8 and 7 of the tag: 0x00 universal, 0x80 context-specific. */
  readonly tagClass: number;
  readonly type: number;
  /** Of a constructed value; undefined: a primitive one. */
  readonly parts: readonly DerNode[] | undefined;
  readonly source: Buffer;
  /** Where in the source the value, its contents, and the next value begin. */
  readonly start: number;
  readonly body: number;
  readonly end: number;
}

/** Thrown inside the parsers of this package and caught where they return a Result. Never leaves the package. */
export class DerError extends Error {}

const universal = 0x00;
const contextSpecific = 0x80;
/** Universal tag numbers (X.690). */
export const tag = { boolean: 1, integer: 2, bitString: 3, octetString: 4, nothing: 5, objectId: 6, utf8: 12, sequence: 16, set: 17, utcTime: 23, generalizedTime: 24 } as const;

/** Certificates nest nine deep; twice that is generous, and a bound on recursion. */
const maxDepth = 20;
/** Of a length: 16 MiB, more than any limit here. */
const maxLengthBytes = 3;

/**
 * Reads exactly one DER value, with all values inside it. BER is refused: what was signed must have one spelling. Not checked are the order of a SET and
 * what strings are made of. The bytes must not be changed afterwards. Throws DerError. Source: X.690 §8, §10, §11.
 */
export function decodeDer(der: Uint8Array, maxBytes: number): DerNode {
  if (der.length > maxBytes) throw new DerError(`${der.length} bytes, the limit is ${maxBytes}`);
  const source = Buffer.from(der.buffer, der.byteOffset, der.length);
  const node = readNode(source, { start: 0, limit: source.length, depth: 0 });
  if (node.end !== source.length) throw new DerError('not DER: more bytes follow the value');
  return node;
}

/** `limit`: where the value around it ends. */
function readNode(source: Buffer, { start, limit, depth }: { readonly start: number; readonly limit: number; readonly depth: number }): DerNode {
  if (depth >= maxDepth) throw new DerError(`not DER: nested more than ${maxDepth} deep`);
  if (limit - start < 2) throw new DerError('not DER: a value is cut off');
  const first = source[start] ?? 0;
  const [tagClass, constructed, type] = [first & 0xc0, (first & 0x20) !== 0, first & 0x1f];
  if (type === 0x1f) throw new DerError('not DER: a tag number above 30');
  const { body, end } = readLength(source, start + 1, limit);
  const parts: DerNode[] | undefined = constructed ? [] : undefined;
  for (let at = body; parts && at < end; ) {
    const part = readNode(source, { start: at, limit: end, depth: depth + 1 });
    parts.push(part);
    at = part.end;
  }
  const node = { tagClass, type, parts, source, start, body, end };
  if (tagClass === universal) checkUniversal(node);
  return node;
}

function readLength(source: Buffer, at: number, limit: number): { readonly body: number; readonly end: number } {
  const first = source[at] ?? 0;
  const bytes = first < 0x80 ? 0 : first & 0x7f;
  if (first === 0x80) throw new DerError('BER, not DER: a value of no definite length');
  if (bytes > maxLengthBytes) throw new DerError('not DER: a value is cut off, or its length is not in the shortest form');
  const body = at + 1 + bytes;
  if (body > limit) throw new DerError('not DER: a value is cut off');
  const length = bytes === 0 ? first : source.readUIntBE(at + 1, bytes);
  if (bytes > 0 && length < (bytes === 1 ? 0x80 : 256 ** (bytes - 1))) throw new DerError('BER, not DER: lengths must be in the shortest form');
  if (length > limit - body) throw new DerError('not DER: a value is cut off');
  return { body, end: body + length };
}

/** What the standard's own types may look like. */
function checkUniversal({ type, parts, source, body, end }: DerNode): void {
  const length = end - body;
  if (type === 0 || (type === tag.sequence || type === tag.set) !== (parts !== undefined)) throw new DerError('BER, not DER: sequences and sets are made of parts, and no other type is');
  const [first = 0, second = 0] = [source[body], source[body + 1]];
  if (type === tag.integer && (length === 0 || (length > 1 && (first === 0 || first === 0xff) && (first ^ second) < 0x80))) throw new DerError('BER, not DER: integers must be in the shortest form');
  if (type === tag.boolean && (length !== 1 || (first !== 0 && first !== 0xff))) throw new DerError('BER, not DER: a boolean is 00 or FF');
  if (type === tag.nothing && length !== 0) throw new DerError('not DER: NULL has no contents');
  if (type === tag.bitString && (length === 0 || first > 7 || (length === 1 && first > 0) || ((source[end - 1] ?? 0) & ((1 << first) - 1)) !== 0)) throw new DerError('BER, not DER: bits that do not count are fewer than 8, and 0');
}

/** The value as it was read: tag, length and contents. */
export function encodedOf({ source, start, end }: DerNode): Buffer {
  return source.subarray(start, end);
}

/** The parts of a constructed value with universal tag `type` (SEQUENCE or SET). */
export function parts(node: DerNode | undefined, type: number, what: string): readonly DerNode[] {
  if (!node || node.tagClass !== universal || node.type !== type || !node.parts) throw new DerError(`${what} is missing or of the wrong type`);
  return node.parts;
}

/** The contents of a primitive value with universal tag `type`. */
export function contents(node: DerNode | undefined, type: number, what: string): Buffer {
  if (!node || node.tagClass !== universal || node.type !== type || node.parts) throw new DerError(`${what} is missing or of the wrong type`);
  return node.source.subarray(node.body, node.end);
}

/** The contents of a BIT STRING made of whole bytes. */
export function wholeBits(node: DerNode | undefined, what: string): Buffer {
  const bits = contents(node, tag.bitString, what);
  if (bits[0] !== 0) throw new DerError(`${what} is not made of whole bytes`);
  return bits.subarray(1);
}

export function isContext(node: DerNode | undefined, number: number): boolean {
  return node !== undefined && node.tagClass === contextSpecific && node.type === number;
}

/** The parts of a constructed `[number]` value. */
export function contextParts(node: DerNode | undefined, what: string): readonly DerNode[] {
  if (!node || node.tagClass !== contextSpecific || !node.parts) throw new DerError(`${what} is missing or of the wrong type`);
  return node.parts;
}

/** The contents of a primitive `[number]` value. */
export function contextContents(node: DerNode, what: string): Buffer {
  if (node.parts) throw new DerError(`${what} is of the wrong type`);
  return node.source.subarray(node.body, node.end);
}

const maxObjectIdBytes = 32;

/** An object identifier in dotted form. */
export function readObjectId(node: DerNode | undefined, what: string): string {
  const bytes = contents(node, tag.objectId, what);
  const last = bytes.at(-1);
  if (last === undefined || last >= 0x80 || bytes.length > maxObjectIdBytes) throw new DerError(`${what} is not an object identifier`);
  let dotted = '';
  for (let from = 0; from < bytes.length; ) {
    let to = from;
    while ((bytes[to] ?? 0) >= 0x80) to += 1;
    // A leading 0x80 is a leading zero.
    if (bytes[from] === 0x80) throw new DerError(`${what} is not an object identifier`);
    const arc = arcOf(bytes, from, to);
    dotted += dotted === '' ? firstArcs(arc) : `.${arc}`;
    from = to + 1;
  }
  return dotted;
}

/** Base 128; beyond 7 bytes (a UUID has 19) a number is not exact. */
function arcOf(bytes: Buffer, from: number, to: number): number | bigint {
  let arc = 0;
  if (to - from >= 7) return bytes.subarray(from, to + 1).reduce((sum, byte) => sum * 128n + BigInt(byte & 0x7f), 0n);
  for (let at = from; at <= to; at += 1) arc = arc * 128 + ((bytes[at] ?? 0) & 0x7f);
  return arc;
}

/** The first two arcs are one number: below 2 there are 40 of the second. */
function firstArcs(arc: number | bigint): string {
  return arc < 80 ? `${Math.floor(Number(arc) / 40)}.${Number(arc) % 40}` : `2.${typeof arc === 'bigint' ? arc - 80n : arc - 80}`;
}

/** UTCTime or GeneralizedTime as RFC 5280 wants them: to the second, in Z. Milliseconds since the epoch. */
export function readTime(node: DerNode | undefined, what: string): number {
  const utc = node?.type === tag.utcTime;
  const text = contents(node, utc ? tag.utcTime : tag.generalizedTime, what).toString('latin1');
  const matched = (utc ? /^(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)Z$/ : /^(\d{4})(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)Z$/).exec(text);
  if (!matched) throw new DerError(`${what} is not a time in UTC`);
  const [year = 0, month = 0, day = 0, hour = 0, minute = 0, second = 0] = matched.slice(1).map(Number);
  const fullYear = utc ? year + (year < 50 ? 2000 : 1900) : year;
  const date = new Date(Date.UTC(fullYear, month - 1, day, hour, minute, second));
  if (date.getUTCMonth() !== month - 1 || date.getUTCDate() !== day || hour > 23 || minute > 59 || second > 59) throw new DerError(`${what} is not a time in UTC`);
  return date.getTime();
}
