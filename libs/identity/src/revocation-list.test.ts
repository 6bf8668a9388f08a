import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { buildCertificate } from './build-certificate.ts';
import { parseCertificate, type Certificate } from './certificate.ts';
import { verifyChain } from './chain.ts';
import { generateKeys, keyAlgorithms, type KeyAlgorithm } from './keys.ts';
import { buildRevocationList, isListOf, parseRevocationLists, revocationListPem, type RevocationList, type RevocationListTemplate } from './revocation-list.ts';
import { createTrustBundle, withFederated, withRevocations } from './trust-bundle.ts';

const now = Math.floor(Date.now() / 1000) * 1000;
const day = 86_400_000;
const dir = mkdtempSync(join(tmpdir(), 'crl-'));
after(() => rmSync(dir, { recursive: true, force: true }));

interface World {
  readonly root: Certificate;
  readonly list: (changes?: Partial<RevocationListTemplate>) => RevocationList;
  readonly issue: (serial: Buffer) => Certificate;
}

async function world(algorithm: KeyAlgorithm = 'ecdsa-p256'): Promise<World> {
  const keys = await generateKeys(algorithm);
  const dates = { notBefore: now - day, notAfter: now + day };
  const root = parsed(buildCertificate({ serial: randomBytes(16), subject: { organization: 'cluster.local', commonName: `root ${randomBytes(4).toString('hex')}` }, publicKey: keys.publicKey, ...dates, role: { kind: 'authority', pathLength: 0 } }, { key: keys.privateKey }));
  const leaf = await generateKeys('ecdsa-p256');
  return {
    root,
    list: (changes = {}) => {
      const lists = parseRevocationLists(revocationListPem(buildRevocationList({ number: 7, thisUpdate: now, nextUpdate: now + day, revoked: [], ...changes }, { key: keys.privateKey, certificate: root })));
      assert.ok(lists.ok && lists.value[0], JSON.stringify(lists));
      return lists.value[0];
    },
    issue: (serial) => parsed(buildCertificate({ serial, publicKey: leaf.publicKey, ...dates, names: { uris: ['spiffe://cluster.local/ns/a/sa/b'] }, role: { kind: 'workload' } }, { key: keys.privateKey, certificate: root })),
  };
}

function parsed(der: Buffer): Certificate {
  const certificate = parseCertificate(der);
  assert.ok(certificate.ok, JSON.stringify(certificate));
  return certificate.value;
}

function openssl(...args: string[]): string {
  try {
    return execFileSync('openssl', args, { cwd: dir, encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] });
  } catch (cause) {
    return String((cause as { readonly stdout?: unknown; readonly stderr?: unknown }).stderr) + String((cause as { readonly stdout?: unknown }).stdout);
  }
}

for (const algorithm of keyAlgorithms.filter((name) => name !== 'rsa-4096' && name !== 'rsa-3072')) {
  test(`openssl believes a list signed with ${algorithm}, and refuses what is on it`, async () => {
    const { root, list, issue } = await world(algorithm);
    const [bad, good] = [issue(Buffer.from(`00ab${'01'.repeat(14)}`, 'hex')), issue(randomBytes(16))];
    const crl = list({ number: 300, revoked: [{ serial: bad.serial, revokedAt: now - 1000 }] });
    for (const [name, text] of [['root.pem', root.pem], ['bad.pem', bad.pem], ['good.pem', good.pem], ['crl.pem', crl.pem]] as const) writeFileSync(join(dir, name), text);
    assert.match(openssl('crl', '-in', 'crl.pem', '-CAfile', 'root.pem', '-verify', '-noout', '-text') + openssl('crl', '-in', 'crl.pem', '-noout', '-crlnumber'), /300|012C/i);
    execFileSync('openssl', ['crl', '-in', 'crl.pem', '-CAfile', 'root.pem', '-verify', '-noout'], { cwd: dir, stdio: 'ignore' });
    const verify = (name: string): string => openssl('verify', '-x509_strict', '-crl_check', '-CRLfile', 'crl.pem', '-CAfile', 'root.pem', name);
    assert.match(verify('good.pem'), /good\.pem: OK/);
    assert.match(verify('bad.pem'), /certificate revoked/);
    assert.deepEqual([crl.number, [...crl.serials], crl.thisUpdate, crl.nextUpdate], [300, [bad.serial], now, now + day]);
  });
}

test('an empty list is a list, and who signed it is known', async () => {
  const [ours, theirs] = [await world(), await world()];
  const list = ours.list();
  assert.equal(list.serials.size, 0);
  assert.equal(isListOf(list, ours.root), true);
  assert.equal(isListOf(list, theirs.root), false);
  const forged = Buffer.from(list.der);
  forged[forged.length - 1] = (forged.at(-1) ?? 0) ^ 1;
  const lists = parseRevocationLists(revocationListPem(forged));
  assert.ok(!lists.ok || !isListOf(lists.value[0] ?? list, ours.root));
});

test('a chain whose leaf is revoked does not hold, in its own trust domain alone', async () => {
  const { root, list, issue } = await world();
  const [bad, good] = [issue(randomBytes(16)), issue(randomBytes(16))];
  const bundle = createTrustBundle('cluster.local', [root.pem]);
  assert.ok(bundle.ok);
  const trust = withRevocations(bundle.value, list({ revoked: [{ serial: bad.serial, revokedAt: now }] }).pem);
  assert.ok(trust.ok, JSON.stringify(trust));
  const verified = (leaf: Certificate, by = trust.value): string => ((result) => (result.ok ? 'ok' : (result.error[0]?.message ?? '')))(verifyChain([leaf], by, { now, use: 'client' }));
  assert.equal(verified(good), 'ok');
  assert.equal(verified(bad), `certificate ${bad.serial} is revoked`);
  const federated = withFederated(trust.value, []);
  assert.ok(federated.ok && federated.value.revoked);
  const lifted = withRevocations(trust.value, '');
  assert.ok(lifted.ok);
  assert.equal(verified(bad, lifted.value), 'ok');
});

test('damaged, foreign and oversized texts are refused', async () => {
  const { list, root } = await world();
  assert.ok(!parseRevocationLists('').ok);
  assert.ok(!parseRevocationLists(root.pem).ok);
  assert.ok(!parseRevocationLists(list().pem.repeat(17)).ok);
  assert.ok(!parseRevocationLists(`-----BEGIN X509 CRL-----\n${'A'.repeat(3_000_000)}\n-----END X509 CRL-----\n`).ok);
  const { der } = list();
  for (let cut = 1; cut < der.length; cut += 7) assert.ok(!parseRevocationLists(revocationListPem(der.subarray(0, cut))).ok);
});

test('thousands of certificates are read in reasonable time', async () => {
  const { list } = await world();
  const revoked = Array.from({ length: 5000 }, () => ({ serial: randomBytes(16).toString('hex').replace(/^0+/, ''), revokedAt: now }));
  const startedAt = performance.now();
  assert.equal(list({ revoked }).serials.size, 5000);
  assert.ok(performance.now() - startedAt < 3000, `took ${performance.now() - startedAt} ms`);
});
