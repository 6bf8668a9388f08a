import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { after, before, describe, test } from 'node:test';
import { waitFor } from '@meltemi/base';
import { backend, type Backend } from './testing/backend.ts';
import { bootstrap, cluster, endpoint, httpListener, route } from './testing/bootstrap.ts';
import { RawConnection, request } from './testing/client.ts';
import { startProxy, type RunningProxy } from './testing/proxy-process.ts';

let apps: readonly Backend[];
let proxy: RunningProxy;
const config = () => bootstrap([httpListener({ routes: [route({ path: '/bad' }, 'fragile'), route({ prefix: '/' }, 'app')] })], [
  cluster('app', [apps[0]?.port ?? 0]),
  cluster('fragile', [endpoint(apps[0]?.port ?? 0), endpoint(apps[1]?.port ?? 0)], { outlier_detection: { consecutive_5xx: 3, interval: '1s', base_ejection_time: '2s', max_ejection_percent: 50 } }),
]);

before(async () => {
  apps = await Promise.all([backend('good'), backend('bad', (incoming, response) => response.writeHead(incoming.headers['x-cured'] === undefined ? 500 : 200, { 'x-backend': 'bad' }).end())]);
  proxy = await startProxy(config(), { args: ['--concurrency', '1'] });
  for (let i = 0; i < 3; i++) await request(proxy.port('web'), { path: '/app' });
});
after(async () => {
  await proxy?.[Symbol.asyncDispose]();
  await Promise.all(apps.map((app) => app.stop()));
});

const admin = (path: string, method = 'GET', of = proxy) => request(of.port('admin'), { path, method });
type Page = Readonly<Record<string, unknown>>;
const json = async (path: string) => JSON.parse((await admin(path)).body) as Page;

test('/ready and /server_info', async () => {
  const ready = await admin('/ready');
  assert.equal(ready.status, 200);
  assert.equal(ready.body, 'LIVE\n');
  const info = await json('/server_info');
  assert.equal(info['state'], 'LIVE');
  assert.match(String(info['uptime_current_epoch']), /^\d+s$/);
  assert.equal((info['command_line_options'] as Page)['concurrency'], 1);
});

test('/clusters as text and JSON, with counts', async () => {
  const text = (await admin('/clusters')).body;
  const at = `127.0.0.1:${apps[0]?.port}`;
  for (const line of ['app::observability_name::app', 'app::added_via_api::false', `app::${at}::health_flags::healthy`, `app::${at}::weight::1`, `app::${at}::rq_active::0`, `app::${at}::rq_total::3`, `app::${at}::cx_active::1`]) {
    assert.ok(text.split('\n').includes(line), `${line} in\n${text}`);
  }
  for (const line of ['app::default_priority::max_connections::1024', 'app::default_priority::max_requests::1024']) assert.ok(text.includes(line), line);
  const { cluster_statuses: statuses } = (await json('/clusters?format=json')) as { cluster_statuses: { name: string; host_statuses: { address: Page }[] }[] };
  assert.deepEqual(statuses.map(({ name }) => name), ['app', 'fragile']);
  assert.deepEqual(statuses[0]?.host_statuses[0]?.address, { socket_address: { address: '127.0.0.1', port_value: apps[0]?.port } });
});

test('/listeners as text and JSON', async () => {
  assert.equal((await admin('/listeners')).body, `web::127.0.0.1:${proxy.port('web')}\n`);
  assert.deepEqual(await json('/listeners?format=json'), { listener_statuses: [{ name: 'web', local_address: { socket_address: { address: '127.0.0.1', port_value: proxy.port('web') } } }] });
});

test('/config_dump has Envoy\'s sections', async () => {
  const types = async (path: string) => ((await json(path)) as { configs: Page[] }).configs.map((each) => String(each['@type']).replace('type.googleapis.com/envoy.admin.v3.', ''));
  assert.deepEqual(await types('/config_dump'), ['BootstrapConfigDump', 'ClustersConfigDump', 'ListenersConfigDump', 'RoutesConfigDump', 'SecretsConfigDump']);
  const { configs } = (await json('/config_dump?include_eds')) as { configs: Page[] };
  /** A field of the first entry of a section's list. */
  const first = (section: string, list: string, entry: string, field: string) => {
    const found = configs.find((each) => String(each['@type']).endsWith(section)) as Readonly<Record<string, Page[]>> | undefined;
    const held = found?.[list]?.[0]?.[entry] as Page | undefined;
    return held?.[field];
  };
  assert.equal(first('ClustersConfigDump', 'static_clusters', 'cluster', 'name'), 'app');
  assert.equal(first('ListenersConfigDump', 'static_listeners', 'listener', 'name'), 'web');
  assert.equal(first('RoutesConfigDump', 'static_route_configs', 'route_config', 'name'), 'local');
  assert.equal(first('EndpointsConfigDump', 'static_endpoint_configs', 'endpoint_config', 'cluster_name'), 'app');
});

