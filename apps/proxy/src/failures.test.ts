import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { after, before, describe, test } from 'node:test';
import { waitFor } from '@meltemi/base';
import { backend, closedPort, tcpBackend, type Backend } from './testing/backend.ts';
import { bootstrap, cluster, fileLog, httpListener, httpOptions, route, typeOf, type Json } from './testing/bootstrap.ts';
import { RawConnection, request, type Request } from './testing/client.ts';
import { startProxy, temporaryFolder, type RunningProxy } from './testing/proxy-process.ts';
import { join } from 'node:path';

let proxy: RunningProxy;
let app: Backend;
let second: Backend;
let flaky: Backend;
let silent: Backend;
let resetting: Backend;
let halfway: Backend;
let logFile: string;
/** How often flaky fails next, and with what. */
let failing = { times: 0, status: 503, headers: {} as Record<string, string> };

const retry = (policy: Json, more: Json = {}): Json => ({ cluster: 'flaky', retry_policy: { retry_back_off: { base_interval: '0.001s', max_interval: '0.01s' }, ...policy }, ...more });

before(async () => {
  app = await backend('app');
  second = await backend('second');
  flaky = await backend('flaky', (_incoming, response, seen) => {
    if (failing.times > 0) {
      failing.times--;
      response.writeHead(failing.status, failing.headers);
      response.end('failed');
    } else {
      response.writeHead(200, { 'x-seen': String(flaky.seen.length) });
      response.end(seen.body);
    }
  });
  silent = await tcpBackend('silent', (socket) => socket.resume());
  resetting = await tcpBackend('resetting', (socket) => socket.once('data', () => socket.resetAndDestroy()));
  halfway = await tcpBackend('halfway', (socket) => socket.once('data', () => {
    socket.write('HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nhalf');
    setTimeout(() => socket.resetAndDestroy(), 50);
  }));
  const dead = await closedPort();
  logFile = join(temporaryFolder(), 'access.log');
  const routes = [
    route({ path: '/timeout' }, { cluster: 'silent', timeout: '0.15s' }),
    route({ path: '/idle' }, { cluster: 'silent', timeout: '0s', idle_timeout: '1s' }),
    route({ path: '/slow-body' }, { cluster: 'halfway', timeout: '5s' }),
    route({ path: '/reset' }, 'resetting'),
    route({ path: '/dead' }, 'dead'),
    route({ path: '/unroutable' }, 'unroutable'),
    route({ path: '/empty' }, 'empty'),
    route({ path: '/unknown' }, 'unknown'),
    route({ path: '/app' }, 'app'),
    route({ path: '/header-timeout' }, { cluster: 'silent', timeout: '10s' }),
    route({ path: '/5xx' }, retry({ retry_on: '5xx', num_retries: 2 })),
    route({ path: '/default-retries' }, retry({ retry_on: '5xx' })),
    route({ path: '/gateway' }, retry({ retry_on: 'gateway-error', num_retries: 2 })),
    route({ path: '/4xx' }, retry({ retry_on: 'retriable-4xx', num_retries: 1 })),
    route({ path: '/codes' }, retry({ retry_on: 'retriable-status-codes', retriable_status_codes: [418], num_retries: 1 })),
    route({ path: '/headers' }, retry({ retry_on: 'retriable-headers', retriable_headers: [{ name: 'x-again', present_match: true }], num_retries: 1 })),
    route({ path: '/connect' }, retry({ retry_on: 'connect-failure', num_retries: 1 })),
    route({ path: '/reset-retry' }, { cluster: 'resetting', retry_policy: { retry_on: 'reset', num_retries: 2 } }),
    route({ path: '/try' }, { cluster: 'silent', timeout: '5s', retry_policy: { retry_on: '5xx', num_retries: 1, per_try_timeout: '0.1s' } }),
    route({ path: '/dead-then-alive' }, { cluster: 'half-dead', retry_policy: { retry_on: 'connect-failure', num_retries: 3, retry_host_predicate: [{ name: 'envoy.retry_host_predicates.previous_hosts', typed_config: { '@type': typeOf.previousHosts } }], host_selection_retry_max_attempts: 5 } }),
    route({ path: '/hedged' }, { cluster: 'half-silent', timeout: '5s', hedge_policy: { hedge_on_per_try_timeout: true }, retry_policy: { retry_on: '5xx', num_retries: 3, per_try_timeout: '0.1s', retry_host_predicate: [{ name: 'envoy.retry_host_predicates.previous_hosts', typed_config: { '@type': typeOf.previousHosts } }], host_selection_retry_max_attempts: 5 } }),
    route({ path: '/busy' }, 'busy'),
    route({ path: '/busy-connections' }, 'busy-connections'),
    route({ path: '/big' }, { cluster: 'flaky', retry_policy: { retry_on: '5xx', num_retries: 1 } }),
  ];
  const thresholds = (limits: Json): Json => ({ circuit_breakers: { thresholds: [limits] } });
  const log = fileLog(logFile, { log_format: { text_format_source: { inline_string: '%REQ(:PATH)% %RESPONSE_CODE% %RESPONSE_FLAGS% %RESPONSE_CODE_DETAILS% %UPSTREAM_CLUSTER%\n' } } });
  proxy = await startProxy(bootstrap([httpListener({ virtualHosts: [{ name: 'all', domains: ['*'], routes, include_request_attempt_count: true, include_attempt_count_in_response: true }], hcm: { internal_address_config: { cidr_ranges: [{ address_prefix: '10.0.0.0', prefix_len: 8 }] }, access_log: [log] } })], [
    cluster('app', [app.port]), cluster('flaky', [flaky.port]), cluster('silent', [silent.port]), cluster('resetting', [resetting.port]), cluster('halfway', [halfway.port]), cluster('dead', [dead]),
    cluster('half-dead', [dead, second.port]), cluster('half-silent', [silent.port, second.port]), cluster('empty', []), cluster('unroutable', [{ endpoint: { address: { socket_address: { address: '192.0.2.1', port_value: 9 } } } }], { connect_timeout: '0.2s' }),
    cluster('busy', [app.port], thresholds({ max_requests: 1 })), cluster('busy-connections', [app.port], thresholds({ max_connections: 1, max_pending_requests: 1 })),
  ]));
});
after(async () => {
  await proxy?.[Symbol.asyncDispose]();
  await Promise.all([app, second, flaky, silent, resetting, halfway].map((one) => one.stop()));
});

