import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { type ChannelCredentials, Client, credentials as channels, type ClientWritableStream, ServerCredentials, type ServiceError, status } from '@grpc/grpc-js';
import fc from 'fast-check';
import { waitFor } from '@meltemi/base';
import { AccessLogType, type HTTPAccessLogEntry } from '@meltemi/api/gen/envoy/data/accesslog/v3/accesslog.ts';
import { AccessLogServiceClient, type StreamAccessLogsMessage } from '@meltemi/api/gen/envoy/service/accesslog/v3/als.ts';
import { callerIdentity } from '@meltemi/identity-edge';
import type { Attributes } from '@meltemi/mixer';
import { expositionText, StatsRegistry } from '@meltemi/observe';
import { createLogger } from '@meltemi/observe-edge';
import { httpEntry, nodeOf, peerOf, tcpEntry } from '@meltemi/mixer/testing';
import { AccessLogServer, type AccessLogServerOptions } from './access-log-server.ts';
import { createTestAuthority } from './testing/authority.ts';

const log = createLogger({ name: 'test', level: 'off', format: 'json', fd: 2 });
const stops: (() => void)[] = [];
after(() => stops.forEach((stop) => stop()));

async function serve(options: Partial<AccessLogServerOptions> = {}) {
  const reports: Attributes[] = [];
  const stats = new StatsRegistry();
  const server = new AccessLogServer({ credentials: ServerCredentials.createInsecure(), identify: undefined, report: (attributes) => reports.push(attributes), stats, log, ...options });
  stops.push(() => server.stop());
  const { port } = await server.listen({ host: '127.0.0.1', port: 0 });
  return { server, reports, stats, port, connect: (credentials = channels.createInsecure()) => open(port, credentials) };
}

interface Stream {
  readonly call: ClientWritableStream<StreamAccessLogsMessage>;
  readonly result: Promise<ServiceError | null>;
}

function open(port: number, credentials: ChannelCredentials): Stream {
  const client = new AccessLogServiceClient(`localhost:${port}`, credentials);
  stops.push(() => client.close());
  let done: (error: ServiceError | null) => void = () => undefined;
  const result = new Promise<ServiceError | null>((resolve) => (done = resolve));
  const call = client.streamAccessLogs({ deadline: Date.now() + 20_000 }, (error) => done(error));
  call.on('error', () => undefined);
  return { call, result };
}

function http(entries: HTTPAccessLogEntry[], node?: ReturnType<typeof nodeOf>): StreamAccessLogsMessage {
  return { identifier: node && { node, logName: 'meltemi' }, logEntries: { $case: 'httpLogs', value: { logEntry: entries } } };
}

test('entries streamed over gRPC become attributes, the sender named once', async () => {
  const { connect, reports, stats } = await serve();
  const { call, result } = connect();
  const entry = httpEntry({ peer: peerOf('source', 'productpage-v1', 'reviews-v1'), code: 503, durationMs: 12.5 });
  call.write(http([entry], nodeOf('productpage-v1')));
  call.write(http([entry, entry]));
  call.write({ identifier: undefined, logEntries: { $case: 'tcpLogs', value: { logEntry: [tcpEntry({ peer: peerOf('source', 'productpage-v1', 'mongo'), type: AccessLogType.TcpConnectionEnd, id: 'c', received: 3, sent: 4 })] } } });
  call.end();
  assert.equal(await result, null);
  assert.equal(reports.length, 5);
  assert.deepEqual(['destination.workload.name', 'response.code', 'response.duration'].map((name) => reports[0]?.get(name)), ['reviews-v1', 503, 12.5]);
  assert.deepEqual(reports.slice(3).map((bag) => bag.get('connection.event')), ['open', 'close']);
  const text = expositionText(stats);
  assert.match(text, /meltemi_als_entries_total\{kind="http"\} 3/);
  assert.match(text, /^meltemi_als_streams 0$/m);
});

test('a stream that does not say who it is, or without a namespace, is refused with what is missing', async () => {
  const { connect, reports } = await serve();
  const nameless = connect();
  nameless.call.write(http([httpEntry()]));
  const homeless = connect();
  homeless.call.write(http([httpEntry()], { ...nodeOf('a'), id: 'odd', metadata: {} }));
  const errors = await Promise.all([nameless.result, homeless.result]);
  assert.deepEqual(errors.map((error) => error?.code), [status.INVALID_ARGUMENT, status.INVALID_ARGUMENT]);
  assert.match(errors[1]?.details ?? '', /NAMESPACE/);
  assert.equal(reports.length, 0);
});

test('over mTLS the proven principal is on every report', async () => {
  const authority = createTestAuthority();
  const { connect, reports } = await serve({ credentials: authority.server(), identify: callerIdentity });
  const { call, result } = connect(authority.client('reviews'));
  call.write(http([httpEntry({ peer: { ...peerOf('destination', 'productpage-v1', 'reviews-v1'), destination_principal: 'spiffe://cluster.local/ns/default/sa/somebody-else' } })], nodeOf('reviews-v1', { serviceAccount: 'reviews' })));
  call.end();
  assert.equal(await result, null);
  assert.equal(reports[0]?.get('destination.principal'), 'spiffe://cluster.local/ns/default/sa/reviews');
});

