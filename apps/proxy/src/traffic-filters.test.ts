import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { after, before, test } from 'node:test';
import { promisify } from 'node:util';
import { createGunzip } from 'node:zlib';
import http from 'node:http';
import { Server, ServerCredentials } from '@grpc/grpc-js';
import { RateLimitRequest, RateLimitResponse, RateLimitServiceService, type RateLimitServiceServer } from '@meltemi/api/gen/envoy/service/ratelimit/v3/rls.ts';
import { waitFor } from '@meltemi/base';
import { backend, echo, type Backend } from './testing/backend.ts';
import { bootstrap, cluster, filter, httpListener, httpOptions, route, type Json } from './testing/bootstrap.ts';
import { request } from './testing/client.ts';
import { startProxy, type RunningProxy } from './testing/proxy-process.ts';

const run = promisify(execFile);
const httpFilter = (name: string, type: string, config: Json = {}): Json => filter(`envoy.filters.http.${name}`, `type.googleapis.com/envoy.extensions.filters.http.${type}`, config);
const all = { default_value: { numerator: 100 } };
const line = 'the meltemi blows in summer, dry and strong\n';

/** Bytes that the endless page's server has handed over. */
let streamed = 0;
let app: Backend;
let limiter: { port: number; stop(): void };
let proxy: RunningProxy;

/** 64 MB of text that does compress, but not to nothing. */
function bigPage(response: http.ServerResponse): void {
  const parts = 1000;
  let sent = 0;
  response.writeHead(200, { 'content-type': 'text/plain' });
  const more = (): void => {
    while (sent < parts) {
      const part = Buffer.alloc(64 * 1024);
      for (let i = 0; i < part.length; i++) part[i] = 97 + Math.floor(Math.random() * 16);
      sent++;
      streamed += part.length;
      if (!response.write(part)) return void response.once('drain', more);
    }
    response.end();
  };
  more();
}

/** What the rate limit service was asked, by path of the request (its only descriptor's value). */
const asked: RateLimitRequest[] = [];

/** A rate limit service that lets a descriptor pass once. */
async function limitOnce(): Promise<{ port: number; stop(): void }> {
  const server = new Server();
  server.addService(RateLimitServiceService, {
    shouldRateLimit: (call, done) => {
      const key = JSON.stringify(call.request.descriptors);
      const over = asked.some((earlier) => JSON.stringify(earlier.descriptors) === key);
      asked.push(call.request);
      done(null, { overallCode: over ? 2 : 1, statuses: [], responseHeadersToAdd: [{ key: 'x-asked', value: call.request.domain, rawValue: Buffer.alloc(0) }], requestHeadersToAdd: [], rawBody: Buffer.alloc(0) });
    },
  } satisfies RateLimitServiceServer);
  const port = await new Promise<number>((resolve, reject) => server.bindAsync('127.0.0.1:0', ServerCredentials.createInsecure(), (error, bound) => (error ? reject(error) : resolve(bound))));
  return { port, stop: () => server.forceShutdown() };
}

