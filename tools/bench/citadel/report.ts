import { spread, spreadText, table } from '../statistics.ts';
import type { KeyKind } from './caller.ts';
import type { Floor } from './floor.ts';
import type { CitadelResult, KindResult, Latency, Throughput } from './measure.ts';

/** Issue 5's: certificates a second of one core, over connections that are open. */
export const goals: Readonly<Record<KeyKind, number>> = { 'P-256': 1000, 'RSA-2048': 500 };

/** What was measured, as a table. */
export function report({ kinds, rssStartBytes, rssEndBytes, issued }: CitadelResult, perSecond: number, floor: Floor | undefined): string {
  const rows = kinds.flatMap((kind) => [row(kind, 'open', kind.open, kind.openLatency, floor), row(kind, 'one each', kind.apart, kind.apartLatency, floor)]);
  const head = ['workload key', 'connection', 'a core-second', 'a second', 'CPU ms each', '× the cryptography', 'goal', `p50 ms at ${perSecond}/s`, 'p99 ms', 'max ms'];
  const mb = (bytes: number): string => (bytes / 2 ** 20).toFixed(0);
  return `${table([head, ...rows])}\n\nRSS ${mb(rssStartBytes)} MB at the start, ${mb(rssEndBytes)} MB after ${issued} certificates`;
}

function row({ kind }: KindResult, connection: string, runs: readonly Throughput[], { p50, p99, max }: Latency, floor: Floor | undefined): string[] {
  const each = spread(runs.map(({ cpuMs, certificates }) => cpuMs / certificates));
  const perCore = spread(runs.map(({ cpuMs, certificates }) => (certificates * 1000) / cpuMs));
  const perSecond = spread(runs.map(({ elapsedMs, certificates }) => (certificates * 1000) / elapsedMs));
  const ratio = floor ? ((each.median * 1000) / floor[kind]).toFixed(1) : '–';
  return [kind, connection, spreadText(perCore, 0), spreadText(perSecond, 0), spreadText(each, 2), ratio, connection === 'open' ? String(goals[kind]) : '', p50.toFixed(1), p99.toFixed(1), max.toFixed(1)];
}
