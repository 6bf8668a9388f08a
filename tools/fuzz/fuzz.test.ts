import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { test } from 'node:test';
import { repository } from '@meltemi/harness';
import { findPropertyTests } from './property-tests.ts';

const run = (fixture: 'rare' | 'sound', env: Readonly<Record<string, string>>) => {
  const args = ['--import', new URL('./preload.ts', import.meta.url).href, fileURLToPath(new URL(`./fixture/${fixture}.property.ts`, import.meta.url))];
  return spawnSync(process.execPath, args, { encoding: 'utf8', timeout: 60_000, env: { PATH: process.env['PATH'], ...env } });
};

test('a fuzz run goes on past the number of cases the test asks for, and names the seed of what it finds', () => {
  const found = run('rare', { MELTEMI_FUZZ_MS: '20000' });
  assert.equal(found.status, 1, found.stdout);
  const seed = /fuzz: \d+ cases in .*, seed (-?\d+), FAILED/.exec(found.stdout)?.[1];
  assert.ok(seed, found.stdout);
  assert.match(found.stdout, /Counterexample: \[12345\]/);
  const again = run('rare', { MELTEMI_FUZZ_MS: '20000', MELTEMI_FUZZ_SEED: seed });
  assert.match(again.stdout, /Counterexample: \[12345\]/);
});

test('a fuzz run ends when its time is over', () => {
  const { status, stdout } = run('sound', { MELTEMI_FUZZ_MS: '200' });
  assert.equal(status, 0, stdout);
  assert.ok(Number(/fuzz: (\d+) cases/.exec(stdout)?.[1]) > 10, stdout);
});

const counted = (...args: string[]) => spawnSync(process.execPath, [fileURLToPath(new URL('./fuzz.ts', import.meta.url)), ...args], { encoding: 'utf8', timeout: 60_000, env: { PATH: process.env['PATH'] } });

test('a run by number of inputs says seed and rate for each target, and one input of it can be tried alone', () => {
  const { status, stdout } = counted('--inputs', '2000', '--only', 'http1', '--seed', '7');
  assert.equal(status, 0, stdout);
  for (const target of ['http1-request', 'http1-response', 'http1-chunked']) assert.match(stdout, new RegExp(`fuzz: ${target}: 2000 inputs, seed 7, in .* nothing found`));
  const one = counted('--input', '3', '--only', 'path', '--seed', '7');
  assert.equal(one.status, 0, one.stderr);
});

test('a run by number of inputs needs a target that there is, and whole numbers', () => {
  assert.equal(counted('--inputs', '5', '--only', 'no-such').status, 2);
  assert.equal(counted('--inputs', 'many').status, 2);
});

test('the property tests of packages are found', () => {
  const identity = findPropertyTests(repository).find((each) => each.folder === 'libs/identity');
  assert.ok(identity?.files.includes('src/parsers.test.ts'));
  assert.ok(identity && identity.properties >= 3);
});
