import assert from 'node:assert/strict';
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { after, before, test } from 'node:test';
import { waitFor, withDeadline } from '@meltemi/base';
import { PilotProgram } from './testing/pilot-program.ts';

const pilot = new PilotProgram();
const children: ChildProcess[] = [];
const ports: Record<string, number> = {};

before(async () => {
  for (const [version, host] of [['v1', '127.0.0.1'], ['v2', '127.0.0.2']] as const) ports[version] = await startEcho(version, host);
});
after(async () => {
  for (const child of children) {
    if (child.exitCode !== null) continue;
    child.kill('SIGKILL');
    await once(child, 'exit');
  }
  await pilot.remove();
});

function start(args: readonly string[], env: Record<string, string> = {}): ChildProcess {
  const child = spawn(process.execPath, [...args], { env: { PATH: process.env['PATH'], ...env }, stdio: ['pipe', 'pipe', 'inherit'] });
  children.push(child);
  return child;
}

async function line(child: ChildProcess, what: string): Promise<string> {
  if (!child.stdout) throw new Error('no standard output');
  const lines = createInterface({ input: child.stdout });
  try {
    const [text] = (await withDeadline(once(lines, 'line'), 30_000, what)) as [string];
    return text;
  } finally {
    lines.close();
  }
}

async function startEcho(version: string, host: string): Promise<number> {
  const echo = start([join(import.meta.dirname, '../../echo/src/main.ts'), '--host', host, '--grpc', '0', '--version', version]);
  return (JSON.parse(await line(echo, `echo ${version}`)) as { listening: { grpc: number } }).listening.grpc;
}

/** The gRPC service as plain Kubernetes YAML: one slice per version, since each listens on a port of its own. */
function manifests(): string {
  const slice = (version: string, ip: string) => `---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: echo-${version}, namespace: default, labels: {kubernetes.io/service-name: echo}}
addressType: IPv4
ports: [{name: grpc, port: ${ports[version] ?? 0}}]
endpoints: [{addresses: [${ip}], conditions: {ready: true}, targetRef: {kind: Pod, name: echo-${version}-0, namespace: default}}]
---
apiVersion: v1
kind: Pod
metadata: {name: echo-${version}-0, namespace: default, labels: {app: echo, version: ${version}}}
spec: {containers: [{name: app, image: echo}]}
status: {phase: Running, podIP: ${ip}, podIPs: [{ip: ${ip}}], conditions: [{type: Ready, status: "True"}]}
`;
  return `apiVersion: v1
kind: Service
metadata: {name: echo, namespace: default}
spec: {ports: [{name: grpc, port: 7070}]}
${slice('v1', '127.0.0.1')}${slice('v2', '127.0.0.2')}---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: echo, namespace: default}
spec: {host: echo, subsets: [{name: v1, labels: {version: v1}}, {name: v2, labels: {version: v2}}]}
`;
}

function weights(v1: number, v2: number): string {
  return `apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: echo, namespace: default}
spec:
  hosts: [echo]
  http: [{route: [{destination: {host: echo, subset: v1}, weight: ${v1}}, {destination: {host: echo, subset: v2}, weight: ${v2}}]}]
`;
}

test('grpc-js-xds with a stock bootstrap resolves a service from pilot, calls it, and follows weights applied live', async () => {
  pilot.write('echo.yaml', manifests());
  await pilot.start();
  assert.equal((await pilot.apply(weights(100, 0))).code, 0);
  const bootstrap = join(pilot.dir, 'bootstrap.json');
  writeFileSync(bootstrap, JSON.stringify({
    xds_servers: [{ server_uri: pilot.address('xds-plaintext'), channel_creds: [{ type: 'insecure' }], server_features: ['xds_v3'] }],
    node: { id: 'sidecar~127.0.0.1~client.default~default.svc.cluster.local', locality: {}, metadata: { GENERATOR: 'grpc' } },
  }));
  const client = start([join(import.meta.dirname, 'testing/proxyless-client.ts'), 'xds:///echo.default.svc.cluster.local:7070'], { GRPC_XDS_BOOTSTRAP: bootstrap });
  const ask = async (calls: number) => {
    client.stdin?.write(`${calls}\n`);
    return JSON.parse(await line(client, `${calls} calls`)) as Record<string, number>;
  };
  assert.deepEqual(await ask(20), { v1: 20 });

  const half = await pilot.apply(weights(50, 50), '--wait');
  assert.equal(half.code, 0, half.err);
  assert.match(half.err, /live at 1 proxy/);
  await waitFor('both versions', async () => {
    const answers = await ask(40);
    assert.deepEqual(Object.keys(answers).filter((version) => !['v1', 'v2'].includes(version)), [], 'no call fails on the way');
    return 'v1' in answers && 'v2' in answers;
  });

  assert.equal((await pilot.apply(weights(0, 100), '--wait')).code, 0);
  await waitFor('version 2 alone', async () => (await ask(20))['v2'] === 20);

  const status = await pilot.meltemi(['proxy-status']);
  assert.match(status.out, /client\.default +Kubernetes +SYNCED +SYNCED +SYNCED +SYNCED/);
});
