import assert from 'node:assert/strict';
import type { ServerResponse } from 'node:http';
import { after, before, describe, test } from 'node:test';
import { waitFor } from '@meltemi/base';
import { backend, closedPort, type Backend } from './testing/backend.ts';
import { bootstrap, cluster, httpListener, route } from './testing/bootstrap.ts';
import { request, type Reply } from './testing/client.ts';
import { startProxy, type RunningProxy } from './testing/proxy-process.ts';

const workers = [0, 1];
const thresholds = { timeout: '5s', unhealthy_threshold: 1, healthy_threshold: 1 };
/** Requests that wait at the backend for an answer. */
const held: ServerResponse[] = [];
let app: Backend;
let bad: Backend;
let checked: Backend;
let well = true;
let proxy: RunningProxy;
let port: number;

before(async () => {
  port = await closedPort();
  app = await backend('app', (request_, response) => {
    if (request_.url === '/held') held.push(response);
    else response.end('ok');
  });
  bad = await backend('bad', (_request, response) => response.writeHead(500).end());
  checked = await backend('checked', (request_, response) => response.writeHead(request_.url === '/often' && !well ? 503 : 200).end());
  proxy = await startProxy(bootstrap([httpListener({ routes: [route({ path: '/held' }, 'limited'), route({ path: '/checked' }, 'checked-once'), route({ path: '/flaky' }, 'checked-often'), route({ prefix: '/' }, 'fragile')], listener: listensOn(port) })], [
    cluster('limited', [app.port], { circuit_breakers: { thresholds: [{ max_requests: 5, track_remaining: true }] } }),
    cluster('fragile', [bad.port, app.port], { outlier_detection: { consecutive_5xx: 6, max_ejection_percent: 100, base_ejection_time: '600s' } }),
    cluster('checked-once', [checked.port], { health_checks: [{ ...thresholds, interval: '600s', no_traffic_interval: '600s', http_health_check: { path: '/once' } }] }),
    cluster('checked-often', [checked.port], { health_checks: [{ ...thresholds, interval: '0.05s', no_traffic_interval: '0.05s', http_health_check: { path: '/often' } }], common_lb_config: { healthy_panic_threshold: { value: 0 } } }),
  ]), { args: ['--concurrency', '2'] });
});
after(async () => {
  await proxy?.[Symbol.asyncDispose]();
  await Promise.all([app?.stop(), bad?.stop(), checked?.stop()]);
});

/** Workers share a port that has a number; each would find one of its own for 0. */
function listensOn(number: number) {
  return { address: { socket_address: { address: '127.0.0.1', port_value: number } } };
}

const stat = async (name: string) => Number(/: (\d+)/.exec((await request(proxy.port('admin'), { path: `/stats?filter=${name.replaceAll('.', '\\.')}$` })).body)?.[1] ?? 0);
const accepted = (worker: number) => stat(`worker_${worker}.downstream_cx_total`);

/** One after another, each refused at once or held at the backend. */
async function ask(count: number): Promise<{ readonly refused: number; readonly answers: Promise<Reply>[] }> {
  const answers: Promise<Reply>[] = [];
  let refused = 0;
  for (let i = 0; i < count; i++) {
    const before = held.length;
    let reply: Reply | null = null;
    const answer = request(port, { path: '/held' });
    void answer.then((came) => { reply = came; }, () => {});
    await waitFor('the request to arrive or be refused', () => held.length > before || reply !== null, { everyMs: 1 });
    if (held.length > before) answers.push(answer);
    else refused++;
  }
  return { refused, answers };
}

async function answerAll(answers: readonly Promise<Reply>[]): Promise<void> {
  for (const response of held.splice(0)) response.end('ok');
  for (const { status } of await Promise.all(answers)) assert.equal(status, 200);
}

describe('a circuit breaker of a process with two workers', () => {
  test('counts what both have under way, and opens again for both', async () => {
    const first = await ask(24);
    const taken = await Promise.all(workers.map(accepted));
    assert.ok(taken.every((count) => count > 0), `connections of each worker: ${taken.join(', ')}`);
    assert.deepEqual([first.answers.length, first.refused], [5, 19]);
    assert.deepEqual([await stat('limited.circuit_breakers.default.rq_open'), await stat('limited.circuit_breakers.default.remaining_rq'), await stat('limited.upstream_rq_pending_overflow')], [1, 0, 19]);
    await answerAll(first.answers);
    assert.deepEqual([await stat('limited.circuit_breakers.default.rq_open'), await stat('limited.circuit_breakers.default.remaining_rq')], [0, 5]);
    const second = await ask(12);
    assert.deepEqual([second.answers.length, second.refused], [5, 7]);
    await answerAll(second.answers);
  });

  test('numbers of hosts are told once, not by each worker', async () => {
    assert.deepEqual([await stat('limited.membership_total'), await stat('limited.membership_healthy')], [1, 1]);
  });
});

test('outlier detection counts failures over both workers, and both spare the host at once', async () => {
  const before = await Promise.all(workers.map(accepted));
  let failures = 0;
  for (let i = 0; i < 60; i++) if ((await request(port)).status === 500) failures++;
  assert.equal(failures, 6);
  const taken = (await Promise.all(workers.map(accepted))).map((count, worker) => count - (before[worker] ?? 0));
  assert.ok(taken.every((count) => count > 2), `connections of each worker: ${taken.join(', ')}`);
  assert.deepEqual([await stat('fragile.outlier_detection.ejections_active'), await stat('fragile.outlier_detection.ejections_enforced_total')], [1, 1]);
  assert.match((await request(proxy.port('admin'), { path: '/clusters' })).body, new RegExp(`fragile::127\\.0\\.0\\.1:${bad.port}::health_flags::/failed_outlier_check`));
});

describe('active health checks of a process with two workers', () => {
  /** What requests on connections of their own get, of which each worker takes some. */
  const statuses = async (path: string) => [...new Set((await Promise.all(Array.from({ length: 24 }, () => request(port, { path })))).map(({ status }) => status))];

  test('a host is asked once, and serves in both', async () => {
    assert.deepEqual(await statuses('/checked'), [200]);
    assert.equal(checked.seen.filter(({ url }) => url === '/once').length, 1);
    assert.deepEqual([await stat('checked-once.health_check.attempt'), await stat('checked-once.health_check.healthy')], [1, 1]);
  });

  test('what one finds is in force in both', async () => {
    assert.deepEqual(await statuses('/flaky'), [200]);
    well = false;
    await waitFor('the host to be out in both', async () => (await statuses('/flaky')).join() === '503');
    well = true;
    await waitFor('the host to be back in both', async () => (await statuses('/flaky')).join() === '200');
  });
});
