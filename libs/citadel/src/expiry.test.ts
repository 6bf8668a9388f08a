import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { test } from 'node:test';
import { buildCertificate, createTrustBundle, generateP256, parseCertificate, type Certificate, type KeyPair } from '@meltemi/identity';
import type { OpenAuthority } from './authority.ts';
import { authorityExpiries, ExpiryWatch } from './expiry.ts';

const now = Date.UTC(2026, 0, 1);
const day = 86_400_000;

interface Ca {
  readonly certificate: Certificate;
  readonly keys: KeyPair;
}

function ca(name: string, daysLeft: number, above?: Ca): Ca {
  const keys = generateP256();
  const der = buildCertificate({ serial: randomBytes(16), subject: { organization: 'o', commonName: name }, publicKey: keys.publicKey, notBefore: now - day, notAfter: now + daysLeft * day, role: { kind: 'authority', pathLength: 3 } }, above ? { key: above.keys.privateKey, certificate: above.certificate } : { key: keys.privateKey });
  const certificate = parseCertificate(der);
  assert.ok(certificate.ok);
  return { certificate: certificate.value, keys };
}

function authority(root: Ca, intermediate: Ca, issuing: Ca): OpenAuthority {
  const old = ca('old root', 400);
  const trust = createTrustBundle('cluster.local', [root.certificate.pem, old.certificate.pem]);
  assert.ok(trust.ok);
  return { root: root.certificate, issuer: [issuing.certificate, intermediate.certificate], retired: [], signer: { key: issuing.keys.privateKey, certificate: issuing.certificate }, trust: trust.value };
}

const root = ca('root', 300);
const intermediate = ca('intermediate', 20, root);

test('each certificate is warned of once at 30, 14 and 7 days, and when it has ended', () => {
  const watch = new ExpiryWatch();
  const of = authority(root, intermediate, ca('issuing', 365, intermediate));
  const said: string[] = [];
  for (let hours = 0; hours <= 320 * 24; hours += 6) said.push(...watch.check(of, now + (hours / 24) * day).map(({ role, withinDays }) => `${hours / 24}: ${role} ${withinDays}`));
  assert.deepEqual(said, ['0: intermediate 30', '6: intermediate 14', '13: intermediate 7', '20: intermediate 0', '270: root 30', '286: root 14', '293: root 7', '300: root 0']);
});

test('after a restart what is near is said again, and what is new is said at once', () => {
  const watch = new ExpiryWatch();
  const say = (of: OpenAuthority): string[] => watch.check(of, now).map(({ role, withinDays }) => `${role} ${withinDays}`);
  assert.deepEqual(say(authority(root, intermediate, ca('issuing', 6, intermediate))), ['issuing CA 7', 'intermediate 30']);
  assert.deepEqual(say(authority(root, intermediate, ca('issuing', 13, intermediate))), ['issuing CA 14']);
  assert.deepEqual(say(authority(root, intermediate, ca('issuing', 31, intermediate))), []);
  assert.deepEqual(new ExpiryWatch().check(authority(root, intermediate, ca('issuing', 31, intermediate)), now).length, 1);
});

test('every certificate is listed with its end, the nearest first', () => {
  assert.deepEqual(authorityExpiries(authority(root, intermediate, ca('issuing', 31, intermediate)), now).map(({ role, withinDays }) => [role, withinDays]), [['intermediate', 30], ['issuing CA', undefined], ['root', undefined], ['trusted root', undefined]]);
});
