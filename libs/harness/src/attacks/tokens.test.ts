import assert from 'node:assert/strict';
import { constants, createHash, createHmac, createSign, generateKeyPairSync, privateEncrypt, sign, type KeyObject } from 'node:crypto';
import { after, before, describe, test } from 'node:test';
import { TwoHops } from './two-hops.ts';

// Forged tokens at a sidecar: its policies let in who has a token of the issuer, and to /admin who is of the group admin there.

const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 });
const elliptic = generateKeyPairSync('ec', { namedCurve: 'P-256' });
const attackerRsa = generateKeyPairSync('rsa', { modulusLength: 2048 });
const jwk = (key: KeyObject, more: object) => ({ ...key.export({ format: 'jwk' }), use: 'sig', ...more });
const jwks = JSON.stringify({ keys: [jwk(rsa.publicKey, { kid: 'rsa', alg: 'RS256' }), jwk(elliptic.publicKey, { kid: 'ec', alg: 'ES256' })] });
const otherJwks = JSON.stringify({ keys: [jwk(attackerRsa.publicKey, { kid: 'rsa', alg: 'RS256' })] });

const objects = `
apiVersion: security.istio.io/v1
kind: RequestAuthentication
metadata: {name: tokens, namespace: foo}
spec:
  selector: {matchLabels: {app: web}}
  jwtRules:
  - {issuer: "https://issuer.test", audiences: [web], jwks: '${jwks}'}
  - {issuer: "https://attacker.test", jwks: '${otherJwks}'}
---
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: with-token, namespace: foo}
spec:
  action: ALLOW
  rules:
  - {from: [{source: {requestPrincipals: ["https://issuer.test/*"]}}], to: [{operation: {notPaths: ["/admin"]}}]}
  - {from: [{source: {requestPrincipals: ["https://issuer.test/*"]}}], to: [{operation: {paths: ["/admin"]}}], when: [{key: "request.auth.claims[groups]", values: [admin]}]}
`;

const now = () => Math.floor(Date.now() / 1000);
const honest = () => ({ iss: 'https://issuer.test', sub: 'guest', aud: 'web', exp: now() + 600 });
const part = (value: unknown) => Buffer.from(typeof value === 'string' ? value : JSON.stringify(value)).toString('base64url');

/** Signed by RS256 with `key`, whatever the header says. Texts are taken as they are. */
function signed(header: unknown, claims: unknown, key: KeyObject = rsa.privateKey): string {
  const text = `${part(header)}.${part(claims)}`;
  return `${text}.${createSign('RSA-SHA256').update(text).sign(key).toString('base64url')}`;
}

const withSignature = (header: unknown, claims: unknown, signature: (text: string) => Buffer | string): string => {
  const text = `${part(header)}.${part(claims)}`;
  const made = signature(text);
  return `${text}.${typeof made === 'string' ? made : made.toString('base64url')}`;
};
const usual = { alg: 'RS256', kid: 'rsa', typ: 'JWT' };
const es = { alg: 'ES256', kid: 'ec' };
const pem = rsa.publicKey.export({ type: 'spki', format: 'pem' }).toString();
const hmac = (key: string | Buffer, hash = 'sha256') => (text: string) => createHmac(hash, key).update(text).digest();
const good = () => signed(usual, honest());
const digestInfo = Buffer.from('3031300d060960864801650304020105000420', 'hex');
const hashed = (text: string) => createHash('sha256').update(text).digest();

interface Case {
  readonly name: string;
  readonly token: () => string;
  readonly status: number;
}

