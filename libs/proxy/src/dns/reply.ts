import type { DnsQuery } from './query.ts';
import { classIn, headerBytes, recordType, responseCode, setU16, skipName, skipRecord, u16 } from './wire.ts';

/** One record of an answer: addresses have bytes, a CNAME the name it stands for. Names end in a dot. */
export type DnsRecord =
  | { readonly name: string; readonly type: typeof recordType.a | typeof recordType.aaaa; readonly address: Uint8Array }
  | { readonly name: string; readonly type: typeof recordType.cname; readonly target: string };

/** Seconds a client may keep an answer: short, for tables change. As Istio. */
const ttlSeconds = 30;
/** What we take over UDP ourselves, told to who speaks EDNS. */
const ourUdpBytes = 1232;
const optBytes = 11;
/** Owner, type, class, TTL and length of a record whose owner is a pointer. */
const shortestRecord = 12;

/** An answer of our own, of at most `limit` bytes: what does not fit is left out, and the client told so. */
export function answerOf(query: DnsQuery, records: readonly DnsRecord[], limit: number): Uint8Array {
  const longest = headerBytes + query.question.length + records.reduce((sum, record) => sum + record.name.length + shortestRecord + (record.type === recordType.cname ? record.target.length + 1 : record.address.length), 0) + optBytes;
  const bytes = new Uint8Array(longest);
  const room = Math.min(longest, limit) - (query.edns ? optBytes : 0);
  let at = writeHead(bytes, query, { code: responseCode.ok, authoritative: true });
  const known = new Map([[query.name, headerBytes]]);
  let count = 0;
  for (const record of records) {
    const end = writeRecord(bytes, at, record, known);
    if (end > room) {
      bytes[2] = (bytes[2] ?? 0) | 0x02;
      break;
    }
    at = end;
    count++;
  }
  setU16(bytes, 6, count);
  return bytes.subarray(0, writeOpt(bytes, at, query));
}

/** An answer that says why there is none. */
export function failureOf(query: DnsQuery, code: number): Uint8Array {
  const bytes = new Uint8Array(headerBytes + query.question.length + optBytes);
  return bytes.subarray(0, writeOpt(bytes, writeHead(bytes, query, { code, authoritative: false }), query));
}

/** The same to a message whose question could not be read. */
export function refusalOf(message: Uint8Array, code: number): Uint8Array {
  const bytes = new Uint8Array(headerBytes);
  bytes.set(message.subarray(0, 2));
  bytes[2] = 0x80 | ((message[2] ?? 0) & 0x79);
  bytes[3] = code;
  return bytes;
}

function writeHead(bytes: Uint8Array, query: DnsQuery, { code, authoritative }: { readonly code: number; readonly authoritative: boolean }): number {
  setU16(bytes, 0, query.id);
  bytes[2] = 0x80 | (authoritative ? 0x04 : 0) | (query.recursionDesired ? 1 : 0);
  // recursion is available: what is not known here is asked of others
  bytes[3] = 0x80 | (query.checkingDisabled ? 0x10 : 0) | code;
  setU16(bytes, 4, 1);
  bytes.set(query.question, headerBytes);
  return headerBytes + query.question.length;
}

function writeRecord(bytes: Uint8Array, from: number, record: DnsRecord, known: Map<string, number>): number {
  let at = writeName(bytes, from, record.name, known);
  setU16(bytes, at, record.type);
  setU16(bytes, at + 2, classIn);
  setU16(bytes, at + 6, ttlSeconds);
  const start = at + 10;
  if (record.type === recordType.cname) at = writeName(bytes, start, record.target, known);
  else {
    bytes.set(record.address, start);
    at = start + record.address.length;
  }
  setU16(bytes, start - 2, at - start);
  return at;
}

/** A name written before is pointed at. */
function writeName(bytes: Uint8Array, from: number, name: string, known: Map<string, number>): number {
  const before = known.get(name);
  if (before !== undefined) {
    setU16(bytes, from, 0xc000 | before);
    return from + 2;
  }
  // 14 bits is all a pointer has
  if (from < 0x4000) known.set(name, from);
  let at = from;
  for (const label of name.slice(0, -1).split('.')) {
    bytes[at++] = label.length;
    for (let i = 0; i < label.length; i++) bytes[at++] = label.charCodeAt(i);
  }
  bytes[at++] = 0;
  return at;
}

function writeOpt(bytes: Uint8Array, at: number, { edns }: DnsQuery): number {
  if (!edns) return at;
  setU16(bytes, at + 1, recordType.opt);
  setU16(bytes, at + 3, ourUdpBytes);
  setU16(bytes, 10, 1);
  return at + optBytes;
}

/** True for the answer of an upstream to the question that was asked under `id`; others are somebody's guess. */
export function isAnswerTo(message: Uint8Array, id: number, question: Uint8Array): boolean {
  if (message.length < headerBytes || u16(message, 0) !== id || ((message[2] ?? 0) & 0x80) === 0) return false;
  // a server that could not read the question need not repeat it
  if (u16(message, 4) === 0) return codeOf(message) !== responseCode.ok;
  return u16(message, 4) === 1 && message.length >= headerBytes + question.length && question.every((byte, i) => lower(byte) === lower(message[headerBytes + i] ?? 0));
}

export function codeOf(message: Uint8Array): number {
  return (message[3] ?? 0) & 15;
}

/** The sender left something out for want of room. */
export function isTruncated(message: Uint8Array): boolean {
  return ((message[2] ?? 0) & 0x02) !== 0;
}

/** The same message under another id. */
export function withId(message: Uint8Array, id: number): Uint8Array {
  const copy = message.slice();
  setU16(copy, 0, id);
  return copy;
}

/** A message cut behind the last record that fits, and marked so; pointers lead backwards, so what is left can be read. Null when not even the question fits, or it is broken. */
export function cutTo(message: Uint8Array, limit: number): Uint8Array | null {
  if (message.length <= limit) return message;
  let at = headerBytes;
  for (let i = u16(message, 4); i > 0; i--) {
    const end = skipName(message, at) + 4;
    if (end < at + 5 || end > Math.min(limit, message.length)) return null;
    at = end;
  }
  const kept: number[] = [];
  let full = false;
  for (const place of [6, 8, 10]) {
    let count = 0;
    for (let left = u16(message, place); left > 0 && !full; left--) {
      const end = skipRecord(message, at);
      full = end < 0 || end > limit;
      if (full) break;
      at = end;
      count++;
    }
    kept.push(count);
  }
  const cut = message.slice(0, at);
  cut[2] = (cut[2] ?? 0) | 0x02;
  for (const [i, count] of kept.entries()) setU16(cut, 6 + 2 * i, count);
  return cut;
}

function lower(byte: number): number {
  return byte >= 65 && byte <= 90 ? byte + 32 : byte;
}
