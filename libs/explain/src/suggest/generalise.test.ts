import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { generalise, isIdentifier, matches } from './generalise.ts';

const few = { ids: 3, words: 4, patterns: 6 };
const patternsOf = (sound: readonly string[], more: { doubtful?: readonly string[]; refused?: readonly string[] } = {}) => generalise({ sound, doubtful: more.doubtful ?? [], refused: more.refused ?? [] }, few).map(({ pattern }) => pattern);
const numbered = (prefix: string, count: number, suffix = '') => Array.from({ length: count }, (_, i) => `${prefix}${i}${suffix}`);

test('a few paths are written out', () => {
  assert.deepEqual(patternsOf(['/reviews/0', '/reviews/1', '/health']), ['/health', '/reviews/0', '/reviews/1']);
});

test('more identifiers than the threshold in one place become {*}, and no other place does', () => {
  assert.deepEqual(patternsOf([...numbered('/users/', 4, '/orders'), '/users/me']), ['/users/me', '/users/{*}/orders']);
  assert.deepEqual(patternsOf(['0b1f7a3e-5e0c-4b5e-9d7c-2f1f4a6b8c9d', '1', 'deadbeefdeadbee0', '01ARZ3NDEKTSV4RRFFQ69G5FAV'].map((id) => `/items/${id}`)), ['/items/{*}']);
});

test('words are no identifiers', () => {
  for (const word of ['login', 'v2', 'deadbeef', 'a-very-long-word-without-digits', 'cafe']) assert.equal(isIdentifier(word), false, word);
});

test('many words in one place become {*}, but never in the first: that would be nearly everything', () => {
  assert.deepEqual(patternsOf(['a', 'b', 'c', 'd', 'e'].map((name) => `/users/${name}/cart`)), ['/users/{*}/cart']);
  assert.deepEqual(patternsOf(['/a', '/b', '/c', '/d', '/e', '/f', '/g', '/h']).length, 8);
});

test('many different patterns below one first segment become its prefix; a prefix of everything is never made', () => {
  const depths = Array.from({ length: 8 }, (_, i) => `/static/js${'/x'.repeat(i)}/y`);
  assert.deepEqual(patternsOf(depths), ['/static/js/*']);
  assert.ok(!patternsOf(Array.from({ length: 40 }, (_, i) => `/${String.fromCharCode(97 + (i % 26))}${i}x/q`)).includes('/*'));
});

test('what was only ever answered with 4xx widens nothing, and is written out', () => {
  const probes = ['/users/0', '/users/../etc', '/admin', '/users/9999'];
  assert.deepEqual(patternsOf(['/users/1', '/users/2'], { doubtful: probes }), ['/admin', '/users/../etc', '/users/0', '/users/1', '/users/2', '/users/9999']);
  assert.deepEqual(patternsOf(numbered('/users/', 5), { doubtful: ['/users/77', '/admin'] }), ['/admin', '/users/{*}'], 'nor is it written out when a pattern has it');
});

test('no pattern lets in what was refused', () => {
  assert.deepEqual(patternsOf(numbered('/users/', 5), { refused: ['/users/secret'] }), numbered('/users/', 5));
  assert.ok(!patternsOf(Array.from({ length: 8 }, (_, i) => `/static${'/x'.repeat(i)}/y`), { refused: ['/static/private'] }).some((pattern) => matches(pattern, '/static/private')));
});

test('whatever was seen, every sound and doubtful path has a pattern, and nothing refused has one', () => {
  const segment = fc.constantFrom('users', 'orders', 'me', '1', '2', '33', '444', '5', 'a b', '"', '', 'x', 'y', 'z', '0b1f7a3e-5e0c-4b5e-9d7c-2f1f4a6b8c9d');
  const path = fc.array(segment, { minLength: 1, maxLength: 4 }).map((segments) => `/${segments.join('/')}`);
  fc.assert(fc.property(fc.array(path, { maxLength: 60 }), fc.array(path, { maxLength: 8 }), fc.array(path, { maxLength: 4 }), (sound, doubtful, tried) => {
    const refused = tried.filter((one) => !sound.includes(one) && !doubtful.includes(one));
    const patterns = generalise({ sound, doubtful, refused }, { ids: 1, words: 2, patterns: 4 });
    for (const one of [...sound, ...doubtful]) assert.ok(patterns.some(({ pattern }) => matches(pattern, one)), one);
    for (const one of refused) assert.ok(!patterns.some(({ pattern }) => matches(pattern, one)), one);
  }), { numRuns: 300 });
});
