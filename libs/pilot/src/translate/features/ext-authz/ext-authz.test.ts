import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ExtensionProvider, MeshConfigSpec } from '@meltemi/config';
import { xdsType } from '@meltemi/xds';
import { defaultFeatures } from '../../../features.ts';
import { bookinfo, configsOf, jsonOf, meshOf, productpage } from '../../../testing/mesh.test-support.ts';
import { translate } from '../../translate.ts';

type Json = Record<string, unknown>;

const service = 'details.default.svc.cluster.local';
const shared = { service, port: 9000, failOpen: false, clearRouteCache: false, statusOnError: '' };
const lists = { pathPrefix: '', includeHeadersInCheck: [], includeRequestHeadersInCheck: [], includeAdditionalHeadersInCheck: {}, headersToUpstreamOnAllow: [], headersToDownstreamOnDeny: [], headersToDownstreamOnAllow: [] };
const grpc: ExtensionProvider = { name: 'opa', envoyExtAuthzGrpc: shared };
const http: ExtensionProvider = { name: 'opa', envoyExtAuthzHttp: { ...shared, ...lists } };

function filters(extensionProviders: MeshConfigSpec['extensionProviders'], policies = custom('opa')): { http: Json[]; tcp: Json[] } {
  const push = meshOf([...bookinfo(), ...configsOf(policies)], { extensionProviders });
  const listener = Object.values(jsonOf(translate(push, productpage(), { typeUrl: xdsType.listener, names: ['virtualInbound'] })))[0] as { filter_chains: { name: string; filters: Json[] }[] };
  const config = (filter: Json | undefined) => filter?.['typed_config'] as Json;
  const guards = (list: Json[]) => list.filter(({ name }) => /rbac|ext_authz/.test(String(name)));
  const chain = listener.filter_chains.find(({ name }) => name === '0.0.0.0_9080');
  const tcp = listener.filter_chains.find(({ name, filters: list }) => name === 'virtualInbound' && list.at(-1)?.['name'] === 'envoy.filters.network.tcp_proxy');
  return { http: guards(config(chain?.filters[0])['http_filters'] as Json[]), tcp: guards(tcp?.filters ?? []) };
}

function custom(provider: string, name = 'p', rule = '{to: [{operation: {paths: [/admin]}}]}'): string {
  return `apiVersion: security.istio.io/v1\nkind: AuthorizationPolicy\nmetadata: {name: ${name}, namespace: default}\nspec: {action: CUSTOM, provider: {name: ${provider}}, rules: [${rule}]}\n---\n`;
}

/** The typed config of a filter, or of nothing. */
const typed = (filter: Json | undefined) => (filter?.['typed_config'] ?? {}) as Json;
const names = (list: Json[]) => list.map(({ name }) => name);
const policiesOf = (rules: unknown) => Object.keys((rules as { policies?: Json } | undefined)?.policies ?? {});

test('rules that are only tried say which requests the provider is asked about', () => {
  const { http: [rules, asked], tcp } = filters([grpc]);
  assert.deepEqual([rules?.['name'], asked?.['name']], ['envoy.filters.http.rbac', 'envoy.filters.http.ext_authz']);
  assert.deepEqual([typed(rules)['rules'], policiesOf(typed(rules)['shadow_rules']), typed(rules)['shadow_rules_stat_prefix']], [undefined, ['istio-ext-authz-opa-ns[default]-policy[p]-rule[0]'], 'istio_ext_authz_']);
  assert.deepEqual(typed(asked)['filter_enabled_metadata'], {
    filter: 'envoy.filters.http.rbac', path: [{ key: 'istio_ext_authz_shadow_effective_policy_id' }], value: { string_match: { prefix: 'istio-ext-authz-opa-ns[' } },
  });
  assert.deepEqual(typed(asked)['grpc_service'], { envoy_grpc: { cluster_name: `outbound|9000||${service}`, authority: service }, timeout: '600s' });
  assert.deepEqual(names(tcp), ['envoy.filters.network.rbac', 'envoy.filters.network.ext_authz']);
  assert.deepEqual((typed(tcp[1])['filter_enabled_metadata'] as Json)['filter'], 'envoy.filters.network.rbac');
});

test('a provider that speaks HTTP is not asked about connections', () => {
  const { http: found, tcp } = filters([http]);
  assert.deepEqual([names(found), names(tcp)], [['envoy.filters.http.rbac', 'envoy.filters.http.ext_authz'], []]);
});

