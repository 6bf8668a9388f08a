import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { pathMatches, type PathMatch } from './path-match.ts';
import { RuleIndex } from './rule-index.ts';

const literal = (kind: PathMatch['kind'], text: string, ignoreCase = false): PathMatch => ({ kind, describe: '', literal: text, ignoreCase, regex: null });
const filler = Array.from({ length: 8 }, (_, i) => literal('prefix', `/filler-${i}/`));

test('few rules are walked as they are', () => {
  assert.equal(RuleIndex.of(filler.slice(1)), null);
});

test('only rules whose literal the path begins with are asked, in their order', () => {
  const index = RuleIndex.of([literal('prefix', '/api/v1'), ...filler, literal('exact', '/api'), literal('prefix', '/'), literal('separated', '/api/v2')]);
  assert.deepEqual(index?.candidates('/api/v1/x'), [0, 9, 10]);
  assert.deepEqual(index?.candidates('/api/v'), [9, 10]);
  assert.deepEqual(index?.candidates('/api/v2'), [9, 10, 11]);
  assert.deepEqual(index?.candidates('/filler-3/x'), [4, 10]);
  assert.deepEqual(index?.candidates('*'), []);
});

test('matches that ignore case are asked for every path', () => {
  const index = RuleIndex.of([...filler, literal('prefix', '/any', true), literal('connect', '')]);
  assert.deepEqual(index?.always, [8, 9]);
});

test('the first rule that matches is the same with the index as without', () => {
  const piece = fc.constantFrom('/', 'a', 'b', 'ab', '-', '/a', '/b/');
  const text = fc.array(piece, { maxLength: 6 }).map((pieces) => `/${pieces.join('')}`);
  const path = fc.record({ kind: fc.constantFrom<PathMatch['kind']>('prefix', 'exact', 'separated'), literal: text, ignoreCase: fc.boolean() }).map((each) => literal(each.kind, each.literal, each.ignoreCase));
  fc.assert(fc.property(fc.array(path, { minLength: 8, maxLength: 40 }), text, (paths, subject) => {
    const index = RuleIndex.of(paths) ?? assert.fail('too few');
    const asked = [...index.always, ...index.candidates(subject)].toSorted((a, b) => a - b);
    const matches = (number: number) => pathMatches(paths[number] ?? assert.fail('no rule'), subject, 'GET');
    assert.equal(asked.find(matches), paths.findIndex((_, number) => matches(number)) === -1 ? undefined : paths.findIndex((_, number) => matches(number)));
    assert.deepEqual(asked, [...new Set(asked)]);
  }));
});
