import type { CaptureOptions, Range } from './capture-options.ts';
import type { Action, Family, Hook, Match, RouteStep, Rule, Table } from './rule.ts';

/** Everything to install: where packets enter our chains, the rules in order, and the routes they need. */
export interface CaptureRules {
  readonly hooks: readonly Hook[];
  readonly rules: readonly Rule[];
  readonly routes: readonly RouteStep[];
}

/** Names of our chains; all begin alike, so that what is ours can be told from what is not. */
export const chainPrefix = 'MELTEMI_';
const chains = {
  prerouting: 'MELTEMI_PREROUTING', output: 'MELTEMI_OUTPUT', inbound: 'MELTEMI_INBOUND', redirect: 'MELTEMI_REDIRECT', inRedirect: 'MELTEMI_IN_REDIRECT',
  divert: 'MELTEMI_DIVERT', tproxy: 'MELTEMI_TPROXY', dns: 'MELTEMI_OUTPUT_DNS',
} as const;

/** Istio's addresses from which the proxy calls its own application: 127.0.0.6, and ::6, which `lo` gets as an address. */
const ownSource = { v4: '127.0.0.6/32', v6: '::6/128' } as const;
const loopback = { v4: '127.0.0.1/32', v6: '::1/128' } as const;
const families = ['v4', 'v6'] as const;
/** Under TPROXY: the proxy's connections to this workload's own addresses. */
const outboundMark = 1338;

const back: Action = { kind: 'return' };
const toProxy: Action = { kind: 'jump', chain: chains.redirect };
const toInbound: Action = { kind: 'jump', chain: chains.inRedirect };

/** Istio's rules for these options. Pure: the same options give the same rules. */
export function captureRules(options: CaptureOptions): CaptureRules {
  const rules = [...mangle(options), ...raw(options), ...nat(options)].filter((rule) => options.ipv6 || rule.family !== 'v6');
  const hooks: readonly Hook[] = (['raw', 'mangle', 'nat'] as const).flatMap((table) => [
    { table, from: 'PREROUTING' as const, chain: chains.prerouting },
    { table, from: 'OUTPUT' as const, chain: chains.output },
  ]).filter((hook) => rules.some((rule) => rule.table === hook.table && rule.chain === hook.chain));
  return { hooks, rules, routes: routes(options) };
}

/** Adds rules to one chain. */
class Chain {
  readonly rules: Rule[] = [];
  readonly #table: Table;
  readonly #chain: string;

  constructor(table: Table, chain: string) {
    this.#table = table;
    this.#chain = chain;
  }

