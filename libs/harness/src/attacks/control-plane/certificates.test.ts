import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { status } from '@grpc/grpc-js';
import { ControlPlane, doors } from './control-plane.ts';
import type { Forged } from './forger.ts';

const mesh = new ControlPlane();
before(() => mesh.start());
after(() => mesh.stop());

test('an honest certificate opens every door', async () => {
  for (const door of doors) {
    const { code, details } = await mesh.call(door, mesh.forger.leaf('default/honest'));
    assert.equal(code, status.OK, `${door}: ${details}`);
  }
});

const tricks: readonly (readonly [name: string, forge: () => Forged])[] = [
  ['has expired', () => mesh.forger.expired('default/honest')],
  ['is not valid yet', () => mesh.forger.leaf('default/honest', { notBefore: Date.now() + 600_000 })],
  ['comes from an authority nobody trusts', () => mesh.forger.foreign('default/honest')],
  ['is an authority’s own (CA:TRUE)', () => mesh.forger.speakingAuthority('default/honest')],
  ['is signed by another workload', () => mesh.forger.signedByWorkload('default/honest')],
  ['is for servers alone', () => mesh.forger.withUsage('default/honest', 'serverAuth')],
  ['is for signing code', () => mesh.forger.withUsage('default/honest', 'codeSigning')],
  ['stands below more authorities than the root allows', () => mesh.forger.longChain('default/honest', 6)],
  ['has two identities', () => mesh.forger.leaf('default/honest', { names: { uris: ['spiffe://cluster.local/ns/default/sa/honest', 'spiffe://cluster.local/ns/istio-system/sa/meltemi-pilot'] } })],
  ['has no identity', () => mesh.forger.leaf('default/honest', { names: { uris: [], dnsNames: ['honest.default.svc'] } })],
];

for (const [name, forge] of tricks) {
  test(`a certificate that ${name} opens no door`, async () => {
    const forged = forge();
    const outcomes = await Promise.all(doors.map((door) => mesh.call(door, forged)));
    for (const [at, { code, details }] of outcomes.entries()) assert.ok(([status.UNAVAILABLE, status.UNAUTHENTICATED, status.PERMISSION_DENIED] as number[]).includes(code), `${doors[at]}: ${code} ${details}`);
  });
}

test('an identity of another trust domain is nobody at pilot, citadel and telemetry, and may nothing at the config API', async () => {
  const stranger = mesh.forger.leaf('spiffe://elsewhere.example/ns/default/sa/honest');
  for (const door of ['pilot', 'citadel', 'telemetry'] as const) {
    const { code } = await mesh.call(door, stranger);
    assert.ok(code === status.PERMISSION_DENIED || code === status.UNAUTHENTICATED, `${door}: ${code}`);
  }
});