const ask = (path: string, more: Request = {}) => request(proxy.port('web'), { path, ...more });
/** The access log's line for a path, once it is written. */
const logged = (path: string) => waitFor(`${path} in the log`, () => readFileSync(logFile, 'utf8').split('\n').find((line) => line.startsWith(`${path} `)), { deadlineMs: 4000 });
const stat = async (name: string) => Number(/: (\d+)/.exec((await request(proxy.port('admin'), { path: `/stats?filter=^${name.replaceAll('.', '\\.')}$` })).body)?.[1] ?? 0);

describe('answers when the upstream gives none', () => {
  test('no answer in time: 504 "upstream request timeout", UT', async () => {
    const reply = await ask('/timeout');
    assert.equal(reply.status, 504);
    assert.equal(reply.body, 'upstream request timeout');
    assert.match(await logged('/timeout'), /504 UT (upstream_)?response_timeout silent/);
  });
  test('a silent stream: 504 "stream timeout" after the idle timeout, SI', async () => {
    const reply = await ask('/idle');
    assert.equal(reply.status, 504);
    assert.equal(reply.body, 'stream timeout');
    assert.match(await logged('/idle'), /504 SI stream_idle_timeout/);
  });
  test('connection refused: 503, UF', async () => {
    const reply = await ask('/dead');
    assert.equal(reply.status, 503);
    assert.match(reply.body, /^upstream connect error or disconnect\/reset before headers\. reset reason: (remote )?connection failure/);
    assert.match(await logged('/dead'), /503 UF upstream_reset_before_response_started/);
    assert.ok(await stat('cluster.dead.upstream_cx_connect_fail') > 0);
  });
  test('connection timed out: 503, UF', async () => {
    const reply = await ask('/unroutable');
    assert.equal(reply.status, 503);
    assert.match(reply.body, /connection timeout|connection failure/);
    assert.match(await logged('/unroutable'), /503 UF/);
  });
  test('reset before an answer: 503, UC', async () => {
    const reply = await ask('/reset');
    assert.equal(reply.status, 503);
    assert.match(reply.body, /connection termination/);
    assert.match(await logged('/reset'), /503 UC upstream_reset_before_response_started\{connection_termination\}/);
  });
  test('reset in the middle of an answer: the client is cut off, UC', async () => {
    await assert.rejects(ask('/slow-body'));
    assert.match(await logged('/slow-body'), /200 UC upstream_reset_after_response_started/);
  });
  test('no host: 503 "no healthy upstream", UH', async () => {
    const reply = await ask('/empty');
    assert.equal(reply.status, 503);
    assert.equal(reply.body, 'no healthy upstream');
    assert.match(await logged('/empty'), /503 UH no_healthy_upstream empty/);
  });
  test('no cluster: 503, NC; no route: 404, NR', async () => {
    assert.equal((await ask('/unknown')).status, 503);
    assert.match(await logged('/unknown'), /503 NC cluster_not_found/);
    assert.equal((await ask('/nowhere')).status, 404);
    assert.match(await logged('/nowhere'), /404 NR route_not_found -/);
  });
  test('the client leaves: DC, and the upstream is let go', async () => {
    const before = await stat('cluster.silent.upstream_rq_active');
    const connection = new RawConnection(proxy.port('web')).send('GET /header-timeout HTTP/1.1\r\nhost: x\r\n\r\n');
    await waitFor('the request upstream', async () => await stat('cluster.silent.upstream_rq_active') > before);
    connection.destroy();
    assert.match(await logged('/header-timeout'), /0 DC downstream_remote_disconnect/);
    assert.equal(await stat('cluster.silent.upstream_rq_active'), before);
  });
});

