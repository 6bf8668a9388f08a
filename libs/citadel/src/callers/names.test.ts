import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { before, test } from 'node:test';
import { ManualClock } from '@meltemi/base';
import { buildCsr, generateP256, type SubjectNames } from '@meltemi/identity';
import { Issuer, keySetOf } from '@meltemi/identity/jwt/testing';
import { openCertificateService, type CertificateService } from '../certificate-service.ts';
import { KeptAuthority } from '../kept-authority.ts';
import { MemoryKeystore } from '../memory-keystore.ts';
import type { CallerProof } from './caller.ts';
import { FakeTokenReviewer } from './fake-token-reviewer.ts';
import { OidcCallers } from './oidc-callers.ts';
import { parseOidcIssuers } from './oidc-issuers.ts';
import { ServiceAccountCallers } from './service-accounts.ts';

const trustDomain = 'cluster.local';
const own = 'spiffe://cluster.local/ns/shop/sa/cart';
const second = 'spiffe://cluster.local/ns/shop/sa/cart-jobs';
const delegate = 'spiffe://cluster.local/ns/istio-system/sa/meltemi-ra';
const clock = new ManualClock(Date.UTC(2026, 0, 1));
const privateKey = generateP256().privateKey;

type Names = Partial<SubjectNames>;

/** What a request may say its sender is called, and whether a workload `shop/cart` gets it. */
const requests: Readonly<Record<string, { readonly names: Names; readonly granted: boolean }>> = {
  'its own name': { names: { uris: [own] }, granted: true },
  'no name': { names: {}, granted: true },
  'another service account': { names: { uris: ['spiffe://cluster.local/ns/shop/sa/payments'] }, granted: false },
  'another namespace': { names: { uris: ['spiffe://cluster.local/ns/bank/sa/cart'] }, granted: false },
  'the name of pilot': { names: { uris: ['spiffe://cluster.local/ns/istio-system/sa/meltemi-pilot'] }, granted: false },
  'the name of citadel': { names: { uris: ['spiffe://cluster.local/ns/istio-system/sa/meltemi-citadel'] }, granted: false },
  'another trust domain': { names: { uris: ['spiffe://other.example/ns/shop/sa/cart'] }, granted: false },
  'a wildcard': { names: { uris: ['spiffe://cluster.local/ns/shop/sa/*'] }, granted: false },
  'the whole trust domain': { names: { uris: ['spiffe://cluster.local'] }, granted: false },
  'its own name in capitals': { names: { uris: ['SPIFFE://cluster.local/ns/shop/sa/cart'] }, granted: false },
  'its own name with a slash behind': { names: { uris: [`${own}/`] }, granted: false },
  'a path that leads elsewhere': { names: { uris: ['spiffe://cluster.local/ns/shop/sa/cart/../payments'] }, granted: false },
  'its own name and another': { names: { uris: [own, 'spiffe://cluster.local/ns/bank/sa/cart'] }, granted: false },
  'its own name twice': { names: { uris: [own, own] }, granted: false },
  'a DNS name': { names: { uris: [own], dnsNames: ['cart.shop.svc.cluster.local'] }, granted: false },
  'a DNS name of the control plane': { names: { uris: [own], dnsNames: ['istiod.istio-system.svc'] }, granted: false },
  'an address': { names: { uris: [own], ips: ['127.0.0.1'] }, granted: false },
};

let service: CertificateService;
let callers: Readonly<Record<string, () => Promise<CallerProof>>>;

