import assert from 'node:assert/strict';
import { test } from 'node:test';
import { jsonToBinary } from '@meltemi/api';
import { TypedExtensionConfig } from '@meltemi/api/gen/envoy/config/core/v3/extension.ts';
import { HttpFilter } from '@meltemi/api/gen/envoy/extensions/filters/network/http_connection_manager/v3/http_connection_manager.ts';
import { ok } from '@meltemi/base';
import { newContext } from './context.ts';
import type { Extensions } from './extensions.ts';
import { compileFilterConfig, compileHttpFilters } from './http-filters.ts';

const prefix = 'type.googleapis.com';
const fault = `${prefix}/envoy.extensions.filters.http.fault.v3.HTTPFault`;
const cors = `${prefix}/envoy.extensions.filters.http.cors.v3.Cors`;
const router = `${prefix}/envoy.extensions.filters.http.router.v3.Router`;
const extensions: Extensions = {
  networkFilters: new Map(), listenerFilters: new Map(), accessLoggers: new Map(), extensionDiscovery: true,
  httpFilters: new Map([[fault, { parse: () => ok('fault') }], [cors, { parse: () => ok('cors') }], [router, { parse: () => ok('router'), terminal: true }]]),
};
const source = { path_config_source: { path: '/config/ecds.yaml' }, resource_api_version: 'V3', initial_fetch_timeout: '2s' };

function compile(discovery: object, { last = false, own = extensions } = {}) {
  const filters = [{ name: 'own', config_discovery: { config_source: source, type_urls: [fault], ...discovery } }, ...(last ? [] : [{ name: 'router', typed_config: { '@type': router } }])];
  const context = newContext(own);
  const compiled = compileHttpFilters(filters.map((json) => HttpFilter.decode(jsonToBinary('envoy.extensions.filters.network.http_connection_manager.v3.HttpFilter', json))), 'http_filters', context);
  return { compiled, context, refused: context.report.errors.map(({ path }) => path) };
}

test('a filter whose config comes by ECDS says what it may be, where it comes from and what holds until then', () => {
  const { compiled, context, refused } = compile({ default_config: { '@type': fault }, type_urls: [fault, 'envoy.extensions.filters.http.cors.v3.Cors'] });
  assert.deepEqual(refused, []);
  assert.deepEqual(compiled[0], { name: 'own', typeUrl: fault, config: 'fault', disabled: false, discovery: { name: 'own', typeUrls: new Set([fault, cors]) } });
  assert.deepEqual(context.references.map(({ kind, name, source: { initialFetchTimeoutMs } }) => [kind, name, initialFetchTimeoutMs]), [['extensions', 'own', 2000]]);
  assert.deepEqual([...context.extensionNames], ['own'], 'the listener waits for it');
  assert.deepEqual([...compile({ default_config: { '@type': fault }, apply_default_config_without_warming: true }).context.extensionNames], []);
});

test('discovery that cannot work is refused by its field', () => {
  const at = 'http_filters[0].config_discovery';
  assert.deepEqual(compile({ type_urls: [] }).refused, [`${at}.type_urls`]);
  assert.deepEqual(compile({ type_urls: [fault, `${prefix}/unknown.Filter`] }).refused, [`${at}.type_urls[1]`]);
  assert.deepEqual(compile({ type_urls: [router] }).refused, [`${at}.type_urls[0]`], 'a terminal filter in the middle');
  assert.deepEqual(compile({}, { last: true }).refused, [`${at}.type_urls[0]`], 'a filter at the end that answers nothing');
  assert.deepEqual(compile({ type_urls: [router] }, { last: true }).refused, []);
  assert.deepEqual(compile({ default_config: { '@type': cors } }).refused, [`${at}.default_config`]);
  assert.deepEqual(compile({ apply_default_config_without_warming: true }).refused, [`${at}.apply_default_config_without_warming`]);
  assert.deepEqual(compile({ config_source: null }).refused, [`${at}.config_source`]);
  const { extensionDiscovery: _, ...without } = extensions;
  assert.deepEqual(compile({}, { own: without }).refused, [at], 'who asks nobody for it refuses it');
});

test('the config of a filter compiles by itself', () => {
  const config = (json: object) => compileFilterConfig(TypedExtensionConfig.decode(jsonToBinary('envoy.config.core.v3.TypedExtensionConfig', json)), extensions);
  assert.deepEqual(config({ name: 'own', typed_config: { '@type': fault } }), ok({ value: { typeUrl: fault, config: 'fault' }, warnings: [] }));
  const refused = [config({ typed_config: { '@type': fault } }), config({ name: 'own' }), config({ name: 'own', typed_config: { '@type': `${prefix}/google.protobuf.Empty` } })];
  assert.deepEqual(refused.map((each) => (each.ok ? [] : each.error.map(({ path }) => path))), [['name'], [''], ['typed_config']]);
});
