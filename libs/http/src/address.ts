/** "ip:port" → "ip", "[ip6]:port" → "ip6"; a path or a bare address comes back as it is. @hot */
export function addressWithoutPort(address: string): string {
  if (address.charCodeAt(0) === 91) {
    const close = address.indexOf(']');
    return close < 0 ? address : address.slice(1, close);
  }
  const colon = address.lastIndexOf(':');
  return colon < 0 || address.indexOf(':') !== colon ? address : address.slice(0, colon);
}

/** The port of "ip:port" or "[ip6]:port"; -1 when there is none. */
export function portOf(address: string): number {
  const colon = address.lastIndexOf(':');
  if (colon < 0 || (address.charCodeAt(0) !== 91 && address.indexOf(':') !== colon) || address.charCodeAt(colon - 1) === 58) return -1;
  if (address.charCodeAt(0) === 91 && address.charCodeAt(colon - 1) !== 93) return -1;
  const port = Number(address.slice(colon + 1));
  return Number.isInteger(port) && colon + 1 < address.length ? port : -1;
}

/** Joins what addressWithoutPort and portOf take apart; IPv6 gets brackets. */
export function formatAddress(ip: string, port: number): string {
  return ip.includes(':') ? `[${ip}]:${port}` : `${ip}:${port}`;
}
