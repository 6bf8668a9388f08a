import assert from 'node:assert/strict';
import { createPrivateKey, X509Certificate } from 'node:crypto';
import { once } from 'node:events';
import { chmodSync, existsSync, mkdirSync, mkdtempSync, renameSync, rmSync, statSync } from 'node:fs';
import net from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test, type TestContext } from 'node:test';
import { credentials, Metadata, status, type ServiceError } from '@grpc/grpc-js';
import type { DeltaDiscoveryResponse, DiscoveryResponse } from '@meltemi/api/gen/envoy/service/discovery/v3/discovery.ts';
import { DeltaDiscoveryRequest, DiscoveryRequest } from '@meltemi/api/gen/envoy/service/discovery/v3/discovery.ts';
import { SPIFFECertValidatorConfig } from '@meltemi/api/gen/envoy/extensions/transport_sockets/tls/v3/tls_spiffe_validator_config.ts';
import { Secret } from '@meltemi/api/gen/envoy/extensions/transport_sockets/tls/v3/secret.ts';
import { SecretDiscoveryServiceClient } from '@meltemi/api/gen/envoy/service/secret/v3/sds.ts';
import { SpiffeWorkloadAPIClient, type JWTBundlesResponse, type JWTSVIDResponse, type ValidateJWTSVIDResponse, type X509BundlesResponse, type X509SVIDResponse } from '@meltemi/api/gen/spiffe/workload.ts';
import { err, ok, waitFor } from '@meltemi/base';
import { Issuer, keySetOf } from '@meltemi/identity/jwt/testing';
import { FakeIdentity } from './identity.fake.ts';
import type { JwtSource } from './workload-api.ts';
import { serveWorkloadSocket } from './workload-socket.ts';

const dir = mkdtempSync(join(tmpdir(), 'meltemi-ws-'));
after(() => rmSync(dir, { recursive: true, force: true }));
const secretType = 'type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.Secret';
const silent = { info: () => {}, warn: () => {}, error: () => {} };
const node = { id: 'sidecar~1', cluster: '', dynamicParameters: {}, userAgentName: '', extensions: [], clientFeatures: [], listeningAddresses: [] };

let count = 0;
/** Signs nothing. */
const noTokens: JwtSource = { get: async () => err({ refused: false, message: 'citadel is away' }) };

async function serve(t: TestContext, identity: FakeIdentity, jwt = noTokens) {
  const path = join(dir, `d${++count}`, 'socket');
  const socket = await serveWorkloadSocket({ path, identity, jwt, log: silent });
  t.after(() => socket.stop());
  const sds = new SecretDiscoveryServiceClient(`unix:${path}`, credentials.createInsecure());
  const workloadApi = new SpiffeWorkloadAPIClient(`unix:${path}`, credentials.createInsecure());
  t.after(() => { sds.close(); workloadApi.close(); });
  return { path, socket, sds, workloadApi };
}

function secretsOf(response: { readonly resources: readonly { readonly value: Uint8Array }[] }): Map<string, Secret> {
  return new Map(response.resources.map(({ value }) => [Secret.decode(value).name, Secret.decode(value)]));
}

/** The serial of a served certificate, lower-case hex. */
function serialOf(secret: Secret | undefined): string {
  assert.equal(secret?.type?.$case, 'tlsCertificate');
  const chain = secret.type.value.certificateChain?.specifier;
  assert.equal(chain?.$case, 'inlineString');
  return new X509Certificate(chain.value).serialNumber.toLowerCase().replace(/^0+/, '');
}

function follow(sds: SecretDiscoveryServiceClient, names: readonly string[], typeUrl = secretType) {
  const stream = sds.streamSecrets();
  const got: DiscoveryResponse[] = [];
  const ended = Promise.withResolvers<ServiceError>();
  stream.on('data', (response: DiscoveryResponse) => {
    got.push(response);
    stream.write({ ...DiscoveryRequest.decode(new Uint8Array()), resourceNames: [...names], typeUrl, versionInfo: response.versionInfo, responseNonce: response.nonce });
  });
  stream.on('error', ended.resolve);
  stream.write({ ...DiscoveryRequest.decode(new Uint8Array()), node, resourceNames: [...names], typeUrl });
  return { stream, got, ended: ended.promise };
}

