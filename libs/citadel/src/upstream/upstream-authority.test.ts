import assert from 'node:assert/strict';
import { createPublicKey, randomBytes } from 'node:crypto';
import { beforeEach, test } from 'node:test';
import { err, ManualClock, ok, type Result } from '@meltemi/base';
import { buildCertificate, buildCsr, generateP256, parseCertificate, parseCertificates, verifyChain, type Certificate, type CertificateTemplate } from '@meltemi/identity';
import { openCertificateService, type CertificateService } from '../certificate-service.ts';
import { KeptAuthority } from '../kept-authority.ts';
import { MemoryKeystore } from '../memory-keystore.ts';
import { UpstreamAuthority } from './upstream-authority.ts';

const trustDomain = 'cluster.local';
const delegate = 'spiffe://cluster.local/ns/istio-system/sa/meltemi-ra';
const cart = 'spiffe://cluster.local/ns/shop/sa/cart';
const hour = 3_600_000;
const entropy = { bytes: randomBytes };
const key = generateP256().privateKey;

let clock: ManualClock;
let above: CertificateService;
let proof: Certificate;
let answer: (csr: string, honest: () => Promise<Result<readonly string[], string>>) => Promise<Result<readonly string[], string>>;
let roots: () => string;
let service: CertificateService;

beforeEach(async () => {
  clock = new ManualClock(Date.UTC(2026, 0, 1));
  above = await upper();
  roots = () => above.trust().pem;
  answer = (_csr, honest) => honest();
  proof = await join(above, delegate);
  const opened = await lower();
  assert.ok(opened.ok, JSON.stringify(opened));
  service = opened.value;
});

async function upper(): Promise<CertificateService> {
  const keystore = new MemoryKeystore();
  const opened = await openCertificateService({ trustDomain, authority: new KeptAuthority({ trustDomain, keystore, entropy }), keystore, entropy, clock, registrationAuthorities: [delegate] });
  assert.ok(opened.ok);
  return opened.value;
}

function lower(): Promise<Result<CertificateService>> {
  const keystore = new MemoryKeystore();
  const upstream = {
    sign: ({ csr, lifetimeMs }: { readonly csr: string; readonly lifetimeMs: number }) => answer(csr, async () => {
      const issued = await above.createCertificate({ csr, requestedMs: lifetimeMs, proof: { certificate: proof } });
      return issued.ok ? ok(issued.value.chainPem) : err(issued.error.message);
    }),
  };
  return openCertificateService({ trustDomain, authority: new UpstreamAuthority({ trustDomain, upstream, readRoots: async () => roots(), issuers: keystore }), keystore, entropy, clock });
}

async function token(at: CertificateService, spiffeId: string): Promise<string> {
  const minted = await at.createJoinToken({ spiffeId, lifetimeMs: 0 });
  assert.ok(minted.ok);
  return minted.value.token;
}

async function join(at: CertificateService, spiffeId: string): Promise<Certificate> {
  const issued = await at.createCertificate({ csr: buildCsr(key, { uris: [spiffeId] }), requestedMs: hour, proof: { token: await token(at, spiffeId) } });
  assert.ok(issued.ok, JSON.stringify(issued));
  return issued.value.certificate;
}

test('a workload joins and renews, and the authority above signs', async () => {
  const first = await join(service, cart);
  assert.deepEqual([first.uris, first.notAfter], [[cart], clock.now() + hour]);
  assert.ok(verifyChain([first, ...above.authority().issuer], above.trust(), { now: clock.now(), use: 'any' }).ok);
  const renewed = await service.createCertificate({ csr: buildCsr(key, { uris: [cart] }), requestedMs: hour, proof: { certificate: first } });
  assert.ok(renewed.ok, JSON.stringify(renewed));
  assert.equal(renewed.value.chainPem.length, 3);
  const own = await service.obtainOwn();
  assert.ok(own.ok);
  const chain = parseCertificates(own.value.certChainPem);
  assert.ok(chain.ok && chain.value[0]?.dnsNames.includes('citadel.istio-system.svc'));
  assert.ok(!service.issueOwn().ok);
});

