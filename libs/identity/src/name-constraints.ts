import { isIPv4 } from 'node:net';
import { context, contextContents, contextParts, decodeDer, DerError, encodeDer, isContext, parts, sequence, tag, type DerNode } from './der.ts';
import type { SubjectNames } from './names.ts';

/** Names that certificates below an authority may bear, or may not (RFC 5280 §4.2.1.10). */
export interface NameConstraints {
  /** A kind with entries in `permitted` allows these alone; one without allows all. */
  readonly permitted: Subtrees;
  readonly excluded: Subtrees;
}

/** Hosts of URIs, DNS names (both with everything below, as each kind has it), addresses as [address, mask]. */
interface Subtrees {
  readonly uris: readonly string[];
  readonly dnsNames: readonly string[];
  readonly ips: readonly (readonly [address: Buffer, mask: Buffer])[];
  /** Kinds that are not compared here (directory names, mail): a certificate under them is refused. */
  readonly others: boolean;
}

const none: Subtrees = { uris: [], dnsNames: [], ips: [], others: false };
const maxSubtrees = 64;

/** The value of an extension that permits URIs of these hosts alone. */
export function encodePermittedUris(hosts: readonly string[]): Buffer {
  return encodeDer(sequence(context(0, hosts.map((host) => sequence(context(6, Buffer.from(host, 'latin1')))))));
}

/** Throws DerError. */
export function decodeNameConstraints(der: Uint8Array): NameConstraints {
  const lists = parts(decodeDer(der, 65_536), tag.sequence, 'name constraints');
  const subtrees = (number: number): Subtrees => {
    const list = lists.find((node) => isContext(node, number));
    return list === undefined ? none : readSubtrees(contextParts(list, 'name constraints'));
  };
  return { permitted: subtrees(0), excluded: subtrees(1) };
}

function readSubtrees(nodes: readonly DerNode[]): Subtrees {
  if (nodes.length > maxSubtrees) throw new DerError(`${nodes.length} name constraints; the limit is ${maxSubtrees}`);
  const found = { uris: [] as string[], dnsNames: [] as string[], ips: [] as [Buffer, Buffer][], others: false };
  for (const node of nodes) {
    const [base, ...more] = parts(node, tag.sequence, 'a name constraint');
    // minimum and maximum have one value each that RFC 5280 allows: their defaults.
    if (base === undefined || more.length > 0 || base.tagClass !== 0x80) throw new DerError('a name constraint is malformed');
    const kind = Number(base.type);
    if (kind === 6) found.uris.push(contextContents(base, 'a name constraint').toString('latin1').toLowerCase());
    else if (kind === 2) found.dnsNames.push(contextContents(base, 'a name constraint').toString('latin1').toLowerCase());
    else if (kind === 7) found.ips.push(subnet(contextContents(base, 'a name constraint')));
    else found.others = true;
  }
  return found;
}

function subnet(bytes: Buffer): [Buffer, Buffer] {
  if (bytes.length !== 8 && bytes.length !== 32) throw new DerError('a name constraint on addresses has neither 8 nor 32 bytes');
  return [bytes.subarray(0, bytes.length / 2), bytes.subarray(bytes.length / 2)];
}

/** Why a certificate with these names may not stand below an authority with these constraints; undefined when it may. */
export function outsideConstraints(names: SubjectNames, { permitted, excluded }: NameConstraints): string | undefined {
  if (permitted.others || excluded.others) return 'stands below an authority whose name constraints are of kinds that are not compared here';
  const kinds: readonly (readonly [readonly string[], keyof SubjectNames, (name: string, subtrees: Subtrees) => boolean])[] = [
    [names.uris, 'uris', (uri, { uris }) => uris.some((host) => underHost(hostOf(uri), host))],
    [names.dnsNames, 'dnsNames', (name, { dnsNames }) => dnsNames.some((domain) => underDomain(name.toLowerCase(), domain))],
    [names.ips, 'ips', (ip, { ips }) => ips.some(([address, mask]) => inSubnet(ip, address, mask))],
  ];
  for (const [list, kind, within] of kinds) {
    const bad = list.find((name) => within(name, excluded) || (permitted[kind].length > 0 && !within(name, permitted)));
    if (bad !== undefined) return `${bad} is outside of what its authority may name (name constraints)`;
  }
  return undefined;
}

function hostOf(uri: string): string {
  return /^[a-z][a-z0-9+.-]*:\/\/([^/?#:@]+)/i.exec(uri)?.[1]?.toLowerCase() ?? '';
}

/** A URI's constraint is one host, or with a dot in front all hosts below. */
function underHost(host: string, constraint: string): boolean {
  return constraint.startsWith('.') ? host.length > constraint.length && host.endsWith(constraint) : host === constraint;
}

/** A DNS name's constraint is the name itself and all below; empty, every name. */
function underDomain(name: string, constraint: string): boolean {
  return constraint === '' || name === constraint || name.endsWith(constraint.startsWith('.') ? constraint : `.${constraint}`);
}

function inSubnet(ip: string, address: Buffer, mask: Buffer): boolean {
  const bytes = isIPv4(ip) ? Buffer.from(ip.split('.').map(Number)) : Buffer.from(ip.split(':').map((group) => group.padStart(4, '0')).join(''), 'hex');
  return bytes.length === address.length && bytes.every((byte, i) => (byte & (mask[i] ?? 0)) === ((address[i] ?? 0) & (mask[i] ?? 0)));
}
