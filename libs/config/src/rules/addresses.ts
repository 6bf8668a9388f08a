import { isIP, isIPv4 } from 'node:net';

/** IPv4 in four decimals, or IPv6 (without a zone). */
export function isIpAddress(text: string): boolean {
  return !text.includes('%') && isIP(text) !== 0;
}

export function ipReason(text: string): string | undefined {
  return isIpAddress(text) ? undefined : `"${text}" is not an IP address`;
}

/** "10.1.0.0/16", "2001:db8::/32" or a single address. */
export function subnetReason(text: string): string | undefined {
  const [address = '', bits, more] = text.split('/');
  if (bits === undefined) return ipReason(text);
  const max = isIPv4(address) ? 32 : 128;
  const valid = more === undefined && isIpAddress(address) && /^(0|[1-9]\d{0,2})$/.test(bits) && Number(bits) <= max;
  return valid ? undefined : `"${text}" is not a CIDR block like 10.1.0.0/16`;
}

export function portReason(port: number): string | undefined {
  return port >= 1 && port <= 65535 ? undefined : `port ${port} must be in the range 1…65535`;
}

/** What follows unix:// — an absolute path of a file, or an abstract name starting with @. */
export function unixPathReason(path: string): string | undefined {
  if (path.startsWith('@')) return undefined;
  return path.startsWith('/') && !path.endsWith('/') ? undefined : `"${path}" must be the absolute path of a socket, like unix:///run/app.sock`;
}

/** The prefix of an address that names a Unix domain socket. */
export const unixPrefix = 'unix://';
