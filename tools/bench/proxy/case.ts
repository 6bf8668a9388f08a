import type { Bench } from './bench-run.ts';

/** Numbers of one turn, by metric name. */
export type Sample = Readonly<Record<string, number>>;

/** One column of a case's table. */
export interface Metric {
  readonly name: string;
  /** Heading with its unit. */
  readonly title: string;
  readonly digits: number;
}

/** One contestant of a case after it started: its turns are measured. */
export interface Started {
  /** Loads it for some seconds and says what that cost. Throws on any failed request: a proxy that fails fast must not win. */
  turn(seconds: number): Promise<Sample>;
  /** Checks once, after all turns, that all features took part. */
  finish?(): Promise<void>;
}

/** Who takes turns in a case. Its processes are started through the bench, which ends them. */
export interface Contestant {
  readonly name: string;
  start(bench: Bench): Promise<Started>;
}

/** Two contestants compared on one metric within the same round; `goal` and `atMost` are limits that smaller values meet. */
export interface Comparison {
  readonly metric: string;
  readonly of: string;
  /** Nobody: the plain value of `of`. */
  readonly to?: string;
  /** ratio: of / to; difference: (of − to) / per. */
  readonly kind: 'ratio' | 'difference' | 'value';
  readonly per?: number;
  readonly title: string;
  readonly digits?: number;
  readonly goal?: number;
  /** Where the issue names a worst acceptable value beside the goal. */
  readonly atMost?: number;
}

/** One line of the suite. */
export interface BenchCase {
  readonly name: string;
  /** What is measured, in one sentence. */
  readonly about: string;
  readonly metrics: readonly Metric[];
  readonly comparisons: readonly Comparison[];
  /** Contestants start anew each round: memory that is never given back would count twice. */
  readonly fresh?: boolean;
  /** Programs beside nginx and haproxy, as in programs.ts. */
  readonly needs?: readonly string[];
  /** Starts backends; says who takes turns. */
  open(bench: Bench): Promise<readonly Contestant[]>;
}

/** The columns of most cases. */
export const requestMetrics: readonly Metric[] = [
  { name: 'cpu', title: 'CPU µs/request', digits: 1 },
  { name: 'perSecond', title: 'requests/s', digits: 0 },
  { name: 'p50', title: 'p50 ms', digits: 2 },
  { name: 'p99', title: 'p99 ms', digits: 2 },
  { name: 'rss', title: 'RSS MB', digits: 0 },
];

/** Ratios of our CPU to the peers', with the limits of issue 3 §5.1. */
export function cpuRatios(limits: Readonly<Partial<Record<'nginx' | 'haproxy' | 'http-proxy', readonly [goal?: number, atMost?: number]>>>, what = 'CPU per request'): Comparison[] {
  return Object.entries(limits).map(([to, [goal, atMost]]) => ({
    kind: 'ratio', metric: 'cpu', of: 'meltemi', to, title: `${what}, meltemi / ${to}`, ...(goal === undefined ? {} : { goal }), ...(atMost === undefined ? {} : { atMost }),
  }));
}
