import assert from 'node:assert/strict';
import { test } from 'node:test';
import { jsonToBinary } from '@meltemi/api';
import { filterJson, requestText, routeToApp, Served } from '../../../testing/served.ts';
import { filterExtensions } from '../../registry.ts';
import { rbacFilter } from './rbac.ts';

type Json = Record<string, unknown>;
const typeName = 'envoy.extensions.filters.http.rbac.v3.RBAC';
const policy = (path: string): Json => ({ permissions: [{ urlPath: { path: { prefix: path } } }], principals: [{ any: true }] });
const rbac = (config: Json) => filterJson('envoy.filters.http.rbac', typeName, config);

function answer(filters: Json[], request: string, routes?: Json[]) {
  const served = new Served(routes === undefined ? { filters } : { filters, routes });
  const { wire } = served.connect();
  wire.receive(request);
  served.backend.requests[0]?.respond();
  return { served, sent: wire.sent, info: served.done[0] };
}

test('a request that no ALLOW policy matches is denied in Envoy\'s words and counted', () => {
  const { served, sent, info } = answer([rbac({ rules: { action: 'ALLOW', policies: { shop: policy('/shop') } } })], requestText('/admin'));
  assert.match(sent, /^HTTP\/1.1 403 [\s\S]*\r\n\r\nRBAC: access denied$/);
  assert.equal(info?.responseCodeDetails, 'rbac_access_denied_matched_policy[none]');
  assert.equal(served.backend.requests.length, 0);
  assert.deepEqual([served.stats.counter('http.test.rbac.allowed').value, served.stats.counter('http.test.rbac.denied').value], [0, 1]);
});

test('a DENY policy is named in the details', () => {
  const { sent, info } = answer([rbac({ rules: { action: 'DENY', policies: { 'ns[x]-policy[no admin]': policy('/admin') } } })], requestText('/admin?x=1'));
  assert.match(sent, /^HTTP\/1.1 403 /);
  assert.equal(info?.responseCodeDetails, 'rbac_access_denied_matched_policy[ns[x]-policy[no_admin]]');
});

test('a gRPC client gets PERMISSION_DENIED', () => {
  const { sent } = answer([rbac({ rules: {} })], requestText('/a.B/C', ['content-type: application/grpc'], 'POST'));
  assert.match(sent, /^HTTP\/1.1 200 [\s\S]*grpc-status: 7\r\ngrpc-message: RBAC: access denied/i);
});

test('shadow policies change nothing and tell the access log, under Istio\'s dry-run names too', () => {
  const shadow = rbac({ shadowRules: { action: 'DENY', policies: { p: policy('/') } }, shadowRulesStatPrefix: 'istio_dry_run_deny_', rules: { action: 'ALLOW', policies: { all: policy('/') } }, rulesStatPrefix: 'strict' });
  const { served, sent, info } = answer([shadow], requestText('/'));
  assert.match(sent, /^HTTP\/1.1 200 /);
  assert.deepEqual(info?.dynamicMetadata?.['envoy.filters.http.rbac'], { istio_dry_run_deny_shadow_effective_policy_id: 'p', istio_dry_run_deny_shadow_engine_result: 'denied' });
  assert.deepEqual(['strict.allowed', 'istio_dry_run_deny_.shadow_denied', 'istio_dry_run_deny_.shadow_allowed'].map((name) => served.stats.counter(`http.test.rbac.${name}`).value), [1, 1, 0]);
});

test('a LOG policy lets all pass and hints to access logs', () => {
  for (const [path, hint] of [['/admin', true], ['/', false]] as const) {
    const { sent, info } = answer([rbac({ rules: { action: 'LOG', policies: { p: policy('/admin') } } })], requestText(path));
    assert.match(sent, /^HTTP\/1.1 200 /);
    assert.deepEqual(info?.dynamicMetadata?.['envoy.common'], { access_log_hint: hint });
  }
});

