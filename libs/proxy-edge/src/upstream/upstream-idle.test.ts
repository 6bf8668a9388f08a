import assert from 'node:assert/strict';
import http from 'node:http';
import type { AddressInfo } from 'node:net';
import { test, type TestContext } from 'node:test';
import { ManualClock, waitFor } from '@meltemi/base';
import { RequestHead } from '@meltemi/http';
import { FlatStats } from '@meltemi/observe';
import { plainPick } from '@meltemi/proxy';
import type { UpstreamCluster } from '@meltemi/proxy';
import { must, staticCluster } from '../server/fixture.ts';
import { SecretStore } from '../transport/secret-store.ts';
import { ClusterManager } from './cluster-manager.ts';

const protocolOptions = (idleTimeout: string) => ({
  typedExtensionProtocolOptions: {
    'envoy.extensions.upstreams.http.v3.HttpProtocolOptions': {
      '@type': 'type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions', commonHttpProtocolOptions: { idleTimeout }, explicitHttpConfig: { httpProtocolOptions: {} },
    },
  },
});

/** An application, a cluster of it under a clock that moves only when told, and requests to it. */
async function setUp(t: TestContext, idleTimeout: string) {
  const waiting: http.ServerResponse[] = [];
  const app = http.createServer({ keepAliveTimeout: 0 }, (request, response) => {
    if (request.url === '/slow') waiting.push(response);
    else response.end('ok');
  });
  let open = 0;
  app.on('connection', (socket) => {
    open++;
    socket.once('close', () => open--);
  });
  await new Promise<void>((resolve) => app.listen(0, '127.0.0.1', resolve));
  t.after(() => {
    app.closeAllConnections();
    app.close();
  });
  const clock = new ManualClock();
  const manager = new ClusterManager({ clock, stats: new FlatStats(), secrets: new SecretStore(), now: () => clock.now(), onWarm: () => {} });
  t.after(() => manager.remove('app'));
  must(manager.addOrUpdate(staticCluster('app', [(app.address() as AddressInfo).port], protocolOptions(idleTimeout))));
  const cluster = manager.get('app') ?? assert.fail('not warm');
  const pass = (ms: number): void => {
    clock.advance(ms);
    manager.tick(clock.now());
  };
  return { pass, open: () => open, waiting, send: (path: string) => send(cluster, path) };
}

/** Resolves with the connection's id when the answer has ended. */
function send(cluster: UpstreamCluster, path: string): Promise<number> {
  const host = cluster.pick({ metadataMatch: null, previousHosts: null, maxAttempts: 1, random: { next: () => 0.5 }, ...plainPick }, '') ?? assert.fail('no host');
  const options = { priority: 'default', upgrade: false, fresh: false, method: 'GET', serverName: '', http2: false } as const;
  return new Promise((resolve, reject) => {
    let id = 0;
    cluster.newStream(host, options, {
      onReady: (writer, connection) => {
        id = connection.id;
        writer.head(new RequestHead('GET', path, 'app'), true);
      },
      onPoolFailure: ({ kind }) => reject(new Error(kind)),
      onInterim: () => {}, onHead: (_head, endStream) => endStream && resolve(id), onData: () => {}, onEnd: () => resolve(id), onWritable: () => {},
      onReset: ({ detail }) => reject(new Error(detail)),
    });
  });
}

test('upstream idle: a pooled connection serves again until it was idle too long, then it is closed', async (t) => {
  const { pass, open, send } = await setUp(t, '10s');
  const first = await send('/');
  pass(9_000);
  assert.equal(await send('/'), first, 'the same connection');
  pass(9_000);
  pass(500);
  assert.equal(open(), 1);
  pass(1_000);
  await waitFor('the application to see it closed', () => open() === 0);
  assert.notEqual(await send('/'), first);
});

test('upstream idle: a connection that waits for its answer is not idle', async (t) => {
  const { pass, open, waiting, send } = await setUp(t, '10s');
  const answer = send('/slow');
  await waitFor('the request', () => waiting.length === 1);
  pass(60_000);
  waiting[0]?.end('at last');
  await answer;
  pass(9_000);
  assert.equal(open(), 1);
  pass(2_000);
  await waitFor('the application to see it closed', () => open() === 0);
});