test('SDS, state of the world: the identity and the roots, and a renewed identity on the same stream', async (t) => {
  const identity = new FakeIdentity('cluster.local');
  const { sds } = await serve(t, identity);
  // Envoy leaves the type out where the service has but one.
  const { stream, got } = follow(sds, ['default', 'ROOTCA'], '');
  const first = identity.renew();
  await waitFor('the first secrets', () => got.length === 1);
  const secrets = secretsOf(got[0] ?? { resources: [] });
  assert.equal(serialOf(secrets.get('default')), first.serial);
  const roots = secrets.get('ROOTCA')?.type;
  assert.ok(roots?.$case === 'validationContext' && roots.value.trustedCa?.specifier?.$case === 'inlineString');
  assert.equal(roots.value.trustedCa.specifier.value, identity.root.pem);
  assert.equal(roots.value.customValidatorConfig, undefined);
  const second = identity.renew();
  await waitFor('the renewed certificate', () => got.some((response) => secretsOf(response).has('default') && serialOf(secretsOf(response).get('default')) === second.serial));
  assert.equal(stream.destroyed, false);
  stream.cancel();
});

test('SDS, incremental: what did not change is not sent again, and names that nobody knows stay unanswered', async (t) => {
  const identity = new FakeIdentity('cluster.local');
  identity.renew();
  const { sds } = await serve(t, identity);
  const stream = sds.deltaSecrets();
  const got: DeltaDiscoveryResponse[] = [];
  stream.on('data', (response: DeltaDiscoveryResponse) => {
    got.push(response);
    stream.write({ ...DeltaDiscoveryRequest.decode(new Uint8Array()), typeUrl: secretType, responseNonce: response.nonce });
  });
  stream.on('error', () => {});
  stream.write({ ...DeltaDiscoveryRequest.decode(new Uint8Array()), node, typeUrl: secretType, resourceNamesSubscribe: ['default', 'ROOTCA', 'other'] });
  await waitFor('the first secrets', () => got.length > 0);
  assert.deepEqual(got.flatMap(({ resources }) => resources.map(({ name }) => name)).sort(), ['ROOTCA', 'default']);
  got.length = 0;
  identity.renew();
  await waitFor('the renewed certificate', () => got.length > 0);
  assert.deepEqual(got.flatMap(({ resources }) => resources.map(({ name }) => name)), ['default']);
  stream.cancel();
});

test('SDS, fetch: what is asked for, once; other types are refused on every method', async (t) => {
  const identity = new FakeIdentity('cluster.local');
  const { sds } = await serve(t, identity);
  const fetch = (names: string[], typeUrl = secretType) => new Promise<DiscoveryResponse>((resolve, reject) => {
    sds.fetchSecrets({ ...DiscoveryRequest.decode(new Uint8Array()), node, resourceNames: names, typeUrl }, (error, response) => (error ? reject(error) : resolve(response)));
  });
  await assert.rejects(fetch(['default']), { code: status.UNAVAILABLE });
  identity.renew();
  assert.deepEqual([...secretsOf(await fetch(['default'])).keys()], ['default']);
  assert.deepEqual([...secretsOf(await fetch([])).keys()].sort(), ['ROOTCA', 'default']);
  const cluster = 'type.googleapis.com/envoy.config.cluster.v3.Cluster';
  await assert.rejects(fetch([], cluster), { code: status.INVALID_ARGUMENT });
  assert.equal((await follow(sds, ['x'], cluster).ended).code, status.INVALID_ARGUMENT);
});

test('ROOTCA names whose roots vouch for which trust domain as soon as others are federated', async (t) => {
  const [identity, other] = [new FakeIdentity('a.example'), new FakeIdentity('b.example')];
  identity.renew();
  const { sds } = await serve(t, identity);
  const { got, stream } = follow(sds, ['ROOTCA']);
  await waitFor('the roots', () => got.length === 1);
  identity.renew([{ trustDomain: 'b.example', rootsPem: [other.root.pem] }]);
  await waitFor('the federated roots', () => got.length === 2);
  const roots = secretsOf(got[1] ?? { resources: [] }).get('ROOTCA')?.type;
  assert.ok(roots?.$case === 'validationContext');
  const { trustDomains } = SPIFFECertValidatorConfig.decode(roots.value.customValidatorConfig?.typedConfig?.value ?? new Uint8Array());
  assert.deepEqual(trustDomains.map(({ name, trustBundle }) => [name, trustBundle?.specifier?.value]), [['a.example', identity.root.pem], ['b.example', other.root.pem]]);
  stream.cancel();
});

