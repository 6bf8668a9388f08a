import assert from 'node:assert/strict';
import { test } from 'node:test';
import { authorizationTable, measureAuthorization } from './authorization.ts';
import { shapes } from './policies.ts';
import { measureTokens, tokenTable } from './tokens.ts';

const short = { rounds: 1, milliseconds: 1 };

test('requests of every shape of policies come through, one policy or many', () => {
  const results = measureAuthorization({ ...short, sizes: [1, 30] });
  assert.equal(results.length, shapes.length * 2);
  assert.ok(results.every(({ request, check }) => [...request, ...check].every((nanos) => nanos > 0)));
  assert.match(authorizationTable(results), /^path +30 .* × /m);
});

test('requests with tokens of every algorithm come through', () => {
  const results = measureTokens(short);
  assert.equal(results.length, 10);
  assert.match(tokenTable(results), /^ES256, remembered +/m);
});
