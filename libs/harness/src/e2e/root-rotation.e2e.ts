import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { connect } from 'node:tls';
import type { RotationStatus } from '@meltemi/api/gen/meltemi/citadel/v1/citadel.ts';
import { waitFor } from '@meltemi/base';
import { startEtcdCluster, type EtcdCluster } from '@meltemi/config-edge/testing';
import { joinTokenText, mintJoinToken, startIdentityAgent, type IdentityAgent } from '@meltemi/identity-edge';
import type { WorkloadCertificate } from '@meltemi/identity';
import { LocalMesh, meltemi, Traffic } from '../index.ts';
import { programsFrom } from './bookinfo-mesh.ts';

const deployment = (name: string): string => JSON.stringify({
  apiVersion: 'apps/v1', kind: 'Deployment', metadata: { name, namespace: 'default' },
  spec: { replicas: 1, selector: { matchLabels: { app: name } }, template: { metadata: { labels: { app: name } }, spec: { containers: [{ name: 'echo', image: 'meltemi/echo', args: ['--http', '8080', '--version', name], ports: [{ containerPort: 8080 }] }] } } },
});
const manifests = [
  deployment('server'), deployment('client'), deployment('bystander'),
  JSON.stringify({ apiVersion: 'v1', kind: 'Service', metadata: { name: 'server', namespace: 'default' }, spec: { ports: [{ name: 'http', port: 80, targetPort: 8080 }], selector: { app: 'server' } } }),
  JSON.stringify({ apiVersion: 'security.istio.io/v1', kind: 'PeerAuthentication', metadata: { name: 'default', namespace: 'istio-system' }, spec: { mtls: { mode: 'STRICT' } } }),
  // New connections all the time: each is a handshake between the roots of now.
  JSON.stringify({ apiVersion: 'networking.istio.io/v1', kind: 'DestinationRule', metadata: { name: 'server', namespace: 'default' }, spec: { host: 'server', trafficPolicy: { connectionPool: { http: { maxRequestsPerConnection: 8 } } } } }),
].join('\n---\n');

let etcd: EtcdCluster;
let mesh: LocalMesh;
let workDir: string;
let traffic: Traffic;
let outsider: IdentityAgent;
let old: WorkloadCertificate;

before(async () => {
  etcd = await startEtcdCluster();
  workDir = mkdtempSync(join(tmpdir(), 'meltemi-e2e-'));
  mkdirSync(join(workDir, 'written'));
  writeFileSync(join(workDir, 'written/mesh.yaml'), manifests);
  writeFileSync(join(workDir, 'keystore.key'), randomBytes(32).toString('base64'), { mode: 0o600 });
  const keystore = ['--keystore', `etcd://${etcd.endpoints.map((endpoint) => endpoint.replace(/^https?:\/\//, '')).join(',')}`, '--keystore-key-file', join(workDir, 'keystore.key')];
  mesh = new LocalMesh({ workDir, net: 94, from: programsFrom, manifests: [join(workDir, 'written')], citadelArgs: keystore });
  await mesh.start();
  const identity = 'spiffe://cluster.local/ns/default/sa/outsider';
  outsider = startIdentityAgent({ citadelAddress: `${mesh.control}:15022`, identity, joinToken: joinTokenText(await mintJoinToken(mesh.citadelSocket, identity)), log: { info: () => undefined, warn: () => undefined } });
  old = await outsider.ready();
  // Gone in good order, with a certificate of the first root that is good for a day.
  await outsider.leave();
  traffic = new Traffic({ url: `http://${mesh.workload('client').address}:15002/`, headers: { host: 'server.default.svc.cluster.local' }, perSecond: 100, timeoutMs: 30_000 }).start();
  await waitFor('traffic to flow', () => traffic.report().succeeded > 50, { deadlineMs: 30_000 });
});
after(async () => {
  await traffic?.stop();
  await mesh?.stop();
  await etcd?.stop();
  if (process.env['MELTEMI_E2E_KEEP'] === undefined) rmSync(workDir, { recursive: true, force: true });
});

async function status(): Promise<RotationStatus> {
  const said = await meltemi(mesh, ['ca', 'status', '-o', 'json']);
  assert.equal(said.code, 0, said.stderr);
  return JSON.parse(said.stdout) as RotationStatus;
}

async function rotate(...args: string[]): Promise<string> {
  const said = await meltemi(mesh, ['ca', 'rotate', ...args]);
  return said.code === 0 ? 'done' : said.stderr;
}

