import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { test } from 'node:test';
import { generateP256, parseSpiffeId } from '@meltemi/identity';
import { issueCertificate, type IssueOrder } from './issue.ts';
import { isSigning, type SigningAuthority } from './authority.ts';
import { KeptAuthority } from './kept-authority.ts';
import { MemoryKeystore } from './memory-keystore.ts';

const now = Date.UTC(2026, 0, 1);
const entropy = { bytes: (count: number): Buffer => randomBytes(count) };

async function authority(): Promise<SigningAuthority> {
  const opened = await new KeptAuthority({ trustDomain: 'cluster.local', keystore: new MemoryKeystore(), entropy }).refresh(now);
  assert.ok(opened.ok && isSigning(opened.value));
  return opened.value;
}

function order(changes: Partial<IssueOrder> = {}): IssueOrder {
  const id = parseSpiffeId('spiffe://cluster.local/ns/default/sa/reviews');
  assert.ok(id.ok);
  return { id: id.value, publicKey: generateP256().publicKey, dnsNames: [], ips: [], lifetimeMs: 3_600_000, now, ...changes };
}

function refusal(from: SigningAuthority, asked = order()): string {
  const outcome = issueCertificate(from, asked, entropy);
  assert.ok(!outcome.ok, 'it was issued');
  return `${outcome.error.stage} ${outcome.error.code}: ${outcome.error.message}`;
}

test('what an authority signs with a wrong key or for a wrong trust domain never leaves', async () => {
  const good = await authority();
  assert.ok(issueCertificate(good, order(), entropy).ok);
  assert.match(refusal({ ...good, signer: { ...good.signer, key: generateP256().privateKey } }), /^signing internal: .*the chain does not hold/);
  assert.match(refusal({ ...good, trust: (await authority()).trust }), /the chain does not hold \(no path to a root/);
  assert.match(refusal(good, order({ id: { ...order().id, trustDomain: 'other' } })), /not of trust domain cluster\.local/);
});

test('an authority that has ended signs nothing', async () => {
  const ended = await authority();
  assert.match(refusal(ended, order({ now: ended.issuer[0].notAfter + 1000 })), /the issuing CA ended/);
});

test('serials are random and positive', async () => {
  const from = await authority();
  const serials = Array.from({ length: 50 }, () => issueCertificate(from, order(), { bytes: (count) => Buffer.alloc(count, 0xff) }));
  for (const issued of serials) assert.ok(issued.ok && issued.value.certificate.serial === `7f${'ff'.repeat(15)}`);
  const random = new Set(Array.from({ length: 50 }, () => issueCertificate(from, order(), entropy)).map((issued) => (issued.ok ? issued.value.certificate.serial : '')));
  assert.equal(random.size, 50);
});
