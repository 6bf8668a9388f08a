import assert from 'node:assert/strict';
import { readFileSync, rmSync } from 'node:fs';
import http2 from 'node:http2';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { waitFor } from '@meltemi/base';
import { backend, tcpBackend, type Backend } from '../testing/backend.ts';
import { bootstrap, cluster, fileLog, http2Only, httpListener, route, typeOf, type Json } from '../testing/bootstrap.ts';
import { request } from '../testing/client.ts';
import { Load, type LoadOptions } from '../testing/load.ts';
import { startProxy, temporaryFolder, type RunningProxy } from '../testing/proxy-process.ts';
import { RestartingServer } from '../testing/restarting-server.ts';

let proxy: RunningProxy;
let logFile: string;
const apps = ['one', 'two', 'three'].map((name) => new RestartingServer(name));
let held: Backend;
/** Answers of `held` that wait for release. */
const waiting: (() => void)[] = [];
let holding = false;
let silent: Backend;
let resetting: Backend;
let halfway: Backend;
let resettingStreams: http2.Http2Server;
const sessions = new Set<http2.ServerHttp2Session>();

/** Istio's default, with resets. */
const retries: Json = {
  retry_on: 'connect-failure,reset,refused-stream', num_retries: 3, retry_back_off: { base_interval: '0.002s', max_interval: '0.02s' },
  retry_host_predicate: [{ name: 'envoy.retry_host_predicates.previous_hosts', typed_config: { '@type': typeOf.previousHosts } }], host_selection_retry_max_attempts: '5',
};

before(async () => {
  const dir = temporaryFolder();
  logFile = join(dir, 'access.log');
  for (const app of apps) await app.start();
  held = await backend('held', (_request, response) => {
    const answer = () => response.end('late');
    if (holding) waiting.push(answer);
    else answer();
  });
  silent = await tcpBackend('silent', (socket) => socket.resume());
  resetting = await tcpBackend('resetting', (socket) => socket.once('data', () => socket.resetAndDestroy()));
  halfway = await tcpBackend('halfway', (socket) => socket.once('data', () => socket.write('HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nhalf', () => setImmediate(() => socket.resetAndDestroy()))));
  resettingStreams = http2.createServer();
  resettingStreams.on('stream', (stream: http2.ServerHttp2Stream, headers: http2.IncomingHttpHeaders) => {
    stream.on('error', () => {});
    const path = headers[':path'] ?? '';
    if (path.startsWith('/half')) {
      stream.respond({ ':status': 200 });
      stream.write('half', () => stream.destroy(new Error('broken')));
    } else stream.close(path.startsWith('/refused') ? http2.constants.NGHTTP2_REFUSED_STREAM : http2.constants.NGHTTP2_INTERNAL_ERROR);
  });
  await new Promise<void>((resolve) => resettingStreams.listen(0, '127.0.0.1', resolve));
  const streamsPort = (resettingStreams.address() as AddressInfo).port;
  resettingStreams.on('session', (session) => {
    sessions.add(session);
    session.on('close', () => sessions.delete(session));
    session.on('error', () => {});
  });
  const forward = (path: string, to: string, more: Json = {}) => route({ path }, { cluster: to, ...more });
  const breakers = (limits: Json): Json => ({ circuit_breakers: { thresholds: [limits] } });
  // As Istio has it: Envoy's own three at once are fewer than a host that goes away needs.
  const manyRetries = breakers({ max_retries: 1000 });
  const log = fileLog(logFile, { log_format: { text_format_source: { inline_string: '%REQ(:PATH)% %RESPONSE_CODE% %RESPONSE_FLAGS% %RESPONSE_CODE_DETAILS%\n' } } });
  const routes = [
    forward('/rolling-http1', 'apps-http1', { retry_policy: retries }), forward('/rolling-http2', 'apps-http2', { retry_policy: retries }),
    forward('/reset-retried', 'mostly-good', { retry_policy: retries }), forward('/refused-retried', 'mostly-good-http2', { retry_policy: retries }),
    forward('/reset', 'resetting'), forward('/reset-http2', 'resetting-http2'), forward('/half', 'halfway'), forward('/half-http2', 'resetting-http2'),
    forward('/stalled', 'silent', { timeout: '0.1s' }), forward('/busy', 'busy'), forward('/held', 'held', { timeout: '10s' }),
    route({ prefix: '/good' }, 'apps-http1'),
  ];
  proxy = await startProxy(bootstrap([httpListener({ routes, hcm: { access_log: [log] } })], [
    cluster('apps-http1', apps.map(({ port }) => port), manyRetries), cluster('apps-http2', apps.map(({ http2Port }) => http2Port), { ...http2Only, ...manyRetries }),
    cluster('mostly-good', [apps[0]?.port ?? 0, resetting.port], manyRetries), cluster('mostly-good-http2', [apps[0]?.http2Port ?? 0, streamsPort], { ...http2Only, ...manyRetries }),
    cluster('resetting', [resetting.port]), cluster('halfway', [halfway.port]), cluster('resetting-http2', [streamsPort], http2Only), cluster('silent', [silent.port]),
    cluster('busy', [held.port], breakers({ max_connections: 2, max_pending_requests: 3, max_requests: 1000 })), cluster('held', [held.port]),
  ]));
});
after(async () => {
  // Those of tests that failed.
  await Promise.all(loads.map((each) => each.stop()));
  await proxy?.[Symbol.asyncDispose]();
  await Promise.all([held, silent, resetting, halfway].map((one) => one?.stop()));
  resettingStreams?.close();
  for (const session of sessions) session.destroy();
  for (const app of apps) await app[Symbol.asyncDispose]();
  rmSync(logFile.replace(/access\.log$/, ''), { recursive: true, force: true });
});

