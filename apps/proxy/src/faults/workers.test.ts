import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { jsonToBinary } from '@meltemi/api';
import { Bootstrap } from '@meltemi/api/gen/envoy/config/bootstrap/v3/bootstrap.ts';
import { formatFieldErrors, waitFor } from '@meltemi/base';
import { FlatStats, StatsRegistry } from '@meltemi/observe';
import { ControlThread, proxyExtensions } from '@meltemi/proxy-edge';
import { backend, closedPort, type Backend } from '../testing/backend.ts';
import { bootstrap, cluster, httpListener, route } from '../testing/bootstrap.ts';
import { request } from '../testing/client.ts';
import { Load } from '../testing/load.ts';
import { RestartingServer } from '../testing/restarting-server.ts';

const app = new RestartingServer('app');
/** Answers nothing but its health checks. */
let silent: Backend;
const check = { timeout: '5s', interval: '0.05s', no_traffic_interval: '0.05s', unhealthy_threshold: 1, healthy_threshold: 1, http_health_check: { path: '/healthz' } };
const seen = (path: string) => silent.seen.filter(({ url }) => url === path).length;
const flat = new FlatStats();
const logged: string[] = [];
let control: ControlThread;
let port: number;
const channel = new BroadcastChannel(`mortal-${process.pid}`);

before(async () => {
  await app.start();
  silent = await backend('silent', (request_, response) => { if (request_.url === '/healthz') response.end(); });
  port = await closedPort();
  const log = (_fields: object, message: string) => void logged.push(message);
  const node = { id: 'mortal', cluster: 'tests', dynamicParameters: {}, userAgentName: 'meltemi-proxy', extensions: [], clientFeatures: [], listeningAddresses: [] };
  control = new ControlThread({
    node, compiler: { extensions: proxyExtensions() }, concurrency: 2, drainTimeMs: 1000, drainStrategy: 'immediate', fileFlushMs: 20, workerScript: new URL('../testing/mortal-worker.ts', import.meta.url),
    metrics: new StatsRegistry(), flat, log: { info: log, warn: log, error: log }, onReports: () => {}, watchdog: { missMs: 100, megaMissMs: 300, killMs: 1000 },
  });
  const listener = httpListener({ routes: [route({ path: '/held' }, 'limited'), route({ prefix: '/' }, 'app')], listener: { address: { socket_address: { address: '127.0.0.1', port_value: port } } } });
  const { staticResources } = Bootstrap.decode(jsonToBinary('envoy.config.bootstrap.v3.Bootstrap', bootstrap([listener], [cluster('app', [app.port]), cluster('limited', [silent.port], { health_checks: [check], circuit_breakers: { thresholds: [{ max_requests: 1 }] } })])));
  const taken = control.loadStatic(staticResources, Date.now());
  if (!taken.ok) throw new Error(formatFieldErrors(taken.error));
  assert.deepEqual(await control.start(), []);
});
after(async () => {
  channel.close();
  await control?.stop();
  await app[Symbol.asyncDispose]();
  await silent?.stop();
});

const stat = async (name: string) => {
  await control.workers.refreshStats();
  return flat.entries({}).find((entry) => entry.name === name)?.value ?? 0;
};
const accepted = (worker: number) => stat(`listener.127.0.0.1_${port}.worker_${worker}.downstream_cx_total`);
/** New connections until a worker has taken some. */
const untilServes = async (worker: number) => {
  const before = await accepted(worker);
  await waitFor(`worker ${worker} to serve`, async () => {
    assert.equal((await request(port)).status, 200);
    return (await accepted(worker)) > before;
  }, { everyMs: 1 });
};

describe('two workers on one port', () => {
  test('both serve', async () => {
    await untilServes(0);
    await untilServes(1);
  });

  for (const [worker, deed] of [[0, 'exit'], [1, 'throw'], [0, 'hang']] as const)
    test(`worker ${worker}, ${deed}: the port stays open, only what it was doing is lost, its successor serves the same config, counters never go back`, async () => {
      const concurrency = 4;
      const loads = [new Load(port, { protocol: 'http1', concurrency }), new Load(port, { protocol: 'http2', concurrency })];
      await Promise.all(loads.map((load) => load.more(50)));
      const { deaths } = control.workers;
      let total = await stat('http.web.downstream_rq_total');
      channel.postMessage({ worker, deed });
      await waitFor('the death', () => control.workers.deaths > deaths, { everyMs: 5 });
      await Promise.all(loads.map((load) => load.more(50)));
      await untilServes(worker);
      await Promise.all(loads.map((load) => load.more(50)));
      for (let i = 0; i < 5; i++) {
        const now = await stat('http.web.downstream_rq_total');
        assert.ok(now >= total, `${now} after ${total}`);
        total = now;
      }
      await Promise.all(loads.map((load) => load.stop()));
      for (const { failures } of loads) {
        assert.ok(failures.length <= 2 * concurrency, failures.join('; '));
        for (const failure of failures) assert.match(failure, /ECONNRESET|hang up|EPIPE|stream ended|Session closed|cut off|aborted|session has been destroyed|CANCEL/);
      }
      assert.equal(control.workers.deaths, deaths + 1);
      assert.equal(await stat('http.web.downstream_rq_active'), 0, 'the share of the dead in gauges went with it');
    });

  test('what a dead worker held of a circuit breaker is free for the others', async () => {
    const held = async () => {
      const before = await Promise.all([accepted(0), accepted(1)]);
      const arrived = seen('/held');
      void request(port, { path: '/held' }).catch(() => {});
      await waitFor('the request to arrive', () => seen('/held') > arrived, { everyMs: 1 });
      return (await accepted(0)) > (before[0] ?? 0) ? 0 : 1;
    };
    const worker = await held();
    assert.equal((await request(port, { path: '/held' })).status, 503);
    const { deaths } = control.workers;
    channel.postMessage({ worker, deed: 'exit' });
    await waitFor('the death', () => control.workers.deaths > deaths, { everyMs: 5 });
    await untilServes(1 - worker);
    await held();
    assert.equal((await request(port, { path: '/held' })).status, 503);
    await untilServes(worker);
  });

  for (const worker of [0, 1])
    test(`health checks go on when worker ${worker} dies`, async () => {
      const { deaths } = control.workers;
      channel.postMessage({ worker, deed: 'exit' });
      await waitFor('the death', () => control.workers.deaths > deaths, { everyMs: 5 });
      const before = seen('/healthz');
      await waitFor('more checks', () => seen('/healthz') > before + 2);
      await untilServes(worker);
      assert.equal(await stat('cluster.limited.health_check.healthy'), 1);
    });

  test('a hanging worker was noticed by Envoy\'s names', async () => {
    assert.ok((await stat('workers.watchdog_mega_miss')) >= 1);
    assert.ok((await stat('server.worker_0.watchdog_miss')) >= 1);
    assert.ok(logged.includes('worker hangs; it is ended'));
    assert.ok(logged.includes('worker ended; a new one takes its place'));
  });
});
