import { lookup, type LookupAddress } from 'node:dns';
import { BlockList, isIP, type LookupFunction } from 'node:net';
import { Agent, request } from 'undici';

/** Documents of issuers, over HTTP. */
export interface KeyServer {
  /** The body of a 2xx answer; an Error says why there is none. `signal` ends the wait. */
  get(url: string, limits: { readonly timeoutMs: number; readonly signal: AbortSignal }): Promise<string>;
  close(): Promise<void>;
}

/** Of a document; a key set of a hundred keys has some 60 kB. */
const maxBytes = 1024 * 1024;

/**
 * Where no issuer is, but clouds keep credentials: a policy's author must not read those through us. Blocked when connecting, so that no name
 * that resolves there is a way around. Source: Istio's jwks_resolver.go.
 */
const blocked = new BlockList();
blocked.addSubnet('169.254.0.0', 16);
blocked.addSubnet('fe80::', 10, 'ipv6');
blocked.addSubnet('fd00:ec2::254', 128, 'ipv6');
blocked.addAddress('100.100.100.200');
blocked.addAddress('168.63.129.16');

/** Follows no redirects: keys come from where the policy says, or not at all. TLS trusts the system's authorities and NODE_EXTRA_CA_CERTS. */
export function httpKeyServer(): KeyServer {
  const agent = new Agent({ connections: 4, maxResponseSize: maxBytes, keepAliveTimeout: 1_000, connect: { lookup: guardedLookup } });
  return {
    async get(url, { timeoutMs, signal }) {
      const { hostname } = new URL(url);
      const literal = hostname.replace(/^\[|\]$/g, '');
      if (isIP(literal) !== 0 && isBlocked(literal)) throw new Error(`${literal} is not an address that keys may come from`);
      const { statusCode, body } = await request(url, { dispatcher: agent, signal: AbortSignal.any([signal, AbortSignal.timeout(timeoutMs)]), headers: { accept: 'application/json' } });
      if (statusCode >= 200 && statusCode < 300) return body.text();
      await body.dump({ limit: maxBytes });
      throw new Error(`the server answers ${statusCode}`);
    },
    close: () => agent.destroy(),
  };
}

function isBlocked(address: string): boolean {
  const mapped = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i.exec(address)?.[1];
  return blocked.check(mapped ?? address, mapped === undefined && address.includes(':') ? 'ipv6' : 'ipv4');
}

/** Looks up as usual, without the addresses that are blocked. */
const guardedLookup: LookupFunction = (hostname, options, callback) => {
  lookup(hostname, { ...options, all: true }, (error, addresses) => {
    const list: LookupAddress[] = (error ? [] : addresses).filter(({ address }) => !isBlocked(address));
    const [first] = list;
    if (error) callback(error, '', 0);
    else if (!first) callback(Object.assign(new Error(`${hostname} has no address that keys may come from`), { code: 'ENOTFOUND' }), '', 0);
    else if (options.all === true) callback(null, list);
    else callback(null, first.address, first.family);
  });
};
