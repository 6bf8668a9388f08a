import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { StartError } from '@meltemi/observe-edge';
import { openFederation } from './federation.ts';
import type { CitadelOptions } from './options.ts';

const dir = mkdtempSync(join(tmpdir(), 'citadel-federation-'));
after(() => rmSync(dir, { recursive: true, force: true }));

let count = 0;
async function open(caCertificates: readonly object[], more: { readonly ids?: readonly string[]; readonly aliases?: readonly string[] } = {}) {
  const file = join(dir, `mesh-${++count}.yaml`);
  writeFileSync(file, JSON.stringify({ trustDomain: 'a.example', trustDomainAliases: more.aliases ?? [], caCertificates }));
  const warnings: unknown[] = [];
  const values = { 'mesh-config': file, 'trust-domain': 'a.example', 'bundle-endpoint-ids': more.ids ?? [] } as unknown as CitadelOptions;
  const log = { info: () => {}, warn: (fields: object) => warnings.push(fields), error: () => {} };
  return { setup: await openFederation(values, { stateDir: dir, log }), warnings };
}

const refused = (reason: RegExp) => (error: unknown) => error instanceof StartError && reason.test(error.message);
const url = { trustDomains: ['b.example'], spiffeBundleUrl: 'https://b.example/bundle.json' };

test('trust domains come from caCertificates; aliases that are not among them are our own roots', async () => {
  const { setup, warnings } = await open([url, { trustDomains: ['old.example'], spiffeBundleUrl: 'https://old.example/' }], { aliases: ['old.example', 'older.example'] });
  assert.deepEqual(setup?.federation.status().map(({ trustDomain }) => trustDomain), ['b.example', 'old.example']);
  assert.deepEqual(setup.aliases, ['older.example']);
  assert.deepEqual(warnings, []);
  setup.federation.stop();
});

test('roots of our own trust domain, of all, and by signer are left out with a warning', async () => {
  const { setup, warnings } = await open([{ pem: 'x' }, { pem: 'x', trustDomains: ['a.example'] }, { ...url, certSigners: ['s'] }]);
  assert.deepEqual(setup?.federation.status().map(({ trustDomain }) => trustDomain), ['b.example']);
  assert.equal(warnings.length, 3);
});

test('what cannot be trusted is refused by name', async () => {
  await assert.rejects(open([{ ...url, spiffeBundleUrl: 'http://b.example/bundle.json' }]), refused(/spiffeBundleUrl: .*must be an https URL/));
  await assert.rejects(open([{ ...url, spiffeBundleUrl: 'https://u:p@b.example/' }]), refused(/without user and password/));
  await assert.rejects(open([{ pem: 'no certificate', trustDomains: ['b.example'] }]), refused(/b\.example: /));
  await assert.rejects(open([url], { ids: ['spiffe://b.example/ns/istio-system/sa/meltemi-citadel'] }), refused(/its first roots are needed/));
  await assert.rejects(open([url], { ids: ['spiffe://c.example/x'] }), refused(/names no spiffeBundleUrl for trust domain c\.example/));
  await assert.rejects(open([url], { ids: ['b.example'] }), refused(/is not a SPIFFE id/));
});