test('a proxy that reports as another namespace or service account than its certificate is refused', async () => {
  const authority = createTestAuthority();
  const { connect, reports, stats } = await serve({ credentials: authority.server(), identify: callerIdentity });
  const lies = [nodeOf('reviews-v1', { serviceAccount: 'admin' }), nodeOf('reviews-v1', { namespace: 'payments', serviceAccount: 'reviews' })].map((node) => {
    const { call, result } = connect(authority.client('reviews'));
    call.write(http([httpEntry()], node));
    return result;
  });
  const errors = await Promise.all(lies);
  assert.deepEqual(errors.map((error) => error?.code), [status.PERMISSION_DENIED, status.PERMISSION_DENIED]);
  assert.match(errors[0]?.details ?? '', /service account does not match: the node says default\/admin, the certificate spiffe:\/\/cluster\.local\/ns\/default\/sa\/reviews/);
  assert.match(errors[1]?.details ?? '', /namespace does not match/);
  assert.equal(reports.length, 0);
  assert.match(expositionText(stats), /meltemi_als_streams_refused_total\{reason="identity"\} 2/);
});

test('a proxy of another trust domain reports nothing here, whatever its node says', async () => {
  const authority = createTestAuthority();
  const { connect, reports } = await serve({ credentials: authority.server(), identify: callerIdentity, trustDomain: 'another.example' });
  const { call, result } = connect(authority.client('reviews'));
  call.write(http([httpEntry()], nodeOf('reviews-v1', { serviceAccount: 'reviews' })));
  const error = await result;
  assert.equal(error?.code, status.PERMISSION_DENIED);
  assert.match(error?.details ?? '', /spiffe:\/\/cluster\.local\/ns\/default\/sa\/reviews is not of trust domain another\.example/);
  assert.equal(reports.length, 0);
});

test('a proxy that floods is read at its rate, and holds up no other', async () => {
  const { connect, reports } = await serve({ entryRate: { perSecond: 1000, burst: 500 } });
  const flood = connect();
  const entries = Array.from({ length: 100 }, () => httpEntry({ peer: peerOf('source', 'flood', 'x') }));
  for (let n = 0; n < 100; n += 1) flood.call.write(http(entries, n === 0 ? nodeOf('flood') : undefined));
  await waitFor('the burst', () => reports.length >= 500);
  const honest = connect();
  honest.call.write(http([httpEntry()], nodeOf('a')));
  honest.call.end();
  assert.equal(await honest.result, null);
  assert.ok(reports.length < 3000, `${reports.length} entries were read at once`);
  flood.call.cancel();
});

test('without a client certificate, or with one of another authority, nothing gets through', async () => {
  const authority = createTestAuthority();
  const { connect, reports } = await serve({ credentials: authority.server(), identify: callerIdentity });
  const streams = [channels.createInsecure(), createTestAuthority().client('reviews')].map((credentials) => connect(credentials));
  for (const { call } of streams) call.write(http([httpEntry()], nodeOf('reviews-v1')));
  for (const { result } of streams) assert.notEqual(await result, null);
  assert.equal(reports.length, 0);
});

test('an entry that lies about its sender is dropped and counted, the rest goes on', async () => {
  const { connect, reports, stats } = await serve();
  const { call, result } = connect();
  const entry = (namespace: string) => httpEntry({ peer: { reporter: 'source', source_workload: 'a', source_workload_namespace: namespace } });
  call.write(http([entry('elsewhere'), entry('default')], nodeOf('a')));
  call.end();
  assert.equal(await result, null);
  assert.equal(reports.length, 1);
  assert.match(expositionText(stats), /meltemi_als_entries_refused_total\{reason="invalid"\} 1/);
});

test('streams past the limit and oversized messages are refused', async () => {
  const { connect, server } = await serve({ maxStreams: 1, maxMessageBytes: 2000 });
  const first = connect();
  first.call.write(http([], nodeOf('a')));
  await waitFor('the first stream', () => server.openStreams === 1);
  const second = connect();
  assert.equal((await second.result)?.code, status.RESOURCE_EXHAUSTED);
  first.call.write(http(Array.from({ length: 100 }, () => httpEntry())));
  assert.equal((await first.result)?.code, status.RESOURCE_EXHAUSTED);
  await waitFor('the slot to be free', () => server.openStreams === 0);
});

test('a drain ends open streams with UNAVAILABLE and turns new ones away', async () => {
  const { connect, server } = await serve();
  const first = connect();
  first.call.write(http([], nodeOf('a')));
  await waitFor('the stream', () => server.openStreams === 1);
  server.drain();
  assert.equal((await first.result)?.code, status.UNAVAILABLE);
  assert.equal((await connect().result)?.code, status.UNAVAILABLE);
});

test('whatever bytes come, their stream ends with an error and the server goes on', async () => {
  const { connect, port, reports } = await serve();
  const client = new Client(`localhost:${port}`, channels.createInsecure());
  stops.push(() => client.close());
  const send = (bytes: Uint8Array) =>
    new Promise<void>((resolve) => {
      const call = client.makeClientStreamRequest('/envoy.service.accesslog.v3.AccessLogService/StreamAccessLogs', (value: Buffer) => value, (value: Buffer) => value, { deadline: Date.now() + 10_000 }, () => resolve());
      call.on('error', () => undefined);
      call.end(Buffer.from(bytes));
    });
  await fc.assert(fc.asyncProperty(fc.uint8Array({ maxLength: 64 }), send), { numRuns: 50 });
  const { call, result } = connect();
  call.write(http([httpEntry()], nodeOf('a')));
  call.end();
  assert.equal(await result, null);
  assert.equal(reports.length, 1);
});

test('a proxy that is killed leaves no stream behind', async () => {
  const { connect, server } = await serve();
  const { call } = connect();
  call.write(http([], nodeOf('a')));
  await waitFor('the stream', () => server.openStreams === 1);
  call.cancel();
  await waitFor('it to be gone', () => server.openStreams === 0);
});
