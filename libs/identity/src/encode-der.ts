import { tag } from './der.ts';

const contextSpecific = 0x80;
const constructedFlag = 0x20;

/** Tag, length in its shortest form, contents. */
function encode(first: number, contents: readonly Uint8Array[]): Buffer {
  let length = 0;
  for (const part of contents) length += part.length;
  const lengthBytes = length < 0x80 ? 0 : length < 0x100 ? 1 : length < 0x1_0000 ? 2 : 3;
  const der = Buffer.allocUnsafe(2 + lengthBytes + length);
  der[0] = first;
  der[1] = lengthBytes === 0 ? length : 0x80 | lengthBytes;
  if (lengthBytes > 0) der.writeUIntBE(length, 2, lengthBytes);
  let at = 2 + lengthBytes;
  for (const part of contents) {
    der.set(part, at);
    at += part.length;
  }
  return der;
}

/** A SEQUENCE of values that are DER already. */
export function sequence(...values: readonly Uint8Array[]): Buffer {
  return encode(tag.sequence | constructedFlag, values);
}

export function set(...values: readonly Uint8Array[]): Buffer {
  return encode(tag.set | constructedFlag, values);
}

export function primitive(type: number, value: Uint8Array): Buffer {
  return encode(type, [value]);
}

/** From dotted form, as code has it: each arc but the first two is below 2^31. */
export function objectId(dotted: string): Buffer {
  const [first = 0, second = 0, ...arcs] = dotted.split('.').map(Number);
  return primitive(tag.objectId, Buffer.from([40 * first + second, ...arcs].flatMap(base128)));
}

function base128(arc: number): number[] {
  const bytes = [arc & 0x7f];
  for (let rest = arc >>> 7; rest > 0; rest >>>= 7) bytes.unshift((rest & 0x7f) | 0x80);
  return bytes;
}

/** A BIT STRING of whole bytes, or one whose last `unused` bits do not count. */
export function bitString(value: Uint8Array, unused = 0): Buffer {
  return encode(tag.bitString, [Buffer.from([unused]), value]);
}

/** NULL: the parameters of RSA algorithms. */
export function nothing(): Buffer {
  return encode(tag.nothing, []);
}

export function boolean(value: boolean): Buffer {
  return primitive(tag.boolean, Buffer.from([value ? 0xff : 0]));
}

/** A non-negative INTEGER from its big-endian bytes. */
export function unsignedInteger(bytes: Uint8Array): Buffer {
  let start = 0;
  while (start < bytes.length - 1 && bytes[start] === 0) start += 1;
  const body = bytes.subarray(start);
  return encode(tag.integer, (body[0] ?? 0) >= 0x80 || body.length === 0 ? [Buffer.from([0]), body] : [body]);
}

/** A `[number]` value: constructed of a list of values, primitive of bytes. */
export function context(number: number, value: Uint8Array | readonly Uint8Array[]): Buffer {
  return value instanceof Uint8Array ? encode(contextSpecific | number, [value]) : encode(contextSpecific | constructedFlag | number, value);
}

/** UTCTime until 2049, GeneralizedTime from 2050 on (RFC 5280 §4.1.2.5). Milliseconds are cut off. */
export function time(ms: number): Buffer {
  const text = new Date(ms).toISOString().replace(/[-:T]/g, '').slice(0, 14);
  const generalized = Number(text.slice(0, 4)) >= 2050;
  return primitive(generalized ? tag.generalizedTime : tag.utcTime, Buffer.from(`${generalized ? text : text.slice(2)}Z`));
}
