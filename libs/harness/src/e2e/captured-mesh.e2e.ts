import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { waitFor } from '@meltemi/base';
import { NetworkNamespace } from '../network-namespace.ts';
import { MeshProcess } from '../process.ts';
import { programCommand } from '../programs.ts';

/** Pilot's listeners for captured workloads, on machines of their own: a client calls a service's address, the service knows of nothing; the control plane is a third. */
const proxyUser = 1337;
const dir = mkdtempSync(join(tmpdir(), 'meltemi-captured-'));
const processes: MeshProcess[] = [];
const server = new NetworkNamespace('srv');
const client = new NetworkNamespace('cli');
const control = new NetworkNamespace('ctl');
after(async () => {
  await Promise.all(processes.map((each) => each.stop()));
  for (const each of [server, client, control]) each.remove();
  rmSync(dir, { recursive: true, force: true });
});

const yaml = `trustDomain: cluster.local
---
apiVersion: v1
kind: Service
metadata: { name: echo }
spec:
  clusterIP: 10.78.0.5
  ports: [{ name: http, port: 80, targetPort: 8080 }]
  selector: { app: echo }
---
apiVersion: security.istio.io/v1
kind: PeerAuthentication
metadata: { name: default, namespace: default }
spec: { mtls: { mode: STRICT } }
---
apiVersion: networking.istio.io/v1
kind: WorkloadEntry
metadata: { name: echo-1 }
spec:
  address: 10.78.0.1
  serviceAccount: echo
  labels: { app: echo, version: v1, security.istio.io/tlsMode: istio }
`;

async function start(name: string, at: NetworkNamespace, command: readonly string[], options: { uid?: number; env?: Record<string, string> } = {}): Promise<void> {
  const process = new MeshProcess({ name, command: at.command(command, options.uid), logFile: join(dir, `${name}.log`), ...(options.env !== undefined && { env: options.env }) });
  processes.push(process);
  await process.start();
}

const inControl = async (command: readonly string[]) => {
  const ran = await control.run(command);
  assert.equal(ran.code, 0, ran.err);
  return ran.out;
};

test('unaware programs talk over mutual TLS through proxies that pilot configures for captured traffic', async () => {
  NetworkNamespace.connect({ at: server, addresses: ['10.78.0.1/24'] }, { at: client, addresses: ['10.78.0.2/24'] });
  NetworkNamespace.connect({ at: control, addresses: ['10.79.1.1/24'] }, { at: server, addresses: ['10.79.1.2/24'] });
  NetworkNamespace.connect({ at: control, addresses: ['10.79.2.1/24'] }, { at: client, addresses: ['10.79.2.2/24'] });
  mkdirSync(join(dir, 'yaml'));
  writeFileSync(join(dir, 'yaml/mesh.yaml'), yaml);
  writeFileSync(join(dir, 'context.json'), JSON.stringify({ citadelSocket: join(dir, 'citadel/citadel.sock'), configSocket: join(dir, 'config.sock') }));
  await start('citadel', control, [...programCommand('citadel', 'bundle'), '--state-dir', join(dir, 'citadel'), '--listen', '0.0.0.0:15022', '--admin-listen', '127.0.0.1:15023']);
  const token = async (who: string) => {
    const mint = () => control.run([...programCommand('cli', 'bundle'), '--context', join(dir, 'context.json'), 'token', 'create', `spiffe://cluster.local/ns/${who}`]);
    const { out } = await waitFor(`a token of ${who}`, async () => ((await mint()).code === 0 ? mint() : undefined), { deadlineMs: 15_000 });
    const file = join(dir, `${who.replaceAll('/', '-')}.token`);
    writeFileSync(file, out);
    return file;
  };
  await start('pilot', control, [...programCommand('pilot', 'bundle'), '--config-dir', join(dir, 'yaml'), '--state-dir', join(dir, 'pilot'), '--listen', '0.0.0.0:15012', '--admin-listen', '127.0.0.1:15014', '--config-socket', join(dir, 'config.sock'), '--citadel-address', '127.0.0.1:15022', '--join-token-file', await token('istio-system/sa/meltemi-pilot')]);
  const echo = `require('node:http').createServer((request, answer) => answer.end(JSON.stringify({ xfcc: request.headers['x-forwarded-client-cert'], from: request.socket.remoteAddress }))).listen(8080)`;
  await start('echo', server, [process.execPath, '-e', echo]);
  for (const [name, at, address, plane] of [['echo', server, '10.78.0.1', '10.79.1.1'], ['client', client, '10.78.0.2', '10.79.2.1']] as const) {
    const state = join(dir, `state-${name}`);
    mkdirSync(state);
    await inControl(['chown', '-R', String(proxyUser), state, await token(`default/sa/${name}`)]);
    await inControl(['chmod', '755', dir]);
    const proxy = [...programCommand('proxy', 'bundle'), '--service-node', `sidecar~${address}~${name}-1.default~default.svc.cluster.local`, '--discovery-address', `${plane}:15012`, '--citadel-address', `${plane}:15022`, '--join-token-file', join(dir, `default-sa-${name}.token`), '--state-dir', state];
    await start(`proxy-${name}`, at, proxy, { uid: proxyUser, env: { ISTIO_META_SERVICE_ACCOUNT: name, ISTIO_METAJSON_LABELS: JSON.stringify({ app: name, version: 'v1' }) } });
    const rules = await at.run([...programCommand('cli', 'bundle'), 'intercept', 'apply']);
    assert.equal(rules.code, 0, rules.err);
  }
  const ask = async (url: string) => (await client.run(['curl', '-s', '--max-time', '2', url])).out;
  const answer = await waitFor('an answer', async () => {
    const text = await ask('http://10.78.0.5/');
    return text.startsWith('{') ? (JSON.parse(text) as { xfcc?: string; from?: string }) : undefined;
  }, { deadlineMs: 30_000, everyMs: 200 }).catch((cause: unknown) => { throw new Error(`${String(cause)}\n${processes.map((each) => `${each.spec.name}: ${each.tail().slice(-700)}`).join('\n')}`); });
  assert.match(answer.xfcc ?? '', /URI=spiffe:\/\/cluster\.local\/ns\/default\/sa\/client/);
  // Without a proxy of its own nobody gets in: STRICT holds for what is captured.
  assert.equal((await client.run(['curl', '-s', '--max-time', '2', 'http://10.78.0.1:8080/'], { uid: proxyUser })).out, '');
});
