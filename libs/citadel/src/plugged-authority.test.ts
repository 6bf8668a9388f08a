import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { test } from 'node:test';
import { ManualClock } from '@meltemi/base';
import { buildCertificate, buildCsr, generateKeys, generateP256, keyAlgorithms, parseCertificate, parseCertificates, verifyChain, type Certificate, type CertificateTemplate, type KeyPair } from '@meltemi/identity';
import { openCertificateService, type CertificateService } from './certificate-service.ts';
import { MemoryKeystore } from './memory-keystore.ts';
import { PluggedAuthority, type CaFiles } from './plugged-authority.ts';

const trustDomain = 'cluster.local';
const reviews = 'spiffe://cluster.local/ns/default/sa/reviews';
const now = Date.UTC(2026, 0, 1);
const day = 86_400_000;
const entropy = { bytes: randomBytes };

interface Ca {
  readonly certificate: Certificate;
  readonly keys: KeyPair;
}

function ca(name: string, by?: Ca, changes: Partial<CertificateTemplate> = {}, keys: KeyPair = generateP256()): Ca {
  const template = { serial: randomBytes(16), subject: { organization: 'corp', commonName: name }, publicKey: keys.publicKey, notBefore: now - day, notAfter: now + 30 * day, role: { kind: 'authority', pathLength: by ? 0 : 2 } as const, ...changes };
  const certificate = parseCertificate(buildCertificate(template, by ? { key: by.keys.privateKey, certificate: by.certificate } : { key: keys.privateKey }));
  assert.ok(certificate.ok);
  return { certificate: certificate.value, keys };
}

const pem = (keys: KeyPair): string => keys.privateKey.export({ type: 'pkcs8', format: 'pem' }).toString();

/** The four files of an issuing CA; `above`: what lies between it and the root, its own issuer first. */
function filesOf(issuing: Ca, root: Ca, above: readonly Ca[] = []): CaFiles {
  return { caCert: issuing.certificate.pem, caKey: pem(issuing.keys), certChain: [issuing, ...above].map(({ certificate }) => certificate.pem).join(''), rootCert: root.certificate.pem };
}

interface World {
  readonly service: CertificateService;
  readonly clock: ManualClock;
  readonly keystore: MemoryKeystore;
  files: CaFiles;
}

async function open(files: CaFiles, keystore = new MemoryKeystore()): Promise<World> {
  const clock = new ManualClock(now);
  const world: { files: CaFiles } = { files };
  const authority = new PluggedAuthority({ trustDomain, read: async () => world.files, issuers: keystore, entropy });
  const service = await openCertificateService({ trustDomain, authority, keystore, clock, entropy });
  assert.ok(service.ok, JSON.stringify(service));
  return Object.assign(world, { service: service.value, clock, keystore });
}

const key = generateP256().privateKey;

async function issue({ service }: World, proof?: Certificate): Promise<{ readonly certificate: Certificate; readonly chain: readonly Certificate[] }> {
  const minted = await service.createJoinToken({ spiffeId: reviews, lifetimeMs: 0 });
  assert.ok(minted.ok);
  const issued = await service.createCertificate({ csr: buildCsr(key, { uris: [reviews] }), requestedMs: 0, proof: proof ? { certificate: proof } : { token: minted.value.token } });
  assert.ok(issued.ok, JSON.stringify(issued));
  const chain = parseCertificates(issued.value.chainPem.join(''));
  assert.ok(chain.ok);
  return { certificate: issued.value.certificate, chain: chain.value };
}

async function refusal(files: Partial<CaFiles>, good = filesOf(issuing, root)): Promise<string> {
  const authority = new PluggedAuthority({ trustDomain, read: async () => ({ ...good, ...files }), issuers: new MemoryKeystore(), entropy });
  const opened = await authority.refresh(now);
  assert.ok(!opened.ok, 'it was opened');
  return `${opened.error[0]?.path}: ${opened.error[0]?.message}`;
}

const root = ca('root');
const issuing = ca('issuing', root);

