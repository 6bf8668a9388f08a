// `npm run fuzz`: every property of every package's tests, by the clock; or, with --inputs, that many inputs through each parser.
import { spawn } from 'node:child_process';
import { randomInt } from 'node:crypto';
import { parseArgs } from 'node:util';
import { fuzzTargets } from '@meltemi/proxy/testing';
import { runInputs } from './inputs.ts';
import { findPropertyTests, sideBySide, type PropertyTests } from './property-tests.ts';
import { repository } from '@meltemi/harness';

const usage = `npm run fuzz [-- options]: runs the fast-check properties of all packages much longer than npm test does.

  --seconds N   about how long in all (default 600); each property gets an equal share, at least half a second
  --only TEXT   only test files whose path contains TEXT
  --seed N      the seed of a failure seen before (printed with it), to see it again

npm run fuzz -- --inputs N [options]: grows N inputs for each target of libs/proxy/src/testing/fuzz/targets.ts (every parser of strangers'
bytes, and the whole HTTP path) and holds each to what its file says: no throw, no hang, the same however the bytes are cut, nothing read
that is not there. A new parser gets a target there: seeds, words worth inserting, and a check that throws.

  --only TEXT   only the target called TEXT, or those whose name contains it
  --seed N      the same inputs again (default: drawn, and printed)
  --input N     only this one, to see a finding again
  --list        the targets`;

async function main(): Promise<number> {
  const { values } = parseArgs({ options: { seconds: { type: 'string', default: '600' }, only: { type: 'string', default: '' }, seed: { type: 'string' }, inputs: { type: 'string' }, input: { type: 'string' }, list: { type: 'boolean' }, help: { type: 'boolean', short: 'h' } } });
  if (values.help) {
    console.log(usage);
    return 0;
  }
  if (values.list) {
    for (const { name, about } of fuzzTargets) console.log(`${name.padEnd(16)} ${about}`);
    return 0;
  }
  if (values.inputs !== undefined || values.input !== undefined) return countedRun(values);
  const seconds = Number(values.seconds);
  if (!(seconds > 0) || (values.seed !== undefined && !Number.isInteger(Number(values.seed)))) {
    console.error(`--seconds and --seed take numbers\n\n${usage}`);
    return 2;
  }
  const packages = findPropertyTests(repository, values.only);
  const count = packages.reduce((sum, each) => sum + each.properties, 0);
  if (count === 0) {
    console.error(`no test file with fast-check properties has "${values.only}" in its path`);
    return 2;
  }
  const turns = packages.reduce((sum, each) => sum + each.turns, 0);
  const eachMs = Math.max(500, Math.floor((seconds * 1000) / turns));
  console.log(`${count} properties in ${packages.length} packages, ${(eachMs / 1000).toFixed(1)} s each`);
  const failed: string[] = [];
  for (const each of packages) if ((await run(each, eachMs, values.seed)) !== 0) failed.push(each.folder);
  console.log(failed.length === 0 ? `\nfuzz: no property failed` : `\nfuzz: failures in ${failed.join(', ')}; see "seed" above and run again with --only FILE --seed N`);
  return failed.length === 0 ? 0 : 1;
}

/** `--inputs`. Numbers of inputs are 31 bits: that is how workers share them. */
async function countedRun(values: { readonly inputs?: string | undefined; readonly input?: string | undefined; readonly only: string; readonly seed?: string | undefined }): Promise<number> {
  const inputs = Number(values.inputs ?? 1);
  const input = values.input === undefined ? null : Number(values.input);
  const seed = Number(values.seed ?? randomInt(2 ** 31));
  const counts = (value: number) => Number.isInteger(value) && value >= 0 && value < 2 ** 31;
  if (!counts(inputs) || inputs === 0 || (input !== null && !counts(input)) || !Number.isInteger(seed)) {
    console.error(`--inputs, --input and --seed take whole numbers\n\n${usage}`);
    return 2;
  }
  return runInputs({ inputs, input, seed, only: values.only, stuckMs: 30_000 });
}

/** A package's run may take its share and a minute for what else the files do; then it is stopped and counts as failed. */
function run({ folder, files, properties }: PropertyTests, eachMs: number, seed: string | undefined): Promise<number> {
  console.log(`\n=== ${folder}`);
  const args = ['--import', new URL('./preload.ts', import.meta.url).href, '--test', `--test-concurrency=${sideBySide}`, ...files];
  const env: NodeJS.ProcessEnv = { ...process.env, MELTEMI_FUZZ_MS: String(eachMs), ...(seed === undefined ? {} : { MELTEMI_FUZZ_SEED: seed }) };
  delete env['NODE_TEST_CONTEXT'];
  const child = spawn(process.execPath, args, { cwd: `${repository}/${folder}`, stdio: 'inherit', env });
  const timer = setTimeout(() => {
    console.error(`${folder}: still running after its time and a minute: stopped`);
    child.kill('SIGTERM');
  }, eachMs * properties + 60_000);
  return new Promise((resolve) => {
    child.once('error', () => resolve(1));
    child.once('exit', (code) => {
      clearTimeout(timer);
      resolve(code ?? 1);
    });
  });
}

process.exitCode = await main();
