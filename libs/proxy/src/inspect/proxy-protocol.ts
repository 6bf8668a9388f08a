import { formatIp, parseIp } from '@meltemi/match';

/** What a balancer in front says about a connection (PROXY protocol, version 1 or 2). */
export interface ProxyHeader {
  readonly version: 1 | 2;
  /** Bytes it takes at the start of the connection. */
  readonly length: number;
  /** Null: the sender speaks for itself (v1 UNKNOWN, v2 LOCAL), the connection's own addresses stand. */
  readonly addresses: ProxyAddresses | null;
  /** Version 2's extra values, in order. */
  readonly tlvs: readonly ProxyTlv[];
}

export interface ProxyAddresses {
  readonly sourceIp: string;
  readonly sourcePort: number;
  readonly destinationIp: string;
  readonly destinationPort: number;
}

export interface ProxyTlv {
  readonly type: number;
  readonly value: Buffer;
}

/** 'more': bytes are missing; 'none': this is no PROXY protocol; 'broken': it begins like one and is wrong. */
export type ProxyHeaderRead = ProxyHeader | 'more' | 'none' | { readonly broken: string; readonly version: 1 | 2 };

/** "PROXY TCP6 …\r\n" is never longer. */
const maxTextBytes = 107;
const textStart = Buffer.from('PROXY ');
const signature = Buffer.from([0x0d, 0x0a, 0x0d, 0x0a, 0x00, 0x0d, 0x0a, 0x51, 0x55, 0x49, 0x54, 0x0a]);
const fixedBytes = 16;

/** Reads the header at the start of a connection. Bounded: 107 bytes of text, or 16 bytes and the 65,535 that they may announce. */
export function readProxyHeader(bytes: Buffer, versions: { readonly v1: boolean; readonly v2: boolean } = { v1: true, v2: true }): ProxyHeaderRead {
  const one = versions.v1 ? begins(bytes, textStart) : 'no';
  const two = versions.v2 ? begins(bytes, signature) : 'no';
  if (one === 'yes') return readText(bytes);
  if (two === 'yes') return readBinary(bytes);
  return one === 'perhaps' || two === 'perhaps' ? 'more' : 'none';
}

function begins(bytes: Buffer, with_: Buffer): 'yes' | 'no' | 'perhaps' {
  const length = Math.min(bytes.length, with_.length);
  if (bytes.compare(with_, 0, length, 0, length) !== 0) return 'no';
  return bytes.length >= with_.length ? 'yes' : 'perhaps';
}

function readText(bytes: Buffer): ProxyHeaderRead {
  const end = bytes.subarray(0, maxTextBytes).indexOf('\r\n');
  if (end < 0) return bytes.length >= maxTextBytes ? { version: 1, broken: `no end of line within ${maxTextBytes} bytes` } : 'more';
  const line = bytes.toString('latin1', 0, end);
  const done = { version: 1, length: end + 2, tlvs: [] } as const;
  const [, family, sourceIp, destinationIp, ...ports] = line.split(' ');
  if (family === 'UNKNOWN') return { ...done, addresses: null };
  const fits = family === 'TCP4' ? isIpv4 : family === 'TCP6' ? isIpv6 : null;
  const [sourcePort, destinationPort] = ports.map(portOf);
  if (fits === null || sourceIp === undefined || destinationIp === undefined || !fits(sourceIp) || !fits(destinationIp) || ports.length !== 2) return { version: 1, broken: 'not "PROXY TCP4|TCP6 source destination port port"' };
  if (sourcePort === undefined || destinationPort === undefined || sourcePort < 0 || destinationPort < 0) return { version: 1, broken: 'a port is not a number up to 65535' };
  return { ...done, addresses: { sourceIp, sourcePort, destinationIp, destinationPort } };
}

function portOf(text: string): number {
  return /^(0|[1-9]\d{0,4})$/.test(text) && Number(text) <= 65_535 ? Number(text) : -1;
}

function isIpv4(text: string): boolean {
  return parseIp(text)?.length === 4;
}

function isIpv6(text: string): boolean {
  return text.includes(':') && !text.includes('%') && parseIp(text) !== null;
}

function readBinary(bytes: Buffer): ProxyHeaderRead {
  if (bytes.length < fixedBytes) return 'more';
  const [command = 0, transport = 0] = bytes.subarray(12, 14);
  if (command >> 4 !== 2 || (command & 15) > 1) return { version: 2, broken: 'not version 2 with LOCAL or PROXY' };
  const length = fixedBytes + bytes.readUInt16BE(14);
  if (bytes.length < length) return 'more';
  const body = bytes.subarray(fixedBytes, length);
  const done = { version: 2, length } as const;
  // Deviation: Envoy refuses PROXY with an unspecified family; the protocol says that its addresses are to be ignored.
  if ((command & 15) === 0 || transport === 0) return { ...done, addresses: null, tlvs: [] };
  const ipBytes = transport === 0x11 ? 4 : transport === 0x21 ? 16 : 0;
  if (ipBytes === 0) return { version: 2, broken: 'only TCP over IPv4 or IPv6 is taken' };
  const addressBytes = 2 * ipBytes + 4;
  if (body.length < addressBytes) return { version: 2, broken: 'addresses are cut off' };
  const tlvs = readTlvs(body.subarray(addressBytes));
  if (tlvs === null) return { version: 2, broken: 'a value after the addresses is cut off' };
  const addresses = {
    sourceIp: formatIp(body.subarray(0, ipBytes)), destinationIp: formatIp(body.subarray(ipBytes, 2 * ipBytes)),
    sourcePort: body.readUInt16BE(2 * ipBytes), destinationPort: body.readUInt16BE(2 * ipBytes + 2),
  };
  return { ...done, addresses, tlvs };
}

function readTlvs(bytes: Buffer): ProxyTlv[] | null {
  const tlvs: ProxyTlv[] = [];
  for (let at = 0; at < bytes.length; ) {
    if (at + 3 > bytes.length) return null;
    const end = at + 3 + bytes.readUInt16BE(at + 1);
    if (end > bytes.length) return null;
    tlvs.push({ type: bytes[at] ?? 0, value: bytes.subarray(at + 3, end) });
    at = end;
  }
  return tlvs;
}

/** A header in front of an upstream connection; null addresses: the proxy speaks for itself. */
export function writeProxyHeader(version: 1 | 2, addresses: ProxyAddresses | null, tlvs: readonly ProxyTlv[] = []): Buffer {
  const source = addresses && parseIp(addresses.sourceIp);
  const destination = addresses && parseIp(addresses.destinationIp);
  const known = addresses !== null && source !== null && destination !== null && source.length === destination.length;
  if (version === 1) return Buffer.from(known ? `PROXY TCP${source.length === 4 ? 4 : 6} ${addresses.sourceIp} ${addresses.destinationIp} ${addresses.sourcePort} ${addresses.destinationPort}\r\n` : 'PROXY UNKNOWN\r\n');
  if (!known) return Buffer.concat([signature, Buffer.from([0x20, 0, 0, 0])]);
  const ports = Buffer.alloc(4);
  ports.writeUInt16BE(addresses.sourcePort, 0);
  ports.writeUInt16BE(addresses.destinationPort, 2);
  const body = Buffer.concat([source, destination, ports, ...tlvs.map(({ type, value }) => Buffer.concat([Buffer.from([type, value.length >> 8, value.length & 255]), value]))]);
  return Buffer.concat([signature, Buffer.from([0x21, source.length === 4 ? 0x11 : 0x21, body.length >> 8, body.length & 255]), body]);
}
