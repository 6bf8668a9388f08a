import assert from 'node:assert/strict';
import { test } from 'node:test';
import { runTarget } from './run-target.ts';
import { fuzzTargets } from './targets.ts';

/** A share of what `npm run fuzz -- --inputs …` does; always the same inputs. */
const inputs = 6_000;

for (const target of fuzzTargets)
  test(`${target.name}: ${target.about}`, () => {
    const found = runTarget(target, { seed: 1, from: 0, inputs: target.name === 'http-path' ? inputs / 4 : inputs });
    if (found !== null) assert.fail(`input ${found.input} of seed 1: ${JSON.stringify(found.bytes)}: ${String(found.error)}`);
  });

test('the same seed and number give the same input, another number another', () => {
  const seen: string[] = [];
  const target = { name: 'x', about: '', seeds: ['abcdefgh'], words: ['1'], check: (input: Buffer) => { seen.push(input.toString('latin1')); } } as const;
  runTarget(target, { seed: 5, from: 0, inputs: 50 });
  runTarget(target, { seed: 5, from: 7, inputs: 1 });
  assert.equal(seen[50], seen[7]);
  assert.ok(new Set(seen).size > 20);
});

test('a target that breaks is found with the number of its input', () => {
  const found = runTarget({ name: 'x', about: '', seeds: ['abc'], words: ['!'], check: (input) => { if (input.includes('!')) throw new Error('found'); } }, { seed: 3, from: 0, inputs: 10_000 });
  assert.ok(found !== null && found.bytes.includes('!'));
  assert.match(String(found.error), /found/);
});
