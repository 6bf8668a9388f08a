// `npm run bench -- authz`: what policies and tokens cost a request, in this process and in memory.
import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { repository } from '@meltemi/harness';
import { machine, machineLine } from '../machine.ts';
import { authorizationTable, measureAuthorization } from './authorization.ts';
import { measureTokens, tokenTable } from './tokens.ts';

const usage = `npm run bench -- authz [options]: CPU of a request by how many policies there are, and of its token.

  --policies LIST   how many policies, the first for comparison (default 1,100,10000)
  --rounds N        of turns; ratios are between turns of one round (default 5)
  --milliseconds N  a turn lasts (default 500)
  --json FILE       where the numbers go (default .meltemi/bench/authz.json)`;

function main(): number {
  const text = (fallback: string) => ({ type: 'string', default: fallback }) as const;
  const { values } = parseArgs({ options: { policies: text('1,100,10000'), rounds: text('5'), milliseconds: text('500'), json: text(join(repository, '.meltemi/bench/authz.json')), help: { type: 'boolean', short: 'h' } } });
  const sizes = values.policies.split(',').map(Number);
  const [rounds = 0, milliseconds = 0] = [values.rounds, values.milliseconds].map(Number);
  const whole = [...sizes, rounds, milliseconds].every((value) => Number.isInteger(value) && value > 0);
  if (values.help === true || !whole) {
    console.log(usage);
    return whole ? 0 : 2;
  }
  // heap is measured after a collection
  setFlagsFromString('--expose-gc');
  globalThis.gc = runInNewContext('gc') as NodeJS.GCFunction;
  const facts = machine();
  console.log(`${machineLine(facts)}\n`);
  const authorization = measureAuthorization({ sizes, rounds, milliseconds });
  console.log(`${authorizationTable(authorization)}\n`);
  const tokens = measureTokens({ rounds, milliseconds });
  console.log(`${tokenTable(tokens)}\n`);
  const json = resolve(values.json);
  mkdirSync(dirname(json), { recursive: true });
  writeFileSync(json, `${JSON.stringify({ machine: facts, command: `npm run bench -- authz ${process.argv.slice(2).join(' ')}`.trim(), authorization, tokens }, null, 2)}\n`);
  console.log(json);
  return 0;
}

process.exitCode = main();
