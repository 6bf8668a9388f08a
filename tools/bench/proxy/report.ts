import { spread, spreadText, table, type Spread } from '../statistics.ts';
import type { BenchCase, Comparison, Sample } from './case.ts';

/** Everything of one contestant, round after round. */
export interface ContestantRounds {
  readonly name: string;
  readonly turns: readonly Sample[];
  /** Why it is out. */
  readonly failure?: string;
}

export interface CaseResult {
  readonly name: string;
  readonly about: string;
  readonly contestants: readonly ContestantRounds[];
  /** Why nothing was measured. */
  readonly failure?: string;
}

/** A comparison with its numbers. */
export interface Compared {
  readonly case: string;
  readonly comparison: Comparison;
  readonly value: Spread;
  /** By the median; undefined without a goal. `acceptable` is past the goal and within `atMost`. */
  readonly verdict?: 'met' | 'acceptable' | 'missed';
}

/** A case's comparisons that both sides took part in. */
export function compare(benchCase: Pick<BenchCase, 'name' | 'comparisons'>, { contestants }: CaseResult): Compared[] {
  return benchCase.comparisons.flatMap((comparison) => {
    const of = turnsOf(contestants, comparison.of);
    const to = comparison.to === undefined ? undefined : turnsOf(contestants, comparison.to);
    const rounds = Math.min(of.length, to?.length ?? of.length);
    if (rounds === 0) return [];
    const value = spread(of.slice(0, rounds).map((sample, round) => compared(comparison, sample, to?.[round])));
    return [{ case: benchCase.name, comparison, value, ...verdict(comparison, value.median) }];
  });
}

function turnsOf(contestants: readonly ContestantRounds[], name: string): readonly Sample[] {
  return contestants.find((each) => each.name === name)?.turns ?? [];
}

/** Turns of the same round are compared, so that a slow minute of the machine cancels out. */
function compared({ kind, metric, per = 1 }: Comparison, of: Sample, to: Sample | undefined): number {
  const [mine = Number.NaN, theirs = Number.NaN] = [of[metric], to?.[metric]];
  if (kind === 'value') return mine;
  return kind === 'ratio' ? mine / theirs : (mine - theirs) / per;
}

function verdict({ goal, atMost }: Comparison, median: number): { verdict?: 'met' | 'acceptable' | 'missed' } {
  if (goal === undefined) return {};
  if (median <= goal) return { verdict: 'met' };
  return { verdict: atMost !== undefined && median <= atMost ? 'acceptable' : 'missed' };
}

/** A case's table: median (min–max) over the rounds. */
export function caseText({ metrics }: Pick<BenchCase, 'metrics'>, { name, about, contestants, failure }: CaseResult): string {
  const rows = contestants.filter(({ turns }) => turns.length > 0)
    .map((each) => [each.name, ...metrics.map((metric) => spreadText(spread(each.turns.map((turn) => turn[metric.name] ?? Number.NaN)), metric.digits))]);
  const failures = [...(failure === undefined ? [] : [failure]), ...contestants.flatMap((each) => (each.failure === undefined ? [] : [`${each.name} is out: ${each.failure}`]))];
  return [`${name}: ${about}`, ...(rows.length > 0 ? [table([['', ...metrics.map(({ title }) => title)], ...rows])] : []), ...failures].join('\n');
}

/** The table of all comparisons with their goals. */
export function comparisonText(all: readonly Compared[]): string {
  const rows = all.map(({ case: name, comparison, value, verdict: said }) => [`${name}: ${comparison.title}`, spreadText(value, comparison.digits ?? 2), goalText(comparison), said ?? '']);
  return table([['', 'median (min–max)', 'goal', ''], ...rows]);
}

function goalText({ goal, atMost }: Comparison): string {
  if (goal === undefined) return '';
  return atMost === undefined ? `≤ ${goal}` : `≤ ${goal}, at most ${atMost}`;
}
