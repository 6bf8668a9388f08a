import asn1 from '#forge-asn1';
import type { asn1 as forge } from 'node-forge';

/** One ASN.1 value. forge keeps contents as binary strings; only this file knows that. */
export type DerNode = forge.Asn1;

/** Thrown inside the parsers of this package and caught where they return a Result. Never leaves the package. */
export class DerError extends Error {}

const universal = 0x00;
const contextSpecific = 0x80;
/** Universal tag numbers (X.690). */
export const tag = { boolean: 1, integer: 2, bitString: 3, octetString: 4, objectId: 6, utf8: 12, sequence: 16, set: 17, utcTime: 23, generalizedTime: 24 } as const;

/** Certificates nest nine deep; twice that is generous, and a bound on recursion. */
const maxDepth = 20;

/** Reads exactly one DER value. BER (which forge accepts) is refused: what was signed must have one spelling. Throws DerError. */
export function decodeDer(der: Uint8Array, maxBytes: number): DerNode {
  if (der.length > maxBytes) throw new DerError(`${der.length} bytes, the limit is ${maxBytes}`);
  const bytes = Buffer.from(der.buffer, der.byteOffset, der.length).toString('latin1');
  let node: DerNode;
  try {
    node = asn1.fromDer(bytes, { strict: true, parseAllBytes: true, decodeBitStrings: false, maxDepth });
  } catch (cause) {
    throw new DerError(`not DER: ${cause instanceof Error ? cause.message : String(cause)}`);
  }
  if (asn1.toDer(node).getBytes() !== bytes) throw new DerError('BER, not DER: lengths and integers must use their shortest form');
  return node;
}

export function encodeDer(node: DerNode): Buffer {
  return Buffer.from(asn1.toDer(node).getBytes(), 'latin1');
}

/** The parts of a constructed value with universal tag `type` (SEQUENCE or SET). */
export function parts(node: DerNode | undefined, type: number, what: string): DerNode[] {
  if (!node || node.tagClass !== universal || node.type !== type || !Array.isArray(node.value)) throw new DerError(`${what} is missing or of the wrong type`);
  return node.value;
}

/** The contents of a primitive value with universal tag `type`. */
export function contents(node: DerNode | undefined, type: number, what: string): Buffer {
  if (!node || node.tagClass !== universal || node.type !== type || typeof node.value !== 'string') throw new DerError(`${what} is missing or of the wrong type`);
  return Buffer.from(node.value, 'latin1');
}

/** The contents of a BIT STRING made of whole bytes. */
export function wholeBits(node: DerNode | undefined, what: string): Buffer {
  const bits = contents(node, tag.bitString, what);
  if (bits[0] !== 0) throw new DerError(`${what} is not made of whole bytes`);
  return bits.subarray(1);
}

export function isContext(node: DerNode | undefined, number: number): boolean {
  return node !== undefined && node.tagClass === contextSpecific && Number(node.type) === number;
}

/** The parts of a constructed `[number]` value. */
export function contextParts(node: DerNode | undefined, what: string): DerNode[] {
  if (!node || node.tagClass !== contextSpecific || !Array.isArray(node.value)) throw new DerError(`${what} is missing or of the wrong type`);
  return node.value;
}

/** The contents of a primitive `[number]` value. */
export function contextContents(node: DerNode, what: string): Buffer {
  if (typeof node.value !== 'string') throw new DerError(`${what} is of the wrong type`);
  return Buffer.from(node.value, 'latin1');
}

export function readObjectId(node: DerNode | undefined, what: string): string {
  const bytes = contents(node, tag.objectId, what);
  const last = bytes.at(-1);
  if (last === undefined || last >= 0x80 || bytes.length > 32) throw new DerError(`${what} is not an object identifier`);
  return asn1.derToOid(bytes.toString('latin1'));
}

