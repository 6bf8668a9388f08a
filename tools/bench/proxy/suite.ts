import { mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { Bench, type BenchOptions } from './bench-run.ts';
import type { BenchCase, Contestant, Sample, Started } from './case.ts';
import type { CaseResult, ContestantRounds } from './report.ts';

export interface SuiteOptions extends Omit<BenchOptions, 'dir'> {
  /** Cases get folders in it. */
  readonly dir: string;
  /** Whether this contestant takes part. */
  readonly takesPart: (name: string) => boolean;
  readonly rounds: number;
  readonly seconds: number;
  /** Seconds of the turn before the first that counts. */
  readonly warmup: number;
  readonly say: (line: string) => void;
  /** Called with each case's bench, so that a signal can stop it. */
  readonly running: (bench: Bench) => void;
}

interface Runner {
  readonly contestant: Contestant;
  readonly turns: Sample[];
  started?: Started;
  failure?: string;
}

/** Runs one case: contestants take turns A B C A B C …, so that a slow minute of the machine hits all alike. One that fails is out and says why; the others go on. */
export async function runCase(benchCase: BenchCase, options: SuiteOptions): Promise<CaseResult> {
  const dir = join(options.dir, benchCase.name);
  mkdirSync(dir, { recursive: true });
  const bench = new Bench({ ...options, dir });
  options.running(bench);
  try {
    const runners: Runner[] = (await benchCase.open(bench)).filter(({ name }) => options.takesPart(name)).map((contestant) => ({ contestant, turns: [] }));
    await (benchCase.fresh ? freshRounds : rounds)(bench, benchCase, runners, options);
    const contestants: ContestantRounds[] = runners.map(({ contestant, turns, failure }) => ({ name: contestant.name, turns, ...(failure === undefined ? {} : { failure }) }));
    return { name: benchCase.name, about: benchCase.about, contestants };
  } catch (cause) {
    return { name: benchCase.name, about: benchCase.about, contestants: [], failure: messageOf(cause) };
  } finally {
    await bench.stop();
    rmSync(dir, { recursive: true, force: true });
  }
}

/** All start once and are warmed up; then they take turns. */
async function rounds(bench: Bench, { metrics }: BenchCase, runners: readonly Runner[], options: SuiteOptions): Promise<void> {
  for (const runner of runners) await guarded(runner, options, async () => {
    runner.started = await runner.contestant.start(bench);
    await runner.started.turn(options.warmup);
    bench.emptyLogs();
  });
  for (let round = 1; round <= options.rounds; round++) for (const runner of runners) await guarded(runner, options, async () => {
    const sample = await runner.started?.turn(options.seconds);
    bench.emptyLogs();
    if (sample) taken(runner, sample, round, metrics, options);
  });
  for (const runner of runners) await guarded(runner, options, async () => runner.started?.finish?.());
}

/** Each turn has new processes. */
async function freshRounds(bench: Bench, { metrics }: BenchCase, runners: readonly Runner[], options: SuiteOptions): Promise<void> {
  for (let round = 1; round <= options.rounds; round++) for (const runner of runners) await guarded(runner, options, async () => {
    const mark = bench.mark();
    try {
      const started = await runner.contestant.start(bench);
      const sample = await started.turn(options.seconds);
      await started.finish?.();
      taken(runner, sample, round, metrics, options);
    } finally {
      await bench.stop(mark);
      bench.emptyLogs();
    }
  });
}

function taken(runner: Runner, sample: Sample, round: number, metrics: BenchCase['metrics'], { say }: SuiteOptions): void {
  runner.turns.push(sample);
  say(`  round ${round} ${runner.contestant.name}: ${metrics.map(({ name, title, digits }) => `${title} ${(sample[name] ?? Number.NaN).toFixed(digits)}`).join(', ')}`);
}

async function guarded(runner: Runner, { say, signal }: SuiteOptions, run: () => Promise<unknown>): Promise<void> {
  if (runner.failure !== undefined || signal.aborted) return;
  try {
    await run();
  } catch (cause) {
    runner.failure = messageOf(cause);
    say(`  ${runner.contestant.name} FAILED: ${runner.failure}`);
  }
}

function messageOf(cause: unknown): string {
  return cause instanceof Error ? cause.message : String(cause);
}
