import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { StringMatch } from '@meltemi/config';
import { compileMetadataMatcher } from '@meltemi/match';
import { claimMatcher, claimNamed } from './claims.ts';

test('a header that is no header names a claim, with dots or brackets', () => {
  const rows: [string, readonly string[] | undefined][] = [
    ['@request.auth.claims.sub', ['sub']], ['@Request.Auth.Claims.a.b', ['a', 'b']], ['@request.auth.claims[a.b][c]', ['a.b', 'c']],
    ['@request.auth.claims', undefined], ['@request.auth.claims.', undefined], ['@request.auth.claims[]', undefined], ['x-user', undefined],
  ];
  for (const [header, claim] of rows) assert.deepEqual(claimNamed(header), claim, header);
});

test('a claim may be a text or a list, nested or not; an empty match asks for its presence', () => {
  const holds = (claim: readonly string[], match: StringMatch, payload: object) => {
    const compiled = compileMetadataMatcher(claimMatcher(claim, match), 'm');
    assert.ok(compiled.ok, JSON.stringify(compiled));
    return compiled.value.matches({ 'envoy.filters.http.jwt_authn': { payload } });
  };
  const rows: [readonly string[], StringMatch, object, boolean][] = [
    [['sub'], { exact: 'ann' }, { sub: 'ann' }, true], [['sub'], { prefix: 'a' }, { sub: 'bob' }, false], [['groups'], { exact: 'ops' }, { groups: ['dev', 'ops'] }, true],
    [['a', 'b'], { regex: 'x.*' }, { a: { b: ['xy'] } }, true], [['a'], {}, { a: 1 }, true], [['a'], {}, {}, false],
  ];
  for (const [claim, match, payload, expected] of rows) assert.equal(holds(claim, match, payload), expected, JSON.stringify([claim, match, payload]));
});