test('as soon as something is revoked ROOTCA carries the list, on the same stream, and so do the X.509-SVID and the bundles', async (t) => {
  const identity = new FakeIdentity('a.example');
  identity.renew();
  const { sds, workloadApi } = await serve(t, identity);
  const { got, stream } = follow(sds, ['ROOTCA']);
  await waitFor('the roots', () => got.length === 1);
  const before = secretsOf(got[0] ?? { resources: [] }).get('ROOTCA')?.type;
  assert.ok(before?.$case === 'validationContext' && before.value.crl === undefined && !before.value.onlyVerifyLeafCertCrl);
  const list = identity.revocationList('ab12');
  identity.renew([], { revocationListsPem: list });
  await waitFor('the list', () => got.length === 2);
  const after = secretsOf(got[1] ?? { resources: [] }).get('ROOTCA')?.type;
  assert.ok(after?.$case === 'validationContext' && after.value.onlyVerifyLeafCertCrl);
  assert.deepEqual(after.value.crl?.specifier, { $case: 'inlineString', value: list });
  stream.cancel();
  const bundles = workloadApi.fetchX509Bundles({}, asked());
  const [answer] = (await once(bundles, 'data')) as [X509BundlesResponse];
  assert.deepEqual(answer.crl.map((der) => Buffer.from(der).toString('base64')), [list.split('\n').slice(1, -2).join('')]);
  bundles.on('error', () => {}).cancel();
});

const asked = (): Metadata => {
  const metadata = new Metadata();
  metadata.set('workload.spiffe.io', 'true');
  return metadata;
};

test('Workload API: the X.509-SVID with key, roots and federated roots, again with each renewal', async (t) => {
  const [identity, other] = [new FakeIdentity('a.example'), new FakeIdentity('b.example')];
  const { workloadApi } = await serve(t, identity);
  const stream = workloadApi.fetchX509Svid({}, asked());
  const got: X509SVIDResponse[] = [];
  stream.on('data', (response: X509SVIDResponse) => got.push(response)).on('error', () => {});
  const first = identity.renew();
  await waitFor('the first SVID', () => got.length === 1);
  const [svid] = got[0]?.svids ?? [];
  assert.ok(svid);
  assert.equal(svid.spiffeId, identity.id);
  const leaf = new X509Certificate(svid.x509Svid);
  assert.equal(leaf.serialNumber.toLowerCase().replace(/^0+/, ''), first.serial);
  assert.ok(leaf.checkPrivateKey(createPrivateKey({ key: Buffer.from(svid.x509SvidKey), format: 'der', type: 'pkcs8' })));
  assert.deepEqual(Buffer.from(svid.bundle), identity.root.der);
  assert.deepEqual(got[0]?.federatedBundles, {});
  identity.renew([{ trustDomain: 'b.example', rootsPem: [other.root.pem] }]);
  await waitFor('the renewed SVID', () => got.length === 2);
  assert.deepEqual(Object.entries(got[1]?.federatedBundles ?? {}).map(([domain, roots]) => [domain, Buffer.from(roots)]), [['spiffe://b.example', other.root.der]]);
  const bundles = workloadApi.fetchX509Bundles({}, asked());
  const all = await new Promise<X509BundlesResponse>((resolve, reject) => bundles.on('data', resolve).on('error', reject));
  assert.deepEqual(Object.keys(all.bundles), ['spiffe://a.example', 'spiffe://b.example']);
  bundles.on('error', () => {}).cancel();
  stream.cancel();
});