test('a route replaces the policies, or switches them off', () => {
  const deny = rbac({ rules: {} });
  const route = (settings: Json) => [routeToApp({ typedPerFilterConfig: { 'envoy.filters.http.rbac': { '@type': 'type.googleapis.com/envoy.extensions.filters.http.rbac.v3.RBACPerRoute', ...settings } } })];
  assert.match(answer([deny], requestText('/'), route({})).sent, /^HTTP\/1.1 200 /);
  assert.match(answer([deny], requestText('/shop'), route({ rbac: { rules: { policies: { shop: policy('/shop') } } } })).sent, /^HTTP\/1.1 200 /);
  assert.match(answer([rbac({})], requestText('/'), route({ rbac: { rules: {} } })).sent, /^HTTP\/1.1 403 /);
});

const extension = (name: string, fields: Json): Json => ({ name: 'x', typedConfig: { '@type': `type.googleapis.com/${name}`, ...fields } });
const rbacAction = (name: string, action: string): Json => ({ action: extension('envoy.config.rbac.v3.Action', { name, action }) });
const byPath = (map: Json): Json => ({ matcherTree: { input: extension('envoy.type.matcher.v3.HttpRequestHeaderMatchInput', { headerName: ':path' }), prefixMatchMap: { map } } });

test('a matcher allows, denies and logs by its actions, and denies what none matches', () => {
  const matcher = byPath({ '/shop': rbacAction('shop', 'ALLOW'), '/shop/admin': rbacAction('no admin', 'DENY'), '/seen': rbacAction('seen', 'LOG') });
  const outcome = (path: string) => {
    const { sent, info } = answer([rbac({ matcher, rules: { policies: {} } })], requestText(path));
    return [sent.slice(9, 12), info?.responseCodeDetails, info?.dynamicMetadata?.['envoy.common']?.['access_log_hint']];
  };
  assert.deepEqual(outcome('/shop/1').filter((_, i) => i !== 1), ['200', false]);
  assert.deepEqual(outcome('/seen').filter((_, i) => i !== 1), ['200', true]);
  assert.deepEqual(outcome('/shop/admin'), ['403', 'rbac_access_denied_matched_policy[no_admin]', false]);
  assert.deepEqual(outcome('/'), ['403', 'rbac_access_denied_matched_policy[none]', undefined]);
});

test('a shadow matcher changes nothing and tells what it would have done', () => {
  const { served, sent, info } = answer([rbac({ shadowMatcher: byPath({ '/': rbacAction('closed', 'DENY') }) })], requestText('/'));
  assert.match(sent, /^HTTP\/1.1 200 /);
  assert.deepEqual(info?.dynamicMetadata?.['envoy.filters.http.rbac'], { shadow_effective_policy_id: 'closed', shadow_engine_result: 'denied' });
  assert.equal(served.stats.counter('http.test.rbac.shadow_denied').value, 1);
});

test('a route may bring a matcher', () => {
  const perRoute = { '@type': 'type.googleapis.com/envoy.extensions.filters.http.rbac.v3.RBACPerRoute', rbac: { matcher: byPath({ '/shop': rbacAction('shop', 'ALLOW') }) } };
  const routes = [routeToApp({ typedPerFilterConfig: { 'envoy.filters.http.rbac': perRoute } })];
  assert.deepEqual(['/shop', '/'].map((path) => answer([rbac({})], requestText(path), routes).sent.slice(9, 12)), ['200', '403']);
});

test('broken matchers and CEL are refused by their paths', () => {
  const refused = (json: Json): string[] => {
    const result = rbacFilter.parse(jsonToBinary(typeName, json), { path: 'f', typeUrl: '', warn: () => {}, extensions: filterExtensions() });
    return result.ok ? [] : result.error.map(({ path }) => path);
  };
  assert.deepEqual(refused({ matcher: {} }), ['f.matcher']);
  assert.deepEqual(refused({ shadowMatcher: {} }), ['f.shadow_matcher']);
  assert.deepEqual(refused({ matcher: byPath({ '/': { action: extension('google.protobuf.StringValue', { value: 'x' }) } }) }), ['f.matcher.matcher_tree.prefix_match_map.map["/"].action.typed_config']);
  assert.deepEqual(refused({ matcher: { onNoMatch: rbacAction('', 'ALLOW') } }), ['f.matcher.on_no_match.action.typed_config.name']);
  assert.deepEqual(refused({ shadowRules: { policies: { a: { ...policy('/'), condition: {} } } } }), ['f.shadow_rules.policies["a"].condition']);
});
