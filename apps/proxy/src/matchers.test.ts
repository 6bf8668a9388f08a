import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { backend, closedPort, type Backend } from './testing/backend.ts';
import { bootstrap, cluster, connectionManager, filter, httpListener, route, typeOf, type Json } from './testing/bootstrap.ts';
import { request } from './testing/client.ts';
import { startProxy } from './testing/proxy-process.ts';

let app: Backend;

before(async () => {
  app = await backend('app');
});
after(() => app.stop());

const extension = (type: string, fields: Json = {}): Json => ({ name: 'x', typed_config: { '@type': `type.googleapis.com/${type}`, ...fields } });
const action = (name: string, kind: string): Json => ({ action: extension('envoy.config.rbac.v3.Action', { name, action: kind }) });

test('who may do what is said by a matcher over addresses and headers', async () => {
  const byTeam = { matcher: { matcher_tree: { input: extension('envoy.type.matcher.v3.HttpRequestHeaderMatchInput', { header_name: 'x-team' }), exact_match_map: { map: { shop: action('shop', 'ALLOW'), guests: action('no guests', 'DENY') } } } } };
  const matcher = { matcher_tree: { input: extension('envoy.extensions.matching.common_inputs.network.v3.DirectSourceIPInput'), custom_match: extension('xds.type.matcher.v3.IPMatcher', { range_matchers: [{ ranges: [{ address_prefix: '127.0.0.0', prefix_len: 8 }], on_match: byTeam }] }) } };
  await using proxy = await startProxy(bootstrap([httpListener({ routes: [route({ prefix: '/' }, 'app')], filters: [filter('envoy.filters.http.rbac', typeOf.rbac, { matcher })] })], [cluster('app', [app.port])]));
  const status = async (headers: Record<string, string>): Promise<number> => (await request(proxy.port('web'), { headers })).status;
  assert.deepEqual([await status({ 'x-team': 'shop' }), await status({ 'x-team': 'guests' }), await status({})], [200, 403, 403]);
  assert.match((await request(proxy.port('admin'), { path: '/stats' })).body, /^http\.web\.rbac\.denied: 2$/m);
});

test('a matcher over headers chooses routes, whose own match still counts', async () => {
  await using other = await backend('other');
  const chooses = (type: 'Route' | 'RouteList', fields: Json): Json => ({ action: extension(`envoy.config.route.v3.${type}`, fields) });
  const map = { shop: chooses('RouteList', { routes: [route({ prefix: '/old' }, 'other'), route({ prefix: '/shop' }, 'app')] }), guests: chooses('Route', route({ prefix: '/' }, 'other')) };
  const matcher = { matcher_tree: { input: extension('envoy.type.matcher.v3.HttpRequestHeaderMatchInput', { header_name: 'x-team' }), exact_match_map: { map } } };
  await using proxy = await startProxy(bootstrap([httpListener({ virtualHosts: [{ name: 'v', domains: ['*'], matcher }] })], [cluster('app', [app.port]), cluster('other', [other.port])]));
  const answer = async (path: string, headers: Record<string, string>): Promise<string> => {
    const reply = await request(proxy.port('web'), { path, headers });
    return `${reply.status} ${String(reply.headers['x-backend'] ?? '')}`;
  };
  const shop = { 'x-team': 'shop' };
  assert.deepEqual([await answer('/old/1', shop), await answer('/shop', shop), await answer('/else', shop)], ['200 other', '200 app', '404 ']);
  assert.deepEqual([await answer('/else', { 'x-team': 'guests' }), await answer('/old', {})], ['200 other', '404 ']);
});

test('a connection gets the filter chain that a matcher names by its port, or is closed', async () => {
  const ports = await Promise.all([closedPort(), closedPort(), closedPort()]);
  const at = (port: number): Json => ({ socket_address: { address: '127.0.0.1', port_value: port } });
  const say = (name: string): Json => ({ name, filters: [connectionManager({ routes: [{ match: { prefix: '/' }, direct_response: { status: 200, body: { inline_string: name } } }] })] });
  const to = (value: string): Json => ({ action: extension('google.protobuf.StringValue', { value }) });
  const filter_chain_matcher = { matcher_tree: { input: extension('envoy.extensions.matching.common_inputs.network.v3.DestinationPortInput'), exact_match_map: { map: { [String(ports[0])]: to('one'), [String(ports[1])]: to('two') } } } };
  const more = ports.slice(1).map((port) => ({ address: at(port) }));
  await using proxy = await startProxy(bootstrap([{ name: 'web', address: at(ports[0] ?? 0), additional_addresses: more, filter_chain_matcher, filter_chains: [say('one'), say('two')] }], []));
  assert.deepEqual(await Promise.all(ports.slice(0, 2).map(async (port) => (await request(port)).body)), ['one', 'two']);
  await assert.rejects(request(ports[2] ?? 0));
  assert.match((await request(proxy.port('admin'), { path: '/stats' })).body, /no_filter_chain_match: 1$/m);
});
