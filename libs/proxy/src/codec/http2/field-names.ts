import { internalised } from '@meltemi/http';
import { staticTable } from './hpack/static-table.ts';

/** What the codec must know about a field; 0 is an ordinary one. @hot */
export const Http2Field = {
  ordinary: 0, method: 1, path: 2, authority: 3, scheme: 4, status: 5, protocol: 6, unknownPseudo: 7,
  /** Belongs to a connection, which HTTP/2 fields must not (RFC 9113 §8.2.2). */
  connection: 8,
  te: 9, host: 10, cookie: 11, contentLength: 12, expect: 13,
  /** Not a lower-case token. */
  bad: 14,
} as const;

export interface Http2FieldName {
  readonly name: string;
  readonly kind: number;
}

const kinds: Readonly<Record<string, number>> = {
  ':method': Http2Field.method, ':path': Http2Field.path, ':authority': Http2Field.authority, ':scheme': Http2Field.scheme, ':status': Http2Field.status,
  ':protocol': Http2Field.protocol, connection: Http2Field.connection, 'proxy-connection': Http2Field.connection, 'keep-alive': Http2Field.connection,
  'transfer-encoding': Http2Field.connection, upgrade: Http2Field.connection, te: Http2Field.te, host: Http2Field.host, cookie: Http2Field.cookie,
  'content-length': Http2Field.contentLength, expect: Http2Field.expect,
};

/** Names seen and judged once. Bounded, so that a peer that invents names cannot grow it. */
const known = new Map<string, Http2FieldName>();
const maxKnown = 2048;
const maxKnownLength = 64;
const token = /^[!#$%&'*+\-.^_`|~0-9a-z]+$/;

/** The field of this name as it stands on the wire. */
export function http2FieldName(raw: string): Http2FieldName {
  const found = known.get(raw);
  return found !== undefined ? found : learn(raw);
}

function learn(raw: string): Http2FieldName {
  const name = internalised(raw);
  const entry: Http2FieldName = { name, kind: kindOf(name) };
  // A flat copy: the slice would keep its whole block alive in the map.
  if (known.size < maxKnown && raw.length <= maxKnownLength) known.set(Buffer.from(raw, 'latin1').toString('latin1'), entry);
  return entry;
}

function kindOf(name: string): number {
  const kind = Object.hasOwn(kinds, name) ? kinds[name] : undefined;
  if (kind !== undefined) return kind;
  if (name.charCodeAt(0) === 58) return Http2Field.unknownPseudo;
  return token.test(name) ? Http2Field.ordinary : Http2Field.bad;
}

/** Field names of the static table by index. */
export const staticNames: readonly Http2FieldName[] = staticTable.map((entry) => http2FieldName(entry.name));
