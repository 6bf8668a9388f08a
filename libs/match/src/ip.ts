import { fail, ok, type FieldError, type Result } from '@meltemi/base';
import type { CidrRange } from '@meltemi/api/gen/envoy/config/core/v3/address.ts';
import type { CidrSet } from './types.ts';

/** The bytes of an IPv4 (4) or IPv6 (16) address, null for anything else. IPv4-mapped IPv6 gives the 4 IPv4 bytes. A zone (%eth0) is dropped. */
export function parseIp(text: string): Uint8Array | null {
  return text.includes(':') ? parseIpv6(text) : parseIpv4(text);
}

function parseIpv4(text: string): Uint8Array | null {
  const bytes = new Uint8Array(4);
  let value = -1;
  let place = 0;
  for (let i = 0; i <= text.length; i++) {
    const code = i < text.length ? text.charCodeAt(i) : 46;
    if (code === 46) {
      if (value < 0 || place > 3) return null;
      bytes[place++] = value;
      value = -1;
    } else {
      if (code < 48 || code > 57 || value === 0) return null;
      value = (value < 0 ? 0 : value * 10) + code - 48;
      if (value > 255) return null;
    }
  }
  return place === 4 ? bytes : null;
}

function parseIpv6(text: string): Uint8Array | null {
  const zone = text.indexOf('%');
  const halves = (zone < 0 ? text : text.slice(0, zone)).split('::');
  if (halves.length > 2) return null;
  const head = groups(halves[0] ?? '');
  const tail = halves.length === 2 ? groups(halves[1] ?? '') : [];
  if (!head || !tail) return null;
  const missing = 16 - head.length - tail.length;
  if (halves.length === 2 ? missing < 2 : missing !== 0) return null;
  const bytes = new Uint8Array(16);
  bytes.set(head);
  bytes.set(tail, 16 - tail.length);
  return isMapped(bytes) ? bytes.slice(12) : bytes;
}

/** Bytes of "a:b:c" or "a:b:1.2.3.4"; null when broken. */
function groups(text: string): number[] | null {
  if (text === '') return [];
  const bytes: number[] = [];
  const parts = text.split(':');
  for (const [i, part] of parts.entries()) {
    if (part.includes('.')) {
      const v4 = i === parts.length - 1 ? parseIpv4(part) : null;
      if (!v4) return null;
      bytes.push(...v4);
    } else if (/^[0-9a-fA-F]{1,4}$/.test(part)) {
      const value = Number.parseInt(part, 16);
      bytes.push(value >> 8, value & 255);
    } else return null;
  }
  return bytes;
}

function isMapped(bytes: Uint8Array): boolean {
  for (let i = 0; i < 10; i++) if (bytes[i] !== 0) return false;
  return bytes[10] === 255 && bytes[11] === 255;
}

/** What parseIp read: IPv6 in its shortest form (RFC 5952), IPv4 inside IPv6 as IPv4. */
export function formatIp(bytes: Uint8Array): string {
  if (bytes.length === 4) return bytes.join('.');
  if (isMapped(bytes)) return bytes.slice(12).join('.');
  const groups = Array.from({ length: 8 }, (_, i) => (((bytes[2 * i] ?? 0) << 8) | (bytes[2 * i + 1] ?? 0)).toString(16));
  return new URL(`http://[${groups.join(':')}]/`).hostname.slice(1, -1);
}

/** A parsed range. */
export interface Cidr {
  readonly bytes: Uint8Array;
  readonly length: number;
}

export function inCidr(ip: Uint8Array, cidr: Cidr): boolean {
  if (ip.length !== cidr.bytes.length) return false;
  const whole = cidr.length >> 3;
  for (let i = 0; i < whole; i++) if (ip[i] !== cidr.bytes[i]) return false;
  const rest = cidr.length & 7;
  return rest === 0 || (((ip[whole] ?? 0) ^ (cidr.bytes[whole] ?? 0)) >> (8 - rest)) === 0;
}

/** One CidrRange; prefix_len unset means 0, as in Envoy. */
export function compileCidr(range: CidrRange, path: string): Result<Cidr> {
  const bytes = parseIp(range.addressPrefix);
  if (!bytes) return fail(`${path}.address_prefix`, `"${range.addressPrefix}" is not an IP address`);
  const mapped = bytes.length === 4 && range.addressPrefix.includes(':');
  const length = (range.prefixLen ?? 0) - (mapped ? 96 : 0);
  if (length < 0 || length > bytes.length * 8) return fail(`${path}.prefix_len`, `must be 0 to ${bytes.length * 8}`);
  return ok({ bytes, length });
}

/** A list of ranges; empty contains nothing. */
export function compileCidrs(ranges: readonly CidrRange[], path: string): Result<CidrSet> {
  const errors: FieldError[] = [];
  const compiled: Cidr[] = [];
  for (const [i, range] of ranges.entries()) {
    const cidr = compileCidr(range, `${path}[${i}]`);
    if (cidr.ok) compiled.push(cidr.value);
    else errors.push(...cidr.error);
  }
  return errors.length > 0 ? { ok: false, error: errors } : ok(cidrSet(compiled));
}

function cidrSet(cidrs: readonly Cidr[]): CidrSet {
  return {
    contains: (text) => {
      const ip = parseIp(text);
      return ip !== null && cidrs.some((cidr) => inCidr(ip, cidr));
    },
  };
}
