import { fieldNameOf } from '@meltemi/http';

/** What the parser itself must know about a field; 0 is an ordinary one. @hot */
export const FieldKind = { ordinary: 0, contentLength: 1, transferEncoding: 2, connection: 3, host: 4, upgrade: 5, hopByHop: 6, expect: 7, te: 8 } as const;

export interface FieldName {
  /** Lower-case. */
  readonly name: string;
  readonly kind: number;
}

const kinds: Readonly<Record<string, number>> = {
  'content-length': FieldKind.contentLength,
  'transfer-encoding': FieldKind.transferEncoding,
  connection: FieldKind.connection,
  host: FieldKind.host,
  upgrade: FieldKind.upgrade,
  'keep-alive': FieldKind.hopByHop,
  'proxy-connection': FieldKind.hopByHop,
  expect: FieldKind.expect,
  te: FieldKind.te,
};

/** Spellings seen, validated and lower-cased once. Bounded, so that a client that invents names cannot grow it. */
const known = new Map<string, FieldName>();
const maxKnown = 2048;
/** Longer names are not remembered. */
export const maxKnownLength = 64;
const token = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;

/** The field of this spelling, or null when it is no RFC 9110 token (so also when folded or with blanks before the colon). */
export function fieldName(raw: string): FieldName | null {
  const found = known.get(raw);
  return found !== undefined ? found : learn(raw);
}

function learn(raw: string): FieldName | null {
  if (!token.test(raw)) return null;
  const name = fieldNameOf(raw);
  const entry: FieldName = { name, kind: (Object.hasOwn(kinds, name) ? kinds[name] : undefined) ?? FieldKind.ordinary };
  // A flat copy: the slice would keep its whole head alive in the map.
  if (known.size < maxKnown && raw.length <= maxKnownLength) known.set(Buffer.from(raw, 'latin1').toString('latin1'), entry);
  return entry;
}

/** True for a method or any other token. */
export function isToken(text: string): boolean {
  return token.test(text);
}