const loads: Load[] = [];
const load = (path: string, protocol: LoadOptions['protocol']) => {
  const one = new Load(proxy.port('web'), { protocol, path });
  loads.push(one);
  return one;
};
/** The log's lines of a path, once there are as many. */
const logged = (path: string, count: number) => waitFor(`${count} lines of ${path}`, () => {
  const lines = readFileSync(logFile, 'utf8').split('\n').filter((line) => line.startsWith(`${path} `));
  return lines.length >= count && lines;
});
const stat = async (name: string) => Number(/: (\d+)/.exec((await request(proxy.port('admin'), { path: `/stats?filter=^${name.replaceAll('.', '\\.')}$` })).body)?.[1] ?? 0);

test('three upstreams restarted one after another: no request over HTTP/1.1, HTTP/2 or gRPC fails', async (t) => {
  const mine = [load('/rolling-http1', 'http1'), load('/rolling-http1', 'http2'), load('/rolling-http2', 'http1'), load('/rolling-http2', 'http2'), load('/rolling-http2', 'grpc')];
  for (const app of apps) {
    await Promise.all(mine.map((each) => each.more(20, app.name)));
    await app.stop();
    await Promise.all(mine.map((each) => each.more(50)));
    await app.start();
    await Promise.all(mine.map((each) => each.more(20, app.name)));
  }
  await Promise.all(mine.map((each) => each.stop()));
  for (const each of mine) assert.deepEqual(each.failures, []);
  t.diagnostic(`${mine.reduce((sum, { answers }) => sum + answers, 0)} answers, ${await stat('cluster.apps-http1.upstream_rq_retry') + await stat('cluster.apps-http2.upstream_rq_retry')} retries`);
});

describe('upstreams that reset', () => {
  for (const [path, what] of [['/reset-retried', 'connections'], ['/refused-retried', 'streams']] as const)
    test(`${what}, half of all hosts, before an answer: retried elsewhere, no request fails`, async () => {
      const mine = (path === '/refused-retried' ? (['http1', 'http2', 'grpc'] as const) : (['http1', 'http2'] as const)).map((protocol) => load(path, protocol));
      await Promise.all(mine.map((each) => each.more(100)));
      await Promise.all(mine.map((each) => each.stop()));
      for (const each of mine) assert.deepEqual(each.failures, []);
    });

  const ends: [string, RegExp, RegExp][] = [
    ['/reset', /^status 503: upstream connect error.*connection termination$/, / 503 UC upstream_reset_before_response_started\{connection_termination\}$/],
    ['/reset-http2', /^status 503: upstream connect error.*remote reset$/, / 503 UR upstream_reset_before_response_started\{remote_reset\}$/],
    ['/half', /cut off|aborted|stream ended|Stream closed|ECONNRESET/, / 200 UC upstream_reset_after_response_started\{connection_termination\}$/],
    ['/half-http2', /cut off|aborted|stream ended|Stream closed|ECONNRESET/, / 200 UR upstream_reset_after_response_started\{remote_reset\}$/],
  ];
  for (const [path, seen, line] of ends)
    test(`${path} without retries: each client is told, the log says which`, async () => {
      const others = load('/good', 'http1');
      const mine = [load(path, 'http1'), load(path, 'http2')];
      for (const each of mine) await waitFor('failures', () => each.failures.length >= 20);
      await Promise.all(mine.map((each) => each.stop()));
      await others.more(10);
      await others.stop();
      for (const each of mine) for (const failure of each.failures) assert.match(failure, seen);
      for (const each of await logged(path, mine.reduce((sum, { failures }) => sum + failures.length, 0))) assert.match(each, line);
      assert.deepEqual(others.failures, []);
    });
});

test('a stalled upstream: 504 UT in time, others are served meanwhile', async () => {
  const others = load('/good', 'http1');
  const stalled = [load('/stalled', 'http1'), load('/stalled', 'http2')];
  for (const each of stalled) await waitFor('timeouts', () => each.failures.length >= 8);
  await others.more(20);
  await Promise.all([others, ...stalled].map((each) => each.stop()));
  for (const each of stalled) for (const failure of each.failures) assert.equal(failure, 'status 504: upstream request timeout');
  for (const line of await logged('/stalled', stalled.reduce((sum, { failures }) => sum + failures.length, 0))) assert.match(line, / 504 UT upstream_response_timeout$/);
  assert.deepEqual(others.failures, []);
});

test('overload: what the breakers do not let in is refused at once with 503 UO, nothing waits beyond them, and all is well afterwards', async () => {
  holding = true;
  const burst = 200;
  const answers = Array.from({ length: burst }, () => request(proxy.port('web'), { path: '/busy' }));
  const done: number[] = [];
  for (const answer of answers) void answer.then(({ status }) => done.push(status), () => done.push(0));
  // Three may wait, also for the first two connections; those then carry one each.
  await waitFor('refusals', () => done.length >= burst - 5);
  assert.deepEqual(new Set(done), new Set([503]));
  assert.ok((await stat('cluster.busy.upstream_rq_pending_active')) <= 3);
  assert.equal(await stat('cluster.busy.upstream_cx_active'), 2);
  const admitted = burst - done.length;
  holding = false;
  for (const answer of waiting.splice(0)) answer();
  assert.ok(admitted >= 3 && admitted <= 5, `${admitted} admitted`);
  assert.equal((await Promise.all(answers)).filter(({ status }) => status === 200).length, admitted);
  const lines = await logged('/busy', burst);
  assert.equal(lines.filter((line) => line === '/busy 503 UO upstream_reset_before_response_started{overflow}').length, burst - admitted);
  assert.equal((await request(proxy.port('web'), { path: '/busy' })).status, 200);
});
