import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { mergeSlashes, normalizePath, pathOf, preparePath, queryOf, queryParameter } from './path.ts';

test('path and query are told apart', () => {
  for (const [whole, path, query] of [
    ['/a', '/a', ''], ['/a?', '/a', ''], ['/a?b=c', '/a', 'b=c'], ['/a?b#f', '/a', 'b'], ['/a#f?x', '/a', 'x'], ['*', '*', ''],
  ] as const) {
    assert.equal(pathOf(whole), path);
    if (!whole.includes('#f?')) assert.equal(queryOf(whole), query);
  }
});

test('a query parameter is found by its whole name', () => {
  for (const [query, name, value] of [
    ['a=1&b=2', 'b', '2'], ['a', 'a', ''], ['a=', 'a', ''], ['ab=1', 'a', null], ['', 'a', null], ['b=1&a=2&a=3', 'a', '2'], ['a=1=2', 'a', '1=2'],
  ] as const) assert.equal(queryParameter(query, name), value, `${query} ${name}`);
});

test('normalisation removes dot segments, unescapes unreserved and escapes the rest', () => {
  for (const [before, after] of [
    ['/a/b', '/a/b'], ['/a/./b', '/a/b'], ['/a/../b', '/b'], ['/../../a', '/a'], ['/a/..', '/'], ['/a/.', '/a/'], ['/a/b/..', '/a/'], ['/a/%2e%2E/b', '/b'],
    ['/a/.%2e/b', '/b'], ['/%41%7e', '/A~'], ['/a%2Fb', '/a%2Fb'], ['/a\\b', '/a/b'], ['/a\\..\\b', '/b'], ['/a b', '/a%20b'], ['/a%zz', '/a%zz'], ['/a%', '/a%'],
    ['/a?../x', '/a?../x'], ['/a//b', '/a//b'], ['/...', '/...'], ['/.a', '/.a'], ['/"<>', '/%22%3C%3E'], ['/a\u00e9', '/a%E9'], ['/a/..b', '/a/..b'],
    ['/%/%2e%2E/a', '/a'], ['/a/%4/%2e%2e/b', '/a/b'],
  ] as const) assert.equal(normalizePath(before), after, before);
  assert.equal(normalizePath('/a%00b'), null);
  assert.equal(normalizePath('/a\0b'), null);
});

test('slashes merge before the query only', () => {
  assert.equal(mergeSlashes('//a///b?c=//d'), '/a/b?c=//d');
  assert.equal(mergeSlashes('/a?b//c'), '/a?b//c');
});

test('escaped slashes are kept, refused or unescaped', () => {
  const options = { normalizePath: true, mergeSlashes: false, escapedSlashes: 'keep' as const };
  assert.equal(preparePath('/a%2f..%2fb', options), '/a%2f..%2fb');
  assert.equal(preparePath('/a%2F..%5cb', { ...options, escapedSlashes: 'unescape-forward' }), '/b');
  assert.equal(preparePath('/a%2Fb', { ...options, escapedSlashes: 'reject' }), null);
  assert.equal(preparePath('/a?x=%2F', { ...options, escapedSlashes: 'reject' }), '/a?x=%2F');
  assert.equal(preparePath('*', { ...options, mergeSlashes: true }), '*');
});

test('normalisation is idempotent and never throws', () => {
  const part = fc.constantFrom('/', '.', '..', '%2e', '%2F', '\\', 'a', 'B', '%41', '%', '%4', ' ', '"', '\u00ff', '?', '#', '//', '%25', '%5c', '😀');
  fc.assert(fc.property(fc.array(part, { maxLength: 20 }), (parts) => {
    const once = normalizePath(`/${parts.join('')}`);
    assert.notEqual(once, null);
    assert.equal(normalizePath(once ?? ''), once);
  }));
  fc.assert(fc.property(fc.string({ unit: 'binary' }), (text) => {
    const once = normalizePath(`/${text}`);
    if (once !== null) assert.equal(normalizePath(once), once);
  }));
});
