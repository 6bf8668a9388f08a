// `npm run bench -- proxy`: our proxy with the full sidecar filter set beside nginx, haproxy and npm's http-proxy, in turn in one run.
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { availableParallelism, tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { machine, machineLine } from '../machine.ts';
import type { Bench } from './bench-run.ts';
import { profileCase } from './profile/profile-case.ts';
import { caseText, compare, comparisonText, type CaseResult, type Compared } from './report.ts';
import { readSettings, type Settings } from './settings.ts';
import { runCase, type SuiteOptions } from './suite.ts';

async function main(): Promise<number> {
  const settings = readSettings();
  if (typeof settings === 'number') return settings;
  const dir = mkdtempSync(join(tmpdir(), 'meltemi-bench-'));
  const ending = new AbortController();
  let current: Bench | undefined;
  const stop = async () => {
    ending.abort();
    await current?.stop();
    rmSync(dir, { recursive: true, force: true });
  };
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.once(signal, () => void stop().finally(() => process.exit(130)));
  // The measured proxy has a core of its own; load and backend share the other.
  const cores = availableParallelism() >= 2 ? { proxy: 0, load: 1 } : { proxy: undefined, load: undefined };
  const options: SuiteOptions = {
    dir, cores, signal: ending.signal, connections: settings.connections, rounds: settings.rounds, seconds: settings.seconds, warmup: settings.warmup, takesPart: (name) => takesPart(name, settings.only),
    say: (line) => console.log(line), running: (bench) => { current = bench; },
  };
  console.log(`${machineLine(machine())}\nproxies on core ${cores.proxy ?? 'any'}, load and backends on core ${cores.load ?? 'any'}; ${settings.connections} connections, ${settings.rounds} rounds of ${settings.seconds} s\n`);
  try {
    return settings.profile ? await profiles(settings, options) : await suite(settings, options);
  } finally {
    await stop();
  }
}

/** "direct" and Node alone are what the others are held against, whoever runs. */
function takesPart(name: string, only: readonly string[]): boolean {
  return name === 'direct' || name.startsWith('node') || only.includes(name.split(' ')[0] ?? '');
}

async function suite(settings: Settings, options: SuiteOptions): Promise<number> {
  const results: CaseResult[] = [];
  const compared: Compared[] = [];
  for (const benchCase of settings.cases) {
    console.log(`${benchCase.name} …`);
    const result = await runCase(benchCase, options);
    if (options.signal.aborted) return 130;
    results.push(result);
    compared.push(...compare(benchCase, result));
    console.log(`\n${caseText(benchCase, result)}\n`);
    // After each case: an interrupted run keeps what it has.
    write(settings, results, compared);
  }
  console.log(`${comparisonText(compared)}\n\n${settings.json}`);
  return results.some(({ failure, contestants }) => failure !== undefined || contestants.some((each) => each.failure !== undefined)) ? 1 : 0;
}

function write(settings: Settings, results: readonly CaseResult[], compared: readonly Compared[]): void {
  mkdirSync(dirname(settings.json), { recursive: true });
  const { rounds, seconds, warmup, connections, only } = settings;
  writeFileSync(settings.json, `${JSON.stringify({ machine: machine(), command: `npm run bench -- proxy ${process.argv.slice(2).join(' ')}`.trim(), settings: { rounds, seconds, warmup, connections, only }, cases: results, comparisons: compared }, null, 2)}\n`);
}

async function profiles(settings: Settings, options: SuiteOptions): Promise<number> {
  for (const benchCase of settings.cases) console.log(`${await profileCase(benchCase, options)}\n`);
  return 0;
}

process.exitCode = await main();
