import assert from 'node:assert/strict';
import { rmSync } from 'node:fs';
import { test } from 'node:test';
import { waitFor } from '@meltemi/base';
import { backend } from './testing/backend.ts';
import { bootstrap, cluster, endpoint, httpListener, route, type Json } from './testing/bootstrap.ts';
import { request } from './testing/client.ts';
import { runToEnd, startProxy, temporaryFolder, writeBootstrap } from './testing/proxy-process.ts';
import { statsOf } from './testing/samples.ts';

const inZone = (zone: string, ports: readonly number[]): Json => ({ locality: { zone }, lb_endpoints: ports.map((port) => endpoint(port)) });
const byZone = (name: string, zones: readonly Json[]): Json => cluster(name, [], { load_assignment: { cluster_name: name, endpoints: zones } });

test('requests stay in the zone of the proxy; where nothing is near they go anywhere', async () => {
  await using near = await backend('near');
  await using far = await backend('far');
  const zones = [inZone('here', [near.port]), inZone('there', [far.port])];
  const small = { common_lb_config: { zone_aware_lb_config: { min_cluster_size: 2 } } };
  const started = (zone: string) => startProxy(bootstrap(
    [httpListener({ routes: [route({ prefix: '/' }, 'app')] })],
    [{ ...byZone('app', zones), ...small }, byZone('proxies', [inZone('here', [1]), inZone('there', [2])])],
    { node: { id: 'p', cluster: 'proxies', locality: { zone } }, cluster_manager: { local_cluster_name: 'proxies' } },
  ));
  const asked = async (port: number) => new Set(await Promise.all(Array.from({ length: 20 }, async () => String((await request(port)).headers['x-backend']))));
  await using here = await started('here');
  assert.deepEqual(await asked(here.port('web')), new Set(['near']));
  await waitFor('the count', async () => (await statsOf(here)).get('cluster.app.lb_zone_routing_all_directly') === 20);
  await using elsewhere = await started('elsewhere');
  assert.deepEqual(await asked(elsewhere.port('web')), new Set(['near', 'far']));
});

test('a local cluster that is none of the static ones is refused by name', async () => {
  const dir = temporaryFolder();
  const { code, err } = await runToEnd(['-c', writeBootstrap(dir, bootstrap([], [], { cluster_manager: { local_cluster_name: 'proxies' } })), '--mode', 'validate']).finally(() => rmSync(dir, { recursive: true, force: true }));
  assert.notEqual(code, 0);
  assert.match(err, /cluster_manager\.local_cluster_name: "proxies" must be one of static_resources\.clusters/);
});
