import assert from 'node:assert/strict';
import { test } from 'node:test';
import { formatBundleDocument, parseBundleDocument } from './bundle-document.ts';
import { jwtAuthoritiesOf } from './jwt/index.ts';
import { Issuer, keySetOf } from './jwt/testing/issuer.ts';
import { bundleVersion, withJwtKeys } from './trust-bundle.ts';
import { createAuthorityFixture } from './testing/authority-fixture.ts';

const authority = createAuthorityFixture();
const document = JSON.parse(formatBundleDocument(authority.bundle, { sequence: 7, refreshHintSeconds: 60 })) as { keys: Record<string, unknown>[] };
const parse = (value: unknown) => parseBundleDocument(JSON.stringify(value));

function refusal(value: unknown): string {
  const parsed = parse(value);
  assert.ok(!parsed.ok, 'the document was accepted');
  return `${parsed.error[0]?.path} ${parsed.error[0]?.message}`;
}

test('what is written is read back: roots, sequence, hint; a key is a JWK for x509-svid with one certificate', () => {
  const parsed = parse(document);
  assert.ok(parsed.ok);
  assert.deepEqual(parsed.value.roots.map((root) => root.pem), [authority.root.pem]);
  assert.deepEqual([parsed.value.sequence, parsed.value.refreshHintSeconds], [7, 60]);
  const [key] = document.keys;
  assert.deepEqual([key?.['use'], key?.['kty'], key?.['crv'], key?.['kid']], ['x509-svid', 'EC', 'P-256', undefined]);
  assert.deepEqual(key?.['x5c'], [authority.root.der.toString('base64')]);
});

test('keys of JWT-SVIDs are written with their kid and read back; those that nobody could name or use are left out', () => {
  const jwtKeys = keySetOf(new Issuer('ES256', 'one'), new Issuer('RS256', 'two'));
  const text = formatBundleDocument({ ...authority.bundle, jwtKeys }, { sequence: 7, refreshHintSeconds: 60 });
  const keys = (JSON.parse(text) as { keys: Record<string, unknown>[] }).keys.filter(({ use }) => use === 'jwt-svid');
  assert.deepEqual(keys.map(({ kid, kty }) => [kid, kty]), [['one', 'EC'], ['two', 'RSA']]);
  const parsed = parseBundleDocument(text);
  const bundle = parsed.ok ? withJwtKeys(authority.bundle, parsed.value.jwtKeys) : parsed;
  assert.ok(parsed.ok && bundle.ok);
  assert.deepEqual(jwtAuthoritiesOf(parsed.value.jwtKeys).map(({ kid }) => kid), ['one', 'two']);
  assert.notEqual(bundleVersion(bundle.value), bundleVersion(authority.bundle));
  const broken = parse({ keys: [...document.keys, { ...keys[0], kid: undefined }, { ...keys[1], n: 'AQ' }, { use: 'jwt-svid', kty: 'oct', k: 'AAAA', kid: 'x' }] });
  assert.ok(broken.ok && broken.value.jwtKeys === '' && broken.value.roots.length === 1);
});

test('too many keys of JWT-SVIDs, or two of one name, cost no roots: those beyond are left out, and named', () => {
  const { keys: [key] } = JSON.parse(keySetOf(new Issuer('ES256', 'one'))) as { keys: Record<string, unknown>[] };
  const svid = (kid: string) => ({ ...key, kid, use: 'jwt-svid' });
  const kids = Array.from({ length: 34 }, (_, index) => `key ${index}`);
  const parsed = parse({ keys: [...kids.map(svid), svid('key 3'), ...document.keys] });
  assert.ok(parsed.ok, JSON.stringify(parsed));
  assert.equal(parsed.value.roots.length, 1);
  assert.deepEqual(jwtAuthoritiesOf(parsed.value.jwtKeys).map(({ kid }) => kid), kids.slice(0, 32));
  assert.deepEqual(parsed.value.leftOut, ['"key 32": a bundle has at most 32 keys of JWT-SVIDs', '"key 33": a bundle has at most 32 keys of JWT-SVIDs', '"key 3": a key before has the same kid']);
  assert.ok(withJwtKeys(authority.bundle, parsed.value.jwtKeys).ok);
  const [modulus] = (JSON.parse(keySetOf(new Issuer('RS256', 'two'))) as { keys: Record<string, string>[] }).keys;
  const large = parse({ keys: [...Array.from({ length: 8 }, (_, index) => ({ ...modulus, kid: `large ${index}`, n: Buffer.alloc(12_000, 255).toString('base64url'), use: 'jwt-svid' })), ...document.keys] });
  assert.ok(large.ok && large.value.roots.length === 1 && withJwtKeys(authority.bundle, large.value.jwtKeys).ok);
});

test('keys of other uses are left out; no key at all means that all are revoked', () => {
  const parsed = parse({ keys: [{ use: 'jwt-svid', kty: 'RSA', kid: 'a' }, { kty: 'EC', x5c: ['!'] }, null, { use: 'x509-svid' }, ...document.keys] });
  assert.ok(parsed.ok && parsed.value.roots.length === 1 && parsed.value.sequence === undefined && parsed.value.refreshHintSeconds === undefined, JSON.stringify(parsed));
  const empty = parse({ keys: [] });
  assert.ok(empty.ok && empty.value.roots.length === 0);
});

test('documents that cannot be meant are refused by field', () => {
  const [key] = document.keys;
  assert.match(refusal({}), /^keys must be a list/);
  assert.match(refusal({ keys: [{ ...key, x5c: [] }] }), /^keys\[0\]\.x5c must have exactly one/);
  assert.match(refusal({ keys: [{ ...key, x5c: [key?.['x5c'], 1] }] }), /exactly one/);
  assert.match(refusal({ keys: [{ ...key, x5c: ['%%'] }] }), /is not base64/);
  assert.match(refusal({ keys: [{ ...key, x5c: [authority.issue('spiffe://cluster.local/ns/a/sa/b').certificate.der.toString('base64')] }] }), /is no CA certificate/);
  assert.match(refusal({ keys: Array.from({ length: 17 }, () => key) }), /the limit is 16/);
  assert.match(refusal({ keys: [], spiffe_sequence: -1 }), /spiffe_sequence/);
  assert.match(refusal({ keys: [], spiffe_refresh_hint: '5' }), /spiffe_refresh_hint/);
  for (const text of ['', '{', 'null', '[]', '"x"', ' '.repeat(300_000)]) assert.ok(!parseBundleDocument(text).ok, text.slice(0, 10));
});