test('every setting of a provider reaches the filter', () => {
  const settings: ExtensionProvider = {
    name: 'opa',
    envoyExtAuthzHttp: {
      service: `default/${service}`, port: 9000, timeout: 1500, failOpen: true, clearRouteCache: true, statusOnError: '503', includeRequestBodyInCheck: { maxRequestBytes: 1024, allowPartialMessage: true, packAsBytes: true },
      pathPrefix: '/check', includeHeadersInCheck: ['x-old'], includeRequestHeadersInCheck: ['x-one', 'x-two-*', '*-three'], includeAdditionalHeadersInCheck: { 'x-b': '2', 'x-a': '1' },
      headersToUpstreamOnAllow: ['x-user'], headersToDownstreamOnDeny: ['x-why'], headersToDownstreamOnAllow: ['x-seen'],
    },
  };
  const config = typed(filters([settings]).http[1]);
  const list = (...patterns: Json[]) => ({ patterns: patterns.map((pattern) => ({ ...pattern, ignore_case: true })) });
  assert.deepEqual(config['http_service'], {
    server_uri: { uri: `http://${service}`, cluster: `outbound|9000||${service}`, timeout: '1.500s' }, path_prefix: '/check',
    authorization_request: { headers_to_add: [{ key: 'x-a', value: '1' }, { key: 'x-b', value: '2' }] },
    authorization_response: { allowed_upstream_headers: list({ exact: 'x-user' }), allowed_client_headers: list({ exact: 'x-why' }), allowed_client_headers_on_success: list({ exact: 'x-seen' }) },
  });
  assert.deepEqual(config['allowed_headers'], list({ exact: 'x-one' }, { prefix: 'x-two-' }, { suffix: '-three' }));
  assert.deepEqual([config['failure_mode_allow'], config['clear_route_cache'], config['status_on_error'], config['with_request_body']], [true, true, { code: 'ServiceUnavailable' }, { max_request_bytes: 1024, allow_partial_message: true, pack_as_bytes: true }]);
});

const unusable: readonly [string, MeshConfigSpec['extensionProviders'], string?][] = [
  ['nobody defined', []],
  ['that authorizes nothing', [{ name: 'opa', prometheus: {} }]],
  ['whose service is not known', [{ name: 'opa', envoyExtAuthzGrpc: { ...shared, service: 'nowhere.example' } }]],
  ['with a header list of one star', [{ name: 'opa', envoyExtAuthzHttp: { ...shared, ...lists, headersToUpstreamOnAllow: ['*'] } }]],
  ['with a name that is none', [{ name: 'O_P', envoyExtAuthzGrpc: shared }], 'O_P'],
];
for (const [title, providers, name = 'opa'] of unusable)
  test(`what a provider ${title} should decide about is denied`, () => {
    const { http: found, tcp } = filters(providers, custom(name));
    assert.deepEqual([names(found), names(tcp)], [['envoy.filters.http.rbac'], ['envoy.filters.network.rbac']]);
    const rules = typed(found[0])['rules'];
    assert.equal((rules as Json)['action'], 'DENY');
    assert.deepEqual(policiesOf(rules), [`istio-ext-authz-${name}-ns[default]-policy[p]-rule[0]-deny-due-to-bad-CUSTOM-action`]);
  });

test('two providers for one workload: all is denied, unless the switch allows it; then each is asked about its own rules', () => {
  const providers: ExtensionProvider[] = [grpc, { ...grpc, name: 'ldap' }];
  const policies = custom('opa') + custom('ldap', 'q');
  assert.deepEqual(names(filters(providers, policies).http), ['envoy.filters.http.rbac', 'envoy.filters.http.rbac']);
  const push = { ...meshOf([...bookinfo(), ...configsOf(policies)], { extensionProviders: providers }), features: { ...defaultFeatures, multipleCustomProviders: true }, shape: {} };
  const text = JSON.stringify(jsonOf(translate(push, productpage(), { typeUrl: xdsType.listener, names: ['virtualInbound'] })));
  assert.match(text, /"prefix":"istio-ext-authz-ldap-ns\["/);
  assert.match(text, /"prefix":"istio-ext-authz-opa-ns\["/);
  assert.doesNotMatch(text, /bad-CUSTOM/);
});
