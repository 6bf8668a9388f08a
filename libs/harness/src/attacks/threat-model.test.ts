import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { repository } from '../index.ts';

const text = readFileSync(join(repository, 'apps/docs/threat-model.md'), 'utf8');
/** A test file as the document names it: from the root, or from this folder. */
const named = [...new Set([...text.matchAll(/`([\w./-]+\.(?:test|e2e)\.ts)`/g)].map((match) => match[1] ?? ''))];

test('every test that the threat model names exists', () => {
  assert.deepEqual(named.filter((file) => !existsSync(join(repository, /^(?:libs|apps|tools)\//.test(file) ? file : `libs/harness/src/attacks/${file}`))), []);
});

test('every attack in the threat model names a test', () => {
  const attacks = text.split('\n').filter((line) => line.startsWith('| ') && !/^\| (?:attack|asset|attacker|---)/.test(line) && line.split('|').length === 5);
  assert.deepEqual(attacks.filter((line) => !/\.(?:test|e2e)\.ts`/.test(line)), []);
});