test('what is plugged in signs, with everything between it and the root in the chain', async () => {
  const middle = ca('middle', root, { role: { kind: 'authority', pathLength: 1 } });
  const below = ca('below', middle);
  const world = await open(filesOf(below, root, [middle]));
  const { chain } = await issue(world);
  assert.deepEqual(chain.slice(1).map(({ serial }) => serial), [below, middle, root].map(({ certificate }) => certificate.serial));
  assert.ok(verifyChain(chain, world.service.trust(), { now, use: 'any' }).ok);
  const own = world.service.issueOwn();
  assert.ok(own.ok && (own.value.certChainPem.match(/BEGIN/g) ?? []).length === 3);
});

for (const algorithm of keyAlgorithms) {
  test(`authorities with ${algorithm} keys sign`, async () => {
    const above = ca('root', undefined, {}, await generateKeys(algorithm));
    const below = ca('issuing', above, {}, await generateKeys(algorithm));
    const { chain } = await issue(await open(filesOf(below, above)));
    assert.equal(chain.length, 3);
  });
}

test('a root alone, as small meshes plug it in, signs by itself', async () => {
  const { chain } = await issue(await open({ ...filesOf(root, root), certChain: '' }));
  assert.equal(chain.length, 2);
});

test('no certificate outlives the authority that signed it', async () => {
  const short = ca('short', root, { notAfter: now + 3_600_000 });
  const { certificate } = await issue(await open(filesOf(short, root)));
  assert.equal(certificate.notAfter, now + 3_600_000);
});

test('a new issuing CA takes over without a restart, and workloads of the old one renew, also after a restart', async () => {
  const world = await open(filesOf(issuing, root));
  const { certificate } = await issue(world);
  const next = ca('next', root);
  world.files = filesOf(next, root);
  assert.ok((await world.service.maintain()).ok);
  const renewed = await issue(world, certificate);
  assert.equal(renewed.chain[1]?.serial, next.certificate.serial);
  await issue(await open(world.files, world.keystore), certificate);
});

test('broken files change nothing: the authority in force goes on, and the reason names the file', async () => {
  const world = await open(filesOf(issuing, root));
  world.files = { ...filesOf(ca('next', root), root), caKey: pem(generateP256()) };
  const outcome = await world.service.maintain();
  assert.ok(!outcome.ok);
  assert.equal(outcome.error[0]?.path, 'ca-key.pem');
  const { chain } = await issue(world);
  assert.equal(chain[1]?.serial, issuing.certificate.serial);
});

test('several roots are all given to the mesh', async () => {
  const other = ca('other root');
  const world = await open({ ...filesOf(issuing, root), rootCert: root.certificate.pem + other.certificate.pem });
  assert.deepEqual(world.service.trust().roots.map(({ serial }) => serial), [root, other].map(({ certificate }) => certificate.serial));
  await issue(world);
});

test('what could not issue is refused before anything counts', async () => {
  const stranger = ca('stranger');
  assert.match(await refusal({ rootCert: stranger.certificate.pem }), /^ca-cert\.pem: no path to a root/);
  assert.match(await refusal({ caKey: 'x' }), /^ca-key\.pem: cannot be read/);
  assert.match(await refusal({ caKey: pem(stranger.keys) }), /^ca-key\.pem: does not belong/);
  assert.match(await refusal({ caCert: '' }), /^ca-cert\.pem: /);
  assert.match(await refusal({ caCert: issuing.certificate.pem + root.certificate.pem }), /^ca-cert\.pem: must hold exactly one/);
  assert.match(await refusal({ certChain: 'garbage' }), /^cert-chain\.pem: /);
  assert.match(await refusal({ rootCert: '' }), /^root-cert\.pem: /);
  const leaf = ca('leaf', root, { role: { kind: 'workload' } });
  assert.match(await refusal({}, filesOf(leaf, root)), /^ca-cert\.pem: is not a CA/);
  const expired = ca('expired', root, { notAfter: now - 1000 });
  assert.match(await refusal({}, filesOf(expired, root)), /^ca-cert\.pem: expired at/);
  const elsewhere = ca('elsewhere', root, { role: { kind: 'authority', pathLength: 0, permittedUriHosts: ['other.example'] } });
  assert.match(await refusal({}, filesOf(elsewhere, root)), /^ca-cert\.pem: cannot issue certificates for trust domain cluster\.local: .*name constraints/);
  const tooDeep = ca('too deep', issuing);
  assert.match(await refusal({}, filesOf(tooDeep, root, [issuing])), /^ca-cert\.pem: .*intermediates/);
});
