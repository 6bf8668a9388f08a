import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Config } from '@meltemi/config';
import { xdsType } from '@meltemi/xds';
import { defaultFeatures, type Features } from '../../../features.ts';
import { affects, difference } from '../../../push-context/affects.ts';
import { buildPushContext } from '../../../push-context/push-context.ts';
import type { KeySets } from '../../../push-context/key-sets.ts';
import { wantedKeys } from '../../../push-context/request-authentication.ts';
import { bookinfo, configsOf, ingressGateway, jsonOf, meshOf, productpage } from '../../../testing/mesh.test-support.ts';
import { translate } from '../../translate.ts';
import { keysOfNobody } from './keys.ts';

type Json = Record<string, unknown>;
const base = bookinfo();
const jwks = '{"keys": [{"kty": "RSA", "n": "AQ", "e": "AQAB"}]}';

function policy(rules: string, { namespace = 'default', name = 'ra', selector = '' } = {}): Config[] {
  return configsOf(`apiVersion: security.istio.io/v1\nkind: RequestAuthentication\nmetadata: {name: ${name}, namespace: ${namespace}}\nspec: {${selector}jwtRules: [${rules}]}\n`);
}

interface Given {
  readonly features?: Partial<Features>;
  readonly keySets?: KeySets;
}

function contextOf(configs: readonly Config[], { features = {}, keySets }: Given = {}, previous?: ReturnType<typeof meshOf>) {
  const { mesh } = meshOf([]);
  return buildPushContext({ configs: [...base, ...configs], meshConfig: mesh, features: { ...defaultFeatures, ...features }, previous, ...(keySets ? { keySets } : {}) });
}

/** The jwt_authn config of productpage's port. */
function filterOf(push: ReturnType<typeof contextOf>): Json | undefined {
  const listener = Object.values(jsonOf(translate(push, productpage(), { typeUrl: xdsType.listener, names: ['virtualInbound'] })))[0] as { filter_chains: { name: string; filters: { typed_config: { http_filters: { name: string; typed_config: Json }[] } }[] }[] };
  const chain = listener.filter_chains.find(({ name }) => name === '0.0.0.0_9080');
  return chain?.filters[0]?.typed_config.http_filters.find(({ name }) => name === 'envoy.filters.http.jwt_authn')?.typed_config;
}

const providers = (config: Json | undefined) => (config?.['providers'] ?? {}) as Record<string, Json>;

test('every setting of a rule reaches its provider', () => {
  const rule = `{issuer: a, audiences: [x], jwks: '${jwks}', fromHeaders: [{name: x-jwt, prefix: "T "}], fromParams: [t], fromCookies: [c], outputPayloadToHeader: x-payload, forwardOriginalToken: true, outputClaimToHeaders: [{header: x-sub, claim: sub}], spaceDelimitedClaims: [roles]}`;
  const config = filterOf(contextOf(policy(rule)));
  assert.deepEqual(providers(config)['origins-0'], {
    issuer: 'a', audiences: ['x'], local_jwks: { inline_string: jwks }, forward: true, from_headers: [{ name: 'x-jwt', value_prefix: 'T ' }], from_params: ['t'], from_cookies: ['c'], forward_payload_header: 'x-payload',
    payload_in_metadata: 'payload', normalize_payload_in_metadata: { space_delimited_claims: ['scope', 'permission', 'roles'] }, claim_to_headers: [{ header_name: 'x-sub', claim_name: 'sub' }], jwt_cache_config: { jwt_cache_size: 1000 },
  });
  assert.deepEqual([config?.['rules'], config?.['bypass_cors_preflight']], [[{ match: { prefix: '/' }, requires: { requires_any: { requirements: [{ provider_name: 'origins-0' }, { allow_missing: {} }] } } }], true]);
});

test('rules of all policies count together, sorted by issuer: a good token of any, or none', () => {
  const config = filterOf(contextOf([...policy(`{issuer: b, jwks: '${jwks}'}`), ...policy(`{issuer: a, jwks: '${jwks}'}`, { namespace: 'istio-system' }), ...policy(`{issuer: c, jwks: '${jwks}'}`, { name: 'other', selector: 'selector: {matchLabels: {app: ratings}}, ' })]));
  assert.deepEqual(Object.entries(providers(config)).map(([name, { issuer }]) => [name, issuer]), [['origins-0', 'a'], ['origins-1', 'b']]);
  const goodOrNone = (name: string) => ({ requires_any: { requirements: [{ provider_name: name }, { allow_missing: {} }] } });
  const [rule] = (config?.['rules'] ?? []) as Json[];
  const requires = rule?.['requires'];
  assert.deepEqual(requires, { requires_any: { requirements: [{ provider_name: 'origins-0' }, { provider_name: 'origins-1' }, { requires_all: { requirements: [goodOrNone('origins-0'), goodOrNone('origins-1')] } }] } });
});

test('keys of a URL are written in when they are fetched; until then no token is good', () => {
  const configs = policy('{issuer: a, jwksUri: "https://a.example/jwks"}');
  const inline = (push: ReturnType<typeof contextOf>) => providers(filterOf(push))['origins-0']?.['local_jwks'];
  assert.deepEqual(inline(contextOf(configs)), { inline_string: keysOfNobody });
  const [wanted] = wantedKeys(configs, defaultFeatures);
  assert.deepEqual([wanted?.jwksUri, wanted?.timeoutMs], ['https://a.example/jwks', 5000]);
  assert.deepEqual(inline(contextOf(configs, { keySets: new Map([[wanted?.id ?? '', { jwks }]]) })), { inline_string: jwks });
});

test('proxies fetch keys themselves where that is switched on and the server is a service of the mesh, or always', () => {
  const configs = policy('{issuer: a, jwksUri: "http://details.default.svc.cluster.local:9080/jwks", timeout: 2s}, {issuer: b, jwksUri: "https://b.example/jwks"}');
  const sources = (jwksFetchMode: Features['jwksFetchMode']) => Object.values(providers(filterOf(contextOf(configs, { features: { jwksFetchMode } })))).map(({ remote_jwks: remote }) => (remote as { http_uri: Json } | undefined)?.http_uri['cluster']);
  assert.deepEqual(sources('hybrid'), ['outbound|9080||details.default.svc.cluster.local', undefined]);
  assert.deepEqual(sources('envoy'), ['outbound|9080||details.default.svc.cluster.local', 'outbound|443||b.example']);
  assert.equal(wantedKeys(configs, { jwksFetchMode: 'envoy' }).length, 0);
});

test('only proxies that a policy or its keys are for are told anew', () => {
  const [wanted] = wantedKeys(policy('{issuer: a, jwksUri: "https://a.example/jwks"}'), defaultFeatures);
  const configs = policy('{issuer: a, jwksUri: "https://a.example/jwks"}', { selector: 'selector: {matchLabels: {app: productpage}}, ' });
  const none = contextOf([]);
  const some = contextOf(configs, {}, none);
  const fetched = contextOf(configs, { keySets: new Map([[wanted?.id ?? '', { jwks }]]) }, some);
  for (const [previous, next] of [[none, some], [some, fetched]] as const) {
    const change = difference(previous, next);
    assert.deepEqual([affects(change, { previous, next }, productpage()), affects(change, { previous, next }, ingressGateway())], [true, false]);
  }
  assert.equal(translate(none, ingressGateway(), { typeUrl: xdsType.listener }), translate(none, ingressGateway(), { typeUrl: xdsType.listener }));
  assert.notDeepEqual(filterOf(some), filterOf(fetched));
});