const signatures: Case[] = [
  { name: 'the honest token', token: good, status: 200 },
  { name: 'the honest one of the other key', token: () => withSignature(es, honest(), (text) => sign('sha256', Buffer.from(text), { key: elliptic.privateKey, dsaEncoding: 'ieee-p1363' })), status: 200 },
  ...['none', 'None', 'NONE', 'nOnE', '', ' none'].flatMap((alg) => [
    { name: `alg ${JSON.stringify(alg)} and no signature`, token: () => `${part({ alg })}.${part(honest())}.`, status: 401 },
    { name: `alg ${JSON.stringify(alg)} and any signature`, token: () => `${part({ alg })}.${part(honest())}.AAAA`, status: 401 },
    { name: `alg ${JSON.stringify(alg)} and two parts`, token: () => `${part({ alg })}.${part(honest())}`, status: 401 },
  ]),
  ...[[pem, 'the public key as PEM'], [pem.trim(), 'the same without its last line end'], [rsa.publicKey.export({ type: 'spki', format: 'der' }), 'the public key as DER'], [jwks, 'the key set'], ['', 'nothing']].map(([key, name]) => ({ name: `HS256 over ${name as string}`, token: () => withSignature({ alg: 'HS256', kid: 'rsa' }, honest(), hmac(key as string)), status: 401 })),
  { name: 'RS256 that is an HMAC', token: () => withSignature(usual, honest(), hmac(pem)), status: 401 },
  { name: 'an empty signature', token: () => good().replace(/[^.]*$/, ''), status: 401 },
  { name: 'a signature of another token', token: () => `${part(usual)}.${part({ ...honest(), sub: 'root' })}.${good().split('.')[2]}`, status: 401 },
  { name: 'somebody else’s key under the known id', token: () => signed(usual, honest(), attackerRsa.privateKey), status: 401 },
  { name: 'ES256 of zeros', token: () => withSignature(es, honest(), () => Buffer.alloc(64)), status: 401 },
  { name: 'ES256 of r = s = 1', token: () => withSignature(es, honest(), () => Buffer.concat([Buffer.alloc(31), Buffer.from([1]), Buffer.alloc(31), Buffer.from([1])])), status: 401 },
  { name: 'ES256 of r = s = n', token: () => withSignature(es, honest(), () => Buffer.from('ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551'.repeat(2), 'hex')), status: 401 },
  { name: 'ES256 as DER', token: () => withSignature(es, honest(), (text) => sign('sha256', Buffer.from(text), elliptic.privateKey)), status: 401 },
  { name: 'ES256 over the RSA key’s id', token: () => withSignature({ alg: 'ES256', kid: 'rsa' }, honest(), (text) => sign('sha256', Buffer.from(text), { key: elliptic.privateKey, dsaEncoding: 'ieee-p1363' })), status: 401 },
  { name: 'PS256 where the key says RS256', token: () => withSignature({ alg: 'PS256', kid: 'rsa' }, honest(), (text) => sign('sha256', Buffer.from(text), { key: rsa.privateKey, padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: 32 })), status: 401 },
  { name: 'RS512 where the key says RS256', token: () => withSignature({ alg: 'RS512', kid: 'rsa' }, honest(), (text) => createSign('RSA-SHA512').update(text).sign(rsa.privateKey)), status: 401 },
  { name: 'PKCS#1 with bytes behind the hash', token: () => withSignature(usual, honest(), (text) => privateEncrypt({ key: rsa.privateKey, padding: constants.RSA_PKCS1_PADDING }, Buffer.concat([digestInfo, hashed(text), Buffer.from('more')]))), status: 401 },
  { name: 'PKCS#1 with no algorithm before the hash', token: () => withSignature(usual, honest(), (text) => privateEncrypt({ key: rsa.privateKey, padding: constants.RSA_PKCS1_PADDING }, hashed(text))), status: 401 },
];

const keys: Case[] = [
  ...['../../../dev/null', '/dev/null', "x' UNION SELECT 'key", 'rsa\0', 'RSA', 'http://attacker.test/jwks', '$(id)', 'unknown'].map((kid) => ({ name: `kid ${JSON.stringify(kid)}`, token: () => withSignature({ alg: 'HS256', kid }, honest(), hmac('')), status: 401 })),
  { name: 'an unknown kid with a good signature', token: () => signed({ alg: 'RS256', kid: 'unknown' }, honest()), status: 401 },
  { name: 'kid as a number', token: () => signed({ alg: 'RS256', kid: 5 }, honest()), status: 401 },
  { name: 'jwk: a key of its own', token: () => signed({ alg: 'RS256', jwk: attackerRsa.publicKey.export({ format: 'jwk' }) }, honest(), attackerRsa.privateKey), status: 401 },
  { name: 'jku: keys of its own', token: () => signed({ ...usual, jku: 'https://attacker.test/jwks' }, honest(), attackerRsa.privateKey), status: 401 },
  { name: 'x5u and x5c of its own', token: () => signed({ ...usual, x5u: 'https://attacker.test/cert', x5c: ['AAAA'] }, honest(), attackerRsa.privateKey), status: 401 },
  { name: 'an issuer that signs for another', token: () => signed(usual, honest(), attackerRsa.privateKey), status: 401 },
  { name: 'a token of the other issuer is no principal here', token: () => signed(usual, { iss: 'https://attacker.test', sub: 'https://issuer.test/guest', exp: now() + 600 }, attackerRsa.privateKey), status: 403 },
  { name: 'crit with what nobody knows', token: () => signed({ ...usual, crit: ['exp-strict'], 'exp-strict': true }, honest()), status: 401 },
  { name: 'crit and b64', token: () => signed({ ...usual, crit: ['b64'], b64: false }, honest()), status: 401 },
  { name: 'crit that is empty', token: () => signed({ ...usual, crit: [] }, honest()), status: 401 },
];

