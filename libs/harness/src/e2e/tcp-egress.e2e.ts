import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { waitFor } from '@meltemi/base';
import type { GraphView } from '@meltemi/mixer';
import { applyAndWait, get, LocalMesh, repository } from '../index.ts';
import { programsFrom } from './bookinfo-mesh.ts';

const net = 87;
/** Where the client's sidecar listens for tcp-echo. */
const door = { host: `127.${net}.3.1`, port: 9000 };

const client = `
apiVersion: apps/v1
kind: Deployment
metadata: {name: client}
spec:
  template:
    metadata: {labels: {app: client, version: v1}}
    spec: {serviceAccountName: client, containers: [{name: app, image: meltemi/echo, args: ["--tcp", "7000"], ports: [{containerPort: 7000}]}]}
---
apiVersion: networking.istio.io/v1
kind: Sidecar
metadata: {name: client}
spec:
  workloadSelector: {labels: {app: client}}
  egress:
  - {bind: ${door.host}, port: {number: ${door.port}, name: tcp, protocol: TCP}, hosts: [./tcp-echo.default.svc.cluster.local]}
  - {hosts: ["./*", "istio-system/*"]}
`;

const strict = 'apiVersion: security.istio.io/v1\nkind: PeerAuthentication\nmetadata: {name: default, namespace: istio-system}\nspec: {mtls: {mode: STRICT}}\n';

/** Telemetry owns the metrics: no proxy counts. */
const metricsElsewhere = `
extensionProviders: [{name: telemetry, envoyHttpAls: {service: telemetry.istio-system.svc.cluster.local, port: 15030}}]
defaultProviders: {metrics: [telemetry]}
`;

const onlyVersion = (version: string) => `
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: tcp-echo}
spec: {hosts: [tcp-echo], tcp: [{route: [{destination: {host: tcp-echo, subset: ${version}}}]}]}
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: tcp-echo}
spec: {host: tcp-echo, subsets: [{name: v1, labels: {version: v1}}, {name: v2, labels: {version: v2}}]}
`;

describe('an application that knows nothing of the mesh speaks TCP through its sidecar, without root', () => {
  const workDir = mkdtempSync(join(tmpdir(), 'meltemi-e2e-'));
  let mesh: LocalMesh;
  before(async () => {
    writeFileSync(join(workDir, 'client.yaml'), `${client}---\n${strict}`);
    writeFileSync(join(workDir, 'mesh.yaml'), readFileSync(join(repository, 'deploy/laptop/mesh.yaml'), 'utf8') + metricsElsewhere);
    mesh = new LocalMesh({
      workDir, net, from: programsFrom, meshConfig: join(workDir, 'mesh.yaml'),
      manifests: [join(repository, 'deploy/laptop/control-plane.yaml'), join(repository, 'deploy/samples/tcp-echo/tcp-echo-services.yaml'), join(workDir, 'client.yaml')],
    });
    await mesh.start();
  });
  after(async () => {
    await mesh.stop();
    rmSync(workDir, { recursive: true, force: true });
  });

  test('through an address of its own, over mutual TLS, following a TCP route', async () => {
    for (const version of ['v1', 'v2', 'v1']) {
      await applyAndWait(mesh, { yaml: onlyVersion(version) });
      assert.deepEqual(await Promise.all(Array.from({ length: 10 }, (_, i) => say(`line ${i}`))), Array.from({ length: 10 }, (_, i) => `${version} line ${i}`));
    }
  });

  test('telemetry draws it; with the metrics in its hands no proxy counts', async () => {
    await waitFor('the edges', async () => {
      const graph = JSON.parse((await get(`http://${mesh.control}:15031/graph?namespace=default&window=60s`)).body) as GraphView;
      const seen = graph.edges.filter(({ source }) => source.endsWith('/client')).map(({ destination, protocol, window }) => `${protocol} ${destination.split('/').at(-1)} ${window.mtlsShare}`);
      assert.deepEqual(seen.toSorted(), ['tcp tcp-echo-v1 1', 'tcp tcp-echo-v2 1']);
      return true;
    });
    for (const workload of ['client', 'tcp-echo-v1', 'tcp-echo-v2']) {
      const { status, body } = await get(`http://${mesh.workload(workload).address}:15090/stats/prometheus`);
      assert.equal(status, 200);
      assert.doesNotMatch(body, /^istio_(?!build)/m, workload);
    }
  });
});

/** One line over a TCP connection of its own; the line that comes back. */
function say(line: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connect(door, () => socket.write(`${line}\n`));
    let text = '';
    socket.setEncoding('utf8');
    socket.setTimeout(10_000, () => socket.destroy(new Error('no answer within 10 s')));
    socket.on('data', (part: string) => {
      text += part;
      if (!text.includes('\n')) return;
      socket.destroy();
      resolve(text.trimEnd());
    });
    socket.once('error', reject);
    socket.once('close', () => reject(new Error(`closed after ${JSON.stringify(text)}`)));
  });
}
