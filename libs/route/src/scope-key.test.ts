import assert from 'node:assert/strict';
import { test } from 'node:test';
import { jsonToBinary } from '@meltemi/api';
import { ScopedRoutes_ScopeKeyBuilder } from '@meltemi/api/gen/envoy/extensions/filters/network/http_connection_manager/v3/http_connection_manager.ts';
import { HeaderMap, RequestHead } from '@meltemi/http';
import { Report } from './report.ts';
import { compileScopeKey, scopeKey } from './scope-key.ts';

const type = 'envoy.extensions.filters.network.http_connection_manager.v3.ScopedRoutes.ScopeKeyBuilder';

function build(...extractors: readonly object[]) {
  const report = new Report();
  const fragments = extractors.map((header_value_extractor) => ({ header_value_extractor }));
  const keyOf = compileScopeKey(ScopedRoutes_ScopeKeyBuilder.decode(jsonToBinary(type, { fragments })), 'k', report);
  return { refused: report.errors.map(({ path }) => path), key: (headers: Readonly<Record<string, string>>, authority = 'web.test') => keyOf(new RequestHead('GET', '/', authority, HeaderMap.from(headers))) };
}

test('a fragment is a part of a header by its place', () => {
  const { key } = build({ name: 'X-Place', element_separator: ',', index: 1 });
  assert.equal(key({ 'x-place': 'a,b,c' }), scopeKey(['b']));
  assert.equal(key({ 'x-place': 'a' }), null);
  assert.equal(key({}), null);
  assert.equal(build({ name: ':authority', index: 0 }).key({}), scopeKey(['web.test']));
});

test('a fragment is the value of a key in a header', () => {
  const { key } = build({ name: 'x-tags', element_separator: ';', element: { key: 'tenant', separator: '=' } });
  assert.equal(key({ 'x-tags': 'zone=z;tenant=blue=green;tenant=red' }), scopeKey(['blue=green']), 'the first that has the key, up to the first separator');
  assert.equal(key({ 'x-tags': 'tenant' }), scopeKey(['']));
  assert.equal(key({ 'x-tags': 'tenants=blue' }), null);
});

test('several fragments make a key in their order, and all must be there', () => {
  const { key } = build({ name: 'x-a', index: 0 }, { name: 'x-b', index: 0 });
  assert.equal(key({ 'x-a': '1', 'x-b': '2' }), scopeKey(['1', '2']));
  assert.notEqual(key({ 'x-a': '1', 'x-b': '2' }), key({ 'x-a': '2', 'x-b': '1' }));
  assert.equal(key({ 'x-a': '1' }), null);
});

test('builders that cannot build are refused by their field', () => {
  assert.deepEqual(build().refused, ['k.fragments']);
  const at = 'k.fragments[0].header_value_extractor';
  assert.deepEqual(build({ index: 0 }).refused, [`${at}.name`]);
  assert.deepEqual(build({ name: 'x' }).refused, [at]);
  assert.deepEqual(build({ name: 'x', index: 1 }).refused, [`${at}.index`]);
  assert.deepEqual(build({ name: 'x', element: {} }).refused, [`${at}.element.key`, `${at}.element.separator`]);
});
