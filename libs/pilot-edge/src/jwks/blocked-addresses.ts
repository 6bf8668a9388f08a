import { BlockList, isIP } from 'node:net';
import { err, ok, type Result } from '@meltemi/base';
import { compileCidr, formatIp, parseIp } from '@meltemi/match';

/**
 * Where no issuer is, but clouds keep credentials, and what means this host without saying so: a policy's author must not read those through
 * us. Private and loopback addresses may be issuers of this mesh: BLOCKED_CIDRS_IN_JWKS_URIS forbids them. Source: Istio's jwks_resolver.go.
 */
const always = ['169.254.0.0/16', 'fe80::/10', 'fd00:ec2::254/128', '100.100.100.200/32', '168.63.129.16/32', '0.0.0.0/8', '::/128'];

/** Prefixes of IPv6 addresses that stand for an IPv4 address, and the byte where that begins: NAT64 (RFC 6052), 6to4 (RFC 3056). */
const carriers = [['64:ff9b::/96', 12], ['2002::/16', 2]] as const;

/** Tells addresses that keys may not come from. */
export class BlockedAddresses {
  readonly #list = new BlockList();
  readonly #carriers = carriers.map(([range, at]) => ({ range: listOf(range), at }));

  private constructor(ranges: readonly string[]) {
    for (const range of ranges) add(this.#list, range);
  }

  /** Those of clouds. */
  static readonly byDefault = new BlockedAddresses(always);

  /** Besides: ranges like "10.0.0.0/8,fc00::/7". Err says which one is none. */
  static and(ranges: string): Result<BlockedAddresses, string> {
    const more = ranges.split(',').map((range) => range.trim()).filter((range) => range !== '');
    const wrong = more.find((range) => !isRange(range));
    return wrong === undefined ? ok(new BlockedAddresses([...always, ...more])) : err(`"${wrong}" is not a range of addresses like 10.0.0.0/8`);
  }

  has(address: string): boolean {
    const bytes = parseIp(address);
    if (bytes === null) return true;
    const text = formatIp(bytes);
    const family = isIP(text) === 4 ? 'ipv4' : 'ipv6';
    if (this.#list.check(text, family)) return true;
    const carrier = family === 'ipv6' ? this.#carriers.find(({ range }) => range.check(text, 'ipv6')) : undefined;
    return carrier !== undefined && this.#list.check(formatIp(bytes.slice(carrier.at, carrier.at + 4)), 'ipv4');
  }
}

function isRange(text: string): boolean {
  const [addressPrefix = '', length = '', ...more] = text.split('/');
  return more.length === 0 && /^\d{1,3}$/.test(length) && compileCidr({ addressPrefix, prefixLen: Number(length) }, '').ok;
}

function listOf(range: string): BlockList {
  const list = new BlockList();
  add(list, range);
  return list;
}

function add(list: BlockList, range: string): void {
  const [address = '', length = ''] = range.split('/', 2);
  list.addSubnet(address, Number(length), address.includes(':') ? 'ipv6' : 'ipv4');
}