const claims: Case[] = [
  { name: 'expired', token: () => signed(usual, { ...honest(), exp: now() - 3600 }), status: 401 },
  { name: 'expired, as text', token: () => signed(usual, { ...honest(), exp: String(now() + 3600) }), status: 401 },
  { name: 'exp as a list', token: () => signed(usual, { ...honest(), exp: [now() + 3600] }), status: 401 },
  { name: 'exp null', token: () => signed(usual, { ...honest(), exp: null }), status: 401 },
  { name: 'exp negative', token: () => signed(usual, { ...honest(), exp: -1 }), status: 401 },
  { name: 'exp beyond all numbers', token: () => signed(usual, JSON.stringify(honest()).replace(/"exp":\d+/, '"exp":1e400')), status: 401 },
  { name: 'not yet valid', token: () => signed(usual, { ...honest(), nbf: now() + 3600 }), status: 401 },
  { name: 'nbf as text', token: () => signed(usual, { ...honest(), nbf: '0' }), status: 401 },
  { name: 'another audience', token: () => signed(usual, { ...honest(), aud: 'other' }), status: 403 },
  { name: 'no audience', token: () => signed(usual, { ...honest(), aud: undefined }), status: 403 },
  { name: 'audiences as an object', token: () => signed(usual, { ...honest(), aud: { web: true } }), status: 401 },
  { name: 'audiences that only begin alike', token: () => signed(usual, { ...honest(), aud: ['web2', 'we', 'web '] }), status: 403 },
  ...['https://issuer.test/', 'https://ISSUER.test', 'http://issuer.test', 'https://issuer.test@attacker.test', 'issuer.test', ''].map((iss) => ({ name: `iss ${JSON.stringify(iss)}`, token: () => signed(usual, { ...honest(), iss }), status: 401 })),
  { name: 'iss as a list', token: () => signed(usual, { ...honest(), iss: ['https://issuer.test'] }), status: 401 },
  { name: 'sub as an object', token: () => signed(usual, { ...honest(), sub: { a: 1 } }), status: 401 },
  { name: 'claims as a list', token: () => signed(usual, [honest()]), status: 401 },
  { name: 'claims as text', token: () => signed(usual, '"claims"'), status: 401 },
  { name: 'claims nested deep', token: () => signed(usual, JSON.stringify(honest()).replace('{', `{"deep":${'['.repeat(9000)}${']'.repeat(9000)},`)), status: 200 },
  { name: 'claims that are no JSON', token: () => signed(usual, '{"iss":"https://issuer.test",'), status: 401 },
  { name: 'claims of bytes that are no UTF-8', token: () => withSignature(usual, '', (text) => createSign('RSA-SHA256').update(text).sign(rsa.privateKey)), status: 401 },
  { name: '__proto__ among the claims', token: () => signed(usual, JSON.stringify(honest()).replace('{', '{"__proto__":{"groups":["admin"]},')), status: 200 },
  { name: 'a token of 40 KB', token: () => signed(usual, { ...honest(), pad: 'x'.repeat(30_000) }), status: 401 },
];

