import { isIP } from 'node:net';
import type { Host } from './balance/index.ts';

/** How a look-up came out. */
export type Lookup = 'ready' | 'failed';

/** Nothing was asked: too many names are known, or too many requests wait. */
export type Overflow = 'full' | 'busy';

/** Whoever waits for a name; told once, unless cancelled. */
export interface WaitingLookup {
  cancel(): void;
}

/**
 * The hosts of a dynamic forward proxy cluster: looked up when they are asked for, kept while they are used. Names are those of requests and
 * so anybody's: there is a limit to how many are known and how many wait.
 */
export interface DynamicHosts {
  /** Port of names that come without: 443 towards TLS, else 80. */
  readonly defaultPort: number;
  /** Asks for a name ("host", "host:port", "[ip6]:port"). What is known or cannot be is said at once, else `done` is told later. */
  lookUp(authority: string, done: (outcome: Lookup) => void): Lookup | Overflow | WaitingLookup;
  /** The host of a name that was looked up; null when it is not known. */
  find(authority: string): Host | null;
}

/** Name and port of an authority; null when it is none. */
export function hostAndPort(authority: string, defaultPort: number): { readonly name: string; readonly port: number } | null {
  const bracket = authority.startsWith('[') ? authority.indexOf(']') : -1;
  const colon = authority.indexOf(':', Math.max(0, bracket));
  const bare = colon < 0 || (bracket < 0 && authority.indexOf(':', colon + 1) >= 0);
  const port = bare ? defaultPort : Number(authority.slice(colon + 1));
  const host = bare ? authority : authority.slice(0, colon);
  const name = (bracket > 0 ? host.slice(1, -1) : host).toLowerCase();
  const valid = isIP(name) !== 0 || (name.length <= 255 && /^[a-z0-9_](?:[a-z0-9_.-]*[a-z0-9_.])?$/.test(name));
  return valid && Number.isInteger(port) && port > 0 && port <= 65_535 ? { name, port } : null;
}
