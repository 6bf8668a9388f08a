import { lookup, type LookupAddress } from 'node:dns';
import { isIP, type LookupFunction } from 'node:net';
import { Agent, request } from 'undici';
import { BlockedAddresses } from './blocked-addresses.ts';

/** Documents of issuers, over HTTP. */
export interface KeyServer {
  /** The body of a 2xx answer; an Error says why there is none. `signal` ends the wait. */
  get(url: string, limits: { readonly timeoutMs: number; readonly signal: AbortSignal }): Promise<string>;
  close(): Promise<void>;
}

/** Of a document; a key set of a hundred keys has some 60 kB. */
const maxBytes = 1024 * 1024;
const maxHeaderSize = 16 * 1024;
/** However long a policy would wait for it. */
const maxTimeoutMs = 60_000;

/**
 * Follows no redirects: keys come from where the policy says, or not at all. TLS trusts the system's authorities and NODE_EXTRA_CA_CERTS.
 * Addresses are checked when connecting, so that no name that resolves to one that is blocked is a way around.
 */
export function httpKeyServer(blocked: BlockedAddresses = BlockedAddresses.byDefault): KeyServer {
  const agent = new Agent({ connections: 4, maxResponseSize: maxBytes, maxHeaderSize, keepAliveTimeout: 1_000, connect: { lookup: guardedLookup(blocked) } });
  return {
    async get(url, { timeoutMs, signal }) {
      const { hostname, protocol } = new URL(url);
      if (protocol !== 'http:' && protocol !== 'https:') throw new Error(`keys come over http or https, not ${protocol}`);
      const literal = hostname.replace(/^\[|\]$/g, '');
      if (isIP(literal) !== 0 && blocked.has(literal)) throw new Error(`${literal} is not an address that keys may come from`);
      const within = AbortSignal.any([signal, AbortSignal.timeout(Math.min(timeoutMs, maxTimeoutMs))]);
      const { statusCode, body } = await request(url, { dispatcher: agent, signal: within, headers: { accept: 'application/json' } });
      if (statusCode >= 200 && statusCode < 300) return body.text();
      body.on('error', () => {});
      body.destroy();
      throw new Error(`the server answers ${statusCode}`);
    },
    close: () => agent.destroy(),
  };
}

/** Looks up as usual, without the addresses that are blocked. */
function guardedLookup(blocked: BlockedAddresses): LookupFunction {
  return (hostname, options, callback) => {
    lookup(hostname, { ...options, all: true }, (error, addresses) => {
      const list: LookupAddress[] = (error ? [] : addresses).filter(({ address }) => !blocked.has(address));
      const [first] = list;
      if (error) callback(error, '', 0);
      else if (!first) callback(Object.assign(new Error(`${hostname} has no address that keys may come from`), { code: 'ENOTFOUND' }), '', 0);
      else if (options.all === true) callback(null, list);
      else callback(null, first.address, first.family);
    });
  };
}