test('Workload API: calls without its header are refused', async (t) => {
  const identity = new FakeIdentity('a.example');
  identity.renew();
  const { workloadApi } = await serve(t, identity);
  const ends = (metadata: Metadata) => new Promise<ServiceError>((resolve) => workloadApi.fetchX509Svid({}, metadata).on('data', () => {}).on('error', resolve));
  const wrong = new Metadata();
  wrong.set('workload.spiffe.io', 'yes');
  for (const metadata of [new Metadata(), wrong]) assert.equal((await ends(metadata)).code, status.INVALID_ARGUMENT);
  const headerless = await new Promise<ServiceError | null>((resolve) => workloadApi.validateJwtsvid({ audience: 'x', svid: '' }, new Metadata(), (error) => resolve(error)));
  assert.equal(headerless?.code, status.INVALID_ARGUMENT);
});

test('the socket is its owner’s alone, goes away at the end, and replaces one that a dead proxy left', async (t) => {
  const identity = new FakeIdentity('a.example');
  const { path, socket } = await serve(t, identity);
  assert.equal(statSync(path).mode & 0o777, 0o600);
  assert.equal(statSync(join(path, '..')).mode & 0o777, 0o700);
  await assert.rejects(serveWorkloadSocket({ path, identity, jwt: noTokens, log: silent }), /another proxy already serves/);
  await socket.stop();
  assert.equal(existsSync(path), false);
  const left = net.createServer();
  const stale = join(dir, 'stale');
  await new Promise<void>((resolve) => left.listen(`${stale}.tmp`, resolve));
  renameSync(`${stale}.tmp`, stale);
  await new Promise((resolve) => left.close(resolve));
  assert.equal(existsSync(stale), true);
  await (await serveWorkloadSocket({ path: stale, identity, jwt: noTokens, log: silent })).stop();
});

test('a directory that others may write to is no place for it', async () => {
  const open = join(dir, 'open');
  mkdirSync(open);
  chmodSync(open, 0o777);
  await assert.rejects(serveWorkloadSocket({ path: join(open, 's'), identity: new FakeIdentity('a'), jwt: noTokens, log: silent }), /others may write/);
});

test('the group that is named may connect too', async (t) => {
  const gid = process.getgid?.() ?? 0;
  const path = join(dir, 'grouped', 's');
  const socket = await serveWorkloadSocket({ path, gid, identity: new FakeIdentity('a'), jwt: noTokens, log: silent });
  t.after(() => socket.stop());
  assert.equal(statSync(path).mode & 0o777, 0o660);
  assert.equal(statSync(path).gid, gid);
  assert.equal(statSync(join(path, '..')).mode & 0o777, 0o750);
});

