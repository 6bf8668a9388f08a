import assert from 'node:assert/strict';
import { readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { waitFor } from '@meltemi/base';
import { backend, type Backend } from './testing/backend.ts';
import { bootstrap, cluster, fileLog, httpListener, route, type Json } from './testing/bootstrap.ts';
import { request } from './testing/client.ts';
import { collector, type Collector } from './testing/collectors.ts';
import { startProxy, temporaryFolder, type RunningProxy } from './testing/proxy-process.ts';

const configs = 'type.googleapis.com/envoy.config.trace.v3';
let dir: string;
let app: Backend;
let traces: Collector;

before(async () => {
  dir = temporaryFolder();
  app = await backend('app');
  traces = await collector();
});
after(async () => {
  await app.stop();
  await traces.stop();
  rmSync(dir, { recursive: true, force: true });
});

const otlp = (more: Json = {}): Json => ({ name: 'envoy.tracers.opentelemetry', typed_config: { '@type': `${configs}.OpenTelemetryConfig`, http_service: { http_uri: { uri: 'http://collector.example/v1/traces', cluster: 'collector', timeout: '2s' }, request_headers_to_add: [{ header: { key: 'x-token', value: 'secret' } }] }, service_name: 'shop', ...more } });
const zipkin = (more: Json = {}): Json => ({ name: 'envoy.tracers.zipkin', typed_config: { '@type': `${configs}.ZipkinConfig`, collector_cluster: 'collector', collector_endpoint: '/api/v2/spans', collector_endpoint_version: 'HTTP_JSON', ...more } });

interface Hop {
  readonly provider: Json;
  readonly tracing?: Json;
  readonly direction: 'INBOUND' | 'OUTBOUND';
  readonly to: number;
  readonly route?: Json;
  readonly log?: string;
}

const hop = ({ provider, tracing = {}, direction, to, route: more = {}, log }: Hop): Promise<RunningProxy> => startProxy(bootstrap(
  [httpListener({
    routes: [{ ...route({ prefix: '/' }, 'next'), ...more }], listener: { traffic_direction: direction },
    hcm: { tracing: { provider, ...tracing }, ...(log === undefined ? {} : { access_log: [fileLog(log, { log_format: { text_format_source: { inline_string: '%REQ(:PATH)% %TRACE_ID%\n' } } }), fileLog(`${log}.traced`, { log_format: { text_format_source: { inline_string: '%REQ(:PATH)%\n' } } }, { filter: { traceable_filter: {} } })] }) },
  })],
  [cluster('next', [to]), cluster('collector', [traces.port])],
));

test('one request through two proxies is one W3C trace, from the client\'s span to the last server\'s', async () => {
  const log = join(dir, 'access.log');
  await using inner = await hop({ provider: otlp(), direction: 'INBOUND', to: app.port });
  await using outer = await hop({ provider: otlp(), direction: 'OUTBOUND', to: inner.port('web'), log, route: { decorator: { operation: 'checkout' } } });
  const traceparent = '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01';
  const reply = await request(outer.port('web'), { path: '/buy?x=1', headers: { host: 'shop.example', traceparent, tracestate: 'vendor=a1', 'user-agent': 'tester' } });
  const client = await traces.span((span) => span.kind === 'CLIENT' && span.tags['http.url'] === 'http://shop.example/buy?x=1');
  const server = await traces.span((span) => span.kind === 'SERVER' && span.parentId === client.spanId);
  assert.equal(client.traceId, '4bf92f3577b34da6a3ce929d0e0e4736');
  assert.equal(server.traceId, client.traceId);
  assert.equal(client.parentId, '00f067aa0ba902b7');
  assert.equal(reply.seen().headers['traceparent'], `00-${client.traceId}-${server.spanId}-01`);
  assert.equal(reply.seen().headers['tracestate'], 'vendor=a1');
  // The route's name for the operation travels to the receiver, and no further.
  assert.deepEqual([client.name, server.name, reply.seen().headers['x-envoy-decorator-operation'], reply.headers['x-envoy-decorator-operation']], ['checkout', 'checkout', undefined, undefined]);
  const id = reply.seen().headers['x-request-id'];
  assert.equal(id?.[14], '9');
  assert.deepEqual(client.tags, {
    node_id: 'test', 'guid:x-request-id': id, 'http.url': 'http://shop.example/buy?x=1', 'http.method': 'GET', downstream_cluster: '-', user_agent: 'tester', 'http.protocol': 'HTTP/1.1', 'peer.address': '127.0.0.1',
    request_size: '0', response_size: String(reply.body.length), component: 'proxy', upstream_cluster: 'next', 'upstream_cluster.name': 'next', 'http.status_code': '200', response_flags: '-',
  });
  assert.ok(client.durationUs >= server.durationUs);
  assert.deepEqual([client.service, traces.headers()['x-token'], traces.headers()['host']], ['shop', 'secret', 'collector.example']);
  assert.equal(await waitFor('the line', () => readFileSync(log, 'utf8').trim()), `/buy?x=1 ${client.traceId}`);
});

test('B3 joins a server\'s span to its client\'s, and 128-bit ids keep their length', async () => {
  await using inner = await hop({ provider: zipkin(), direction: 'INBOUND', to: app.port, tracing: { verbose: true } });
  await using outer = await hop({ provider: zipkin({ trace_id_128bit: true }), direction: 'OUTBOUND', to: inner.port('web') });
  const reply = await request(outer.port('web'), { path: '/zipkin', headers: { host: 'shop.example' } });
  const client = await traces.span((span) => span.kind === 'CLIENT' && span.tags['http.url'] === 'http://shop.example/zipkin');
  const server = await traces.span((span) => span.kind === 'SERVER' && span.traceId === client.traceId);
  assert.equal(client.traceId.length, 32);
  assert.deepEqual([server.spanId, server.parentId, server.shared, client.shared], [client.spanId, client.parentId, true, false]);
  assert.deepEqual([client.name, client.service, client.parentId], ['shop.example', 'tests', '']);
  const { headers } = reply.seen();
  assert.deepEqual([headers['x-b3-traceid'], headers['x-b3-spanid'], headers['x-b3-sampled']], [client.traceId, client.spanId, '1']);
  assert.ok(server.annotations.includes('first_upstream_tx_byte_sent'));
});

test('attempts have spans of their own where that is asked for, also those that are retried', async () => {
  await using proxy = await hop({ provider: otlp(), direction: 'INBOUND', to: app.port, tracing: { spawn_upstream_span: true }, route: { route: { cluster: 'next', retry_policy: { retry_on: '5xx', num_retries: 1 } } } });
  const reply = await request(proxy.port('web'), { path: '/twice', headers: { host: 'a', 'x-reply-status': '503' } });
  assert.equal(reply.status, 503);
  const server = await traces.span((span) => span.tags['http.url'] === 'http://a/twice');
  const second = await traces.span((span) => span.parentId === server.spanId && span.tags['retry.count'] === '1');
  const first = await traces.span((span) => span.parentId === server.spanId && span !== second);
  assert.deepEqual([server.kind, first.kind, second.name, second.tags['peer.address']], ['SERVER', 'CLIENT', 'router next egress', `127.0.0.1:${app.port}`]);
  assert.equal(reply.seen().headers['traceparent'], `00-${server.traceId}-${second.spanId}-01`);
  assert.ok(server.error && second.error);
});

test('what is not sampled is passed on, not reported; tags of one\'s own are', async () => {
  const log = join(dir, 'sampled.log');
  const tags = [{ tag: 'fixed', literal: { value: 'one' } }, { tag: 'asked', request_header: { name: 'x-asked', default_value: 'no' } }, { tag: 'home', environment: { name: 'NO_SUCH_VARIABLE', default_value: 'unset' } }];
  await using proxy = await hop({ provider: otlp(), direction: 'INBOUND', to: app.port, log, tracing: { random_sampling: { value: 0 }, custom_tags: tags, max_path_tag_length: 8 }, route: { tracing: { custom_tags: [{ tag: 'of-route', literal: { value: 'r' } }], random_sampling: { numerator: 0 } } } });
  const quiet = await request(proxy.port('web'), { path: '/quiet' });
  assert.match(quiet.seen().headers['traceparent'] ?? '', /-00$/);
  const asked = await request(proxy.port('web'), { path: '/asked-for', headers: { host: 'a', 'x-client-trace-id': 'c1', 'x-asked': 'yes' } });
  assert.match(asked.seen().headers['traceparent'] ?? '', /-01$/);
  const span = await traces.span((one) => one.tags['guid:x-client-trace-id'] === 'c1');
  assert.deepEqual([span.tags['fixed'], span.tags['asked'], span.tags['home'], span.tags['of-route'], span.tags['http.url']], ['one', 'yes', 'unset', 'r', 'http://a/asked-f']);
  assert.ok(!traces.spans.some((one) => one.tags['http.url']?.includes('quiet')));
  assert.equal(await waitFor('the line', () => readFileSync(`${log}.traced`, 'utf8').trim()), '/asked-for');
  assert.match((await request(proxy.port('admin'), { path: '/stats' })).body, /^http\.web\.tracing\.client_enabled: 1$/m);
});

test('spans that a collector refuses are counted; those that wait are handed over at the end', async () => {
  const proxy = await hop({ provider: otlp(), direction: 'INBOUND', to: app.port });
  try {
    traces.status = 503;
    await request(proxy.port('web'), { path: '/refused' });
    await waitFor('the count', async () => /^tracing\.opentelemetry\.spans_dropped: 1$/m.test((await request(proxy.port('admin'), { path: '/stats' })).body));
    traces.status = 200;
    await request(proxy.port('web'), { path: '/last', headers: { host: 'a' } });
    await proxy.stop();
    assert.ok(traces.spans.some((span) => span.tags['http.url'] === 'http://a/last'));
  } finally {
    await proxy[Symbol.asyncDispose]();
  }
});