describe('/stats', () => {
  test('filter, usedonly, JSON', async () => {
    assert.equal((await admin('/stats?filter=^cluster\\.app\\.upstream_rq_total$')).body, 'cluster.app.upstream_rq_total: 3\n');
    const used = (await admin('/stats?usedonly')).body;
    assert.match(used, /^http\.web\.downstream_rq_total: 3$/m);
    assert.match(used, /^http\.web\.downstream_rq_2xx: 3$/m);
    assert.doesNotMatch(used, /upstream_rq_timeout: 0/);
    const { stats } = (await json('/stats?format=json&filter=upstream_rq_200')) as { stats: { name: string; value: number }[] };
    assert.deepEqual(stats.find(({ name }) => name === 'cluster.app.upstream_rq_200'), { name: 'cluster.app.upstream_rq_200', value: 3 });
    assert.equal((await admin('/stats?filter=(')).status, 400);
  });
  test('Prometheus reads it, promtool finds no error', async () => {
    const text = (await admin('/stats/prometheus')).body;
    assert.equal((await admin('/stats?format=prometheus')).headers['content-type'], (await admin('/stats/prometheus')).headers['content-type']);
    assert.match(text, /^envoy_cluster_upstream_rq_total\{[^}]*cluster_name="app"[^}]*\} 3$/m);
    const checked = spawnSync('promtool', ['check', 'metrics'], { input: text, encoding: 'utf8' });
    assert.doesNotMatch(checked.stderr, /error|parse/i);
  });
  test('/reset_counters sets counters to zero', async () => {
    await using own = await startProxy(config());
    await request(own.port('web'));
    assert.match((await admin('/stats?filter=downstream_rq_total', 'GET', own)).body, /: 1\n/);
    await admin('/reset_counters', 'POST', own);
    assert.match((await admin('/stats?filter=downstream_rq_total', 'GET', own)).body, /: 0\n/);
  });
});

test('/help, /certs, /memory answer; unknown pages are 404; what changes something needs POST', async () => {
  assert.match((await admin('/help')).body, /\/config_dump/);
  assert.deepEqual(await json('/certs'), { certificates: [] });
  assert.ok(Number((await json('/memory'))['allocated']) > 0);
  assert.equal((await admin('/nothing')).status, 404);
  for (const path of ['/logging?level=debug', '/drain_listeners', '/quitquitquit', '/reset_counters', '/healthcheck/fail']) assert.equal((await admin(path)).status, 405, path);
  const level = await admin('/logging?level=debug', 'POST');
  assert.match(level.body, /debug/);
  assert.equal((await admin('/logging?level=shout', 'POST')).status, 400);
  await admin('/logging?level=info', 'POST');
});

test('outlier detection: a host that fails is ejected, shown, spared, and comes back', async () => {
  let failures = 0;
  for (let i = 0; i < 20; i++) if ((await request(proxy.port('web'), { path: '/bad' })).status === 500) failures++;
  assert.equal(failures, 3);
  const text = (await admin('/clusters')).body;
  assert.match(text, new RegExp(`fragile::127\\.0\\.0\\.1:${apps[1]?.port}::health_flags::/failed_outlier_check`));
  assert.match((await admin('/stats?filter=fragile.outlier_detection.ejections_active')).body, /: 1\n/);
  await waitFor('the host to come back', async () => (await request(proxy.port('web'), { path: '/bad', headers: { 'x-cured': '1' } })).headers['x-backend'] === 'bad', { deadlineMs: 8000, everyMs: 100 });
});

describe('draining', () => {
  test('SIGTERM: the request under way finishes, new connections are refused, the exit code is 0', async () => {
    await using own = await startProxy(config(), { args: ['--drain-timeout', '3s'] });
    const keep = new RawConnection(own.port('web')).send('GET / HTTP/1.1\r\nhost: x\r\n\r\n');
    await keep.until(/200 OK[\s\S]*\r\n0\r\n\r\n/);
    const slow = request(own.port('web'), { headers: { 'x-reply-delay-ms': '700' } });
    await waitFor('the request upstream', async () => /upstream_rq_active: 1/.test((await admin('/stats?filter=cluster.app.upstream_rq_active', 'GET', own)).body));
    own.signal('SIGTERM');
    await waitFor('new connections to be refused', () => request(own.port('web')).then(() => false, (error: NodeJS.ErrnoException) => error.code === 'ECONNREFUSED'));
    const reply = await slow;
    assert.equal(reply.status, 200);
    assert.equal(reply.headers['connection'], 'close');
    const { code } = await own.ended;
    assert.equal(code, 0);
  });
  test('a request that never ends is cut at the drain timeout', async () => {
    await using own = await startProxy(config(), { args: ['--drain-timeout', '1s'] });
    const endless = new RawConnection(own.port('web')).send('GET / HTTP/1.1\r\nhost: x\r\nx-reply-delay-ms: 20000\r\n\r\n');
    await waitFor('the request upstream', async () => /upstream_rq_active: 1/.test((await admin('/stats?filter=cluster.app.upstream_rq_active', 'GET', own)).body));
    const { code } = await own.stop();
    assert.equal(code, 0);
    await endless.untilClosed();
  });
  test('/drain_listeners stops accepting, /quitquitquit ends', async () => {
    await using own = await startProxy(config());
    assert.equal((await admin('/drain_listeners', 'POST', own)).body, 'OK\n');
    await waitFor('new connections to be refused', () => request(own.port('web')).then(() => false, (error: NodeJS.ErrnoException) => error.code === 'ECONNREFUSED'));
    assert.equal((await admin('/quitquitquit', 'POST', own)).body, 'OK\n');
    assert.equal((await own.ended).code, 0);
  });
});