describe('retries', () => {
  const fail = (times: number, status = 503, headers: Record<string, string> = {}) => { failing = { times, status, headers }; };
  const tries = async (path: string, more: Request = {}) => {
    const before = flaky.seen.length;
    const reply = await ask(path, more);
    return { reply, tries: flaky.seen.length - before };
  };
  test('5xx: as many as num_retries, then the last answer, URX', async () => {
    fail(2);
    const good = await tries('/5xx', { method: 'POST', body: 'keep me' });
    assert.equal(good.reply.status, 200);
    assert.equal(good.tries, 3);
    assert.equal(good.reply.body, 'keep me', 'the body is sent again');
    assert.equal(good.reply.headers['x-envoy-attempt-count'], '3');
    assert.deepEqual(flaky.seen.slice(-3).map((seen) => seen.headers['x-envoy-attempt-count']), ['1', '2', '3']);
    fail(10);
    const bad = await tries('/5xx?bad');
    assert.equal(bad.reply.status, 503);
    assert.equal(bad.reply.body, 'failed');
    assert.equal(bad.tries, 3);
    assert.match(await logged('/5xx?bad'), /503 URX via_upstream/);
    assert.ok(await stat('cluster.flaky.upstream_rq_retry') >= 4);
    assert.ok(await stat('cluster.flaky.upstream_rq_retry_limit_exceeded') >= 1);
    assert.ok(await stat('cluster.flaky.upstream_rq_retry_success') >= 1);
  });
  test('one by default', async () => {
    fail(10);
    assert.equal((await tries('/default-retries')).tries, 2);
  });
  const kinds: [string, number, number, Record<string, string>?][] = [
    ['/gateway', 500, 1], ['/gateway', 502, 3], ['/4xx', 409, 2], ['/4xx', 404, 1], ['/codes', 418, 2], ['/codes', 503, 1], ['/headers', 400, 2, { 'x-again': '1' }], ['/headers', 400, 1], ['/connect', 503, 1],
  ];
  for (const [path, status, expected, headers] of kinds)
    test(`${path} after ${status}${headers ? ' with the header' : ''}: ${expected} tries`, async () => {
      fail(10, status, headers);
      const { reply, tries: count } = await tries(path);
      assert.equal(reply.status, status);
      assert.equal(count, expected);
    });
  test('reset and per-try timeout', async () => {
    const resets = resetting.connections();
    assert.equal((await ask('/reset-retry')).status, 503);
    assert.equal(resetting.connections() - resets, 3);
    const silences = silent.connections();
    const reply = await ask('/try');
    assert.equal(reply.status, 504);
    assert.equal(silent.connections() - silences, 2);
    assert.match(await logged('/try'), /504 (UT,URX|URX,UT)/);
    assert.ok(await stat('cluster.silent.upstream_rq_per_try_timeout') >= 2);
  });
  test('previous_hosts leads away from the host that failed', async () => {
    for (let i = 0; i < 6; i++) assert.equal((await ask('/dead-then-alive')).headers['x-backend'], 'second');
  });
  test('hedging: a host that is silent costs a try, never the request', async () => {
    for (let i = 0; i < 4; i++) assert.equal((await ask('/hedged')).headers['x-backend'], 'second');
    await waitFor('the tries that lost to be let go', async () => await stat('cluster.half-silent.upstream_rq_active') === 0);
    assert.equal(await stat('cluster.half-silent.circuit_breakers.default.rq_open'), 0);
  });
  test('a caller inside may ask by header', async () => {
    const inside = { 'x-forwarded-for': '10.0.0.1' };
    fail(2);
    const { reply, tries: count } = await tries('/gateway', { headers: { ...inside, 'x-envoy-max-retries': '1', 'x-envoy-retry-on': '5xx' } });
    assert.equal(reply.status, 503);
    assert.equal(count, 2);
    fail(0);
    const slow = await ask('/header-timeout', { headers: { ...inside, 'x-envoy-upstream-rq-timeout-ms': '100' } });
    assert.equal(slow.status, 504);
    assert.ok(Number((await ask('/app')).seen().headers['x-envoy-expected-rq-timeout-ms']) === 15_000);
  });
  test('a body larger than the buffer is sent once, and not retried', async () => {
    fail(1);
    const { reply, tries: count } = await tries('/big', { method: 'POST', body: Buffer.alloc(3 * 1024 * 1024, 120) });
    assert.equal(reply.status, 503);
    assert.equal(count, 1);
    fail(0);
  });
});

