import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { test, type TestContext } from 'node:test';
import { ManualClock, systemClock } from '@meltemi/base';
import { buildCertificate, createTrustBundle, formatBundleDocument, generateP256, parseCertificate, withJwtKeys, type Certificate, type FederatedRoots, type TrustBundle, type WorkloadCertificate } from '@meltemi/identity';
import { Issuer, keySetOf } from '@meltemi/identity/jwt/testing';
import type { CitadelLog } from '../certificate-handlers.ts';
import { getBundle, type BundleEndpoint } from './bundle-endpoint.ts';
import { serveBundle } from './bundle-server.ts';
import { Federation, federationProblem, type FederatedDomain } from './federation.ts';

const silent = { info: () => {}, warn: () => {}, error: () => {} };
const hourMs = 3_600_000;

/** A trust domain with a root and certificates of it. */
class Domain {
  readonly name: string;
  readonly #keys = generateP256();
  readonly root: Certificate;
  readonly trust: TrustBundle;

  constructor(name: string) {
    this.name = name;
    this.root = parsed(buildCertificate({ ...this.#template(), subject: { organization: name, commonName: 'root' }, publicKey: this.#keys.publicKey, role: { kind: 'authority', pathLength: 0 } }, { key: this.#keys.privateKey }));
    const trust = createTrustBundle(name, [this.root.pem]);
    assert.ok(trust.ok);
    this.trust = trust.value;
  }

  issue(uri: string): WorkloadCertificate {
    const keys = generateP256();
    const leaf = parsed(buildCertificate({ ...this.#template(), publicKey: keys.publicKey, names: { uris: [uri], dnsNames: ['localhost'] }, role: { kind: 'workload' } }, { key: this.#keys.privateKey, certificate: this.root }));
    return { certChainPem: leaf.pem, privateKeyPem: keys.privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(), spiffeId: uri, serial: leaf.serial, notBefore: leaf.notBefore, notAfter: leaf.notAfter, trust: this.trust };
  }

  document(hint = 60, jwtKeys?: string): string {
    return formatBundleDocument({ ...this.trust, ...(jwtKeys !== undefined && { jwtKeys }) }, { sequence: 1, refreshHintSeconds: hint });
  }

  #template() {
    return { serial: randomBytes(16), notBefore: Date.now() - hourMs, notAfter: Date.now() + hourMs };
  }
}

function parsed(der: Buffer): Certificate {
  const certificate = parseCertificate(der);
  assert.ok(certificate.ok);
  return certificate.value;
}

const b = new Domain('b.example');
const endpointId = 'spiffe://b.example/ns/istio-system/sa/meltemi-citadel';
const web: BundleEndpoint = { url: 'https://b.example/bundle.json', profile: { kind: 'https_web' } };

async function settle(): Promise<void> {
  for (let i = 0; i < 20; i++) await Promise.resolve();
}

function followed(domains: readonly FederatedDomain[], kept: readonly FederatedRoots[] = [], log: CitadelLog = silent) {
  const clock = new ManualClock();
  const answers: (string | Error)[] = [];
  const saved: (readonly FederatedRoots[])[] = [];
  let asked = 0;
  let changes = 0;
  const federation = new Federation({
    domains, log, clock, random: { next: () => 1 },
    get: () => { asked += 1; const answer = answers.shift() ?? new Error('silence'); return answer instanceof Error ? Promise.reject(answer) : Promise.resolve(answer); },
    store: { load: () => Promise.resolve(kept), save: (roots) => { saved.push(roots); return Promise.resolve(); } },
  });
  return { federation, answers, saved, asked: () => asked, changes: () => changes, start: async () => { await federation.start(() => (changes += 1)); await settle(); }, pass: async (ms: number) => { clock.advance(ms); await settle(); } };
}

test('roots are asked for as the document hints, and a change is told and kept', async () => {
  const world = followed([{ trustDomain: 'b.example', rootsPem: [], endpoint: web }]);
  world.answers.push(b.document(60), b.document(60), new Domain('b.example').document(60));
  assert.deepEqual(world.federation.current(), []);
  await world.start();
  assert.deepEqual(world.federation.current(), [{ trustDomain: 'b.example', rootsPem: [b.root.pem] }]);
  assert.deepEqual([world.changes(), world.saved.length], [1, 1]);
  const before = world.federation.current();
  await world.pass(60_000);
  assert.deepEqual([world.asked(), world.changes(), world.federation.current() === before], [2, 1, true]);
  await world.pass(60_000);
  assert.equal(world.changes(), 2);
});

test('an endpoint that fails or talks nonsense is asked again ever more seldom, and the last good roots stay', async () => {
  const world = followed([{ trustDomain: 'b.example', rootsPem: [], endpoint: web }]);
  world.answers.push(b.document(3600), '{"keys":0}', new Error('refused'));
  await world.start();
  await world.pass(3_600_000);
  assert.match(world.federation.status()[0]?.failure ?? '', /bundle document cannot be used: keys/);
  for (const ms of [1_000, 2_000, 4_000]) await world.pass(ms);
  assert.equal(world.asked(), 5);
  assert.deepEqual(world.federation.current().map(({ rootsPem }) => rootsPem), [[b.root.pem]]);
});

test('a restart begins with what was kept; a trust domain that revokes everything is believed no more', async () => {
  const world = followed([{ trustDomain: 'b.example', rootsPem: [], endpoint: web }], [{ trustDomain: 'b.example', rootsPem: [b.root.pem] }, { trustDomain: 'gone.example', rootsPem: [b.root.pem] }]);
  world.answers.push('{"keys":[]}');
  const seen: string[][] = [];
  await world.federation.start(() => seen.push(world.federation.current().map(({ trustDomain }) => trustDomain)));
  await settle();
  assert.deepEqual(seen, [['b.example'], []]);
  assert.deepEqual(world.federation.current(), []);
});

test('other entries act at once: of a trust domain that stays, roots and keys of JWT-SVIDs do, too, until its endpoint answers', async () => {
  const keyed = withJwtKeys(b.trust, keySetOf(new Issuer('ES256', 'one')));
  assert.ok(keyed.ok && keyed.value.jwtKeys !== undefined);
  const { jwtKeys } = keyed.value;
  const elsewhere: BundleEndpoint = { ...web, url: 'https://other.b.example/' };
  const c: FederatedDomain = { trustDomain: 'c.example', rootsPem: [new Domain('c.example').root.pem] };
  const given = new Domain('b.example').root.pem;
  const names = (): string[] => world.federation.current().map(({ trustDomain }) => trustDomain);
  const known = { trustDomain: 'b.example', rootsPem: [b.root.pem], jwtKeys };
  const world = followed([{ trustDomain: 'b.example', rootsPem: [], endpoint: web }, c]);
  world.answers.push(b.document(60, jwtKeys));
  await world.start();
  assert.deepEqual(world.federation.current(), [known, c]);
  world.federation.update([{ trustDomain: 'b.example', rootsPem: [], endpoint: elsewhere }]);
  assert.deepEqual(world.federation.current(), [known]);
  await settle();
  assert.equal(world.asked(), 2);
  assert.deepEqual([names(), world.federation.status()[0]?.failure], [['b.example'], 'silence']);
  // Whoever names roots means these.
  world.federation.update([{ trustDomain: 'b.example', rootsPem: [given], endpoint: web }, c]);
  assert.deepEqual(world.federation.current(), [{ trustDomain: 'b.example', rootsPem: [given] }, c]);
  await settle();
  world.answers.push(b.document(60, jwtKeys));
  await world.pass(2000);
  assert.deepEqual(world.federation.current(), [known, c]);
  // The roots by hand are the same: what the endpoint said since then stays.
  world.federation.update([{ trustDomain: 'b.example', rootsPem: [given], endpoint: elsewhere }]);
  assert.deepEqual(world.federation.current(), [known]);
  world.federation.update([{ trustDomain: 'b.example', rootsPem: [given] }]);
  assert.deepEqual(world.federation.current(), [{ trustDomain: 'b.example', rootsPem: [given] }]);
});

test('keys of JWT-SVIDs that are left out are named once, and the roots are taken', async () => {
  const warnings: object[] = [];
  const { keys: [key] } = JSON.parse(keySetOf(new Issuer('ES256', 'one'))) as { keys: object[] };
  const document = JSON.parse(b.document()) as { keys: object[] };
  const text = JSON.stringify({ ...document, keys: [...document.keys, { ...key, use: 'jwt-svid' }, { ...key, use: 'jwt-svid' }] });
  const world = followed([{ trustDomain: 'b.example', rootsPem: [], endpoint: web }], [], { ...silent, warn: (fields) => warnings.push(fields) });
  world.answers.push(text, text);
  await world.start();
  await world.pass(300_000);
  assert.equal(world.asked(), 2);
  assert.deepEqual(world.federation.current().map(({ rootsPem }) => rootsPem), [[b.root.pem]]);
  assert.deepEqual(warnings, [{ trustDomain: 'b.example', leftOut: ['"one": a key before has the same kid'] }]);
});

test('domains that cannot stand beside each other are named', () => {
  const of = (trustDomain: string, rootsPem = [b.root.pem]): FederatedDomain => ({ trustDomain, rootsPem });
  assert.equal(federationProblem('a', [of('b'), of('c', [])]), undefined);
  assert.match(federationProblem('a', [of('a')]) ?? '', /a has its roots already/);
  assert.match(federationProblem('a', [of('b', []), of('b', [])]) ?? '', /named twice/);
  assert.match(federationProblem('a', [of('b', ['no pem'])]) ?? '', /^b: /);
});

async function published(t: TestContext, domain: Domain, id: string) {
  const certificate = domain.issue(id);
  const server = await serveBundle({ host: '127.0.0.1', port: 0, trust: () => domain.trust, refreshHintSeconds: 60, certificate: { subscribe: (listener) => { listener(certificate); return () => {}; } }, clock: systemClock, log: silent });
  t.after(() => server.stop());
  return `https://127.0.0.1:${server.port}/bundle.json`;
}

const ask = (url: string, profile: BundleEndpoint['profile'], rootsPem: readonly string[] = [b.root.pem]) => getBundle({ url, profile }, { trustDomain: 'b.example', rootsPem, signal: new AbortController().signal });

test('https_spiffe: only the trust domain’s own endpoint, by the roots known so far, is believed', async (t) => {
  const url = await published(t, b, endpointId);
  const spiffe = (spiffeId: string) => ({ kind: 'https_spiffe', spiffeId }) as const;
  assert.deepEqual((JSON.parse(await ask(url, spiffe(endpointId))) as { keys: unknown[] }).keys.length, 1);
  await assert.rejects(ask(url, spiffe('spiffe://b.example/ns/x/sa/other')), /belongs to spiffe:\/\/b\.example\/ns\/istio-system\/sa\/meltemi-citadel, not to/);
  await assert.rejects(ask(url, spiffe(endpointId), [new Domain('b.example').root.pem]), /self-signed|unable to/);
  const foreign = await published(t, b, 'spiffe://a.example/ns/istio-system/sa/meltemi-citadel');
  await assert.rejects(ask(foreign, spiffe('spiffe://a.example/ns/istio-system/sa/meltemi-citadel')), /is not of trust domain b\.example/);
});

test('https_web: host names and authorities of the web count, and no SPIFFE id stands in for them', async (t) => {
  const url = await published(t, b, endpointId);
  await assert.rejects(ask(url, { kind: 'https_web', caPem: b.root.pem }), /altnames|does not match/i);
  await assert.rejects(ask(url, { kind: 'https_web' }), /self-signed|unable to/);
  assert.ok((await ask(url.replace('127.0.0.1', 'localhost'), { kind: 'https_web', caPem: b.root.pem })).includes('x509-svid'));
});

test('redirects, other statuses, floods and silence are no bundle', async (t) => {
  const { certChainPem, privateKeyPem } = b.issue(endpointId);
  const server = createServer({ cert: certChainPem, key: privateKeyPem }, (request, response) => {
    if (request.url === '/redirect') return void response.writeHead(302, { location: 'https://localhost/bundle.json' }).end();
    if (request.url === '/missing') return void response.writeHead(404).end();
    const more = (): void => { if (!response.destroyed && response.write(Buffer.alloc(65_536, 32))) setImmediate(more); else response.once('drain', more); };
    more();
  });
  t.after(() => { server.closeAllConnections(); server.close(); });
  await once(server.listen(0, '127.0.0.1'), 'listening');
  const at = (path: string) => ask(`https://localhost:${(server.address() as AddressInfo).port}${path}`, { kind: 'https_web', caPem: b.root.pem });
  await assert.rejects(at('/redirect'), /answers 302; redirects are not followed/);
  await assert.rejects(at('/missing'), /answers 404/);
  await assert.rejects(at('/flood'), /more than 262144 bytes/);
  await assert.rejects(getBundle({ url: 'https://localhost:1/', profile: { kind: 'https_web' } }, { trustDomain: 'b', rootsPem: [], signal: new AbortController().signal }), /ECONNREFUSED|https:\/\/localhost:1/);
});

test('the bundle is served to GET alone, at its two paths', async (t) => {
  const url = await published(t, b, endpointId);
  const { request } = await import('node:https');
  const status = (path: string, method: string) => new Promise<number>((resolve, reject) => request(new URL(path, url), { method, ca: b.root.pem, checkServerIdentity: () => undefined, agent: false }, (response) => { response.resume(); resolve(response.statusCode ?? 0); }).once('error', reject).end());
  assert.deepEqual(await Promise.all([status('/', 'GET'), status('/bundle.json', 'HEAD'), status('/bundle.json', 'POST'), status('/etc/passwd', 'GET')]), [200, 200, 405, 404]);
});
