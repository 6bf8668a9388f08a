import assert from 'node:assert/strict';
import { test } from 'node:test';
import { filterJson, requestText, routeToApp, Served } from '../../../testing/served.ts';

type Json = Record<string, unknown>;
const add = (value: string, key = 'x-a', appendAction = 'OVERWRITE_IF_EXISTS_OR_ADD'): Json => ({ append: { header: { key, value }, appendAction } });
const typed = (mutations: Json) => ({ typedPerFilterConfig: { 'envoy.filters.http.header_mutation': { '@type': 'type.googleapis.com/envoy.extensions.filters.http.header_mutation.v3.HeaderMutationPerRoute', mutations } } });

function served(config: Json, levels: { route?: Json; host?: Json; table?: Json } = {}): Served {
  const routes = [routeToApp(levels.route === undefined ? {} : typed(levels.route))];
  const routeConfig = { name: 'inline', ...(levels.table && typed(levels.table)), virtualHosts: [{ name: 'all', domains: ['*'], routes, ...(levels.host && typed(levels.host)) }] };
  return new Served({ filters: [filterJson('envoy.filters.http.header_mutation', 'envoy.extensions.filters.http.header_mutation.v3.HeaderMutation', config)], hcm: { routeConfig } });
}

function upstreamHead(world: Served, fields: readonly string[] = []) {
  const { wire } = world.connect();
  wire.receive(requestText('/', fields));
  const request = world.backend.requests.shift();
  request?.respond(200, ['content-length', '2', 'x-old', '1']);
  return { headers: request?.head.headers, sent: wire.sent };
}

test('mutations run in their order on the request and the response', () => {
  const world = served({ mutations: { requestMutations: [add('1', 'x-b'), { remove: 'x-b' }, add('%REQ(:path)%', 'x-path')], responseMutations: [{ remove: 'x-old' }, add('new', 'x-new')] } });
  const { headers, sent } = upstreamHead(world, ['x-b: 0']);
  assert.deepEqual([headers?.get('x-b'), headers?.get('x-path')], [null, '/']);
  assert.match(sent, /x-new: new\r\n/);
  assert.doesNotMatch(sent, /x-old/);
});

test("every level acts after the filter's own, the table's last", () => {
  const levels = { route: { requestMutations: [add('route')] }, host: { requestMutations: [add('host'), add('h', 'x-host')] }, table: { requestMutations: [add('table')] } };
  const base = { mutations: { requestMutations: [add('own'), add('o', 'x-own')] } };
  const plain = upstreamHead(served(base, levels)).headers;
  assert.deepEqual(['x-a', 'x-own', 'x-host'].map((name) => plain?.get(name)), ['table', 'o', 'h']);
  assert.equal(upstreamHead(served({ ...base, mostSpecificHeaderMutationsWins: true }, levels)).headers?.get('x-a'), 'route');
});

test('what has a rewrite of its own is refused by name', () => {
  for (const name of [':path', 'Host', 'a b', '']) assert.throws(() => served({ mutations: { requestMutations: [{ remove: name }] } }), /mutations\.request_mutations\[0\]\.remove/);
});
