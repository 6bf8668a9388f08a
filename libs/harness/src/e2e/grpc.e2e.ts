import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { Client, credentials, Metadata, status, type ServiceError } from '@grpc/grpc-js';
import { EchoService, type EchoRequest, type EchoResponse } from '@meltemi/api/gen/meltemi/echo/v1/echo.ts';
import { waitFor } from '@meltemi/base';
import { applyAndWait, get, LocalMesh, repository } from '../index.ts';
import { programsFrom } from './bookinfo-mesh.ts';

const net = 88;
/** Where the client's sidecar listens for the echo service. */
const door = `127.${net}.3.1:9090`;

const echo = (version: string) => `
apiVersion: apps/v1
kind: Deployment
metadata: {name: echo-${version}}
spec:
  selector: {matchLabels: {app: echo, version: ${version}}}
  template:
    metadata: {labels: {app: echo, version: ${version}}}
    spec: {serviceAccountName: echo, containers: [{name: app, image: meltemi/echo, args: ["--grpc", "7070", "--version", "${version}"], ports: [{containerPort: 7070}]}]}
`;

const manifests = `
apiVersion: v1
kind: Service
metadata: {name: echo}
spec: {selector: {app: echo}, ports: [{name: grpc, port: 9090, targetPort: 7070}]}
---${echo('v1')}---${echo('v2')}---
apiVersion: apps/v1
kind: Deployment
metadata: {name: client}
spec:
  selector: {matchLabels: {app: client}}
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
  - {bind: 127.${net}.3.1, port: {number: 9090, name: grpc, protocol: GRPC}, hosts: [./echo.default.svc.cluster.local]}
  - {hosts: ["./*", "istio-system/*"]}
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: echo}
spec: {host: echo, subsets: [{name: v1, labels: {version: v1}}, {name: v2, labels: {version: v2}}]}
---
apiVersion: security.istio.io/v1
kind: PeerAuthentication
metadata: {name: default, namespace: istio-system}
spec: {mtls: {mode: STRICT}}
`;

/** Metadata of calls chooses the version, as HTTP headers do. */
const byMetadata = `
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: echo}
spec:
  hosts: [echo]
  http:
  - {match: [{headers: {x-version: {exact: v2}}}], route: [{destination: {host: echo, subset: v2}}]}
  - {match: [{headers: {x-break: {exact: "yes"}}}], fault: {abort: {percentage: {value: 100}, grpcStatus: RESOURCE_EXHAUSTED}}, route: [{destination: {host: echo, subset: v1}}]}
  - {route: [{destination: {host: echo, subset: v1}}]}
`;

describe('gRPC between applications that know nothing of the mesh', () => {
  const workDir = mkdtempSync(join(tmpdir(), 'meltemi-e2e-'));
  // Calls the service by its name; only the address is the sidecar's.
  const caller = new Client(door, credentials.createInsecure(), { 'grpc.default_authority': 'echo:9090' });
  let mesh: LocalMesh;
  before(async () => {
    writeFileSync(join(workDir, 'echo.yaml'), manifests);
    mesh = new LocalMesh({ workDir, net, from: programsFrom, meshConfig: join(repository, 'deploy/laptop/mesh.yaml'), manifests: [join(repository, 'deploy/laptop/control-plane.yaml'), join(workDir, 'echo.yaml')] });
    await mesh.start();
  });
  after(async () => {
    caller.close();
    await mesh.stop();
    rmSync(workDir, { recursive: true, force: true });
  });

  const { echo: unary, bidiStream } = EchoService;
  const call = (fields: Record<string, string> = {}) =>
    new Promise<EchoResponse>((resolve, reject) => caller.makeUnaryRequest(unary.path, unary.requestSerialize, unary.responseDeserialize, { message: 'hello' }, metadataOf(fields), { deadline: Date.now() + 10_000 }, (error, value) => (value === undefined ? reject(error ?? new Error('no answer')) : resolve(value))));

  test('HTTP rules hold for it: calls go where their metadata says, faults carry gRPC statuses', async () => {
    await applyAndWait(mesh, { yaml: byMetadata });
    for (const [fields, version] of [[{}, 'v1'], [{ 'x-version': 'v2' }, 'v2'], [{}, 'v1']] as const) {
      const answer = await call(fields);
      assert.deepEqual([answer.message, answer.version], ['hello', version]);
    }
    await assert.rejects(call({ 'x-break': 'yes' }), (error: ServiceError) => error.code === status.RESOURCE_EXHAUSTED);
  });

  test('streams run both ways at once through two sidecars over mutual TLS', async () => {
    const stream = caller.makeBidiStreamRequest<EchoRequest, EchoResponse>(bidiStream.path, bidiStream.requestSerialize, bidiStream.responseDeserialize, new Metadata(), { deadline: Date.now() + 10_000 });
    const heard: string[] = [];
    await new Promise<void>((resolve, reject) => {
      stream.on('data', ({ message }: EchoResponse) => {
        heard.push(message);
        if (heard.length < 20) stream.write({ message: `${heard.length}` });
        else stream.end();
      });
      stream.on('error', reject);
      stream.on('end', resolve);
      stream.write({ message: '0' });
    });
    assert.deepEqual(heard, Array.from({ length: 20 }, (_, i) => String(i)));
  });

  test("Istio's metrics know it as gRPC over mutual TLS, with the status of each call", async () => {
    await waitFor('the metric', async () => {
      const { body } = await get(`http://${mesh.workload('client').address}:15090/stats/prometheus`);
      const lines = body.split('\n').filter((line) => line.startsWith('istio_requests_total{') && line.includes('reporter="source"') && line.includes('request_protocol="grpc"'));
      return lines.some((line) => line.includes('destination_workload="echo-v2"') && line.includes('grpc_response_status="0"')) && lines.some((line) => line.includes('grpc_response_status="8"'));
    });
  });

  test('messages are counted at both ends, while the stream is open', async () => {
    const stream = caller.makeBidiStreamRequest<EchoRequest, EchoResponse>(bidiStream.path, bidiStream.requestSerialize, bidiStream.responseDeserialize, new Metadata(), { deadline: Date.now() + 30_000 });
    stream.on('error', () => {});
    stream.on('data', () => {});
    for (let i = 0; i < 50; i++) stream.write({ message: String(i) });
    for (const [workload, reporter] of [['client', 'source'], ['echo-v1', 'destination']] as const)
      await waitFor(`messages at the ${reporter}`, async () => {
        const { body } = await get(`http://${mesh.workload(workload).address}:15090/stats/prometheus`);
        const count = (metric: string) => body.split('\n').filter((line) => line.startsWith(`${metric}{reporter="${reporter}"`) && line.includes('destination_service_name="echo"')).reduce((sum, line) => sum + Number(line.slice(line.lastIndexOf(' '))), 0);
        return count('istio_request_messages_total') >= 50 && count('istio_response_messages_total') >= 50;
      });
    stream.end();
  });
});

function metadataOf(fields: Record<string, string>): Metadata {
  const metadata = new Metadata();
  for (const [name, value] of Object.entries(fields)) metadata.set(name, value);
  return metadata;
}
