import { existsSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { repository } from '@meltemi/harness';
import { table } from '../statistics.ts';
import type { BenchCase } from './case.ts';
import { benchCases } from './cases/index.ts';
import { peerNames } from './peers/shape.ts';
import { missingPackages } from './programs.ts';

const usage = `npm run bench -- proxy [options]: what our proxy costs beside nginx, haproxy and npm's http-proxy, case by case.

  --list             the cases
  --case NAMES       some of them (default all)
  --only NAMES       some of ${peerNames.join(',')}
  --rounds N         turns of each (default 5)
  --seconds N        of load per turn (default 4)
  --warmup N         seconds of load before the first turn that counts (default 5): JavaScript is compiled as it runs
  --connections N    keep-alive connections where a case does not say (default 32)
  --json FILE        where the numbers go (default .meltemi/bench/proxy.json)
  --profile          instead of comparing, say where our proxy's microseconds go`;

export interface Settings {
  readonly cases: readonly BenchCase[];
  readonly only: readonly string[];
  readonly rounds: number;
  readonly seconds: number;
  readonly warmup: number;
  readonly connections: number;
  readonly json: string;
  readonly profile: boolean;
}

const options = {
  list: { type: 'boolean' }, case: { type: 'string' }, only: { type: 'string', default: peerNames.join(',') }, rounds: { type: 'string', default: '5' }, seconds: { type: 'string', default: '4' },
  warmup: { type: 'string', default: '5' }, connections: { type: 'string', default: '32' }, json: { type: 'string', default: join(repository, '.meltemi/bench/proxy.json') }, profile: { type: 'boolean', default: false }, help: { type: 'boolean', short: 'h' },
} as const;

/** Reads the command line; a number is an exit code, after saying why. */
export function readSettings(args = process.argv.slice(2)): Settings | number {
  try {
    return settingsOf(parseArgs({ args, options }).values);
  } catch (cause) {
    return wrong(cause instanceof Error ? cause.message : String(cause));
  }
}

type Values = ReturnType<typeof parseArgs<{ options: typeof options }>>['values'];

function settingsOf(values: Values): Settings | number {
  if (values.help || values.list) {
    console.log(values.help ? usage : table(benchCases.map(({ name, about }) => [name, ` ${about}`.padEnd(200)])).replace(/ +$/gm, ''));
    return 0;
  }
  const caseNames = benchCases.map(({ name }) => name);
  const wanted = values.case?.split(',') ?? caseNames;
  const peers = values.only.split(',');
  for (const [flag, names, known] of [['--case', wanted, caseNames], ['--only', peers, peerNames]] as const) {
    const unknown = names.filter((name) => !(known as readonly string[]).includes(name));
    if (unknown.length > 0) return wrong(`${flag} ${unknown.join(',')}: not known; there are ${known.join(', ')}`);
  }
  const numbers = { rounds: Number(values.rounds), seconds: Number(values.seconds), warmup: Number(values.warmup), connections: Number(values.connections) };
  for (const [name, value] of Object.entries(numbers)) if (!Number.isInteger(value) || value <= 0) return wrong(`--${name} ${values[name as keyof typeof numbers]}: must be a whole number above zero`);
  const cases = benchCases.filter(({ name }) => wanted.includes(name));
  const missing = missingPackages(cases);
  if (missing.length > 0) return refused(`programs are missing: apt-get install ${missing.join(' ')}`);
  if (!existsSync(join(repository, 'apps/proxy/dist/main.js'))) return refused('apps/proxy/dist/main.js is missing: npx nx run meltemi-proxy:build');
  return { cases, only: peerNames.filter((name) => peers.includes(name)), ...numbers, json: resolve(values.json), profile: values.profile };
}

function wrong(why: string): number {
  console.error(`${why}\n--help says more, --list shows the cases`);
  return 2;
}

function refused(why: string): number {
  console.error(why);
  return 1;
}