describe('circuit breakers', () => {
  test('max_requests: 503 overflow with x-envoy-overloaded, UO', async () => {
    const slow = ask('/busy', { headers: { 'x-reply-delay-ms': '400' } });
    await waitFor('the slow request', async () => await stat('cluster.busy.upstream_rq_active') === 1);
    const reply = await ask('/busy?over');
    assert.equal(reply.status, 503);
    assert.equal(reply.headers['x-envoy-overloaded'], 'true');
    assert.match(reply.body, /reset reason: overflow$/);
    assert.equal((await slow).status, 200);
    assert.match(await logged('/busy?over'), /503 UO upstream_reset_before_response_started\{overflow\}/);
    assert.equal(await stat('cluster.busy.upstream_rq_pending_overflow'), 1);
    assert.equal((await ask('/busy')).status, 200, 'and it recovers');
  });
  test('max_connections and max_pending_requests: one works, one waits, the third is refused', async () => {
    const delayed = { headers: { 'x-reply-delay-ms': '300' } };
    const first = ask('/busy-connections', delayed);
    await waitFor('the first request', async () => await stat('cluster.busy-connections.upstream_cx_active') === 1);
    const rest = [ask('/busy-connections', delayed), ask('/busy-connections', delayed), ask('/busy-connections', delayed)];
    assert.deepEqual((await Promise.all([first, ...rest])).map(({ status }) => status).toSorted((a, b) => a - b), [200, 200, 503, 503]);
    assert.equal(await stat('cluster.busy-connections.upstream_cx_total'), 1);
    assert.ok(await stat('cluster.busy-connections.upstream_cx_overflow') >= 1);
  });
});

test('per-host max_connections holds where a host is busy', async () => {
  await using own = await startProxy(bootstrap([httpListener({ routes: [route({ prefix: '/' }, 'app')] })], [
    cluster('app', [app.port], { circuit_breakers: { per_host_thresholds: [{ max_connections: 2 }] }, ...httpOptions({ explicit_http_config: { http_protocol_options: {} } }) }),
  ]));
  const replies = await Promise.all(Array.from({ length: 6 }, () => request(own.port('web'), { headers: { 'x-reply-delay-ms': '150' } })));
  assert.ok(replies.every(({ status }) => status === 200 || status === 503));
  const total = (await request(own.port('admin'), { path: '/stats?filter=upstream_cx_total' })).body;
  assert.match(total, /cluster\.app\.upstream_cx_total: 2\n/);
});
