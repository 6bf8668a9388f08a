import { FilterChainMatch } from '@meltemi/api/gen/envoy/config/listener/v3/listener_components.ts';
import { compileCidr, inCidr, parseIp, type Cidr } from '@meltemi/match';
import { checkFields, type Report } from '@meltemi/route';
import { filterChainMatchFields } from './listener-tables.ts';
import type { ConnectionView, FilterChain, FilterChainMatcher } from './listener-types.ts';

/** A chain with its match message, still to be put into the tree. */
export interface ChainEntry {
  readonly match: FilterChainMatch | undefined;
  readonly chain: FilterChain;
  readonly path: string;
}

/** One level of the tree: children by key, or by address range with the longest first. */
interface Node {
  readonly byKey: Map<string, Node>;
  readonly byRange: { readonly cidr: Cidr | null; readonly id: string; readonly node: Node }[];
  chain: FilterChain | null;
}

/** One criterion: the keys or ranges a chain asks for ([''] or [null] = any), and how a connection picks. */
interface Level {
  readonly keys: (match: FilterChainMatch) => readonly string[];
  readonly ranges: ((match: FilterChainMatch) => readonly { addressPrefix: string; prefixLen?: number | undefined }[]) | null;
  readonly field: string;
  readonly pick: (node: Node, view: ConnectionView) => Node | null;
}

const sourceTypes = ['', 'local', 'external'] as const;

/** Envoy's order: the first criterion that tells chains apart decides, and there is no way back up when what lies below does not match. */
const levels: readonly Level[] = [
  keyLevel('destination_port', (m) => [m.destinationPort === undefined ? '' : String(m.destinationPort)], (v) => [String(v.destinationPort)]),
  rangeLevel('prefix_ranges', (m) => m.prefixRanges, (v) => v.destinationIp),
  keyLevel('server_names', (m) => orAny(m.serverNames.map((name) => (name.startsWith('*.') ? name.slice(1) : name).toLowerCase())), serverNameKeys),
  keyLevel('transport_protocol', (m) => [m.transportProtocol], (v) => [v.transportProtocol]),
  keyLevel('application_protocols', (m) => orAny(m.applicationProtocols), (v) => v.applicationProtocols),
  rangeLevel('direct_source_prefix_ranges', (m) => m.directSourcePrefixRanges, (v) => v.directSourceIp),
  keyLevel('source_type', (m) => [sourceTypes[m.sourceType as 0 | 1 | 2] ?? ''], (v) => [isLocal(v) ? 'local' : 'external']),
  rangeLevel('source_prefix_ranges', (m) => m.sourcePrefixRanges, (v) => v.sourceIp),
  keyLevel('source_ports', (m) => orAny(m.sourcePorts.map(String)), (v) => [String(v.sourcePort)]),
];

/** Compiles the chains into one tree; two chains that match the same connections are refused. */
export function compileFilterChainMatcher(entries: readonly ChainEntry[], defaultChain: FilterChain | null, report: Report): FilterChainMatcher {
  const root = newNode();
  for (const entry of entries) {
    const match = entry.match ?? FilterChainMatch.decode(new Uint8Array());
    checkFields(match, filterChainMatchFields, `${entry.path}.filter_chain_match`, report);
    insert(root, 0, match, entry, report);
  }
  for (const node of walk(root)) node.byRange.sort((a, b) => (b.cidr?.length ?? -1) - (a.cidr?.length ?? -1));
  return { match: (view) => descend(root, view) ?? defaultChain };
}

function descend(root: Node, view: ConnectionView): FilterChain | null {
  let node: Node | null = root;
  for (let i = 0; i < levels.length && node !== null; i++) node = levels[i]?.pick(node, view) ?? null;
  return node?.chain ?? null;
}

