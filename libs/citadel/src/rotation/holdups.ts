import type { CitadelReport, ProxyReport, RotationFacts, SilentIssuance } from './facts.ts';
import type { Move } from './transition.ts';

/** Somebody whom a step would cut off. */
export interface Holdup {
  /** `proxy`: one that reports; `silent`: callers that do not report; `citadel`: another citadel, or this one in its first seconds. */
  readonly kind: 'proxy' | 'silent' | 'citadel';
  readonly spiffeId: string;
  /** Name of the proxy, id of the citadel. */
  readonly name: string;
  readonly address: string;
  readonly connected: boolean;
  /** When it was last heard of; 0 when never. */
  readonly heardAt: number;
  /** When it stops counting by itself, its certificate over; 0 when it does not. */
  readonly until: number;
  readonly reason: string;
}

/** The roots of a rotation, SHA-256. */
export interface RotationRoots {
  /** Signs now. */
  readonly signing: string;
  /** The other one. */
  readonly other: string;
}

/** How long whoever was connected to a citadel of before has to come back. */
export const settleMs = 5000;
/** How long a handshake that began with the roots or the certificate of before may take to end. */
export const inFlightMs = 5000;
/** A citadel that was not heard of for so long is gone. */
export const citadelGoneMs = 15_000;

/** Everybody who stands against a move, but for those who are left behind by name (proxy name, SPIFFE id, or `silent`). Empty: it may be made. */
export function holdups(move: Move, roots: RotationRoots, facts: RotationFacts, options: { readonly now: number; readonly without?: readonly string[]; readonly inFlightMs?: number }): Holdup[] {
  const needs = needsOf(move, roots);
  if (!needs) return [];
  const { now, without = [] } = options;
  const alive = facts.proxies.filter((proxy) => proxy.connected || proxy.certificateNotAfter > now);
  const proxies = alive.filter((proxy) => !without.includes(proxy.name) && !without.includes(proxy.spiffeId)).flatMap((proxy) => proxyHoldup(proxy, needs, { now, inFlightMs: options.inFlightMs ?? inFlightMs }));
  const silent = without.includes('silent') ? [] : facts.silent.filter(({ latestNotAfter }) => latestNotAfter > now).flatMap((issuance) => silentHoldup(issuance, needs));
  const citadels = facts.citadels.filter(({ heardAt }) => now - heardAt < citadelGoneMs).flatMap((citadel) => citadelHoldup(citadel, needs));
  return [...settling(facts, now), ...citadels, ...proxies, ...silent];
}

/** What everybody must have before a move. */
interface Needs {
  /** Must be believed. */
  readonly trusted?: string;
  /** Must not be what anybody's certificate leads to. */
  readonly unused?: string;
  /** Must not be believed any more. */
  readonly dropped?: string;
}

function needsOf(move: Move, { signing, other }: RotationRoots): Needs | undefined {
  switch (move) {
    case 'switch':
    case 'unswitch':
      return { trusted: other };
    case 'retire':
    case 'abandon':
      return { trusted: signing, unused: other };
    case 'finish':
      return { trusted: signing, unused: other, dropped: other };
    default:
      return undefined;
  }
}

function proxyHoldup(proxy: ProxyReport, { trusted, unused, dropped }: Needs, by: { readonly now: number; readonly inFlightMs: number }): Holdup[] {
  const problem = proxy.problem === '' ? '' : ` (${proxy.problem})`;
  const reason = trusted !== undefined && !proxy.trustedRoots.includes(trusted) ? `does not trust root ${short(trusted)} yet${problem}`
    : unused !== undefined && proxy.certificateRoot === unused ? `still has a certificate of root ${short(unused)}`
    : dropped !== undefined && proxy.trustedRoots.includes(dropped) ? `still trusts root ${short(dropped)}${problem}`
    : dropped === undefined && by.now - proxy.since < by.inFlightMs ? 'is ready since a moment ago: handshakes that began before may still be under way'
    : undefined;
  if (reason === undefined) return [];
  const { spiffeId, name, address, connected, heardAt, certificateNotAfter } = proxy;
  return [{ kind: 'proxy', spiffeId, name, address, connected, heardAt, until: connected ? 0 : certificateNotAfter, reason: connected ? reason : `${reason}, and is not connected` }];
}

function silentHoldup(issuance: SilentIssuance, { trusted, unused }: Needs): Holdup[] {
  const { latestNotAfter, count, certificateRoot, trustedRoots } = issuance;
  const whose = `${count} certificate${count === 1 ? '' : 's'} of callers that do not report what they trust`;
  const reason = trusted !== undefined && !trustedRoots.includes(trusted) ? `${whose}, issued before root ${short(trusted)} was distributed, may still be in use`
    : unused !== undefined && certificateRoot === unused ? `${whose}, of root ${short(unused)}, may still be in use`
    : undefined;
  return reason === undefined ? [] : [{ kind: 'silent', spiffeId: '', name: 'silent', address: '', connected: false, heardAt: 0, until: latestNotAfter, reason }];
}

function citadelHoldup(citadel: CitadelReport, { trusted, unused, dropped }: Needs): Holdup[] {
  const reason = trusted !== undefined && !citadel.trustedRoots.includes(trusted) ? `does not distribute root ${short(trusted)} yet`
    : unused !== undefined && citadel.signingRoot === unused ? `still signs with root ${short(unused)}`
    : dropped !== undefined && citadel.trustedRoots.includes(dropped) ? `still distributes root ${short(dropped)}`
    : undefined;
  return reason === undefined ? [] : [{ kind: 'citadel', spiffeId: '', name: citadel.id, address: '', connected: true, heardAt: citadel.heardAt, until: 0, reason }];
}

function settling({ listeningSince }: RotationFacts, now: number): Holdup[] {
  const until = listeningSince + settleMs;
  return now >= until ? [] : [{ kind: 'citadel', spiffeId: '', name: '', address: '', connected: true, heardAt: now, until, reason: 'citadel has just started: proxies are given a moment to come back' }];
}

/** Of a fingerprint: enough to tell roots apart. */
export function short(fingerprint: string): string {
  return fingerprint.slice(0, 12);
}