test('the rules of who gets what are kept here, before anything is sent', async () => {
  let sent = 0;
  answer = (_csr, honest) => ((sent += 1), honest());
  const ask = async (csr: string): Promise<string> => ((outcome) => (outcome.ok ? 'issued' : outcome.error.message))(await service.createCertificate({ csr, requestedMs: 0, proof: { token: await token(service, cart) } }));
  assert.match(await ask(buildCsr(key, { uris: ['spiffe://cluster.local/ns/bank/sa/vault'] })), /the caller is spiffe:.*cart/);
  assert.match(await ask(buildCsr(key, {})), /must name its identity/);
  assert.equal(sent, 0);
});

test('what comes back as ordered leaves, and nothing else; the token is not spent meanwhile', async () => {
  const spent = await token(service, cart);
  const forger = generateP256();
  const signing = above.authority().signer;
  assert.ok(signing);
  const made = (changes: Partial<CertificateTemplate>, by = signing): string[] => {
    const der = buildCertificate({ serial: randomBytes(16), publicKey: createPublicKey(key), notBefore: clock.now(), notAfter: clock.now() + hour, names: { uris: [cart] }, role: { kind: 'workload' }, ...changes }, by);
    const leaf = parseCertificate(der);
    assert.ok(leaf.ok);
    return [leaf.value.pem, ...above.authority().issuer.map(({ pem }) => pem)];
  };
  const lies: Readonly<Record<string, Result<readonly string[], string>>> = {
    nothing: ok([]), garbage: ok(['hello']), silence: err('no answer within 10 s'),
    'another identity': ok(made({ names: { uris: ['spiffe://cluster.local/ns/bank/sa/vault'] } })),
    'a second identity': ok(made({ names: { uris: [cart, 'spiffe://cluster.local/ns/bank/sa/vault'] } })),
    'a DNS name': ok(made({ names: { uris: [cart], dnsNames: ['istiod.istio-system.svc'] } })),
    'another key': ok(made({ publicKey: forger.publicKey })),
    'a longer life': ok(made({ notAfter: clock.now() + 3 * hour })),
    'a past life': ok(made({ notBefore: clock.now() - 2 * hour, notAfter: clock.now() - hour })),
    'an authority': ok(made({ role: { kind: 'authority', pathLength: 0 } })),
    'another signer': ok(made({}, { key: forger.privateKey, certificate: signing.certificate })),
    'another mesh': ok(made({ names: { uris: ['spiffe://other/ns/shop/sa/cart'] } })),
  };
  const ask = (): ReturnType<CertificateService['createCertificate']> => service.createCertificate({ csr: buildCsr(key, { uris: [cart] }), requestedMs: hour, proof: { token: spent } });
  for (const [what, lie] of Object.entries(lies)) {
    answer = async () => lie;
    const outcome = await ask();
    assert.ok(!outcome.ok, what);
    assert.match(outcome.error.message, /^the authority that signs for this citadel/, what);
  }
  answer = (_csr, honest) => honest();
  assert.ok((await ask()).ok);
});

test('a citadel whose authority above is away, or of another root, does not start, and says why', async () => {
  answer = async () => err('connection refused');
  const away = await lower();
  assert.ok(!away.ok && /connection refused/.test(away.error[0]?.message ?? ''), JSON.stringify(away));
  answer = (_csr, honest) => honest();
  const other = await upper();
  roots = () => other.trust().pem;
  const foreign = await lower();
  assert.ok(!foreign.ok && /does not lead to a trusted root/.test(foreign.error[0]?.message ?? ''), JSON.stringify(foreign));
});

test('an authority that goes away later leaves the rest as it is, and nothing is revoked here', async () => {
  const first = await join(service, cart);
  answer = async () => err('connection refused');
  clock.advance(11 * 60_000);
  assert.ok(!(await service.maintain()).ok);
  assert.match(JSON.stringify(await service.createCertificate({ csr: buildCsr(key, { uris: [cart] }), requestedMs: 0, proof: { certificate: first } })), /"code":"unavailable".*"detail":"connection refused"/);
  assert.match(JSON.stringify(await service.revoke({ serials: ['ab'], spiffeId: '' })), /revoked there/);
});