test('Workload API: JWT-SVIDs of this identity alone, the keys of all trust domains that have any, and strict validation', async (t) => {
  const [identity, ours, theirs] = [new FakeIdentity('a.example'), new Issuer('ES256', 'a1'), new Issuer('RS256', 'b1')];
  const now = Math.floor(Date.now() / 1000);
  const tokenOf = (issuer: Issuer, sub: string, more: object = {}) => issuer.token({ sub, aud: ['bank'], exp: now + 60, iat: now, ...more });
  const asks: (readonly string[])[] = [];
  let answer: Awaited<ReturnType<JwtSource['get']>> = ok({ token: tokenOf(ours, identity.id), spiffeId: identity.id });
  const { workloadApi } = await serve(t, identity, { get: async (audiences) => (asks.push(audiences), answer) });
  const fetch = (audience: string[], spiffeId = '', metadata = asked()) => new Promise<JWTSVIDResponse>((resolve, reject) => workloadApi.fetchJwtsvid({ audience, spiffeId }, metadata, (error, response) => (error ? reject(error) : resolve(response))));
  const validate = (svid: string, audience = 'bank', metadata = asked()) => new Promise<ValidateJWTSVIDResponse>((resolve, reject) => workloadApi.validateJwtsvid({ svid, audience }, metadata, (error, response) => (error ? reject(error) : resolve(response))));
  await assert.rejects(fetch(['bank']), { code: status.UNAVAILABLE });
  await assert.rejects(validate(tokenOf(ours, identity.id)), { code: status.UNAVAILABLE });

  identity.renew([{ trustDomain: 'b.example', rootsPem: [new FakeIdentity('b.example').root.pem], jwtKeys: keySetOf(theirs) }, { trustDomain: 'c.example', rootsPem: [new FakeIdentity('c.example').root.pem] }], { jwtKeys: keySetOf(ours) });
  const [svid] = (await fetch(['bank', 'post'])).svids;
  assert.deepEqual([svid?.spiffeId, asks], [identity.id, [['bank', 'post']]]);
  await assert.rejects(fetch([]), { code: status.INVALID_ARGUMENT });
  await assert.rejects(fetch(['bank'], '', new Metadata()), { code: status.INVALID_ARGUMENT });
  await assert.rejects(fetch(['bank'], 'spiffe://a.example/ns/default/sa/other'), { code: status.PERMISSION_DENIED });
  assert.equal(asks.length, 1);
  await fetch(['bank'], identity.id);
  answer = err({ refused: true, message: 'the certificate is revoked' });
  await assert.rejects(fetch(['bank']), { code: status.PERMISSION_DENIED });
  answer = err({ refused: false, message: 'citadel is away' });
  await assert.rejects(fetch(['bank']), { code: status.UNAVAILABLE });

  const believed = await validate(svid?.svid ?? '');
  assert.deepEqual([believed.spiffeId, believed.claims?.['aud'], believed.claims?.['exp']], [identity.id, ['bank'], now + 60]);
  const cart = 'spiffe://b.example/cart';
  assert.equal((await validate(tokenOf(theirs, cart))).spiffeId, cart);
  const forged = [tokenOf(theirs, identity.id), tokenOf(ours, cart), tokenOf(new Issuer('ES256', 'a1'), identity.id), tokenOf(ours, 'spiffe://c.example/x'), tokenOf(ours, 'spiffe://d.example/x'), tokenOf(ours, identity.id, { exp: now }), tokenOf(ours, identity.id, { aud: 'post' }), ours.confused({ sub: identity.id, aud: 'bank', exp: now + 60 }), 'a.b.c', ''];
  for (const token of forged) await assert.rejects(validate(token), { code: status.INVALID_ARGUMENT }, token);
  await assert.rejects(validate(svid?.svid ?? '', ''), { code: status.INVALID_ARGUMENT });
  await assert.rejects(validate(svid?.svid ?? '', 'bank', new Metadata()), { code: status.INVALID_ARGUMENT });

  const stream = workloadApi.fetchJwtBundles({}, asked());
  const got: JWTBundlesResponse[] = [];
  stream.on('data', (response: JWTBundlesResponse) => got.push(response)).on('error', () => {});
  await waitFor('the keys', () => got.length === 1);
  const kidsOf = (response: JWTBundlesResponse | undefined) => Object.entries(response?.bundles ?? {}).map(([id, set]) => [id, (JSON.parse(Buffer.from(set).toString()) as { keys: { kid: string }[] }).keys.map(({ kid }) => kid)]);
  assert.deepEqual(kidsOf(got[0]), [['spiffe://a.example', ['a1']], ['spiffe://b.example', ['b1']]]);
  identity.renew([], { jwtKeys: keySetOf(ours, new Issuer('ES256', 'a2')) });
  await waitFor('the next keys', () => got.length === 2);
  assert.deepEqual(kidsOf(got[1]), [['spiffe://a.example', ['a1', 'a2']]]);
  stream.cancel();
});

test('connections and streams above the limits are refused, and the others go on', async (t) => {
  const identity = new FakeIdentity('a.example');
  identity.renew();
  const { path, workloadApi } = await serve(t, identity);
  const idle = Array.from({ length: 64 }, () => net.connect(path).on('error', () => {}));
  await waitFor('all connections', () => idle.every((each) => each.readyState === 'open'));
  const above = net.connect(path).on('error', () => {});
  await new Promise((resolve) => above.once('close', resolve));
  for (const each of idle) each.destroy();
  await waitFor('the first SVID again', () => new Promise<boolean>((resolve) => {
    const stream = workloadApi.fetchX509Svid({}, asked());
    stream.once('data', () => { resolve(true); stream.cancel(); }).on('error', () => resolve(false));
  }));
});