  add(why: string, when: Match, action: Action, family?: Family): this {
    this.rules.push({ table: this.#table, chain: this.#chain, ...(family !== undefined && { family }), when, action, why });
    return this;
  }

  /** One rule a family, with its address. */
  both(why: string, when: (family: Family) => Match, action: Action): this {
    for (const family of families) this.add(why, when(family), action, family);
    return this;
  }

  range(why: string, { text, family }: Range, action: Action, when: Match = {}): this {
    return this.add(why, { ...when, to: text }, action, family);
  }
}

function nat(options: CaptureOptions): Rule[] {
  const ends = [
    new Chain('nat', chains.redirect).add('outbound to the proxy', { protocol: 'tcp' }, { kind: 'redirect', port: options.proxyPort }),
    new Chain('nat', chains.inRedirect).add('inbound to the proxy', { protocol: 'tcp' }, { kind: 'redirect', port: options.inboundPort }),
  ];
  return [...ends, natPrerouting(options), natInbound(options), natOutput(options), natDns(options)].flatMap((chain) => chain.rules);
}

function natPrerouting(options: CaptureOptions): Chain {
  const chain = new Chain('nat', chains.prerouting);
  for (const name of options.virtInterfaces) {
    if (options.outboundCidrs === '*') chain.add(`virtual machine at ${name}: outbound`, { inInterface: name, protocol: 'tcp' }, toProxy);
    else for (const range of options.outboundCidrs) chain.range(`virtual machine at ${name}: outbound`, range, toProxy, { inInterface: name, protocol: 'tcp' });
    chain.add(`virtual machine at ${name}: the rest is left alone`, { inInterface: name }, back);
  }
  for (const name of options.excludedInterfaces) chain.add(`interface ${name} is left alone`, { inInterface: name }, back);
  if (options.mode === 'REDIRECT' && options.inboundPorts.length > 0) chain.add('inbound', { protocol: 'tcp' }, { kind: 'jump', chain: chains.inbound });
  return chain;
}

function natInbound(options: CaptureOptions): Chain {
  const chain = new Chain('nat', chains.inbound);
  if (options.mode !== 'REDIRECT' || options.inboundPorts.length === 0) return chain;
  chain.add('tunnels end at the proxy', { protocol: 'tcp', toPort: options.tunnelPort }, back);
  return inboundPorts(chain, options, (why, when) => chain.add(why, when, toInbound));
}

function inboundPorts(chain: Chain, { inboundPorts: ports, inboundExcludedPorts }: CaptureOptions, take: (why: string, when: Match) => void): Chain {
  if (ports === '*') {
    for (const port of inboundExcludedPorts) chain.add(`inbound port ${port} is left alone`, { protocol: 'tcp', toPort: port }, back);
    take('every other inbound port', { protocol: 'tcp' });
  } else for (const port of ports) take(`inbound port ${port}`, { protocol: 'tcp', toPort: port });
  return chain;
}

function natOutput(options: CaptureOptions): Chain {
  const chain = new Chain('nat', chains.output);
  for (const name of options.excludedInterfaces) chain.add(`interface ${name} is left alone`, { outInterface: name }, back);
  if (options.redirectDns) chain.add('DNS queries', { protocol: 'udp', toPort: 53 }, { kind: 'jump', chain: chains.dns });
  for (const port of options.outboundExcludedPorts) chain.add(`outbound port ${port} is left alone`, { protocol: 'tcp', toPort: port }, back);
  chain.both('the proxy calls its application', (family) => ({ outInterface: 'lo', from: ownSource[family] }), back);
  for (const uid of options.proxyUids) owner(chain, options, { it: { uid }, others: { notUid: uid }, name: `user ${uid}` });
  for (const gid of options.proxyGids) owner(chain, options, { it: { gid }, others: { notGid: gid }, name: `group ${gid}` });
  dnsTcp(chain, options);
  chain.both('loopback is left alone', (family) => ({ to: loopback[family] }), back);
  for (const range of options.outboundExcludedCidrs) chain.range(`outbound to ${range.text} is left alone`, range, back);
  for (const port of options.outboundPorts) chain.add(`outbound port ${port}`, { protocol: 'tcp', toPort: port }, toProxy);
  if (options.outboundCidrs === '*') chain.add('every other outbound connection', { protocol: 'tcp' }, toProxy);
  else for (const range of options.outboundCidrs) chain.range(`outbound to ${range.text}`, range, toProxy, { protocol: 'tcp' });
  return chain;
}

/**
 * The proxy's own connections. Over loopback to another address than localhost it answers a call of the application to itself by a service's
 * address: that goes through the inbound side. With DNS capture port 53 is kept out, or the proxy's queries would come back inbound.
 */
function owner(chain: Chain, options: CaptureOptions, { it, others, name }: { it: Match; others: Match; name: string }): void {
  const dns = options.redirectDns ? [53] : [];
  chain.both(`${name}: a call to itself goes through the inbound side`, (family) => ({ outInterface: 'lo', notTo: loopback[family], protocol: 'tcp', notToPorts: [...dns, options.tunnelPort], ...it }), toInbound);
  const asksLoopback = options.outboundCidrs !== '*' && options.outboundCidrs.some((range) => range.loopback);
  if (!asksLoopback) chain.add('the application calls itself', { outInterface: 'lo', protocol: 'tcp', ...(dns.length > 0 && { notToPorts: dns }), ...others }, back);
  chain.add(`${name} is the proxy: left alone`, { ...it }, back);
}

function dnsTcp(chain: Chain, options: CaptureOptions): void {
  for (const { why, address, family } of dnsServers(options)) chain.add(`${why} over TCP`, { protocol: 'tcp', toPort: 53, ...to(address) }, { kind: 'redirect', port: options.dnsPort }, family);
}

function natDns(options: CaptureOptions): Chain {
  const chain = new Chain('nat', chains.dns);
  if (!options.redirectDns) return chain;
  for (const uid of options.proxyUids) chain.add(`user ${uid} is the proxy: left alone`, { protocol: 'udp', toPort: 53, uid }, back);
  for (const gid of options.proxyGids) chain.add(`group ${gid} is the proxy: left alone`, { protocol: 'udp', toPort: 53, gid }, back);
  for (const { why, address, family } of dnsServers(options)) chain.add(why, { protocol: 'udp', toPort: 53, ...to(address) }, { kind: 'redirect', port: options.dnsPort }, family);
  return chain;
}

interface DnsServer {
  readonly why: string;
  /** Undefined: any. */
  readonly address: string | undefined;
  readonly family: Family | undefined;
}

/** Servers whose queries are captured; one without address stands for all. */
function dnsServers(options: CaptureOptions): DnsServer[] {
  if (!options.redirectDns) return [];
  if (options.captureAllDns) return [{ why: 'DNS to any server', address: undefined, family: undefined }];
  return options.dnsServers.map((server) => ({ why: `DNS to ${server}`, address: `${server}/${server.includes(':') ? 128 : 32}`, family: server.includes(':') ? 'v6' : 'v4' }));
}

function to(address: string | undefined): Match {
  return address === undefined ? {} : { to: address };
}

/** Queries of the proxy (zone 1) and of applications (zone 2) are tracked apart: their ports may collide, and replies would be undone wrongly. */
function raw(options: CaptureOptions): Rule[] {
  const [out, input] = [new Chain('raw', chains.output), new Chain('raw', chains.prerouting)];
  const zone = (number: number): Action => ({ kind: 'zone', zone: number });
  for (const own of options.redirectDns ? owners(options) : []) {
    out.add('DNS of the proxy, tracked apart', { protocol: 'udp', toPort: 53, ...own }, zone(1));
    out.add('answers of the proxy, tracked with their queries', { protocol: 'udp', fromPort: options.dnsPort, ...own }, zone(2));
  }
  for (const { why, address, family } of dnsServers(options)) {
    out.add(`${why}, tracked apart`, { protocol: 'udp', toPort: 53, ...to(address) }, zone(2), family);
    input.add(`${why}: answers to the proxy`, { protocol: 'udp', fromPort: 53, ...(address !== undefined && { from: address }) }, zone(1), family);
  }
  return [...out.rules, ...input.rules];
}

function owners({ proxyUids, proxyGids }: CaptureOptions): Match[] {
  return [...proxyUids.map((uid) => ({ uid })), ...proxyGids.map((gid) => ({ gid }))];
}

function mangle(options: CaptureOptions): Rule[] {
  const input = new Chain('mangle', chains.prerouting);
  const tproxy = options.mode === 'TPROXY' && options.inboundPorts.length > 0;
  if (tproxy) for (const name of options.excludedInterfaces) input.add(`interface ${name} is left alone`, { inInterface: name }, back);
  if (options.dropInvalid) input.add('packets of no connection', { states: ['invalid'] }, { kind: 'drop' });
  if (!tproxy) return input.rules;
  const mark = options.tproxyMark;
  const divert = new Chain('mangle', chains.divert).add('to this machine', {}, { kind: 'set-mark', mark }).add('to this machine', {}, { kind: 'accept' });
  const take = new Chain('mangle', chains.tproxy).both('inbound to the proxy, address kept', (family) => ({ protocol: 'tcp', notTo: loopback[family] }), { kind: 'tproxy', port: options.inboundPort, mark });
  input.add('inbound', { protocol: 'tcp' }, { kind: 'jump', chain: chains.inbound });
  input.add('the mark stays with the connection', { protocol: 'tcp', mark }, { kind: 'save-mark' });
  return [...divert.rules, ...take.rules, ...input.rules, ...tproxyInbound(options), ...tproxyOutput(options)];
}

function tproxyInbound(options: CaptureOptions): Rule[] {
  const chain = new Chain('mangle', chains.inbound);
  chain.add('taken already', { protocol: 'tcp', mark: options.tproxyMark }, back);
  chain.both('the proxy calls its application', (family) => ({ protocol: 'tcp', from: ownSource[family], inInterface: 'lo' }), back);
  chain.add('the application calls itself', { protocol: 'tcp', inInterface: 'lo', notMark: outboundMark }, back);
  chain.add('tunnels end at the proxy', { protocol: 'tcp', toPort: options.tunnelPort }, back);
  return inboundPorts(chain, options, (why, when) => {
    chain.add(`${why}: connections under way`, { ...when, states: ['related', 'established'] }, { kind: 'jump', chain: chains.divert });
    chain.add(why, when, { kind: 'jump', chain: chains.tproxy });
  }).rules;
}

function tproxyOutput(options: CaptureOptions): Rule[] {
  const chain = new Chain('mangle', chains.output);
  for (const name of options.excludedInterfaces) chain.add(`interface ${name} is left alone`, { outInterface: name }, back);
  chain.add('taken already', { protocol: 'tcp', outInterface: 'lo', mark: options.tproxyMark }, back);
  for (const own of owners(options))
    chain.both('the proxy calls this workload by its address', (family) => ({ notTo: loopback[family], protocol: 'tcp', outInterface: 'lo', ...own }), { kind: 'set-mark', mark: outboundMark });
  return chain.add('answers follow the mark of their connection', { protocol: 'tcp', connectionMark: options.tproxyMark }, { kind: 'restore-mark' }).rules;
}

function routes(options: CaptureOptions): RouteStep[] {
  const steps: RouteStep[] = [];
  if (options.ipv6) steps.push({ add: ['-6', 'addr', 'add', '::6/128', 'dev', 'lo'], remove: ['-6', 'addr', 'del', '::6/128', 'dev', 'lo'] });
  if (options.mode !== 'TPROXY' || options.inboundPorts.length === 0) return steps;
  const table = String(options.tproxyRouteTable);
  for (const [family, all] of [['-4', '0.0.0.0/0'], ...(options.ipv6 ? [['-6', '::/0']] : [])] as [string, string][]) {
    const rule = ['fwmark', String(options.tproxyMark), 'lookup', table];
    steps.push({ add: [family, 'rule', 'add', ...rule], remove: [family, 'rule', 'del', ...rule] });
    steps.push({ add: [family, 'route', 'add', 'local', all, 'dev', 'lo', 'table', table], remove: [family, 'route', 'del', 'local', all, 'dev', 'lo', 'table', table] });
  }
  return steps;
}