const spelling: Case[] = [
  { name: 'padding', token: () => `${good()}=`, status: 401 },
  { name: 'the alphabet of plain base64', token: () => good().replaceAll('-', '+').replaceAll('_', '/'), status: 401 },
  { name: 'a blank inside', token: () => good().replace('.', ' .'), status: 401 },
  { name: 'a line of its own', token: () => good().replace('.', '\t.'), status: 401 },
  { name: 'bits behind the signature', token: () => good().replace(/.$/, (last) => (last === 'B' ? 'C' : 'B')), status: 401 },
  { name: 'four parts', token: () => `${good()}.AAAA`, status: 401 },
  { name: 'five parts, as an encrypted one', token: () => `${good()}.AAAA.AAAA`, status: 401 },
  { name: 'dots alone', token: () => '..', status: 401 },
  { name: 'a JSON serialization', token: () => JSON.stringify({ payload: part(honest()), signatures: [{ protected: part(usual), signature: 'AAAA' }] }), status: 401 },
];

let mesh: TwoHops;
before(async () => {
  mesh = await TwoHops.start(136, objects);
});
after(() => mesh.stop());

async function ask(path: string, ...fields: readonly string[]): Promise<number> {
  mesh.forget();
  const attacker = await mesh.connect('sidecar');
  attacker.send(`GET ${path} HTTP/1.1\r\nhost: web.foo\r\n${fields.map((field) => `${field}\r\n`).join('')}\r\n`);
  const [response] = await attacker.responses(1);
  attacker.close();
  assert.equal(mesh.application.requests.length, response?.status === 200 ? 1 : 0);
  return response?.status ?? 0;
}

for (const [family, cases] of Object.entries({ signatures, keys, claims, spelling }))
  describe(family, () => {
    for (const { name, token, status } of cases)
      test(name, async () => {
        assert.equal(await ask('/a', `authorization: Bearer ${token()}`), status);
      });
  });

describe('places and groups', () => {
  test('no token, another scheme, an empty one', async () => {
    assert.equal(await ask('/a'), 403);
    assert.equal(await ask('/a', `authorization: Basic ${good()}`), 403);
    assert.equal(await ask('/a', 'authorization: Bearer'), 403);
    assert.equal(await ask('/a', `cookie: access_token=${good()}`), 403);
    assert.equal(await ask('/a', `x-authorization: Bearer ${good()}`), 403);
  });

  test('a good token beside a bad one, wherever they are', async () => {
    const bad = signed(usual, honest(), attackerRsa.privateKey);
    assert.equal(await ask('/a', `authorization: Bearer ${good()}`, `authorization: Bearer ${bad}`), 401);
    assert.equal(await ask('/a', `authorization: Bearer ${bad}`, `authorization: Bearer ${good()}`), 401);
    assert.equal(await ask(`/a?access_token=${bad}`, `authorization: Bearer ${good()}`), 401);
    assert.equal(await ask(`/a?access_token=${good()}`, `authorization: Bearer ${bad}`), 401);
    assert.equal(await ask(`/a?access_token=${good()}&access_token=${bad}`), 401);
    assert.equal(await ask(`/a?access%5ftoken=${bad}&access_token=${good()}`), 401);
    assert.equal(await ask(`/a?access_token=${good()}`), 200);
  });

  test('groups are what the issuer said, as it said it', async () => {
    const asking = (groups: unknown) => ask('/admin', `authorization: Bearer ${signed(usual, { ...honest(), groups })}`);
    for (const groups of ['admin', ['admin'], ['x', 'admin']]) assert.equal(await asking(groups), 200, JSON.stringify(groups));
    for (const groups of [undefined, 'Admin', 'admins', ['admi', 'n'], { admin: true }, [['admin']], ['admin\0'], 'ad\u200bmin', 'аdmin', true, 5, ['x,admin'], [{ admin: 'admin' }]]) assert.equal(await asking(groups), 403, JSON.stringify(groups));
  });

  test('of a claim that comes twice the last counts, for the policy as for everybody who reads JSON here', async () => {
    const twice = (first: string, second: string) => signed(usual, JSON.stringify(honest()).replace('{', `{"groups":"${first}",`).replace(/}$/, `,"groups":"${second}"}`));
    assert.equal(await ask('/admin', `authorization: Bearer ${twice('admin', 'guest')}`), 403);
    assert.equal(await ask('/admin', `authorization: Bearer ${twice('guest', 'admin')}`), 200);
  });
});