before(async () => {
  const keystore = new MemoryKeystore();
  const entropy = { bytes: randomBytes };
  const reviewer = new FakeTokenReviewer();
  reviewer.add('a.b.c', { namespace: 'shop', name: 'cart' });
  reviewer.add('i.n.c', { namespace: 'istio-system', name: 'meltemi-citadel' });
  reviewer.add('r.a.c', { namespace: 'istio-system', name: 'meltemi-ra' });
  const issuer = new Issuer('ES256');
  const rules = [{ when: { team: 'shop' }, namespace: 'shop', serviceAccount: '{app}' }, { when: { jobs: true }, namespace: 'shop', serviceAccount: '{app}-jobs' }];
  const issuers = parseOidcIssuers(JSON.stringify({ issuers: [{ issuer: 'https://idp.example', audiences: ['meltemi'], jwks: keySetOf(issuer), identities: rules }] }));
  assert.ok(issuers.ok, JSON.stringify(issuers));
  const tokenCallers = [new OidcCallers({ trustDomain, issuers: () => issuers.value, fetchedKeys: () => undefined }), new ServiceAccountCallers({ trustDomain, reviewer })];
  const opened = await openCertificateService({ trustDomain, authority: new KeptAuthority({ trustDomain, keystore, entropy }), keystore, entropy, clock, tokenCallers, registrationAuthorities: [delegate] });
  assert.ok(opened.ok);
  service = opened.value;
  const seconds = clock.now() / 1000;
  const oidc = (claims: object): string => issuer.token({ iss: 'https://idp.example', sub: 'machine-7', aud: 'meltemi', iat: seconds, exp: seconds + 600, team: 'shop', app: 'cart', ...claims });
  const joinToken = async (): Promise<CallerProof> => {
    const minted = await service.createJoinToken({ spiffeId: own, lifetimeMs: 0 });
    assert.ok(minted.ok);
    return { token: minted.value.token };
  };
  const first = await service.createCertificate({ csr: buildCsr(privateKey, {}), requestedMs: 0, proof: await joinToken() });
  assert.ok(first.ok);
  callers = {
    'a join token': joinToken,
    'a certificate': async () => ({ certificate: first.value.certificate }),
    'a service account token': async () => ({ token: 'a.b.c' }),
    'an OIDC token': async () => ({ token: oidc({}) }),
    'an OIDC token of two identities': async () => ({ token: oidc({ jobs: true }) }),
    "citadel's service account": async () => ({ token: 'i.n.c' }),
    'a registration authority': async () => ({ token: 'r.a.c' }),
  };
});

async function ask(caller: string, names: Names): Promise<string> {
  const outcome = await service.createCertificate({ csr: buildCsr(privateKey, names), requestedMs: 0, proof: (await callers[caller]?.()) ?? {} });
  if (!outcome.ok) return outcome.error.code;
  const { certificate } = outcome.value;
  assert.deepEqual([certificate.uris.length, certificate.ca], [1, false]);
  return [...certificate.uris, ...certificate.dnsNames, ...certificate.ips].join(' ');
}

for (const caller of ['a join token', 'a certificate', 'a service account token', 'an OIDC token']) {
  test(`with ${caller}, exactly the own name is granted`, async () => {
    for (const [what, { names, granted }] of Object.entries(requests)) assert.equal(await ask(caller, names), granted ? own : 'denied', what);
  });
}

test('who may be two has to say which, and gets no third', async () => {
  const caller = 'an OIDC token of two identities';
  assert.equal(await ask(caller, {}), 'denied');
  assert.equal(await ask(caller, { uris: [own] }), own);
  assert.equal(await ask(caller, { uris: [second] }), second);
  assert.equal(await ask(caller, { uris: [own, second] }), 'denied');
  assert.equal(await ask(caller, { uris: ['spiffe://cluster.local/ns/shop/sa/payments'] }), 'denied');
});

test("nobody gets citadel's own name, not even the service account it runs as", async () => {
  assert.equal(await ask("citadel's service account", {}), 'denied');
});

test('a registration authority gets any one name of the trust domain, with the DNS names that belong to it', async () => {
  const caller = 'a registration authority';
  assert.equal(await ask(caller, { uris: [own] }), own);
  assert.equal(await ask(caller, {}), delegate);
  assert.match(await ask(caller, { uris: ['spiffe://cluster.local/ns/istio-system/sa/meltemi-citadel'] }), /meltemi-citadel citadel\.istio-system\.svc/);
  for (const what of ['another trust domain', 'a wildcard', 'the whole trust domain', 'its own name and another', 'its own name twice', 'a DNS name', 'an address']) assert.equal(await ask(caller, requests[what]?.names ?? {}), 'denied', what);
});
