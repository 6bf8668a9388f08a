/** Types of records we know. Source: RFC 1035 §3.2.2, RFC 3596, RFC 6891. */
export const recordType = { a: 1, cname: 5, aaaa: 28, opt: 41 } as const;
/** The class of the Internet. */
export const classIn = 1;
/** Answers that are no answer. Source: RFC 1035 §4.1.1. */
export const responseCode = { ok: 0, formatError: 1, serverFailure: 2, notImplemented: 4 } as const;

export const headerBytes = 12;
/** The longest message there is: TCP states lengths in 16 bits. */
export const maxMessageBytes = 65_535;
/** What fits into UDP for who does not say more. Source: RFC 1035 §4.2.1. */
export const minUdpBytes = 512;

const maxNameBytes = 255;

export function u16(bytes: Uint8Array, at: number): number {
  return ((bytes[at] ?? 0) << 8) | (bytes[at + 1] ?? 0);
}

export function setU16(bytes: Uint8Array, at: number, value: number): void {
  bytes[at] = value >> 8;
  bytes[at + 1] = value & 255;
}

/** A name without pointers, in lower case with its final dot, and where it ends; null for anything else. Dots and backslashes inside of a label are escaped. */
export function readName(bytes: Uint8Array, at: number): { readonly name: string; readonly end: number } | null {
  let name = '';
  for (let place = at; place < bytes.length && place - at < maxNameBytes;) {
    const length = bytes[place++] ?? 0;
    if (length === 0) return { name: name === '' ? '.' : name, end: place };
    if (length > 63 || place + length > bytes.length) return null;
    for (const end = place + length; place < end; place++) name += character(bytes[place] ?? 0);
    name += '.';
  }
  return null;
}

function character(code: number): string {
  if (code >= 65 && code <= 90) return String.fromCharCode(code + 32);
  return code === 46 || code === 92 ? `\\${String.fromCharCode(code)}` : String.fromCharCode(code);
}

/** Where a name ends that may end in a pointer; -1 when it is broken. */
export function skipName(bytes: Uint8Array, at: number): number {
  for (let place = at; place < bytes.length && place - at < maxNameBytes;) {
    const length = bytes[place] ?? 0;
    if (length === 0) return place + 1;
    if (length >= 0xc0) return place + 2 <= bytes.length ? place + 2 : -1;
    if (length > 63) return -1;
    place += 1 + length;
  }
  return -1;
}

/** Where a record ends; -1 when it is broken. */
export function skipRecord(bytes: Uint8Array, at: number): number {
  const fixed = skipName(bytes, at);
  if (fixed < 0 || fixed + 10 > bytes.length) return -1;
  const end = fixed + 10 + u16(bytes, fixed + 8);
  return end <= bytes.length ? end : -1;
}

/** True for what can be written on the wire: labels of 63 bytes, 255 in all. `name` ends in a dot. */
export function isWritable(name: string): boolean {
  return name.length < maxNameBytes && name.endsWith('.') && name.slice(0, -1).split('.').every((label) => label.length > 0 && label.length <= 63 && !/[^\x21-\x7e]/.test(label));
}
