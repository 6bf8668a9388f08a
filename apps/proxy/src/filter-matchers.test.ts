import assert from 'node:assert/strict';
import { test } from 'node:test';
import { backend } from './testing/backend.ts';
import { bootstrap, cluster, httpListener, route, typeOf, type Json } from './testing/bootstrap.ts';
import { request } from './testing/client.ts';
import { startProxy } from './testing/proxy-process.ts';

const types = 'type.googleapis.com';
const header = (name: string): Json => ({ name: 'header', typed_config: { '@type': `${types}/envoy.type.matcher.v3.HttpRequestHeaderMatchInput`, header_name: name } });
const skip: Json = { action: { name: 'skip', typed_config: { '@type': `${types}/envoy.extensions.filters.common.matcher.action.v3.SkipFilter` } } };
const answering: Json = { '@type': typeOf.fault, abort: { http_status: 418, percentage: { numerator: 100 } } };

test('requests that the matcher of a filter takes to SkipFilter pass the filter by', async () => {
  await using app = await backend('app');
  const inner: Json = { matcher_list: { matchers: [{ predicate: { single_predicate: { input: header('x-who'), value_match: { prefix: 'team-' } } }, on_match: skip }] } };
  const matched: Json = {
    name: 'own', typed_config: {
      '@type': `${types}/envoy.extensions.common.matching.v3.ExtensionWithMatcher`, extension_config: { name: 'fault', typed_config: answering },
      xds_matcher: { matcher_tree: { input: header('x-mode'), exact_match_map: { map: { open: skip, known: { matcher: inner } } } } },
    },
  };
  await using proxy = await startProxy(bootstrap([httpListener({ routes: [route({ prefix: '/' }, 'app')], filters: [matched] })], [cluster('app', [app.port])]));
  const ask = async (headers: Readonly<Record<string, string>>) => (await request(proxy.port('web'), { headers })).status;
  assert.equal(await ask({}), 418);
  assert.equal(await ask({ 'x-mode': 'open' }), 200);
  assert.equal(await ask({ 'x-mode': 'known' }), 418);
  assert.equal(await ask({ 'x-mode': 'known', 'x-who': 'team-a' }), 200);
});

test('a connection manager without filters starts, and answers that nothing is there', async () => {
  await using proxy = await startProxy(bootstrap([httpListener({ hcm: { http_filters: [] } })], []));
  assert.equal((await request(proxy.port('web'))).status, 404);
});
