/** What a TLS client says before anything is encrypted. */
export interface ClientHello {
  /** Server name, lower-case; "" when none. */
  readonly serverName: string;
  readonly alpn: readonly string[];
}

const visible = /^[!-~]*$/;

/** A ClientHello larger than this is not waited for; Envoy's limit. Post-quantum ones are about 1.6 KB. */
export const maxClientHelloBytes = 64 * 1024;

/** Reads the ClientHello at the start of a connection: 'more' when bytes are missing, 'not-tls' when it is something else (RFC 8446 §4.1.2, RFC 6066 §3). */
export function readClientHello(bytes: Buffer): ClientHello | 'more' | 'not-tls' {
  if (bytes.length < 1) return 'more';
  if (bytes[0] !== 22 || (bytes.length > 1 && bytes[1] !== 3)) return 'not-tls';
  const handshake = joinRecords(bytes);
  if (handshake === 'not-tls') return 'not-tls';
  if (handshake.length < 4) return tooLong(bytes);
  if (handshake[0] !== 1) return 'not-tls';
  const length = handshake.readUIntBE(1, 3);
  if (handshake.length < 4 + length) return tooLong(bytes);
  return readExtensions(handshake.subarray(4, 4 + length)) ?? 'not-tls';
}

function tooLong(bytes: Buffer): 'more' | 'not-tls' {
  return bytes.length >= maxClientHelloBytes ? 'not-tls' : 'more';
}

/** The handshake bytes of the records so far, up to a whole hello: it may be cut into several, and early data may follow it. */
function joinRecords(bytes: Buffer): Buffer | 'not-tls' {
  const parts: Buffer[] = [];
  let total = 0;
  let needed = Infinity;
  for (let at = 0; total < needed && at + 5 <= bytes.length; ) {
    if (bytes[at] !== 22) return 'not-tls';
    const length = bytes.readUInt16BE(at + 3);
    if (length === 0 || length > 16_384 + 256) return 'not-tls';
    parts.push(bytes.subarray(at + 5, at + 5 + length));
    total += parts[parts.length - 1]?.length ?? 0;
    if (total >= 4 && needed === Infinity) needed = 4 + Buffer.concat(parts).readUIntBE(1, 3);
    at += 5 + length;
  }
  return parts.length === 1 ? (parts[0] ?? Buffer.alloc(0)) : Buffer.concat(parts);
}

function readExtensions(body: Buffer): ClientHello | null {
  // version (2), random (32), then session id, cipher suites and compression methods, each with its length.
  let at = 34;
  at = skip(body, at, 1);
  at = skip(body, at, 2);
  at = skip(body, at, 1);
  if (at < 0) return null;
  let serverName = '';
  let alpn: string[] = [];
  if (at + 2 > body.length) return { serverName, alpn };
  const end = Math.min(body.length, at + 2 + body.readUInt16BE(at));
  at += 2;
  while (at + 4 <= end) {
    const type = body.readUInt16BE(at);
    const length = body.readUInt16BE(at + 2);
    const data = body.subarray(at + 4, Math.min(end, at + 4 + length));
    if (type === 0) serverName = readServerName(data);
    else if (type === 16) alpn = readAlpn(data);
    at += 4 + length;
  }
  return { serverName, alpn };
}

function skip(body: Buffer, at: number, lengthBytes: number): number {
  if (at < 0 || at + lengthBytes > body.length) return -1;
  const next = at + lengthBytes + body.readUIntBE(at, lengthBytes);
  return next > body.length ? -1 : next;
}

function readServerName(data: Buffer): string {
  if (data.length < 5 || data[2] !== 0) return '';
  const name = data.toString('latin1', 5, Math.min(data.length, 5 + data.readUInt16BE(3)));
  // It is compared with hosts, and written into logs: a line end in it would be one there.
  return visible.test(name) ? name.toLowerCase() : '';
}

function readAlpn(data: Buffer): string[] {
  const found: string[] = [];
  for (let at = 2; at < data.length; ) {
    const length = data[at] ?? 0;
    found.push(data.toString('latin1', at + 1, at + 1 + length));
    at += 1 + length;
  }
  return found;
}
