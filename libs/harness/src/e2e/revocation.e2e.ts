import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { credentials } from '@grpc/grpc-js';
import { Secret } from '@meltemi/api/gen/envoy/extensions/transport_sockets/tls/v3/secret.ts';
import { DiscoveryRequest, type DiscoveryResponse } from '@meltemi/api/gen/envoy/service/discovery/v3/discovery.ts';
import { SecretDiscoveryServiceClient } from '@meltemi/api/gen/envoy/service/secret/v3/sds.ts';
import { waitFor } from '@meltemi/base';
import { parseRevocationLists } from '@meltemi/identity';
import { get, LocalMesh, meltemi, Traffic } from '../index.ts';
import { programsFrom } from './bookinfo-mesh.ts';

const deployment = (name: string): string => JSON.stringify({
  apiVersion: 'apps/v1', kind: 'Deployment', metadata: { name, namespace: 'default' },
  spec: { replicas: 1, selector: { matchLabels: { app: name } }, template: { metadata: { labels: { app: name } }, spec: { serviceAccountName: name, containers: [{ name: 'echo', image: 'meltemi/echo', args: ['--http', '8080', '--version', name], ports: [{ containerPort: 8080 }] }] } } },
});
const service = (name: string): string => JSON.stringify({ apiVersion: 'v1', kind: 'Service', metadata: { name, namespace: 'default' }, spec: { ports: [{ name: 'http', port: 80, targetPort: 8080 }], selector: { app: name } } });
const manifests = [
  ...['server', 'second', 'client', 'bystander'].flatMap((name) => [deployment(name), service(name)]),
  JSON.stringify({ apiVersion: 'security.istio.io/v1', kind: 'PeerAuthentication', metadata: { name: 'default', namespace: 'istio-system' }, spec: { mtls: { mode: 'STRICT' } } }),
  // Each request is a new mTLS connection.
  ...['server', 'second'].map((host) => JSON.stringify({ apiVersion: 'networking.istio.io/v1', kind: 'DestinationRule', metadata: { name: host, namespace: 'default' }, spec: { host, trafficPolicy: { connectionPool: { http: { maxRequestsPerConnection: 1 } } } } })),
].join('\n---\n');

let mesh: LocalMesh;
let workDir: string;
let bystander: Traffic | undefined;
const socketOf = (name: string): string => join(workDir, `${name}.d`, 'socket');

before(async () => {
  workDir = mkdtempSync(join(tmpdir(), 'meltemi-e2e-'));
  mkdirSync(join(workDir, 'written'));
  writeFileSync(join(workDir, 'written/mesh.yaml'), manifests);
  mesh = new LocalMesh({ workDir, net: 91, from: programsFrom, manifests: [join(workDir, 'written')], withoutTelemetry: true, proxyArgs: (name) => ['--workload-socket', socketOf(name)] });
  await mesh.start();
});
after(async () => {
  await bystander?.stop();
  await mesh?.stop();
  if (process.env['MELTEMI_E2E_KEEP'] === undefined) rmSync(workDir, { recursive: true, force: true });
});

const url = (by: string): string => `http://${mesh.workload(by).address}:15002/`;
const hostOf = (name: string): Record<string, string> => ({ host: `${name}.default.svc.cluster.local` });
const call = (by: string, to: string) => get(url(by), { headers: hostOf(to) });
const logOf = (name: string): string => readFileSync(mesh.workload(name).proxy.spec.logFile, 'utf8');

async function serialOf(name: string): Promise<string> {
  const { certificates: [first] } = JSON.parse((await get(`http://${mesh.workload(name).address}:15000/certs`)).body) as { certificates: { cert_chain: { serial_number: string }[] }[] };
  // Envoy's form has whole bytes.
  return (first?.cert_chain[0]?.serial_number ?? '').replace(/^0+/, '');
}

