import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { createAuthorityFixture } from './testing/authority-fixture.ts';
import { parseCertificate, parseCertificates } from './certificate.ts';
import { buildCsr, parseCsr } from './csr.ts';
import { formatJoinToken, parseJoinToken } from './join-token.ts';
import { generateP256 } from './keys.ts';
import { formatPem, parsePem } from './pem.ts';
import { formatSpiffeId, parseSpiffeId } from './spiffe.ts';

/** FUZZ_RUNS makes the same properties a long run. */
const runs = { numRuns: Number(process.env['FUZZ_RUNS'] ?? 500) };
const workload = 'spiffe://cluster.local/ns/default/sa/reviews';
const keys = generateP256();
const authority = createAuthorityFixture();

test('reads the one spelling of a SPIFFE id and refuses all others', () => {
  assert.deepEqual(parseSpiffeId(workload), { ok: true, value: { trustDomain: 'cluster.local', namespace: 'default', serviceAccount: 'reviews' } });
  const wrong = ['', 'spiffe://', 'SPIFFE://cluster.local/ns/a/sa/b', 'spiffe://Cluster.local/ns/a/sa/b', 'spiffe://td:80/ns/a/sa/b', 'spiffe://u@td/ns/a/sa/b', `${workload}/`, `${workload}?q`, `${workload}#f`, 'spiffe://td/ns//sa/b', 'spiffe://td/ns/../sa/b', 'spiffe://td/ns/a%2f/sa/b', 'spiffe://td/sa/b/ns/a', `${workload}\n`, `spiffe://td/ns/a/sa/${'b'.repeat(3000)}`];
  for (const text of wrong) assert.equal(parseSpiffeId(text).ok, false, text.slice(0, 60));
});

test('a request signed by another key than the one in it is refused', () => {
  const pem = buildCsr(keys.privateKey, { uris: [workload] });
  const der = parsePem(pem, 'CERTIFICATE REQUEST');
  assert.ok(der.ok && der.value[0]);
  const forged = Buffer.from(der.value[0]);
  const at = forged.indexOf('reviews');
  forged.write('ratings', at, 'latin1');
  const parsed = parseCsr(formatPem('CERTIFICATE REQUEST', forged));
  assert.ok(!parsed.ok);
  assert.match(parsed.error[0]?.message ?? '', /signature does not match/);
});

test('oversized, mislabelled and cut PEM is refused with the reason', () => {
  const pem = authority.root.pem;
  const refused = (text: string): string => {
    const parsed = parseCertificates(text);
    return parsed.ok ? 'accepted' : (parsed.error[0]?.message ?? '');
  };
  assert.match(refused(pem.repeat(17)), /more than 16/);
  assert.match(refused('x'.repeat(70_000)), /limit is 65536/);
  assert.match(refused(pem.slice(0, -20)), /has no -----END/);
  assert.match(refused(pem.replaceAll('CERTIFICATE', 'PRIVATE KEY')), /not labelled CERTIFICATE/);
  assert.match(refused(pem.replace('MII', 'M!I')), /not base64/);
  assert.match(refused(''), /no PEM block/);
});

test('a join token survives its text form, and damage is named without quoting the secret', () => {
  const id = { trustDomain: 'cluster.local', namespace: 'default', serviceAccount: 'reviews' };
  const token = { secret: Buffer.alloc(32, 7), id, rootFingerprint: 'ab'.repeat(32) };
  const text = formatJoinToken(token);
  assert.deepEqual(parseJoinToken(`${text}\n`), { ok: true, value: token });
  for (const damaged of ['', 'x', text.slice(0, -3), `${text}!`, `meltemi.join.v2.${text.slice(16)}`, 'meltemi.join.v1.bnVsbA', 'meltemi.join.v1.e30', text + 'A'.repeat(5000)]) {
    const parsed = parseJoinToken(damaged);
    assert.ok(!parsed.ok, damaged.slice(0, 40));
    assert.ok(!JSON.stringify(parsed.error).includes(text.slice(30, 60)));
  }
});

test('random and mutated bytes never crash a parser, and never change what a certificate says', () => {
  const original = authority.issue(workload).certificate;
  const csr = parsePem(buildCsr(keys.privateKey, { uris: [workload] }), 'CERTIFICATE REQUEST');
  const csrDer = csr.ok ? (csr.value[0] ?? Buffer.alloc(0)) : Buffer.alloc(0);
  fc.assert(
    fc.property(fc.nat(), fc.integer({ min: 1, max: 255 }), fc.boolean(), (position, flip, cut) => {
      const mutate = (der: Buffer): Buffer => {
        const copy = Buffer.from(der);
        const at = position % copy.length;
        copy[at] = (copy[at] ?? 0) ^ flip;
        return cut ? copy.subarray(0, at) : copy;
      };
      const certificate = parseCertificate(mutate(original.der));
      if (certificate.ok) assert.equal(certificate.value.x509.verify(authority.issuing.publicKey), false);
      assert.equal(parseCsr(formatPem('CERTIFICATE REQUEST', mutate(csrDer))).ok, false);
    }),
    runs,
  );
  fc.assert(fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => assert.equal(parseCertificate(bytes).ok, false)), runs);
});

test('what the text parsers accept, they write back the same', () => {
  const ids = fc.oneof(fc.string(), fc.stringMatching(/^spiffe:\/\/[a-z.]{1,9}\/ns\/[a-z.-]{1,5}\/sa\/[a-z%]{1,5}$/));
  fc.assert(fc.property(ids, (text) => {
    const id = parseSpiffeId(text);
    if (id.ok) assert.equal(formatSpiffeId(id.value), text);
  }), runs);
  const bodies = fc.record({ secret: fc.oneof(fc.string(), fc.uint8Array({ minLength: 32, maxLength: 32 }).map((bytes) => Buffer.from(bytes).toString('base64url'))), id: fc.oneof(ids, fc.constant(workload)), root: fc.oneof(fc.string(), fc.constant('ab'.repeat(32))) });
  fc.assert(fc.property(fc.oneof(fc.string(), fc.json(), bodies.map((body) => JSON.stringify(body))), (body) => {
    const token = parseJoinToken(`meltemi.join.v1.${Buffer.from(body).toString('base64url')}`);
    if (token.ok) assert.deepEqual(parseJoinToken(formatJoinToken(token.value)), token);
    assert.equal(parseJoinToken(body).ok, false);
  }), runs);
  fc.assert(fc.property(fc.uint8Array({ minLength: 1, maxLength: 300 }), (bytes) => {
    assert.deepEqual(parsePem(`junk\n${formatPem('CERTIFICATE', bytes)}`, 'CERTIFICATE'), { ok: true, value: [Buffer.from(bytes)] });
  }), runs);
});