/** UTCTime or GeneralizedTime as RFC 5280 wants them: to the second, in Z. Milliseconds since the epoch. */
export function readTime(node: DerNode | undefined, what: string): number {
  const utc = node?.type === tag.utcTime;
  const text = contents(node, utc ? tag.utcTime : tag.generalizedTime, what);
  const from = utc ? 0 : 2;
  const [year, month, day, hour, minute, second] = [twoDigits(text, from), twoDigits(text, from + 2), twoDigits(text, from + 4), twoDigits(text, from + 6), twoDigits(text, from + 8), twoDigits(text, from + 10)];
  const century = utc ? (year < 50 ? 20 : 19) : twoDigits(text, 0);
  const date = new Date(Date.UTC(century * 100 + year, month - 1, day, hour, minute, second));
  // NaN is no month of any date.
  if (text.length !== from + 13 || text[from + 12] !== 0x5a || date.getUTCMonth() !== month - 1 || date.getUTCDate() !== day || hour > 23 || minute > 59 || second > 59) throw new DerError(`${what} is not a time in UTC`);
  return date.getTime();
}

/** NaN for anything else. */
function twoDigits(text: Buffer, at: number): number {
  const [tens, ones] = [(text[at] ?? 0) - 0x30, (text[at + 1] ?? 0) - 0x30];
  return tens < 0 || tens > 9 || ones < 0 || ones > 9 ? Number.NaN : tens * 10 + ones;
}

export function sequence(...values: DerNode[]): DerNode {
  return asn1.create(universal, tag.sequence, true, values);
}

export function set(...values: DerNode[]): DerNode {
  return asn1.create(universal, tag.set, true, values);
}

export function primitive(type: number, value: Uint8Array): DerNode {
  return asn1.create(universal, type, false, Buffer.from(value).toString('latin1'));
}

/** Of the few that code writes into everything. */
const objectIds = new Map<string, DerNode>();

export function objectId(dotted: string): DerNode {
  const known = objectIds.get(dotted);
  if (known) return known;
  const node = asn1.create(universal, tag.objectId, false, asn1.oidToDer(dotted).getBytes());
  objectIds.set(dotted, node);
  return node;
}

/** A BIT STRING of whole bytes, or one whose last `unused` bits do not count. */
export function bitString(value: Uint8Array, unused = 0): DerNode {
  return primitive(tag.bitString, Buffer.concat([Buffer.from([unused]), value]));
}

/** NULL: the parameters of RSA algorithms. */
export function nothing(): DerNode {
  return primitive(5, Buffer.alloc(0));
}

export function boolean(value: boolean): DerNode {
  return primitive(tag.boolean, Buffer.from([value ? 0xff : 0]));
}

/** A non-negative INTEGER from its big-endian bytes. */
export function unsignedInteger(bytes: Uint8Array): DerNode {
  let start = 0;
  while (start < bytes.length - 1 && bytes[start] === 0) start += 1;
  const body = Buffer.from(bytes.subarray(start));
  return primitive(tag.integer, (body[0] ?? 0) >= 0x80 || body.length === 0 ? Buffer.concat([Buffer.from([0]), body]) : body);
}

export function context(number: number, value: Uint8Array | DerNode[]): DerNode {
  return Array.isArray(value)
    ? asn1.create(contextSpecific, number, true, value)
    : asn1.create(contextSpecific, number, false, Buffer.from(value).toString('latin1'));
}

/** UTCTime until 2049, GeneralizedTime from 2050 on (RFC 5280 §4.1.2.5). Milliseconds are cut off. */
export function time(ms: number): DerNode {
  const text = new Date(ms).toISOString();
  const digits = `${text.slice(2, 4)}${text.slice(5, 7)}${text.slice(8, 10)}${text.slice(11, 13)}${text.slice(14, 16)}${text.slice(17, 19)}Z`;
  return Number(text.slice(0, 4)) >= 2050 ? primitive(tag.generalizedTime, Buffer.from(text.slice(0, 2) + digits)) : primitive(tag.utcTime, Buffer.from(digits));
}
