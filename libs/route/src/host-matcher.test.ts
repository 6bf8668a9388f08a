import assert from 'node:assert/strict';
import { test } from 'node:test';
import { jsonToBinary } from '@meltemi/api';
import { RouteConfiguration } from '@meltemi/api/gen/envoy/config/route/v3/route.ts';
import { HeaderMap, RequestHead } from '@meltemi/http';
import { compileRouteTable, type RouteTable } from './index.ts';

type Json = Record<string, unknown>;

const extension = (type: string, fields: Json = {}): Json => ({ name: 'x', typed_config: { '@type': `type.googleapis.com/${type}`, ...fields } });
const to = (name: string, match: Json = { prefix: '/' }): Json => ({ name, match, route: { cluster: name } });
const one = (route: Json): Json => ({ action: extension('envoy.config.route.v3.Route', route) });
const several = (...routes: Json[]): Json => ({ action: extension('envoy.config.route.v3.RouteList', { routes }) });
const header = (name: string): Json => extension('envoy.type.matcher.v3.HttpRequestHeaderMatchInput', { header_name: name });
const byHeader = (name: string, map: Json): Json => ({ matcher_tree: { input: header(name), exact_match_map: { map } } });
const hostWith = (matcher: Json, more: Json = {}): Json => ({ name: 'v', domains: ['*'], matcher, ...more });

function compile(host: Json): ReturnType<typeof compileRouteTable> {
  return compileRouteTable(RouteConfiguration.decode(jsonToBinary('envoy.config.route.v3.RouteConfiguration', { name: 'r', virtual_hosts: [host] })));
}

function table(matcher: Json, more: Json = {}): RouteTable {
  const compiled = compile(hostWith(matcher, more));
  assert.ok(compiled.ok, JSON.stringify(compiled));
  return compiled.value;
}

function refused(host: Json): string[] {
  const compiled = compile(host);
  return compiled.ok ? [] : compiled.error.map(({ path, message }) => `${path}: ${message}`);
}

const get = (path: string, team?: string): RequestHead => new RequestHead('GET', path, 'a.example', HeaderMap.from(team === undefined ? {} : { 'x-team': team }));
const nameOf = (routes: RouteTable, path: string, team?: string): string | null => routes.match(get(path, team), 0, null)?.routeName ?? null;

test('the matcher chooses a route, which is taken when its own match holds', () => {
  const routes = table(byHeader('X-Team', { shop: one(to('shop', { prefix: '/shop' })), guests: one(to('guests')) }));
  assert.deepEqual([['/shop/1', 'shop'], ['/', 'guests'], ['/shop', 'nobody'], ['/shop']].map(([path = '', team]) => nameOf(routes, path, team)), ['shop', 'guests', null, null]);
});

test('a chosen route whose own match does not hold ends the search: no other branch is tried', () => {
  const team = (route: Json): Json => ({ predicate: { single_predicate: { input: header('x-team'), value_match: { prefix: 's' } } }, on_match: one(route) });
  const routes = table({ matcher_list: { matchers: [team(to('first', { prefix: '/first' })), team(to('second'))] }, on_no_match: one(to('rest')) });
  assert.deepEqual([nameOf(routes, '/first', 'shop'), nameOf(routes, '/', 'shop'), nameOf(routes, '/', 'x')], ['first', null, 'rest']);
});

test('of a list the first route whose match holds is taken, among few and among many', () => {
  for (const count of [0, 20]) {
    const filler = Array.from({ length: count }, (_, i) => to(`filler ${i}`, { prefix: `/filler-${i}/` }));
    const routes = table(byHeader('x-team', { shop: several(...filler, to('cart', { prefix: '/cart' }), to('cart too', { prefix: '/cart/1' }), to('about', { path: '/about' })), nobody: several() }));
    assert.deepEqual([['/cart/1', 'shop'], ['/about', 'shop'], ['/other', 'shop'], ['/cart', 'nobody']].map(([path = '', team]) => nameOf(routes, path, team)), ['cart', 'about', null, null]);
  }
});

