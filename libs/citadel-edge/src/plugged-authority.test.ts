import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { appendFileSync, copyFileSync, mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, test } from 'node:test';
import { waitFor } from '@meltemi/base';
import { joinTokenText, startIdentityAgent, type IdentityAgent } from '@meltemi/identity-edge';
import { CitadelFixture } from './testing/citadel-fixture.ts';

const reviews = 'spiffe://cluster.local/ns/default/sa/reviews';
let dir = '';
let citadel: CitadelFixture;
const agents: IdentityAgent[] = [];

beforeEach(async () => {
  dir = mkdtempSync(join(tmpdir(), 'cacerts-'));
  makeRoot('root');
  plugIn('first');
  citadel = await new CitadelFixture(dir).start({ maintenanceMs: 50 });
});
afterEach(async () => {
  for (const agent of agents.splice(0)) agent.stop();
  await citadel.remove();
  rmSync(dir, { recursive: true, force: true });
});

function openssl(...args: string[]): string {
  return execFileSync('openssl', args, { cwd: dir, encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] });
}

function makeRoot(name: string): void {
  openssl('req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-keyout', 'root-key.pem', '-out', 'root-cert.pem', '-days', '10', '-subj', `/O=corp/CN=${name}`, '-addext', 'keyUsage=critical,keyCertSign,cRLSign');
}

/** Has the root sign an issuing CA, as an operator would with openssl, and puts it in place. */
function plugIn(name: string): void {
  openssl('req', '-new', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-384', '-nodes', '-keyout', 'next-key.pem', '-out', 'next.csr', '-subj', `/O=corp/CN=${name}`);
  writeFileSync(join(dir, 'ext'), 'basicConstraints=critical,CA:TRUE,pathlen:0\nkeyUsage=critical,keyCertSign,cRLSign\nsubjectKeyIdentifier=hash\nauthorityKeyIdentifier=keyid\n');
  openssl('x509', '-req', '-in', 'next.csr', '-CA', 'root-cert.pem', '-CAkey', 'root-key.pem', '-CAcreateserial', '-days', '5', '-extfile', 'ext', '-out', 'next.pem');
  for (const [from, to] of [['next-key.pem', 'ca-key.pem'], ['next.pem', 'ca-cert.pem']] as const) renameSync(join(dir, from), join(dir, to));
  copyFileSync(join(dir, 'ca-cert.pem'), join(dir, 'cert-chain.pem'));
}

async function agent(validityMs = 3000): Promise<IdentityAgent> {
  const started = startIdentityAgent({ citadelAddress: citadel.address, log: citadel.log, identity: reviews, joinToken: joinTokenText(await citadel.mint(reviews)), validityMs });
  agents.push(started);
  return started;
}

test('an authority made with openssl signs, and openssl verifies what it signed', async () => {
  const { certChainPem, trust } = await (await agent()).ready();
  assert.equal(trust.pem.trim(), readFileSync(join(dir, 'root-cert.pem'), 'utf8').trim());
  writeFileSync(join(dir, 'chain.pem'), certChainPem);
  assert.match(openssl('verify', '-x509_strict', '-CAfile', 'root-cert.pem', '-untrusted', 'chain.pem', 'chain.pem'), /OK/);
});

test('a replaced authority signs from then on; workloads renew across it without a new token', async () => {
  const running = await agent();
  const first = await running.ready();
  plugIn('second');
  const issuing = (pem: string): string => /-----BEGIN[^]+?-----END CERTIFICATE-----\n/.exec(pem.slice(pem.indexOf('-----END')))?.[0] ?? '';
  const second = await waitFor('a certificate of the second issuing CA', () => {
    const current = running.current();
    return current && issuing(current.certChainPem) === readFileSync(join(dir, 'ca-cert.pem'), 'utf8') && current;
  }, { deadlineMs: 15_000 });
  assert.notEqual(second.serial, first.serial);
  assert.ok(citadel.lines.some(({ message }) => message === 'a new issuing CA signs from now on'));
});

test('a root that is replaced in one go cuts nobody off: running workloads get both, then certificates of the new one, then it alone', async () => {
  const running = await agent(60_000);
  const first = await running.ready();
  const told: string[] = [];
  running.subscribe(({ trust }) => void told.push(trust.roots.map(({ x509 }) => /CN=(.*)/.exec(x509.subject)?.[1] ?? '').sort().join()));
  makeRoot('other');
  plugIn('second');
  const last = await waitFor('the new root alone', () => {
    const current = running.current();
    return current?.trust.pem === readFileSync(join(dir, 'root-cert.pem'), 'utf8') && current;
  }, { deadlineMs: 15_000 });
  assert.notEqual(last.serial, first.serial);
  assert.deepEqual(told.filter((roots, at) => roots !== told[at - 1]), ['root', 'other,root', 'other']);
  const texts = citadel.lines.map(({ message }) => message);
  for (const text of ['another root is plugged in: it is distributed first, and signs when everybody believes it', 'the change of the root is done']) assert.ok(texts.includes(text), text);
});

test('a broken replacement is said once and counted, and the one before goes on signing', async () => {
  const good = readFileSync(join(dir, 'ca-key.pem'));
  appendFileSync(join(dir, 'root-cert.pem'), '\n');
  writeFileSync(join(dir, 'ca-key.pem'), 'not a key');
  const complaint = (): number => citadel.lines.filter(({ message }) => message.startsWith('the authority could not be brought up to date')).length;
  await waitFor('the complaint', () => complaint() === 1);
  assert.equal(citadel.metric('citadel_server_authority_stale'), 1);
  await (await agent()).ready();
  assert.equal(complaint(), 1);
  writeFileSync(join(dir, 'ca-key.pem'), good);
  await waitFor('the metric to be back', () => citadel.metric('citadel_server_authority_stale') === 0);
  assert.doesNotMatch(JSON.stringify(citadel.lines), /PRIVATE KEY|not a key/);
});