before(async () => {
  limiter = await limitOnce();
  app = await backend('app', (message, response, seen) => {
    if (seen.url === '/big') bigPage(response);
    else if (seen.url === '/page') response.writeHead(200, { 'content-type': 'text/html', etag: '"1"' }).end(line.repeat(200));
    else echo(message, response, seen);
  });
  const library = (name: string): Json => ({ name, typed_config: { '@type': `type.googleapis.com/envoy.extensions.compression.${name}.compressor.v3.${name === 'gzip' ? 'Gzip' : 'Brotli'}` } });
  const limit = { stat_prefix: 'lim', token_bucket: { max_tokens: 7, tokens_per_fill: 1, fill_interval: '3600s' }, filter_enabled: all, filter_enforced: all };
  proxy = await startProxy(bootstrap([
    httpListener({ name: 'zip', routes: [route({ prefix: '/' }, { cluster: 'app', timeout: '60s' })], filters: [httpFilter('compressor', 'compressor.v3.Compressor', { compressor_library: library('brotli') }), { ...httpFilter('compressor', 'compressor.v3.Compressor', { compressor_library: library('gzip') }), name: 'gzip' }] }),
    httpListener({ name: 'limited', routes: [route({ prefix: '/' }, 'app')], filters: [httpFilter('local_ratelimit', 'local_ratelimit.v3.LocalRateLimit', limit)] }),
    httpListener({
      name: 'checked', routes: [route({ prefix: '/' }, 'app')], filters: [
        httpFilter('health_check', 'health_check.v3.HealthCheck', { pass_through_mode: false, headers: [{ name: ':path', string_match: { exact: '/healthz' } }], cluster_min_healthy_percentages: { app: { value: 50 } } }),
        httpFilter('buffer', 'buffer.v3.Buffer', { max_request_bytes: 1000 }),
        httpFilter('header_mutation', 'header_mutation.v3.HeaderMutation', { mutations: { request_mutations: [{ append: { header: { key: 'x-from', value: '%DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT%' } } }], response_mutations: [{ remove: 'x-backend' }] } }),
      ],
    }),
    httpListener({
      name: 'asks', routes: [route({ prefix: '/' }, { cluster: 'app', rate_limits: [{ actions: [{ remote_address: {} }, { request_headers: { header_name: ':path', descriptor_key: 'path' } }] }] })],
      filters: [httpFilter('ratelimit', 'ratelimit.v3.RateLimit', { domain: 'shop', failure_mode_deny: true, timeout: '5s', rate_limit_service: { transport_api_version: 'V3', grpc_service: { envoy_grpc: { cluster_name: 'limiter' } } } })],
    }),
    httpListener({ name: 'grpc-web', routes: [route({ prefix: '/envoy.service' }, 'limiter'), route({ prefix: '/' }, 'app')], filters: [httpFilter('grpc_web', 'grpc_web.v3.GrpcWeb')] }),
  ], [cluster('app', [app.port]), cluster('limiter', [limiter.port], httpOptions({ explicit_http_config: { http2_protocol_options: {} } }))]), { args: ['--concurrency', '2'] });
});
after(async () => {
  await proxy?.[Symbol.asyncDispose]();
  await app?.stop();
  limiter?.stop();
});

const curl = async (...args: readonly string[]) => (await run('curl', ['-sS', '--max-time', '20', ...args], { maxBuffer: 1 << 20 })).stdout;

test('curl gets a page compressed, and reads it as it was', async () => {
  const url = `http://127.0.0.1:${proxy.port('zip')}/page`;
  assert.equal(await curl('--compressed', url), line.repeat(200));
  const head = await curl('-D', '-', '-o', '/dev/null', '-H', 'accept-encoding: gzip', url);
  assert.match(head, /content-encoding: gzip\r\n/i);
  assert.doesNotMatch(head, /etag/i);
  assert.match(await curl('-D', '-', '-o', '/dev/null', '-H', 'accept-encoding: gzip;q=0.5, br', url), /content-encoding: br\r\n/i);
});

