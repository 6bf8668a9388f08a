import assert from 'node:assert/strict';
import { test } from 'node:test';
import { configsOf, meshOf } from '../testing/mesh.test-support.ts';
import { decode, type Config } from '@meltemi/config';
import { authorizationFor } from './authorization.ts';
import { defaultFeatures, type Features } from '../features.ts';
import { buildPushContext } from './push-context.ts';

/** Names of the ALLOW policies that apply; each is given as "namespace/name" and its spec. */
function applying(policies: Readonly<Record<string, object>>, workload: { namespace: string; labels: Record<string, string> }, features: Partial<Features> = {}): string[] {
  const configs = Object.entries(policies).map(([key, spec]): Config => {
    const [namespace = '', name = ''] = key.split('/');
    const content = { apiVersion: 'security.istio.io/v1', kind: 'AuthorizationPolicy', metadata: { name, namespace }, spec };
    const decoded = decode({ key: { group: 'security.istio.io', kind: 'AuthorizationPolicy', namespace, name }, apiVersion: content.apiVersion, content });
    assert.ok(decoded.ok, JSON.stringify(decoded));
    return decoded.value.config;
  });
  const push = buildPushContext({ configs, meshConfig: meshOf(configsOf('')).mesh, features: { ...defaultFeatures, ...features } });
  return authorizationFor(push, workload).allow.map(({ meta }) => `${meta.namespace}/${meta.name}`);
}

const gateway = (name: string) => ({ group: 'gateway.networking.k8s.io', kind: 'Gateway', name });
const proxyOfGateway = { namespace: 'edge', labels: { 'gateway.networking.k8s.io/gateway-name': 'gw', app: 'gw' } };

test('a policy of the mesh, of a namespace, of workloads', () => {
  const policies = { 'istio-system/mesh': {}, 'istio-system/labelled': { selector: { matchLabels: { app: 'a' } } }, 'shop/all': {}, 'shop/a': { selector: { matchLabels: { app: 'a' } } }, 'shop/b': { selector: { matchLabels: { app: 'b' } } }, 'other/all': {} };
  assert.deepEqual(applying(policies, { namespace: 'shop', labels: { app: 'a', version: '1' } }), ['istio-system/labelled', 'istio-system/mesh', 'shop/a', 'shop/all']);
  assert.deepEqual(applying(policies, { namespace: 'istio-system', labels: {} }), ['istio-system/mesh']);
});

test('a Gateway of the Gateway API is named by its own namespace\'s policies, in either form, one of several references being enough', () => {
  const policies = {
    'edge/one': { targetRef: gateway('gw') }, 'edge/many': { targetRefs: [gateway('x'), gateway('gw')] }, 'edge/another': { targetRefs: [gateway('x')] }, 'istio-system/elsewhere': { targetRefs: [gateway('gw')] },
    'edge/service': { targetRefs: [{ kind: 'Service', name: 'gw' }] }, 'istio-system/class': { targetRefs: [{ group: 'gateway.networking.k8s.io', kind: 'GatewayClass', name: 'istio' }] },
  };
  assert.deepEqual(applying(policies, proxyOfGateway), ['edge/many', 'edge/one']);
  assert.deepEqual(applying(policies, { namespace: 'edge', labels: { app: 'gw' } }), [], 'proxies of no Gateway are not meant');
});

test('policies by labels are for its proxies too, unless that is switched off', () => {
  const policies = { 'istio-system/mesh': {}, 'edge/labelled': { selector: { matchLabels: { app: 'gw' } } } };
  assert.deepEqual(applying(policies, proxyOfGateway), ['istio-system/mesh', 'edge/labelled']);
  assert.deepEqual(applying(policies, proxyOfGateway, { selectorPoliciesOnGateways: false }), []);
});
