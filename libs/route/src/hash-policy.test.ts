import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { jsonToBinary } from '@meltemi/api';
import { RouteAction } from '@meltemi/api/gen/envoy/config/route/v3/route_components.ts';
import { hash64, xxHash64 } from '@meltemi/base';
import { HeaderMap, RequestHead } from '@meltemi/http';
import { compileHash, cookieValue, requestHash } from './hash-policy.ts';
import { Report } from './report.ts';
import type { CookieHash } from './types.ts';

function compile(...policies: object[]) {
  const report = new Report();
  const message = RouteAction.decode(jsonToBinary('envoy.config.route.v3.RouteAction', { cluster: 'c', hashPolicy: policies }));
  return { policies: message.hashPolicy.flatMap((policy, i) => compileHash(policy, `hash_policy[${i}]`, report)), report };
}

/** The hash as hex, or null; and the cookie that the client gets. */
function hashOf(policies: object[], fields: [string, string][] = [], { path = '/', client = '10.1.2.3:4567' } = {}) {
  const into = hash64();
  const cookies: string[] = [];
  const newCookie = ({ name, suffix }: CookieHash) => {
    cookies.push(`${name}=new${suffix}`);
    return 'new';
  };
  const found = requestHash(compile(...policies).policies, { head: new RequestHead('GET', path, 'app', new HeaderMap(fields.flat())), clientAddress: client, newCookie }, into);
  return { hash: found ? (BigInt(into.hi) << 32n) | BigInt(into.lo) : null, cookies };
}

function xx(text: string): bigint {
  const into = hash64();
  xxHash64(text, into);
  return (BigInt(into.hi) << 32n) | BigInt(into.lo);
}

const header = { header: { headerName: 'X-User' } };
const rotated = (value: bigint) => ((value << 1n) | (value >> 63n)) & ((1n << 64n) - 1n);

test('a header hashes to XXH64 of its value; without it there is no hash', () => {
  assert.equal(hashOf([header], [['x-user', 'jason']]).hash, xx('jason'));
  assert.equal(hashOf([header]).hash, null);
  assert.equal(hashOf([{ header: { headerName: ':path' } }], [], { path: '/a?b=c' }).hash, xx('/a?b=c'));
});

test('several fields of one name hash the same in any order', () => {
  const one = hashOf([header], [['x-user', 'b'], ['x-user', 'a']]).hash;
  assert.equal(one, xx('ab'));
  assert.equal(one, hashOf([header], [['x-user', 'a'], ['x-user', 'b']]).hash);
});

test('a regex rewrite picks the part that counts', () => {
  const rewrite = { header: { headerName: ':path', regexRewrite: { pattern: { regex: '^/(\\w+)/.*$' }, substitution: '\\1' } } };
  assert.equal(hashOf([rewrite], [], { path: '/alice/x' }).hash, xx('alice'));
  assert.equal(hashOf([rewrite], [], { path: '/alice/y' }).hash, xx('alice'));
});

test('source address without port, query parameter', () => {
  assert.equal(hashOf([{ connectionProperties: { sourceIp: true } }]).hash, xx('10.1.2.3'));
  assert.equal(hashOf([{ connectionProperties: { sourceIp: true } }], [], { client: '[::1]:80' }).hash, xx('::1'));
  assert.equal(hashOf([{ queryParameter: { name: 'user' } }], [], { path: '/?a=1&user=bob' }).hash, xx('bob'));
  assert.equal(hashOf([{ queryParameter: { name: 'user' } }], [], { path: '/?a=1' }).hash, null);
});

test('a cookie hashes by value, quotes taken off; a client without it gets one only when there is a ttl', () => {
  const cookie = { cookie: { name: 'user', ttl: '60s', path: '/app', attributes: [{ name: 'SameSite', value: 'Lax' }, { name: 'Secure' }] } };
  assert.equal(hashOf([cookie], [['cookie', 'other=x; user="bob"; user=second']]).hash, xx('bob'));
  assert.deepEqual(hashOf([cookie], [['cookie', 'user=bob']]).cookies, []);
  const fresh = hashOf([cookie], [['cookie', 'xuser=bob']]);
  assert.equal(fresh.hash, xx('new'));
  assert.deepEqual(fresh.cookies, ['user=new; Max-Age=60; Path=/app; SameSite=Lax; Secure; HttpOnly']);
  assert.deepEqual(hashOf([{ cookie: { name: 'user', ttl: '0s' } }]).cookies, ['user=new; HttpOnly']);
  assert.deepEqual(hashOf([{ cookie: { name: 'user' } }]), { hash: null, cookies: [] });
});

test('policies add up in order; a terminal one that finds something is the last', () => {
  const source = { connectionProperties: { sourceIp: true } };
  assert.equal(hashOf([header, source], [['x-user', 'jason']]).hash, rotated(xx('jason')) ^ xx('10.1.2.3'));
  assert.equal(hashOf([{ ...header, terminal: true }, source], [['x-user', 'jason']]).hash, xx('jason'));
  assert.equal(hashOf([{ ...header, terminal: true }, source]).hash, xx('10.1.2.3'));
});

test('filter state and broken cookies are refused by name', () => {
  const { report } = compile({ filterState: { key: 'k' } }, { cookie: { name: 'a b' } }, { cookie: { name: 'a', path: '/;x' } });
  assert.deepEqual(report.errors.map(({ path }) => path), ['hash_policy[0].filter_state', 'hash_policy[1].cookie.name', 'hash_policy[2].cookie.path']);
});

test('new cookies are the same for all requests of a connection', () => {
  assert.match(cookieValue('10.0.0.1:5', '10.0.0.2:80'), /^[0-9a-f]{16}$/);
  assert.equal(cookieValue('10.0.0.1:5', '10.0.0.2:80'), cookieValue('10.0.0.1:5', '10.0.0.2:80'));
  assert.notEqual(cookieValue('10.0.0.1:6', '10.0.0.2:80'), cookieValue('10.0.0.1:5', '10.0.0.2:80'));
});

test('no cookie field makes it throw', () => {
  fc.assert(fc.property(fc.string({ unit: fc.constantFrom('a', '=', ';', ' ', '"', 'user', ',') }), (field) => {
    hashOf([{ cookie: { name: 'user' } }], [['cookie', field]]);
  }), { numRuns: 200 });
});
