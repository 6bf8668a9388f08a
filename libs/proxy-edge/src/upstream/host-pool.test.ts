import assert from 'node:assert/strict';
import http from 'node:http';
import http2 from 'node:http2';
import net, { type AddressInfo } from 'node:net';
import { test, type TestContext } from 'node:test';
import { ManualClock, waitFor } from '@meltemi/base';
import { RequestHead } from '@meltemi/http';
import { FlatStats } from '@meltemi/observe';
import type { UpstreamCluster } from '@meltemi/proxy';
import { must, staticCluster } from '../server/fixture.ts';
import { SecretStore } from '../transport/secret-store.ts';
import { ClusterManager } from './cluster-manager.ts';

/** A cluster of what listens on these ports of loopback. */
function managerOf(t: TestContext, ports: number[], more: Record<string, unknown>): ClusterManager {
  const clock = new ManualClock();
  const manager = new ClusterManager({ clock, stats: new FlatStats(), secrets: new SecretStore(), now: () => clock.now() });
  t.after(() => manager.destroy());
  must(manager.addOrUpdate(staticCluster('app', ports, more)));
  return manager;
}

function clusterTo(t: TestContext, ports: number[], more: Record<string, unknown>): UpstreamCluster {
  return managerOf(t, ports, more).get('app') ?? assert.fail('not warm');
}

const breakers = (limits: Record<string, unknown>) => ({ circuitBreakers: { thresholds: [limits] } });

/** Asks the n-th host; resolves with how it went. */
function ask(cluster: UpstreamCluster, n = 0): Promise<string> {
  const host = cluster.hosts[n] ?? assert.fail('no such host');
  const options = { priority: 'default', upgrade: false, fresh: false, method: 'GET', serverName: '', http2: false } as const;
  return new Promise((resolve) => {
    cluster.newStream(host, options, {
      onReady: (writer) => writer.head(new RequestHead('GET', '/', 'app'), true),
      onPoolFailure: ({ kind }) => resolve(kind),
      onHead: ({ status }, endStream) => { if (endStream) resolve(String(status)); },
      onInterim: () => {}, onData: () => {}, onEnd: () => resolve('200'), onWritable: () => {},
      onReset: ({ kind }) => resolve(`reset: ${kind}`),
    });
  });
}

/** Answers when the test says so, and closes the connection then. */
async function closingApp(t: TestContext) {
  const waiting: http.ServerResponse[] = [];
  const app = http.createServer((_request, response) => void waiting.push(response));
  await new Promise<void>((resolve) => app.listen(0, '127.0.0.1', resolve));
  t.after(() => {
    app.closeAllConnections();
    app.close();
  });
  const answer = async () => {
    await waitFor('a request', () => waiting.length > 0);
    waiting.shift()?.writeHead(200, { connection: 'close', 'content-length': '0' }).end();
  };
  return { port: (app.address() as AddressInfo).port, answer, waiting };
}

test('a host whose last connection ends gets another for those who wait, also when other hosts use up all that are allowed', async (t) => {
  const [busy, app] = [await closingApp(t), await closingApp(t)];
  const cluster = clusterTo(t, [busy.port, app.port], breakers({ maxConnections: 1 }));
  void ask(cluster, 0);
  await waitFor('the only connection that is allowed', () => busy.waiting.length === 1);
  const answers = [ask(cluster, 1), ask(cluster, 1), ask(cluster, 1)];
  for (const _each of answers) await app.answer();
  assert.deepEqual(await Promise.all(answers), ['200', '200', '200']);
});

test('those who wait get a connection when another host of the cluster gives one up', async (t) => {
  const [other, app] = [await closingApp(t), await closingApp(t)];
  const manager = managerOf(t, [other.port, app.port], breakers({ maxConnections: 2 }));
  const cluster = manager.get('app') ?? assert.fail('not warm');
  const first = ask(cluster, 0);
  void ask(cluster, 1);
  await waitFor('both connections', () => other.waiting.length === 1 && app.waiting.length === 1);
  const second = ask(cluster, 1);
  await other.answer();
  assert.equal(await first, '200');
  await waitFor('the connection to be given up', () => cluster.limits.default.connections === 1);
  manager.tick(1000);
  await waitFor('the request that waited', () => app.waiting.length === 2);
  await app.answer();
  await app.answer();
  assert.equal(await second, '200');
});

