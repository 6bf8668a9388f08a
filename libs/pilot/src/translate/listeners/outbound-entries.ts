import type { Filter, FilterChain as FilterChainMessage } from '@meltemi/api/gen/envoy/config/listener/v3/listener_components.ts';
import { FilterChain } from '@meltemi/api/gen/envoy/config/listener/v3/listener_components.ts';
import { addressListener } from '@meltemi/xds';
import { isHttp, type Protocol } from '../../registry/model.ts';
import { cidr, create } from '../message.ts';
import { chainMatch } from './listener.ts';

/** Where a listener is: one address, or several when the proxy has both IP families. */
export interface Place {
  readonly binds: readonly [string, ...string[]];
  readonly port: number;
  readonly bindToPort: boolean;
}

/** A filter chain and the connections it takes; without any condition it takes what no other does. */
export interface ChainDraft {
  readonly name: string;
  readonly serverNames?: readonly string[];
  readonly destinations?: readonly string[];
  readonly applicationProtocols?: readonly string[];
  readonly transportProtocol?: string;
  readonly filters: readonly Filter[];
}

/** A listener in the making: several services may share it. */
export interface Entry {
  readonly place: Place;
  readonly chains: ChainDraft[];
  /** What is on the port; AUTO is sniffed, which a mix of HTTP and TCP needs, too. */
  protocol: Protocol;
  /** Declared by a Sidecar with a port of its own: services of the catch-all listener stay out. */
  locked: boolean;
}

/** A service port that wants to be on a listener. Its chains are built when they are needed. */
export interface Candidate {
  readonly place: Place;
  readonly protocol: Protocol;
  /** HTTP alone, or by sniffing beside TCP. */
  http(sniffed: boolean): ChainDraft;
  tcp(): readonly ChainDraft[];
}

/**
 * Puts a service port on its listener, making it or joining others there. HTTP and TCP share a port by sniffing; of equal conditions the first
 * stays; MongoDB and MySQL, whose servers speak first, share with nobody. Source: Istio's listener.go buildSidecarOutboundListener.
 */
export function place(entries: Map<string, Entry>, candidate: Candidate, wildcard: string): void {
  const { place: at, protocol } = candidate;
  const key = addressListener(at.binds[0], at.port);
  const entry = entries.get(key);
  if (entry?.locked === true) return;
  const fresh = (kind: Protocol, chains: readonly ChainDraft[]) => entries.set(key, { place: at, protocol: kind, chains: [...chains], locked: false });
  if (protocol === 'HTTP_PROXY') return void fresh(protocol, [candidate.http(false)]);
  if (isHttp(protocol)) {
    const shared = at.binds[0] === wildcard;
    if (!entry) fresh(shared ? 'AUTO' : protocol, [candidate.http(shared)]);
    else if (isTcp(entry.protocol) && !isolated(entry, protocol)) join(entry, [candidate.http(shared)], 'AUTO');
    return;
  }
  if (!entry) return void fresh(protocol, protocol === 'AUTO' ? [...candidate.tcp(), candidate.http(true)] : candidate.tcp());
  if (isolated(entry, protocol)) return;
  if (protocol !== 'AUTO') return join(entry, candidate.tcp(), isHttp(entry.protocol) ? 'AUTO' : entry.protocol);
  if (isHttp(entry.protocol)) return void fresh(protocol, [...candidate.tcp(), candidate.http(true)]);
  join(entry, isTcp(entry.protocol) ? [...candidate.tcp(), candidate.http(true)] : candidate.tcp(), 'AUTO');
}

function isTcp(protocol: Protocol): boolean {
  return !isHttp(protocol) && protocol !== 'AUTO';
}

function isolated(entry: Entry, protocol: Protocol): boolean {
  const alone = (kind: Protocol) => kind === 'MONGO' || kind === 'MYSQL';
  return (alone(protocol) || alone(entry.protocol)) && protocol !== entry.protocol;
}

function join(entry: Entry, chains: readonly ChainDraft[], protocol: Protocol): void {
  const conditions = new Set(entry.chains.map(conditionOf));
  for (const chain of chains) {
    if (conditions.has(conditionOf(chain))) continue;
    conditions.add(conditionOf(chain));
    entry.chains.push(chain);
  }
  entry.protocol = protocol;
}

/** Envoy refuses a listener with two chains of one condition. */
function conditionOf(chain: ChainDraft): string {
  const set = (values: readonly string[] = []) => [...new Set(values.filter((value) => value !== '*' && !value.startsWith('0.0.0.0')))].toSorted();
  return JSON.stringify([chain.transportProtocol ?? '', chain.applicationProtocols ?? [], set(chain.serverNames), set(chain.destinations)]);
}

/** The chains with conditions, and the one for everything else. */
export function finishedChains(chains: readonly ChainDraft[]): { readonly matched: FilterChainMessage[]; readonly rest: FilterChainMessage | undefined } {
  const matched: FilterChainMessage[] = [];
  let rest: FilterChainMessage | undefined;
  for (const chain of chains) {
    const message = create(FilterChain, { name: chain.name, filters: [...chain.filters] });
    if (takesAll(chain)) rest = message;
    else matched.push({ ...message, filterChainMatch: matchOf(chain) });
  }
  return { matched, rest };
}

function takesAll({ serverNames = [], destinations = [], applicationProtocols = [], transportProtocol = '' }: ChainDraft): boolean {
  return (serverNames.length === 0 || serverNames.includes('*')) && destinations.length === 0 && applicationProtocols.length === 0 && transportProtocol === '';
}

function matchOf(chain: ChainDraft): FilterChainMessage['filterChainMatch'] {
  const names = chain.serverNames?.includes('*') === true ? [] : [...new Set(chain.serverNames)].toSorted();
  return chainMatch({
    serverNames: names,
    prefixRanges: (chain.destinations ?? []).filter((range) => !range.startsWith('0.0.0.0')).toSorted().map(cidr),
    applicationProtocols: [...(chain.applicationProtocols ?? [])],
    transportProtocol: chain.transportProtocol ?? '',
  });
}