test('pseudo headers are fields like others, and matchers stand within matchers', () => {
  const routes = table({ matcher_tree: { input: header(':path'), prefix_match_map: { map: { '/api': { matcher: byHeader('x-team', { shop: one(to('shop')) }) }, '/': one(to('any')) } } } });
  assert.deepEqual([nameOf(routes, '/api/1', 'shop'), nameOf(routes, '/api/1'), nameOf(routes, '/x')], ['shop', 'any', 'any']);
});

test('what host and table say holds for chosen routes too, and their clusters are known', () => {
  const more = { response_headers_to_add: [{ header: { key: 'x-host', value: 'v' } }], require_tls: 'ALL' };
  const routes = table(byHeader('x-team', { shop: one(to('shop')), guests: several(to('a'), to('b')) }), more);
  const https = get('/', 'shop');
  https.headers.set('x-forwarded-proto', 'https');
  assert.deepEqual(routes.match(https, 0, null)?.responseHeaders.map(({ name }) => name), ['x-host']);
  assert.equal(routes.match(get('/'), 0, null)?.action.kind, 'redirect');
  assert.deepEqual([...routes.clusterNames], ['shop', 'a', 'b']);
});

test('a host tells which routes a request is compared with', () => {
  const [host] = table(byHeader('x-team', { shop: several(to('a'), to('b')), guests: one(to('c')) })).virtualHosts;
  assert.deepEqual(host?.routes.map(({ name }) => name), ['a', 'b', 'c']);
  assert.deepEqual(host?.routesFor(get('/', 'shop'))?.map(({ name }) => name), ['a', 'b']);
  assert.equal(host?.routesFor(get('/')), null);
});

test('routes beside a matcher, inputs other than request headers, other actions and broken routes are refused where they stand', () => {
  const at = 'virtual_hosts[0].matcher';
  assert.deepEqual(refused(hostWith(byHeader('a', { x: one(to('a')) }), { routes: [to('b')] })), [`${at}: a virtual host has either routes or a matcher`]);
  const source = { matcher_tree: { input: extension('envoy.extensions.matching.common_inputs.network.v3.SourceIPInput'), exact_match_map: { map: { x: one(to('a')) } } } };
  assert.deepEqual(refused(hostWith(source)), [`${at}.matcher_tree.input.typed_config: the input "envoy.extensions.matching.common_inputs.network.v3.SourceIPInput" is not supported here: use one of HttpRequestHeaderMatchInput`]);
  assert.deepEqual(refused(hostWith({ on_no_match: { action: extension('envoy.config.rbac.v3.Action', { name: 'x' }) } })), [`${at}.on_no_match.action.typed_config: must be a Route or a RouteList of envoy.config.route.v3`]);
  assert.deepEqual(refused(hostWith(byHeader('a', { x: one({ name: 'no match', route: { cluster: 'a' } }), y: several(to('a'), { match: { prefix: '/' } }) }))), [
    `${at}.matcher_tree.exact_match_map.map["x"].action.typed_config.match: is required`,
    `${at}.matcher_tree.exact_match_map.map["y"].action.typed_config.routes[1]: needs route, redirect, direct_response or non_forwarding_action`,
  ]);
});

test('an action whose bytes are no route refuses the table instead of throwing', () => {
  const message = RouteConfiguration.decode(jsonToBinary('envoy.config.route.v3.RouteConfiguration', { virtual_hosts: [hostWith({ on_no_match: one(to('a')) })] }));
  const action = message.virtualHosts[0]?.matcher?.onNoMatch?.onMatch;
  assert.ok(action?.$case === 'action' && action.value.typedConfig !== undefined);
  action.value.typedConfig.value = Buffer.from([0x0a, 0xff, 0xff]);
  const compiled = compileRouteTable(message);
  assert.deepEqual(compiled.ok ? [] : compiled.error.map(({ path }) => path), ['virtual_hosts[0].matcher.on_no_match.action.typed_config']);
});