/** A port where nobody listens. */
async function deadPort(): Promise<number> {
  const server = net.createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}

test('a host that cannot be reached: all are told at once who wait for the one connection that is allowed', async (t) => {
  const cluster = clusterTo(t, [await deadPort()], breakers({ maxConnections: 1 }));
  assert.deepEqual(await Promise.all(Array.from({ length: 20 }, () => ask(cluster))), Array.from({ length: 20 }, () => 'connect'));
  assert.equal(cluster.stats.cxTotal.value, 1);
  assert.equal(cluster.stats.rqPendingFailureEject.value, 20);
  assert.deepEqual([cluster.stats.rqPendingActive.value, cluster.limits.default.pending, cluster.limits.default.connections], [0, 0, 0]);
});

test('a connection that fails takes nobody with it for whom another is on its way', async (t) => {
  const cluster = clusterTo(t, [await deadPort()], {});
  assert.deepEqual(await Promise.all([ask(cluster), ask(cluster), ask(cluster)]), ['connect', 'connect', 'connect']);
  assert.equal(cluster.stats.cxTotal.value, 3);
});

/** An HTTP/2 application whose answers wait for the test. */
async function http2App(t: TestContext, settings: http2.Settings = {}) {
  const streams: http2.ServerHttp2Stream[] = [];
  const app = http2.createServer({ settings });
  const sessions = new Set<http2.ServerHttp2Session>();
  app.on('session', (session) => sessions.add(session).size);
  app.on('stream', (stream: http2.ServerHttp2Stream) => void streams.push(stream));
  await new Promise<void>((resolve) => app.listen(0, '127.0.0.1', resolve));
  t.after(() => {
    for (const session of sessions) session.destroy();
    app.close();
  });
  const answerAll = () => { for (const stream of streams.splice(0)) stream.respond({ ':status': 200 }, { endStream: true }); };
  return { port: (app.address() as AddressInfo).port, streams, answerAll };
}

const overHttp2 = (commonHttpProtocolOptions: Record<string, unknown> = {}) => ({
  typedExtensionProtocolOptions: {
    'envoy.extensions.upstreams.http.v3.HttpProtocolOptions': {
      '@type': 'type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions', commonHttpProtocolOptions, explicitHttpConfig: { http2ProtocolOptions: {} },
    },
  },
});

test('a host that takes few streams at once is not offered more on its next connections, which are opened side by side', async (t) => {
  const { port, streams, answerAll } = await http2App(t, { maxConcurrentStreams: 1 });
  const cluster = clusterTo(t, [port], overHttp2());
  const first = ask(cluster);
  await waitFor('the first request', () => streams.length === 1);
  const others = [ask(cluster), ask(cluster), ask(cluster), ask(cluster)];
  assert.equal(cluster.limits.default.connections, 5);
  await waitFor('the others', () => streams.length === 5);
  answerAll();
  assert.deepEqual(await Promise.all([first, ...others]), ['200', '200', '200', '200', '200']);
});

test('HTTP/2 connections that may carry one request each are opened side by side', async (t) => {
  const { port, streams, answerAll } = await http2App(t);
  const cluster = clusterTo(t, [port], overHttp2({ maxRequestsPerConnection: 1 }));
  const answers = [ask(cluster), ask(cluster), ask(cluster)];
  assert.equal(cluster.limits.default.connections, 3);
  await waitFor('the requests', () => streams.length === 3);
  answerAll();
  assert.deepEqual(await Promise.all(answers), ['200', '200', '200']);
  await waitFor('the connections to end', () => cluster.limits.default.connections === 0);
  assert.equal(cluster.stats.cxMaxRequests.value, 3);
});