function insert(node: Node, depth: number, match: FilterChainMatch, entry: ChainEntry, report: Report): void {
  const level = levels[depth];
  if (!level) {
    if (node.chain && node.chain !== entry.chain) {
      report.refuse(`${entry.path}.filter_chain_match`, `matches the same connections as filter chain "${node.chain.name}"`);
    }
    node.chain = entry.chain;
  } else if (level.ranges) {
    const ranges = level.ranges(match);
    if (ranges.length === 0) insert(rangeChild(node, null), depth + 1, match, entry, report);
    for (const [i, range] of ranges.entries()) {
      const cidr = report.take(compileCidr(range, `${entry.path}.filter_chain_match.${level.field}[${i}]`), null);
      if (cidr) insert(rangeChild(node, cidr), depth + 1, match, entry, report);
    }
  } else {
    for (const [i, key] of level.keys(match).entries()) {
      if (key.includes('*')) report.refuse(`${entry.path}.filter_chain_match.${level.field}[${i}]`, `"${key}": a wildcard is "*." and a domain`);
      insert(keyChild(node, key), depth + 1, match, entry, report);
    }
  }
}

function keyLevel(field: string, keys: Level['keys'], candidates: (view: ConnectionView) => readonly string[]): Level {
  return {
    field, keys, ranges: null,
    pick: (node, view) => {
      if (node.byKey.size === 1 && node.byKey.has('')) return node.byKey.get('') ?? null;
      for (const key of candidates(view)) {
        const child = key === '' ? undefined : node.byKey.get(key);
        if (child) return child;
      }
      return node.byKey.get('') ?? null;
    },
  };
}

function rangeLevel(field: string, ranges: NonNullable<Level['ranges']>, address: (view: ConnectionView) => string): Level {
  return {
    field, ranges, keys: () => [],
    pick: (node, view) => {
      const first = node.byRange[0];
      if (node.byRange.length === 1 && first?.cidr === null) return first.node;
      const ip = parseIp(address(view));
      return node.byRange.find(({ cidr }) => cidr === null || (ip !== null && inCidr(ip, cidr)))?.node ?? null;
    },
  };
}

/** The name itself, then its wildcards from the longest. */
function serverNameKeys(view: ConnectionView): string[] {
  const name = view.serverName.toLowerCase();
  const keys = [name];
  for (let dot = name.indexOf('.', 1); dot > 0; dot = name.indexOf('.', dot + 1)) keys.push(name.slice(dot));
  return keys;
}

/** From this host: source_type SAME_IP_OR_LOOPBACK. */
export function isLocal(view: ConnectionView): boolean {
  const source = parseIp(view.sourceIp);
  if (!source) return true;
  if (source.length === 4 ? source[0] === 127 : source[15] === 1 && source.every((byte, i) => i === 15 || byte === 0)) return true;
  const local = parseIp(view.localIp);
  return local !== null && Buffer.compare(source, local) === 0;
}

function orAny(keys: readonly string[]): readonly string[] {
  return keys.length === 0 ? [''] : keys;
}

function newNode(): Node {
  return { byKey: new Map(), byRange: [], chain: null };
}

function keyChild(node: Node, key: string): Node {
  let child = node.byKey.get(key);
  if (!child) node.byKey.set(key, (child = newNode()));
  return child;
}

function rangeChild(node: Node, cidr: Cidr | null): Node {
  const id = cidr ? rangeId(cidr) : '';
  const found = node.byRange.find((entry) => entry.id === id);
  if (found) return found.node;
  const child = newNode();
  node.byRange.push({ cidr, id, node: child });
  return child;
}

/** The same for ranges that hold the same addresses, however their host bits are written. */
function rangeId(cidr: Cidr): string {
  const bits = [...cidr.bytes].map((byte) => byte.toString(2).padStart(8, '0')).join('');
  return `${cidr.bytes.length}/${bits.slice(0, cidr.length)}`;
}

function* walk(node: Node): Generator<Node> {
  yield node;
  for (const child of node.byKey.values()) yield* walk(child);
  for (const { node: child } of node.byRange) yield* walk(child);
}
