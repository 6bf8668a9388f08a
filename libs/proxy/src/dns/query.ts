import { headerBytes, minUdpBytes, readName, recordType, responseCode, skipName, skipRecord, u16 } from './wire.ts';

/** One question of a client. */
export interface DnsQuery {
  readonly id: number;
  /** In lower case, with its final dot. */
  readonly name: string;
  readonly type: number;
  readonly class: number;
  /** As it came, to be sent back. */
  readonly question: Uint8Array;
  readonly recursionDesired: boolean;
  readonly checkingDisabled: boolean;
  /** The client spoke EDNS. */
  readonly edns: boolean;
  /** The largest answer over UDP. */
  readonly udpBytes: number;
}

/** `refused`: to be answered with this code; `ignored`: nothing that could be answered, or an answer itself. */
export type ParsedQuery = { readonly kind: 'query'; readonly query: DnsQuery } | { readonly kind: 'refused'; readonly code: number } | { readonly kind: 'ignored' };

const formatError: ParsedQuery = { kind: 'refused', code: responseCode.formatError };

/** Reads a client's message; counts beyond those of a plain query are refused, as by the library that Istio's agent uses. Source: RFC 1035 §4.1. */
export function parseQuery(bytes: Uint8Array): ParsedQuery {
  if (bytes.length < headerBytes || ((bytes[2] ?? 0) & 0x80) !== 0) return { kind: 'ignored' };
  if (((bytes[2] ?? 0) & 0x78) !== 0) return { kind: 'refused', code: responseCode.notImplemented };
  const [questions, answers, authorities, additional] = [u16(bytes, 4), u16(bytes, 6), u16(bytes, 8), u16(bytes, 10)];
  if (questions !== 1 || answers > 1 || authorities > 1 || additional > 2) return formatError;
  const named = readName(bytes, headerBytes);
  if (!named || named.end + 4 > bytes.length) return formatError;
  const end = named.end + 4;
  const udpBytes = ednsBytes(bytes, end, answers + authorities + additional);
  if (udpBytes === null) return formatError;
  return {
    kind: 'query',
    query: {
      id: u16(bytes, 0), name: named.name, type: u16(bytes, named.end), class: u16(bytes, named.end + 2), question: bytes.slice(headerBytes, end),
      recursionDesired: ((bytes[2] ?? 0) & 1) !== 0, checkingDisabled: ((bytes[3] ?? 0) & 0x10) !== 0, edns: udpBytes > 0, udpBytes: Math.max(minUdpBytes, udpBytes),
    },
  };
}

/** What its OPT record offers; 0 without one, null for a broken message. */
function ednsBytes(bytes: Uint8Array, from: number, records: number): number | null {
  let offered = 0;
  let at = from;
  for (let i = 0; i < records; i++) {
    const end = skipRecord(bytes, at);
    if (end < 0) return null;
    const fixed = skipName(bytes, at);
    if (u16(bytes, fixed) === recordType.opt) offered = Math.max(1, u16(bytes, fixed + 2));
    at = end;
  }
  return offered;
}
