import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { test, type TestContext } from 'node:test';
import { fileURLToPath } from 'node:url';
import { Server, ServerCredentials } from '@grpc/grpc-js';
import { jsonToBinary, typeNameOf } from '@meltemi/api';
import { EchoService, type EchoServer } from '@meltemi/api/gen/meltemi/echo/v1/echo.ts';
import { waitFor, withDeadline } from '@meltemi/base';
import { outboundCluster, outboundRoute, resourceSet, xdsResource, xdsSnapshot, xdsType, type ResourceSet, type XdsSnapshot } from '@meltemi/xds';
import { startAdsServer } from './ads-server.ts';
import type { AdsConnection } from './server-types.ts';

const host = 'echo.default.svc.cluster.local';
const versions = ['v1', 'v2'] as const;

test('the gRPC library’s own xDS client resolves a service, calls it, and follows a weight change', async (context) => {
  const ports = { v1: await startBackend(context, 'v1'), v2: await startBackend(context, 'v2') };
  const followed: string[] = [];
  const refused: string[] = [];
  let connection: AdsConnection | undefined;
  const server = await startAdsServer({
    listeners: [{ name: 'plain', address: '127.0.0.1:0', credentials: ServerCredentials.createInsecure() }],
    onConnect(hello, opened) {
      assert.equal(hello.node.metadata?.GENERATOR, 'grpc');
      connection = opened;
      opened.push({ ...snapshotOf('all-v1', ports, [100, 0]), reason: 'connected' });
      return { ordered: false, onFollow: (revision) => void followed.push(revision), onNack: (typeUrl, refusal) => void refused.push(`${typeUrl}: ${refusal.message}`) };
    },
  });
  context.after(() => server.stop(0));
  const ask = startClient(context, server.addresses.get('plain') ?? '');

  assert.deepEqual(await ask(20), { v1: 20 });
  assert.deepEqual(connection?.status().map((type) => type.state), ['SYNCED', 'SYNCED', 'SYNCED', 'SYNCED']);

  connection?.push({ ...snapshotOf('half', ports, [50, 50]), reason: 'weights' });
  await waitFor('the client to follow half', () => followed.includes('half'));
  const half = await waitFor('both versions to answer', async () => {
    const answers = await ask(100);
    return 'v2' in answers && answers;
  });
  assert.deepEqual(Object.keys(half).sort(), ['v1', 'v2']);

  connection?.push({ ...snapshotOf('all-v2', ports, [0, 100]), reason: 'weights' });
  await waitFor('the client to follow all-v2', () => followed.includes('all-v2'));
  await waitFor('version 2 to answer everything', async () => (await ask(50)).v2 === 50);
  assert.deepEqual(refused, []);
});

function snapshotOf(revision: string, ports: Readonly<Record<string, number>>, weights: readonly [number, number]): XdsSnapshot {
  const ads = { ads: {}, resourceApiVersion: 'V3' };
  const clusters = versions.map((version) => outboundCluster(7070, host, version));
  const manager = {
    '@type': 'type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager',
    rds: { configSource: ads, routeConfigName: outboundRoute(7070) },
    httpFilters: [{ name: 'envoy.filters.http.router', typedConfig: { '@type': 'type.googleapis.com/envoy.extensions.filters.http.router.v3.Router' } }],
  };
  const route = { match: { prefix: '' }, route: { weightedClusters: { clusters: clusters.map((name, index) => ({ name, weight: weights[index] })) } } };
  return xdsSnapshot(revision, [
    setOf(xdsType.listener, [[`${host}:7070`, { name: `${host}:7070`, apiListener: { apiListener: manager } }]]),
    setOf(xdsType.route, [[outboundRoute(7070), { name: outboundRoute(7070), virtualHosts: [{ name: 'echo', domains: ['*'], routes: [route] }] }]]),
    setOf(xdsType.cluster, clusters.map((name) => [name, { name, type: 'EDS', edsClusterConfig: { edsConfig: ads, serviceName: name }, lbPolicy: 'ROUND_ROBIN' }])),
    setOf(xdsType.endpoint, clusters.map((name, index) => [name, { clusterName: name, endpoints: [localityOf(ports[versions[index] ?? ''] ?? 0)] }])),
  ]);
}

function localityOf(port: number): unknown {
  const endpoint = { address: { socketAddress: { address: '127.0.0.1', portValue: port } } };
  return { locality: { region: 'r', zone: 'z' }, loadBalancingWeight: 1, lbEndpoints: [{ endpoint, healthStatus: 'HEALTHY' }] };
}

function setOf(typeUrl: string, resources: readonly (readonly [name: string, json: unknown])[]): ResourceSet {
  return resourceSet(
    typeUrl,
    resources.map(([name, json]) => xdsResource(name, { typeUrl, value: Buffer.from(jsonToBinary(typeNameOf(typeUrl), json)) })),
  );
}

function startBackend(context: TestContext, version: string): Promise<number> {
  const server = new Server();
  const unused = () => {};
  const echo: EchoServer = {
    echo: (call, done) => done(null, { message: call.request.message, instance: '', version, headers: {} }),
    serverStream: unused,
    clientStream: unused,
    bidiStream: unused,
  };
  server.addService(EchoService, echo);
  context.after(() => server.forceShutdown());
  return new Promise((resolve, reject) => server.bindAsync('127.0.0.1:0', ServerCredentials.createInsecure(), (error, port) => (error ? reject(error) : resolve(port))));
}

/** Starts the application; the function makes it call so many times and gives what answered. */
function startClient(context: TestContext, address: string): (calls: number) => Promise<Record<string, number>> {
  const bootstrap = {
    xds_servers: [{ server_uri: address, channel_creds: [{ type: 'insecure' }], server_features: ['xds_v3'] }],
    node: { id: 'sidecar~127.0.0.1~client.default~default.svc.cluster.local', locality: {}, metadata: { GENERATOR: 'grpc' } },
  };
  const file = fileURLToPath(new URL('./proxyless-client.fake.ts', import.meta.url));
  const child = spawn(process.execPath, [file, `xds:///${host}:7070`], { stdio: ['pipe', 'pipe', 'inherit'], env: { ...process.env, GRPC_XDS_BOOTSTRAP_CONFIG: JSON.stringify(bootstrap) } });
  context.after(() => child.kill('SIGKILL'));
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  return async (calls) => {
    child.stdin.write(`${calls}\n`);
    const { value } = await withDeadline(lines.next(), 20_000, `${calls} calls of the proxyless client`);
    return JSON.parse(String(value));
  };
}
