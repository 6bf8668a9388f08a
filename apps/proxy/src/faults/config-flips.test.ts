import assert from 'node:assert/strict';
import { renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { stringify } from 'yaml';
import { waitFor } from '@meltemi/base';
import { closedPort } from '../testing/backend.ts';
import { anyPort, cluster, httpListener, http2Only, route, type Json } from '../testing/bootstrap.ts';
import { request } from '../testing/client.ts';
import { Load } from '../testing/load.ts';
import { startProxy, temporaryFolder } from '../testing/proxy-process.ts';
import { RestartingServer } from '../testing/restarting-server.ts';

const types = { lds: 'envoy.config.listener.v3.Listener', cds: 'envoy.config.cluster.v3.Cluster', rds: 'envoy.config.route.v3.RouteConfiguration' } as const;
type File = keyof typeof types;

const flips = 100;
const limit = 1000;

test('a hundred changes of routes, clusters and listeners under load over HTTP/1.1, HTTP/2 and gRPC, with two workers: no request fails, no count is lost', async (t) => {
  await using first = await new RestartingServer('first').start();
  await using second = await new RestartingServer('second').start();
  const dir = temporaryFolder();
  t.after(() => rmSync(dir, { recursive: true, force: true }));
  const port = await closedPort();
  const fromFile = (file: File) => ({ path_config_source: { path: join(dir, `${file}.yaml`) }, resource_api_version: 'V3' });
  const write = (file: File, ...resources: Json[]) => {
    const path = join(dir, `${file}.yaml`);
    writeFileSync(`${path}.new`, stringify({ resources: resources.map((resource) => ({ '@type': `type.googleapis.com/${types[file]}`, ...resource })) }, { aliasDuplicateObjects: false }));
    renameSync(`${path}.new`, path);
  };
  const writers: Record<File, (turn: number) => void> = {
    rds: (turn) => write('rds', { name: 'routes', response_headers_to_add: [{ header: { key: 'x-turn', value: String(turn) } }], virtual_hosts: [{ name: 'all', domains: ['*'], routes: [route({ path: '/http1' }, 'http1'), route({ prefix: '/' }, 'http2')] }] }),
    cds: (turn) => {
      const to = turn % 2 === 0 ? first : second;
      const more = { connect_timeout: `${1 + (turn % 7)}s`, circuit_breakers: { thresholds: [{ max_requests: limit + turn, max_connections: limit, track_remaining: true }] }, outlier_detection: {} };
      const checks = { health_checks: [{ timeout: '5s', interval: '0.1s', no_traffic_interval: '0.1s', unhealthy_threshold: 1, healthy_threshold: 1, http_health_check: { path: '/healthz' } }] };
      write('cds', cluster('http1', [to.port], { ...more, ...(turn % 4 < 2 && checks) }), cluster('http2', [to.http2Port], { ...more, ...http2Only }));
    },
    lds: (turn) => write('lds', JSON.parse(JSON.stringify(httpListener({ hcm: { route_config: undefined, rds: { route_config_name: 'routes', config_source: fromFile('rds') }, server_name: `turn-${turn}` }, listener: { address: { socket_address: { address: '127.0.0.1', port_value: port } } } }))) as Json),
  };
  for (const write of Object.values(writers)) write(0);
  await using proxy = await startProxy({ node: { id: 'flips', cluster: 'tests' }, admin: { address: anyPort }, dynamic_resources: { lds_config: fromFile('lds'), cds_config: fromFile('cds') } }, { args: ['--concurrency', '2', '--drain-time-s', '2'] });
  await waitFor('the first answer', async () => (await request(port)).status === 200);
  const loads = [new Load(port, { protocol: 'http1', path: '/http1' }), new Load(port, { protocol: 'http1' }), new Load(port, { protocol: 'http2', path: '/http1' }), new Load(port, { protocol: 'http2' }), new Load(port, { protocol: 'grpc' })];
  const kinds = Object.keys(writers) as File[];
  const stat = async (name: string) => Number(/: (\d+)/.exec((await request(proxy.port('admin'), { path: `/stats?filter=^${name}$` })).body)?.[1] ?? 0);
  const updates = { rds: 'http.web.rds.routes.update_success', cds: 'cluster_manager.cds.update_success', lds: 'listener_manager.lds.update_success' };
  for (let turn = 1; turn <= flips; turn++) {
    const kind = kinds[turn % kinds.length] ?? 'rds';
    const before = await stat(updates[kind]);
    writers[kind](turn);
    await waitFor(`turn ${turn} of ${kind}`, async () => (await stat(updates[kind])) > before, { everyMs: 5 });
    await Promise.all(loads.map((load) => load.more(2)));
  }
  await Promise.all(loads.map((load) => load.stop()));
  const { headers } = await request(port);
  const last = (kind: File) => flips - ((flips - kinds.indexOf(kind)) % 3);
  assert.deepEqual([headers['server'], headers['x-turn']], [`turn-${last('lds')}`, `${last('rds')}`], 'the last changes are in force');
  for (const name of ['http1', 'http2']) await waitFor(`nothing of ${name} to be in use`, async () => (await stat(`cluster.${name}.circuit_breakers.default.remaining_rq`)) === limit + last('cds'));
  for (const load of loads) assert.deepEqual(load.failures, []);
  t.diagnostic(`${flips} changes, ${loads.map((load) => `${load.answers} answers over ${load.connections} connections`).join('; ')}`);
});
