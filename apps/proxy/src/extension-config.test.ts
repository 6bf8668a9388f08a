import assert from 'node:assert/strict';
import { renameSync, rmSync, writeFileSync } from 'node:fs';
import http from 'node:http';
import { join } from 'node:path';
import { test } from 'node:test';
import { waitFor } from '@meltemi/base';
import { xdsType } from '@meltemi/xds';
import { backend } from './testing/backend.ts';
import { anyPort, bootstrap, cluster, httpListener, route, typeOf, type Json } from './testing/bootstrap.ts';
import { request } from './testing/client.ts';
import { startProxy, temporaryFolder, type RunningProxy } from './testing/proxy-process.ts';
import { SnapshotServer, type Snapshot } from './testing/snapshot-server.ts';

/** Answers every request with this status. */
const answering = (status: number): Json => ({ '@type': typeOf.fault, abort: { http_status: status, percentage: { numerator: 100 } } });
const passing: Json = { '@type': typeOf.fault };
/** Denies everything. */
const denying: Json = { '@type': typeOf.rbac, rules: {} };

const fromFile = (path: string, more: Json = {}) => ({ path_config_source: { path }, resource_api_version: 'V3', ...more });
const discovered = (source: Json, more: Json = {}): Json => ({ name: 'own', config_discovery: { config_source: source, type_urls: [typeOf.fault], ...more } });

class Folder implements Disposable {
  readonly path = temporaryFolder();

  [Symbol.dispose](): void {
    rmSync(this.path, { recursive: true, force: true });
  }
}

/** A file with the config of the filter "own"; moved into place as Envoy wants it. */
function put(path: string, config: Json | null): void {
  const resources = config === null ? [] : [{ '@type': xdsType.extension, name: 'own', typed_config: config }];
  writeFileSync(`${path}.new`, JSON.stringify({ resources }));
  renameSync(`${path}.new`, path);
}

const web = (port: number, filters: readonly Json[], more: Json = {}) => bootstrap([httpListener({ routes: [route({ prefix: '/' }, 'app')], filters, ...more })], [cluster('app', [port])]);

async function stat(proxy: RunningProxy, name: string): Promise<number> {
  const { body } = await request(proxy.port('admin'), { path: `/stats?filter=^${name.replaceAll('.', '\\.')}$` });
  return Number(/: (\d+)/.exec(body)?.[1] ?? NaN);
}

test('the config of an HTTP filter comes from a file, and the next request follows the file', async () => {
  await using app = await backend('app');
  using folder = new Folder();
  const path = join(folder.path, 'ecds.json');
  put(path, answering(418));
  await using proxy = await startProxy(web(app.port, [discovered(fromFile(path))]));
  const agent = new http.Agent({ keepAlive: true, maxSockets: 1 });
  const ask = async () => (await request(proxy.port('web'), { agent })).status;
  assert.equal(await ask(), 418);
  put(path, answering(429));
  await waitFor('the new config', async () => (await ask()) === 429);
  put(path, passing);
  await waitFor('a config that lets all pass', async () => (await ask()) === 200);
  put(path, denying);
  await waitFor('the refusal', async () => (await stat(proxy, 'extension_config_discovery.http_filter.own.update_rejected')) === 1);
  assert.equal(await ask(), 200, 'a config of another type than type_urls has is refused, and the last one stays');
  assert.equal(await stat(proxy, 'extension_config_discovery.http_filter.own.config_fail'), 1);
  assert.equal(await stat(proxy, 'extension_config_discovery.http_filter.own.config_reload'), 3);
  const { body } = await request(proxy.port('admin'), { path: '/config_dump' });
  assert.match(body, /EcdsConfigDump[\s\S]*ecds_filter[\s\S]*"name": ?"own"[\s\S]*error_state/);
  agent.destroy();
});

