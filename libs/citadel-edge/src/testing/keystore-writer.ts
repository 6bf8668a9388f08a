import { DiskKeystore } from '../disk-keystore.ts';

// Run by the crash test as a process of its own: writes without pause until it is killed, and says on stdout what was durable.
const store = new DiskKeystore(process.argv[2] ?? '');
for (let round = 0; ; round += 1) {
  const text = `${round}-${'x'.repeat(5000)}`;
  await store.saveAuthority({ rootCertificatePem: text, rootKeyPem: text, issuingCertificatePem: text, issuingKeyPem: text, retiredIssuingPem: [text] }, await store.authorityRevision());
  const hash = round.toString(16).padStart(64, '0');
  await store.addToken({ hash, spiffeId: 'spiffe://cluster.local/ns/a/sa/b', expiresAt: round });
  await store.takeToken(hash);
  process.stdout.write(`${round}\n`);
}