test('a reader that stalls stops the server of a large compressed body; memory stays flat', async () => {
  const rss = () => Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${proxy.pid}/status`, 'utf8'))?.[1]);
  const before = rss();
  const response = await new Promise<http.IncomingMessage>((resolve, reject) => {
    http.get({ host: '127.0.0.1', port: proxy.port('zip'), path: '/big', headers: { 'accept-encoding': 'gzip' }, agent: false }, resolve).on('error', reject);
  });
  let last = -1;
  await waitFor('the server to be held back', () => {
    const still = streamed === last && streamed > 0;
    last = streamed;
    return still;
  }, { everyMs: 300, deadlineMs: 20_000 });
  assert.ok(streamed < 40e6, `${streamed} bytes were taken for a reader who reads nothing`);
  assert.ok(rss() - before < 60_000, `${rss() - before} kB more`);
  let bytes = 0;
  for await (const part of response.pipe(createGunzip())) bytes += (part as Buffer).length;
  assert.equal(bytes, 1000 * 64 * 1024);
});

test('workers share one bucket', async () => {
  const answers = await Promise.all(Array.from({ length: 40 }, () => request(proxy.port('limited'))));
  assert.equal(answers.filter(({ status }) => status === 200).length, 7);
  assert.ok(answers.every(({ status, body }) => status === 200 || (status === 429 && body === 'local_rate_limited')));
  const stats = await waitFor('the workers to tell their counts', async () => {
    const { body } = await request(proxy.port('admin'), { path: '/stats?filter=http_local_rate_limit' });
    return body.includes('rate_limited: 33') ? body : undefined;
  });
  assert.match(stats, /lim\.http_local_rate_limit\.ok: 7\n/);
});

test('a gRPC-Web client over HTTP/1.1 calls a gRPC server, in binary and in text', async () => {
  for (const [kind, code] of [['application/grpc-web+proto', 'latin1'], ['application/grpc-web-text', 'base64']] as const) {
    const message = RateLimitRequest.encode({ domain: `web ${code}`, descriptors: [], hitsAddend: 0 }).finish();
    const frame = Buffer.from([0, 0, 0, 0, message.length, ...message]);
    const answer = await request(proxy.port('grpc-web'), { method: 'POST', path: '/envoy.service.ratelimit.v3.RateLimitService/ShouldRateLimit', headers: { 'content-type': kind, accept: kind }, body: code === 'base64' ? frame.toString('base64') : frame });
    // Each frame is padded base64 of its own.
    const bytes = code === 'base64' ? Buffer.concat(answer.body.split(/(?<==)(?!=)/).map((part) => Buffer.from(part, 'base64'))) : Buffer.from(answer.body, 'latin1');
    const length = bytes.readUInt32BE(1);
    assert.equal(RateLimitResponse.decode(bytes.subarray(5, 5 + length)).responseHeadersToAdd[0]?.value, `web ${code}`);
    assert.equal(bytes[5 + length], 0x80);
    assert.match(bytes.toString('latin1', 10 + length), /^grpc-status:0\r\n/);
  }
  asked.length = 0;
});

test('a rate limit service is asked, and its answer kept to; without it requests are denied as configured', async () => {
  const port = proxy.port('asks');
  const first = await request(port, { path: '/once' });
  assert.deepEqual([first.status, first.headers['x-asked']], [200, 'shop']);
  assert.deepEqual(asked[0], { domain: 'shop', descriptors: [{ entries: [{ key: 'remote_address', value: '127.0.0.1' }, { key: 'path', value: '/once' }], limit: undefined }], hitsAddend: 0 });
  const second = await request(port, { path: '/once' });
  assert.deepEqual([second.status, second.headers['x-envoy-ratelimited']], [429, 'true']);
  limiter.stop();
  assert.equal((await request(port, { path: '/other' })).status, 500);
  await waitFor('the workers to tell their counts', async () => {
    const { body } = await request(proxy.port('admin'), { path: '/stats?filter=cluster.app.ratelimit' });
    return /ratelimit\.error: 1\n/.test(body) && /ratelimit\.ok: 1\n/.test(body) && /ratelimit\.over_limit: 1\n/.test(body);
  });
});

test('/healthcheck/fail fails the checks of every worker, /healthcheck/ok undoes it', async () => {
  const port = proxy.port('checked');
  const check = async () => Promise.all(Array.from({ length: 8 }, async () => (await request(port, { path: '/healthz' })).status));
  assert.deepEqual([...new Set(await check())], [200]);
  await request(proxy.port('admin'), { method: 'POST', path: '/healthcheck/fail' });
  assert.deepEqual([...new Set(await check())], [503]);
  assert.equal((await request(port)).headers['x-envoy-immediate-health-check-fail'], 'true');
  await request(proxy.port('admin'), { method: 'POST', path: '/healthcheck/ok' });
  assert.deepEqual([...new Set(await check())], [200]);
});

test('a buffered request has its length, and fields as the mutations say', async () => {
  const answer = await request(proxy.port('checked'), { method: 'POST', headers: { 'transfer-encoding': 'chunked' }, body: 'abc' });
  const { headers, body } = answer.seen();
  assert.deepEqual([headers['content-length'], headers['transfer-encoding'], headers['x-from'], body], ['3', undefined, '127.0.0.1', 'abc']);
  assert.equal(answer.headers['x-backend'], undefined);
  assert.equal((await request(proxy.port('checked'), { method: 'POST', body: 'x'.repeat(1001) })).status, 413);
});

test('a gRPC-Web call reaches an upstream that speaks no gRPC, and its answer says so in gRPC-Web', async () => {
  const answer = await request(proxy.port('grpc-web'), { method: 'POST', path: '/a.B/C', headers: { 'content-type': 'application/grpc-web-text', 'x-reply-status': '503' }, body: 'AAAAAAA=' });
  assert.deepEqual([answer.status, answer.headers['content-type'], answer.headers['grpc-status'], answer.body], [503, 'application/grpc-web+proto', '14', '']);
  const seen = app.seen.at(-1);
  assert.deepEqual([seen?.headers['content-type'], seen?.body], ['application/grpc', '\0\0\0\0\0']);
});