test('a change of a filter config drops no request, and what is under way keeps the config it began with', async () => {
  await using app = await backend('app');
  using folder = new Folder();
  const path = join(folder.path, 'ecds.json');
  const slow: Json = { '@type': typeOf.fault, delay: { fixed_delay: '1s', percentage: { numerator: 100 } }, headers: [{ name: 'x-slow', present_match: true }] };
  put(path, slow);
  await using proxy = await startProxy(web(app.port, [discovered(fromFile(path))]));
  const agent = new http.Agent({ keepAlive: true, maxSockets: 4 });
  const begun = request(proxy.port('web'), { headers: { 'x-slow': '1' } });
  await waitFor('the delay', async () => (await stat(proxy, 'http.web.fault.active_faults')) === 1);
  const seen = new Set<number | undefined>();
  for (let i = 0; i < 6; i++) {
    put(path, i % 2 === 0 ? passing : { ...passing, max_active_faults: i + 1 });
    for (let asked = 0; asked < 20; asked++) seen.add((await request(proxy.port('web'), { agent })).status);
  }
  assert.deepEqual([...seen], [200]);
  assert.equal((await begun).status, 200);
  agent.destroy();
});

test('default_config holds until there is one, at once where that is asked for; without any config requests get 500', async () => {
  await using app = await backend('app');
  using folder = new Folder();
  const path = join(folder.path, 'ecds.json');
  put(path, null);
  const soon = fromFile(path, { initial_fetch_timeout: '0.1s' });
  const never = fromFile(path, { initial_fetch_timeout: '0s' });
  const listener = (name: string, own: Json): Json => httpListener({ name, routes: [route({ prefix: '/' }, 'app')], filters: [own] });
  const named = (name: string, own: Json): Json => ({ ...own, name });
  await using proxy = await startProxy(bootstrap([
    listener('fallback', named('fallback', discovered(soon, { default_config: answering(418) }))),
    listener('at-once', named('at-once', discovered(never, { default_config: answering(429), apply_default_config_without_warming: true }))),
    listener('nothing', named('nothing', discovered(soon))),
    listener('off', { ...named('off', discovered(soon)), disabled: true }),
  ], [cluster('app', [app.port])]));
  assert.equal((await request(proxy.port('fallback'))).status, 418);
  assert.equal((await request(proxy.port('at-once'))).status, 429);
  assert.equal((await request(proxy.port('nothing'))).status, 500);
  assert.equal((await request(proxy.port('off'))).status, 200);
});

test('the router can come by ECDS too', async () => {
  await using app = await backend('app');
  using folder = new Folder();
  const path = join(folder.path, 'ecds.json');
  put(path, { '@type': typeOf.router });
  await using proxy = await startProxy(bootstrap([httpListener({ routes: [route({ prefix: '/' }, 'app')], hcm: { http_filters: [discovered(fromFile(path), { type_urls: [typeOf.router] })] } })], [cluster('app', [app.port])]));
  assert.equal((await request(proxy.port('web'))).headers['x-backend'], 'app');
});

for (const [via, api_type] of [['ads', 'GRPC'], ['ads', 'DELTA_GRPC'], ['a service of its own', 'GRPC'], ['a service of its own', 'DELTA_GRPC']] as const) {
  test(`a filter config comes from ${via} (${api_type}) and is taken away again`, async () => {
    await using app = await backend('app');
    const config = (own: Json | null): Snapshot => ({ [xdsType.extension]: { version: JSON.stringify(own), resources: own === null ? {} : { own: { name: 'own', typed_config: own } } } });
    using server = await new SnapshotServer().start();
    const push = (own: Json | null) => server.set('ecds', config(own));
    push(answering(418));
    const api = { api_type, transport_api_version: 'V3', grpc_services: [{ envoy_grpc: { cluster_name: 'xds' } }] };
    const source = { ...(via === 'ads' ? { ads: {} } : { api_config_source: api }), resource_api_version: 'V3' };
    await using proxy = await startProxy({
      node: { id: 'ecds', cluster: 'tests' }, admin: { address: anyPort },
      static_resources: { listeners: [httpListener({ routes: [route({ prefix: '/' }, 'app')], filters: [discovered(source, { default_config: answering(429) })] })], clusters: [cluster('app', [app.port]), cluster('xds', [server.port])] },
      dynamic_resources: { ads_config: api },
    });
    const ask = async () => (await request(proxy.port('web'))).status;
    assert.equal(await ask(), 418);
    push(passing);
    await waitFor('the second config', async () => (await ask()) === 200);
    push(denying);
    await waitFor('the refusal', () => server.asked.some(({ error }) => error.includes('type_urls')));
    assert.equal(await ask(), 200);
    if (api_type === 'GRPC') return;
    push(null);
    await waitFor('the default config, once there is no other', async () => (await ask()) === 429);
  });
}
