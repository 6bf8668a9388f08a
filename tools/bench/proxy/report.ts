import { spread, spreadText, table, type Spread } from '../statistics.ts';
import type { Turn } from './measure.ts';

/** Everything of one peer, round after round. */
export interface PeerRounds {
  readonly name: string;
  readonly turns: readonly Turn[];
}

/** CPU of one peer by CPU of another, within the same round each. */
export interface Ratio {
  readonly of: string;
  readonly to: string;
  readonly cpu: Spread;
}

/** Our CPU by everybody else's, or the first peer's when ours did not run. */
export function ratios(peers: readonly PeerRounds[]): Ratio[] {
  const ours = peers.find((peer) => peer.name === 'meltemi') ?? peers[0];
  return peers.filter((peer) => peer !== ours).map((peer) => ({
    of: ours?.name ?? '', to: peer.name,
    cpu: spread(peer.turns.map((turn, round) => (ours?.turns[round]?.cpuMicrosPerRequest ?? Number.NaN) / turn.cpuMicrosPerRequest)),
  }));
}

/** The tables a person reads: median (min–max) over the rounds. */
export function reportText(peers: readonly PeerRounds[]): string {
  const column = (turns: readonly Turn[], value: (turn: Turn) => number, digits: number) => spreadText(spread(turns.map(value)), digits);
  const rows = peers.map(({ name, turns }) => [
    name, column(turns, (turn) => turn.cpuMicrosPerRequest, 1), column(turns, (turn) => turn.perSecond, 0),
    column(turns, (turn) => turn.p50Micros / 1000, 2), column(turns, (turn) => turn.p99Micros / 1000, 2), column(turns, (turn) => turn.rssBytes / 2 ** 20, 0),
  ]);
  const ratioLines = ratios(peers).map(({ of, to, cpu }) => `CPU per request, ${of} / ${to}: ${spreadText(cpu, 2)}`);
  return [table([['', 'CPU µs/request', 'requests/s', 'p50 ms', 'p99 ms', 'RSS MB'], ...rows]), '', ...ratioLines].join('\n');
}
