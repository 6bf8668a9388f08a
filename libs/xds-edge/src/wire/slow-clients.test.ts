import assert from 'node:assert/strict';
import { connect, type ClientHttp2Stream } from 'node:http2';
import { test, type TestContext } from 'node:test';
import { Server, ServerCredentials, type ServerDuplexStream } from '@grpc/grpc-js';
import { AggregatedDiscoveryServiceService } from '@meltemi/api/gen/envoy/service/discovery/v3/ads.ts';
import { DeltaDiscoveryRequest } from '@meltemi/api/gen/envoy/service/discovery/v3/discovery.ts';
import { waitFor } from '@meltemi/base';
import { resourceSet, xdsResource, xdsSnapshot, xdsType, type XdsSnapshot } from '@meltemi/xds';
import { startAdsServer } from '../ads-server.ts';
import type { AdsServer, AdsServerOptions } from '../server-types.ts';
import { http2StreamOf } from './response-writer.ts';

const node = { id: 'slow', cluster: 'test', dynamicParameters: {}, userAgentName: '', extensions: [], clientFeatures: [], listeningAddresses: [] };
const plaintext = { name: 'plain', address: '127.0.0.1:0', credentials: ServerCredentials.createInsecure() };
const mb = 1 << 20;

/** One route table of this many bytes; nobody here looks into it. */
function tableOf(revision: string, bytes: number): XdsSnapshot {
  return xdsSnapshot(revision, [resourceSet(xdsType.route, [xdsResource('80', { typeUrl: xdsType.route, value: Buffer.alloc(bytes, revision) })])]);
}

async function serverOf(context: TestContext, snapshot: XdsSnapshot, options: Partial<AdsServerOptions> = {}): Promise<AdsServer> {
  const server = await startAdsServer({ listeners: [plaintext], onConnect: (_hello, connection) => (connection.push({ ...snapshot, reason: 'test' }), {}), ...options });
  context.after(() => server.stop(0));
  return server;
}

/** A client that asks for the table and leaves it to the test when it reads. */
function client(context: TestContext, address: string, path = '/envoy.service.discovery.v3.AggregatedDiscoveryService/DeltaAggregatedResources'): ClientHttp2Stream {
  const session = connect(`http://${address}`);
  context.after(() => session.destroy());
  const stream = session.request({ ':method': 'POST', ':path': path, 'content-type': 'application/grpc', te: 'trailers' }, { endStream: false });
  for (const emitter of [session, stream]) emitter.on('error', () => undefined);
  const request = DeltaDiscoveryRequest.encode({ ...DeltaDiscoveryRequest.decode(new Uint8Array()), node, typeUrl: xdsType.route, resourceNamesSubscribe: ['80'] }).finish();
  const framed = Buffer.alloc(5 + request.length);
  framed.writeUInt32BE(request.length, 1);
  framed.set(request, 5);
  stream.write(framed);
  return stream;
}

test('the stream under a call is found in this grpc-js, so that nothing is copied', async (context) => {
  let found: unknown;
  const server = new Server();
  context.after(() => server.forceShutdown());
  server.addService(AggregatedDiscoveryServiceService, {
    deltaAggregatedResources: (call: ServerDuplexStream<unknown, unknown>) => {
      assert.equal(http2StreamOf(call), undefined, 'headers come first');
      call.sendMetadata(call.metadata);
      found = http2StreamOf(call);
      call.end();
    },
    streamAggregatedResources: () => undefined,
  });
  const port = await new Promise<number>((resolve, reject) => server.bindAsync('127.0.0.1:0', ServerCredentials.createInsecure(), (error, bound) => (error ? reject(error) : resolve(bound))));
  client(context, `127.0.0.1:${port}`).resume();
  assert.ok(await waitFor('the call', () => found));
});

test('clients that do not read wait for one and the same table, not for a copy each', async (context) => {
  const clients = 24;
  const server = await serverOf(context, tableOf('1', 4 * mb));
  const before = process.memoryUsage().arrayBuffers;
  for (let i = 0; i < clients; i++) client(context, server.addresses.get('plain') ?? '');
  await waitFor('every client to be sent its table', () => server.connections().length === clients && server.connections().every((one) => one.status()[0]?.sentVersion !== ''));
  const grown = process.memoryUsage().arrayBuffers - before;
  assert.ok(grown < 12 * mb, `${Math.round(grown / mb)} MB for ${clients} clients that are owed 4 MB each`);
});

test('while a client has not read its response it is owed at most one, the newest', async (context) => {
  const server = await serverOf(context, tableOf('1', mb), { stepDeadlineMs: 1 });
  const stream = client(context, server.addresses.get('plain') ?? '');
  const connection = await waitFor('the client', () => server.connections()[0]);
  await waitFor('the first response', () => connection.status()[0]?.sentVersion !== '');
  const first = connection.status()[0]?.sentVersion;
  for (let revision = 2; revision <= 9; revision++) {
    connection.push({ ...tableOf(String(revision), mb), reason: 'test' });
    await new Promise((resolve) => setTimeout(resolve, 2));
  }
  assert.equal(connection.status()[0]?.sentVersion, first, 'nothing more is written to who does not read');
  const newest = tableOf('9', mb).resources.get(xdsType.route)?.version;
  let received = 0;
  stream.on('data', (part: Buffer) => (received += part.length));
  await waitFor('the newest table', () => connection.status()[0]?.sentVersion === newest && received > 2 * mb);
  assert.ok(received < 2.1 * mb, `${received} bytes: the first table and the newest`);
});

test('a client that reads slowly is not taken for one that does not read', async (context) => {
  const server = await serverOf(context, tableOf('1', mb), { stalledDeadlineMs: 150 });
  const stream = client(context, server.addresses.get('plain') ?? '');
  let received = 0;
  stream.on('data', (part: Buffer) => {
    received += part.length;
    stream.pause();
    setTimeout(() => stream.resume(), 10);
  });
  const started = performance.now();
  await waitFor('the table', () => received > mb, { deadlineMs: 20_000 });
  assert.ok(performance.now() - started > 300, 'it took longer than the deadline');
  assert.equal(server.connections().length, 1);
});