/** Citadel dies by SIGKILL and comes back. */
async function murdered(): Promise<void> {
  await mesh.citadel.kill();
  await mesh.citadel.start();
}

/** The next step, as soon as nobody would be cut off. */
async function step(): Promise<void> {
  await waitFor('the step to be taken', async () => (await rotate('step')) === 'done', { deadlineMs: 30_000, everyMs: 300 });
}

/** How a proxy takes a client with this certificate: "accepted", or why not. TLS 1.3 says no after the client believes to be connected. */
function knock(certificate: WorkloadCertificate): Promise<string> {
  const { address } = mesh.workload('server');
  return new Promise((resolve) => {
    const socket = connect({ host: address, port: 8080, cert: certificate.certChainPem, key: certificate.privateKeyPem, rejectUnauthorized: false, servername: 'server.default.svc.cluster.local', ALPNProtocols: ['istio-peer-exchange', 'istio'] });
    const end = (text: string): void => {
      socket.destroy();
      resolve(text);
    };
    socket.setTimeout(3000, () => end('accepted'));
    socket.once('secureConnect', () => socket.write('GET / HTTP/1.1\r\nhost: server.default.svc.cluster.local\r\n\r\n'));
    socket.once('data', () => end('accepted'));
    socket.once('error', (error) => end(error.message));
    socket.once('close', () => end('closed'));
  });
}

test('everybody follows the roots, and the first root is believed on the wire', async () => {
  const { followers, phase } = await status();
  assert.equal(phase, '');
  assert.equal(followers.reduce((sum, { connected }) => sum + connected, 0), 5, 'three proxies, pilot, telemetry');
  assert.equal(await knock(old), 'accepted');
});

test('a proxy that is held back is named, and holds the switch up until it goes on', async () => {
  const held = mesh.workload('bystander').proxy;
  process.kill(held.pid, 'SIGSTOP');
  try {
    assert.equal(await rotate('start'), 'done');
    const refused = await waitFor('a refusal that names only it', async () => {
      const text = await rotate('step');
      return text.includes('cut off one:') && text;
    }, { deadlineMs: 20_000 });
    assert.match(refused, /not yet: to sign with the new root now would cut off one: sidecar~\S*bystander\S* spiffe:\/\/cluster\.local\/ns\/default\/sa\/\S+ at 127\.\S+ does not trust root [0-9a-f]{12} yet/);
  } finally {
    process.kill(held.pid, 'SIGCONT');
  }
});

test('citadel is killed in every phase: each comes back where it was, goes on and back', async () => {
  await murdered();
  assert.equal((await status()).phase, 'distributing');
  await step();
  await murdered();
  assert.equal((await status()).phase, 'switched');
  await waitFor('the way back to be open', async () => (await rotate('back')) === 'done', { deadlineMs: 30_000 });
  assert.equal((await status()).phase, 'distributing');
  await step();
  await step();
  assert.equal((await status()).phase, 'retiring');
  await murdered();
  assert.equal(await rotate('pause'), 'done');
  assert.match(await rotate('step'), /paused/);
});

test('the rotation ends by itself, the old root is believed by nobody, and no request has failed', async () => {
  assert.equal(await rotate('resume'), 'done');
  await waitFor('the end', async () => (await status()).phase === '', { deadlineMs: 40_000, everyMs: 300 });
  const { roots, followers } = await status();
  assert.deepEqual(roots.map(({ role }) => role), ['signing']);
  assert.deepEqual(followers.map(({ trustedRoots, connected }) => [trustedRoots.length, connected]), [[1, 5]]);
  assert.notEqual(await knock(old), 'accepted');
});

test('one command changes the root, and says what it waits for', async () => {
  const before = (await status()).roots[0]?.fingerprint;
  const said = await meltemi(mesh, ['ca', 'rotate', '--timeout', '60s'], { deadlineMs: 70_000 });
  assert.equal(said.code, 0, said.stderr);
  assert.match(said.stderr, /distributing[\s\S]*switched[\s\S]*done/);
  assert.notEqual((await status()).roots[0]?.fingerprint, before);
});

test('no request failed in all this time', async () => {
  const report = await traffic.stop();
  assert.deepEqual(report.failures, []);
  assert.equal(report.succeeded, report.sent);
  assert.ok(report.sent > 1000, `${report.sent} requests were sent`);
});
