import assert from 'node:assert/strict';
import { test } from 'node:test';
import { compileRegex, compileRegexRewrite, compileSearch } from './index.ts';
import { regexStates } from './regex-size.ts';

/** Patterns by which somebody who may write one would keep a program busy for minutes, as it is made or as it is matched. */
const bombs = ['.{0,1000}'.repeat(450), '.{0,1000}'.repeat(16), '((a{0,30}){0,30}){0,30}b', '(?:[\\pL\\pN]{0,1000})'.repeat(180), '(x?){1000}(x?){1000}(x?){1000}y', `(${'.?'.repeat(1000)}){9}`];

test('repetitions that make a matcher large are refused before it is made', () => {
  const began = performance.now();
  for (const pattern of bombs) {
    const made = compileRegex(pattern);
    assert.match(made.ok ? 'made' : made.error, /counts too far|too costly|not a regular expression/, pattern.slice(0, 40));
    assert.equal(compileRegexRewrite(pattern, '').ok, false);
    assert.equal(compileSearch(pattern).ok, false);
  }
  assert.ok(performance.now() - began < 5000);
});

test('what people write is taken, and a long text costs it little', () => {
  const patterns = ['(a+)+$', '((a*)*)*b', '.{0,1000}', '(?:[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12})', '/v[0-9]{1,3}/(users|orders)/[^/]{1,255}', '^(?:https?://)?[a-z0-9-]{1,63}(?:\\.[a-z0-9-]{1,63}){1,4}$', Array.from({ length: 700 }, (_, i) => `n${i}`).join('|')];
  for (const pattern of patterns) {
    const made = compileRegex(pattern);
    assert.ok(made.ok, made.ok ? '' : `${pattern}: ${made.error}`);
    const began = performance.now();
    made.value.matchesAll(`${'a'.repeat(8000)}!`);
    assert.ok(performance.now() - began < 2000, pattern);
  }
});

test('states are counted as the engine makes them, near enough', () => {
  for (const [pattern, states] of [['abc', 3], ['a{10}', 10], ['[a-z]{3}x', 4], ['(ab){5}', 20], ['\\d{4}', 4], ['[]a]{2}', 2], ['[[:alpha:]]{7}', 7], ['a{,3}', 5], ['', 0], ['(a{10}){10}', 120]] as const)
    assert.equal(regexStates(pattern), states, pattern);
});

test('an operator\'s search finds its pattern anywhere', () => {
  const search = compileSearch('upstream_rq_(2|5)xx$');
  assert.ok(search.ok);
  assert.deepEqual(['cluster.a.upstream_rq_5xx', 'cluster.a.upstream_rq_4xx'].map((name) => search.value.test(name)), [true, false]);
});
