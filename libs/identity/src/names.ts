import { isIP } from 'node:net';
import { context, contextContents, DerError, decodeDer, encodeDer, parts, sequence, tag } from './der.ts';

/** What a certificate or request calls its subject (RFC 5280 §4.2.1.6). IP addresses as text. */
export interface SubjectNames {
  readonly uris: readonly string[];
  readonly dnsNames: readonly string[];
  readonly ips: readonly string[];
}

export const noNames: SubjectNames = { uris: [], dnsNames: [], ips: [] };

const maxNames = 64;
const maxNameBytes = 2048;

/** The DER of a SubjectAltName extension value. */
export function encodeNames(names: SubjectNames): Buffer {
  return encodeDer(
    sequence(
      ...names.uris.map((uri) => context(6, Buffer.from(uri, 'latin1'))),
      ...names.dnsNames.map((name) => context(2, Buffer.from(name, 'latin1'))),
      ...names.ips.map((ip) => context(7, ipBytes(ip))),
    ),
  );
}

/** Reads a SubjectAltName value. Kinds other than URI, DNS and IP are refused: silently dropping a name could widen what is signed. Throws DerError. */
export function decodeNames(der: Uint8Array): SubjectNames {
  const names = parts(decodeDer(der, 65_536), tag.sequence, 'subjectAltName');
  if (names.length > maxNames) throw new DerError(`${names.length} subject alternative names; the limit is ${maxNames}`);
  const uris: string[] = [];
  const dnsNames: string[] = [];
  const ips: string[] = [];
  for (const name of names) {
    const kind = name.tagClass === 0x80 ? Number(name.type) : -1;
    if (kind !== 6 && kind !== 2 && kind !== 7) throw new DerError('a subject alternative name is neither URI, DNS name nor IP address');
    const bytes = contextContents(name, 'a subject alternative name');
    if (bytes.length > maxNameBytes) throw new DerError(`a subject alternative name has more than ${maxNameBytes} bytes`);
    if (kind === 7) ips.push(ipText(bytes));
    else (kind === 6 ? uris : dnsNames).push(printable(bytes));
  }
  return { uris, dnsNames, ips };
}

/** Names are IA5String; control characters and spaces in one have only ever been attacks on whoever prints it. */
function printable(bytes: Buffer): string {
  const text = bytes.toString('latin1');
  if (!/^[\x21-\x7e]+$/.test(text)) throw new DerError('a subject alternative name is empty or not printable ASCII');
  return text;
}

function ipBytes(ip: string): Buffer {
  if (isIP(ip) === 4) return Buffer.from(ip.split('.').map(Number));
  if (isIP(ip) !== 6 || ip.includes('.') || ip.includes('%')) throw new Error(`${JSON.stringify(ip)} is not an IP address`);
  const [head = '', tail] = ip.split('::');
  const left = head === '' ? [] : head.split(':');
  const right = tail === undefined || tail === '' ? [] : tail.split(':');
  const groups = [...left, ...Array.from({ length: tail === undefined ? 0 : 8 - left.length - right.length }, () => '0'), ...right];
  return Buffer.from(groups.map((group) => group.padStart(4, '0')).join(''), 'hex');
}

function ipText(bytes: Buffer): string {
  if (bytes.length === 4) return bytes.join('.');
  if (bytes.length !== 16) throw new DerError('an IP address name has neither 4 nor 16 bytes');
  return (bytes.toString('hex').match(/.{4}/g) ?? []).map((group) => Number.parseInt(group, 16).toString(16)).join(':');
}
