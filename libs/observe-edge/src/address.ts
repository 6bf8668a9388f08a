import { fail, ok, type Result } from '@meltemi/base';

/** Where to listen or dial. IPv6 hosts are without brackets. */
export interface Address {
  readonly host: string;
  /** 0 means any free port. */
  readonly port: number;
}

/** "127.0.0.1:15014", "[::1]:0", "localhost:8080" to host and port. A bare ":port" is refused: it would open every interface by accident. */
export function parseAddress(text: string): Result<Address> {
  const matched = /^(?:\[([0-9a-fA-F:.%a-z]+)\]|([^:[\]\s/]+)):(\d{1,5})$/.exec(text);
  const port = Number(matched?.[3]);
  if (!matched || port > 65_535) return fail('', `"${text}" is not an address: write HOST:PORT, like 127.0.0.1:15014 or [::1]:15014; port 0 means any free one`);
  return ok({ host: matched[1] ?? matched[2] ?? '', port });
}

const unixScheme = 'unix:';

/** "unix:/run/pilot/admin.sock", where a Unix socket will do: the address whose host is that text. Undefined for all others. */
export function parseUnixAddress(text: string): Address | undefined {
  return text.startsWith(`${unixScheme}/`) ? unixAddress(text.slice(unixScheme.length)) : undefined;
}

/** The address of a Unix socket at an absolute path. */
export function unixAddress(path: string): Address {
  return { host: `${unixScheme}${path}`, port: 0 };
}

/** The path of an address that is a Unix socket. */
export function unixPath({ host }: Address): string | undefined {
  return host.startsWith(unixScheme) ? host.slice(unixScheme.length) : undefined;
}

/** The inverse of parseAddress. */
export function formatAddress({ host, port }: Address): string {
  if (host.startsWith(unixScheme)) return host;
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`;
}

/** True for 127.0.0.0/8, ::1 and localhost. */
export function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || /^127\.\d+\.\d+\.\d+$/.test(host) || /^::ffff:127\.\d+\.\d+\.\d+$/i.test(host);
}
