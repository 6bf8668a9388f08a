import assert from 'node:assert/strict';
import { renameSync, rmSync, writeFileSync } from 'node:fs';
import http from 'node:http';
import { join } from 'node:path';
import { test } from 'node:test';
import { waitFor } from '@meltemi/base';
import { xdsType } from '@meltemi/xds';
import { backend } from './testing/backend.ts';
import { anyPort, bootstrap, cluster, httpListener, route, type Json } from './testing/bootstrap.ts';
import { request } from './testing/client.ts';
import { startProxy, temporaryFolder, type RunningProxy } from './testing/proxy-process.ts';
import { SnapshotServer, type Snapshot } from './testing/snapshot-server.ts';

const builder = { fragments: [{ header_value_extractor: { name: 'X-Tenant', element_separator: ';', element: { key: 'id', separator: '=' } } }] };
const table = (name: string, to: string): Json => ({ name, virtual_hosts: [{ name: 'all', domains: ['*'], routes: [route({ prefix: '/' }, to)] }] });
const scope = (name: string, key: string, routes: Json | string, more: Json = {}): Json => ({ name, key: { fragments: [{ string_key: key }] }, ...(typeof routes === 'string' ? { route_configuration_name: routes } : { route_configuration: routes }), ...more });

const scopedListener = (scoped: Json): Json => JSON.parse(JSON.stringify(httpListener({ hcm: { route_config: undefined, scoped_routes: { name: 'tenants', scope_key_builder: builder, ...scoped } } }))) as Json;

async function answerOf(proxy: RunningProxy, tenant: string, agent?: http.Agent): Promise<string> {
  const { status, headers } = await request(proxy.port('web'), { headers: { 'x-tenant': tenant }, ...(agent && { agent }) });
  return status === 200 ? String(headers['x-backend']) : String(status);
}

test('a key from a header chooses the route table, and who has none gets 404', async () => {
  await using one = await backend('one');
  await using two = await backend('two');
  const list = { scoped_route_configurations: [scope('blue', 'blue', table('blue', 'one')), scope('red', 'red', table('red', 'two'), { on_demand: true })] };
  await using proxy = await startProxy(bootstrap([scopedListener({ scoped_route_configurations_list: list })], [cluster('one', [one.port]), cluster('two', [two.port])]));
  assert.equal(await answerOf(proxy, 'zone=z;id=blue'), 'one');
  assert.equal(await answerOf(proxy, 'id=red'), 'two');
  assert.equal(await answerOf(proxy, 'id=green'), '404');
  assert.equal(await answerOf(proxy, 'blue'), '404');
  assert.equal((await request(proxy.port('web'))).status, 404);
});

function put(path: string, type: string, resources: readonly Json[]): void {
  writeFileSync(`${path}.new`, JSON.stringify({ resources: resources.map((each) => ({ '@type': type, ...each })) }));
  renameSync(`${path}.new`, path);
}

test('scopes and their routes come from files; a changed scope holds from the next request on', async () => {
  await using one = await backend('one');
  await using two = await backend('two');
  const dir = temporaryFolder();
  try {
    const [srds, rds] = [join(dir, 'srds.json'), join(dir, 'rds.json')];
    const put2 = (...scopes: readonly Json[]) => put(srds, xdsType.scope, scopes);
    put(rds, xdsType.route, [table('to-one', 'one'), table('to-two', 'two')]);
    put2(scope('a', 'blue', 'to-one'), scope('b', 'red', table('inline', 'two')));
    const source = (path: string) => ({ path_config_source: { path }, resource_api_version: 'V3' });
    await using proxy = await startProxy(bootstrap([scopedListener({ rds_config_source: source(rds), scoped_rds: { scoped_rds_config_source: source(srds) } })], [cluster('one', [one.port]), cluster('two', [two.port])]));
    const agent = new http.Agent({ keepAlive: true, maxSockets: 1 });
    assert.equal(await answerOf(proxy, 'id=blue', agent), 'one');
    assert.equal(await answerOf(proxy, 'id=red', agent), 'two');
    put2(scope('a', 'blue', 'to-two'), scope('b', 'green', table('inline', 'one')));
    await waitFor('the changed scopes', async () => (await answerOf(proxy, 'id=blue', agent)) === 'two');
    assert.equal(await answerOf(proxy, 'id=red', agent), '404');
    assert.equal(await answerOf(proxy, 'id=green', agent), 'one');
    put2(scope('a', 'green', 'to-two'), scope('b', 'blue', table('inline', 'one')));
    await waitFor('keys that changed places', async () => (await answerOf(proxy, 'id=blue', agent)) === 'one');
    assert.equal(await answerOf(proxy, 'id=green', agent), 'two');
    put2(scope('a', 'green', 'to-two'), scope('c', 'green', 'to-one'));
    const dump = async () => (await request(proxy.port('admin'), { path: '/config_dump' })).body;
    await waitFor('the refusal of a key that another scope has', async () => /is that of scope/.test(await dump()));
    assert.equal(await answerOf(proxy, 'id=green', agent), 'two');
    assert.equal(await answerOf(proxy, 'id=blue', agent), '404', 'scope b is gone');
    agent.destroy();
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
});

for (const [via, api_type] of [['ads', 'GRPC'], ['ads', 'DELTA_GRPC'], ['services of their own', 'GRPC'], ['services of their own', 'DELTA_GRPC']] as const) {
  test(`scopes and their routes come from ${via} (${api_type})`, async () => {
    await using one = await backend('one');
    await using two = await backend('two');
    const world = (version: string, scopes: readonly Json[]): Snapshot => ({
      [xdsType.scope]: { version, resources: Object.fromEntries(scopes.map((each) => [String(each['name']), each])) },
      [xdsType.route]: { version: '1', resources: { 'to-one': table('to-one', 'one'), 'to-two': table('to-two', 'two') } },
    });
    using server = await new SnapshotServer().start();
    server.set('scopes', world('1', [scope('a', 'blue', 'to-one')]));
    const api = { api_type, transport_api_version: 'V3', grpc_services: [{ envoy_grpc: { cluster_name: 'xds' } }] };
    const source = { ...(via === 'ads' ? { ads: {} } : { api_config_source: api }), resource_api_version: 'V3' };
    await using proxy = await startProxy({
      node: { id: 'scopes', cluster: 'tests' }, admin: { address: anyPort },
      static_resources: { listeners: [scopedListener({ rds_config_source: source, scoped_rds: { scoped_rds_config_source: source } })], clusters: [cluster('one', [one.port]), cluster('two', [two.port]), cluster('xds', [server.port])] },
      dynamic_resources: { ads_config: api },
    });
    assert.equal(await answerOf(proxy, 'id=blue'), 'one');
    server.set('scopes', world('2', [scope('a', 'blue', 'to-two'), scope('b', 'red', 'to-one')]));
    await waitFor('the second scopes', async () => (await answerOf(proxy, 'id=red')) === 'one');
    assert.equal(await answerOf(proxy, 'id=blue'), 'two');
    server.set('scopes', world('3', [scope('b', 'red', 'to-one')]));
    await waitFor('the removal', async () => (await answerOf(proxy, 'id=blue')) === '404');
    assert.equal(await answerOf(proxy, 'id=red'), 'one');
  });
}