/** The serials on the lists that ROOTCA has now. */
async function listedAt(name: string): Promise<string[]> {
  const sds = new SecretDiscoveryServiceClient(`unix:${socketOf(name)}`, credentials.createInsecure());
  try {
    const response = await new Promise<DiscoveryResponse>((resolve, reject) => sds.fetchSecrets({ ...DiscoveryRequest.decode(new Uint8Array()), resourceNames: ['ROOTCA'] }, (error, answer) => (error ? reject(error) : resolve(answer))));
    const secret = Secret.decode(response.resources[0]?.value ?? new Uint8Array()).type;
    assert.ok(secret?.$case === 'validationContext');
    const crl = secret.value.crl?.specifier;
    const lists = parseRevocationLists(crl?.$case === 'inlineString' ? crl.value : '');
    return lists.ok ? lists.value.flatMap((list) => [...list.serials]) : [];
  } finally {
    sds.close();
  }
}

async function revoke(...args: string[]): Promise<string[]> {
  const said = await meltemi(mesh, ['ca', 'revoke', ...args, '-o', 'json']);
  assert.equal(said.code, 0, said.stderr);
  return (JSON.parse(said.stdout) as { serials: string[] }).serials;
}

test('a workload whose identity is revoked, after citadel was killed, opens no new connection within seconds; the server says why, and nobody else notices', async () => {
  await waitFor('the first answers', async () => (await Promise.all([call('client', 'server'), call('bystander', 'server')])).every(({ status }) => status === 200), { deadlineMs: 30_000 });
  bystander = new Traffic({ url: url('bystander'), headers: hostOf('server'), perSecond: 20 }).start();
  const serial = await serialOf('client');
  // It writes what it issued within a second: a kill before that would take the name of the certificate along.
  const issued = join(workDir, 'state/citadel/issued');
  await waitFor('what was issued to be written', () => readdirSync(issued).some((name) => readFileSync(join(issued, name), 'utf8').includes(serial)), { deadlineMs: 5000 });
  await mesh.citadel.kill();
  await mesh.citadel.start();
  assert.deepEqual(await revoke('--identity', 'spiffe://cluster.local/ns/default/sa/client'), [serial]);
  await waitFor('the client to be refused', async () => (await call('client', 'server')).status === 503, { deadlineMs: 5000 });
  for (let count = 0; count < 10; count += 1) assert.equal((await call('client', 'server')).status, 503);
  await waitFor("the reason in the server's log", () => logOf('server').split('\n').some((line) => line.includes('TLS handshake refused') && line.includes(`certificate ${serial} is revoked`)), { deadlineMs: 5000 });
  // In the other direction nothing is trusted either: the client's server certificate is the same.
  const { body } = await waitFor('the client to be refused as a server', async () => {
    const answer = await call('bystander', 'client');
    return answer.status === 503 && answer;
  }, { deadlineMs: 5000 });
  assert.ok(body.includes(`certificate_${serial}_is_revoked`), body);
  const traffic = bystander;
  await waitFor('enough requests of the bystander to tell', () => traffic.report().succeeded > 20, { deadlineMs: 10_000 });
  await traffic.stop();
  assert.deepEqual(traffic.report().failures, []);
  assert.deepEqual(await listedAt('bystander'), [serial]);
});

test('a server whose serial number is revoked is not talked to any more, and the caller says why', async () => {
  await waitFor('the second server to answer', async () => (await call('bystander', 'second')).status === 200);
  const serial = await serialOf('second');
  assert.deepEqual(await revoke(serial), [serial]);
  const { body } = await waitFor('the server to be refused', async () => {
    const answer = await call('bystander', 'second');
    return answer.status === 503 && answer;
  }, { deadlineMs: 5000 });
  assert.match(body, new RegExp(`certificate_${serial}_is_revoked`));
  assert.ok((await listedAt('bystander')).includes(serial));
  assert.equal((await call('bystander', 'server')).status, 200);
});
