import { mkdirSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { table } from '../../statistics.ts';
import { Bench } from '../bench-run.ts';
import type { BenchCase, Sample } from '../case.ts';
import type { SuiteOptions } from '../suite.ts';
import { nativeFunctions, readCpuProfile, type JsTimes } from './cpu-profile.ts';
import { hasPerf, perfGroups, recordArguments } from './perf.ts';

/** V8's sampling interval in µs. */
const intervalMicros = 250;

/**
 * Where our proxy's microseconds go in a case: two runs under the same load. The first has V8's own profiler on, which knows JavaScript by source file; the
 * second is watched by the kernel's (Debian's linux-perf), which knows system calls, TLS and the garbage collector, and lets our code run undisturbed. Without
 * perf the first alone must do, and what is not JavaScript is one line.
 */
export async function profileCase(benchCase: BenchCase, options: SuiteOptions): Promise<string> {
  const dir = join(options.dir, `${benchCase.name}-profile`);
  mkdirSync(dir, { recursive: true });
  try {
    const profiled = await withV8Profiler(benchCase, { ...options, dir });
    if (!profiled) return `${benchCase.name}: our proxy has no part in it`;
    const js = busiest(dir, options.seconds);
    if (!hasPerf()) return text(benchCase, profiled.cpu, jsOnly(js), js, `V8's profiler, which slows it by some; apt-get install linux-perf splits what is not JavaScript`);
    const watched = await loaded(benchCase, { ...options, dir }, [], join(dir, 'perf.data'));
    return text(benchCase, watched?.cpu ?? Number.NaN, merged(await perfGroups(join(dir, 'perf.data')), js), js, 'perf; JavaScript split as V8 sees it');
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
}

/** V8 takes its signal handler down for a moment when a second thread starts to be profiled, and a sample that is under way kills the process: it is tried again. */
async function withV8Profiler(benchCase: BenchCase, options: SuiteOptions): Promise<Sample | undefined> {
  const flags = ['--cpu-prof', `--cpu-prof-dir=${options.dir}`, `--cpu-prof-interval=${intervalMicros}`];
  for (let attempt = 1; ; attempt++) {
    try {
      return await loaded(benchCase, options, flags);
    } catch (cause) {
      if (attempt === 8 || !(cause instanceof Error && cause.message.includes('(SIGPROF)'))) throw cause;
    }
  }
}

/** One turn of the case's first contestant of ours after one that warms it up, in processes of its own. */
async function loaded(benchCase: BenchCase, options: SuiteOptions, proxyFlags: readonly string[], perfFile?: string): Promise<Sample | undefined> {
  const bench = new Bench({ ...options, proxyFlags });
  options.running(bench);
  try {
    const contestant = (await benchCase.open(bench)).find(({ name }) => name.startsWith('meltemi'));
    if (!contestant) return undefined;
    const started = await contestant.start(bench);
    await started.turn(options.warmup);
    const pids = bench.childrenNamed('meltemi').map(({ pid }) => pid);
    if (perfFile !== undefined) bench.spawn({ name: bench.unique('perf'), command: recordArguments(pids, options.seconds, perfFile) });
    return await started.turn(options.seconds);
  } finally {
    await bench.stop();
  }
}

/** The profile of the thread that worked most: each thread of each process of ours wrote one when it ended. */
function busiest(dir: string, seconds: number): JsTimes {
  const all = readdirSync(dir).filter((name) => name.endsWith('.cpuprofile')).map((name) => readCpuProfile(readFileSync(join(dir, name), 'utf8'), seconds + 1));
  const [first] = all.sort((a, b) => b.busyMicros - a.busyMicros);
  if (!first) throw new Error('our proxy wrote no profile when it ended');
  return first;
}

/** Shares of all by group, from V8's profiler alone. */
function jsOnly({ groups, busyMicros }: JsTimes): Map<string, number> {
  return new Map([...groups].map(([group, micros]) => [group, micros / busyMicros]));
}

/** perf's shares, its JavaScript split as V8 saw it. */
function merged(perf: ReadonlyMap<string, number>, js: JsTimes): Map<string, number> {
  const shares = new Map([...perf].filter(([group]) => group !== 'JavaScript'));
  const ours = [...js.groups].filter(([group]) => !group.startsWith('(') && group !== nativeFunctions);
  const total = ours.reduce((sum, [, micros]) => sum + micros, 0);
  for (const [group, micros] of ours) shares.set(group, ((perf.get('JavaScript') ?? 0) * micros) / total);
  return shares;
}

function text({ name, about }: BenchCase, cpu: number | undefined, shares: ReadonlyMap<string, number>, js: JsTimes, how: string): string {
  const rows = [...shares].sort(([, a], [, b]) => b - a).filter(([, share]) => share >= 0.005).map(([group, share]) => [group, ((cpu ?? Number.NaN) * share).toFixed(1), `${(share * 100).toFixed(1)} %`]);
  const functions = js.functions.slice(0, 20).map(({ name: label, place, micros }) => [label, place, `${((micros / js.busyMicros) * 100).toFixed(1)} %`]);
  return [
    `${name}: ${about}`, `where ${(cpu ?? Number.NaN).toFixed(1)} µs go (by ${how})`, table([['', 'µs', 'share'], ...rows]),
    '', "functions by their own time, of V8's busy time", table([['', 'at', 'share'], ...functions]),
  ].join('\n');
}
