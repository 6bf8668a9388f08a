import assert from 'node:assert/strict';
import { test } from 'node:test';
import { xdsType } from '@meltemi/xds';
import type { Proxy } from '../../proxy/proxy.ts';
import { bookinfo, configsOf, ingressGateway, jsonOf, meshOf, productpage } from '../../testing/mesh.test-support.ts';
import { translate } from '../translate.ts';

const policies = `
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: custom, namespace: istio-system}
spec: {action: CUSTOM, provider: {name: opa}, rules: [{}]}
---
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: audit, namespace: istio-system}
spec: {action: AUDIT, rules: [{}]}
---
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: deny, namespace: istio-system}
spec: {action: DENY, rules: [{to: [{operation: {methods: [PUT]}}]}]}
---
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: allow, namespace: istio-system}
spec: {rules: [{}]}
---
apiVersion: security.istio.io/v1
kind: RequestAuthentication
metadata: {name: tokens, namespace: istio-system}
spec: {jwtRules: [{issuer: a, jwksUri: "https://a.example/jwks"}]}
---
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: gw, namespace: istio-system}
spec: {selector: {istio: ingressgateway}, servers: [{port: {number: 80, name: web, protocol: GRPC-WEB}, hosts: ["*"]}]}
`;

const extensionProviders = [{ name: 'opa', envoyExtAuthzGrpc: { service: 'details.default.svc.cluster.local', port: 9000, failOpen: false, clearRouteCache: false, statusOnError: '' } }];

/** "rbac", "rbac:DENY": the filters of the first connection manager of each listener whose name fits. */
function orders(proxy: Proxy, listener: RegExp): string[][] {
  const push = meshOf([...bookinfo(), ...configsOf(policies)], { extensionProviders });
  interface Filter { name: string; typed_config: { http_filters?: Filter[]; rules?: { action?: string } } }
  const listeners = jsonOf(translate(push, proxy, { typeUrl: xdsType.listener })) as Record<string, { filter_chains: { filters: Filter[] }[] }>;
  const short = ({ name, typed_config: { rules } }: Filter) => `${name.replace('envoy.filters.http.', '')}${name.endsWith('rbac') && rules ? `:${rules.action ?? 'ALLOW'}` : ''}`;
  return Object.entries(listeners).filter(([name]) => listener.test(name)).map(([, { filter_chains: chains }]) => chains.flatMap(({ filters }) => filters).find(({ typed_config: config }) => config.http_filters)?.typed_config.http_filters?.map(short) ?? []);
}

const guards = ['rbac', 'ext_authz', 'jwt_authn', 'rbac:LOG', 'rbac:DENY', 'rbac:ALLOW'];

test('who asks, what authorizers say, tokens, policies, and only then what acts on a request', () => {
  assert.deepEqual(orders(productpage(), /^virtualInbound$/), [['peer_metadata', ...guards, 'fault', 'cors', 'istio.stats', 'router']]);
});

test('gateways have the same order, with gRPC-Web where a server speaks it', () => {
  assert.deepEqual(orders(ingressGateway(), /_80(80)?$/), [['peer_metadata', ...guards, 'grpc_web', 'grpc_stats', 'fault', 'cors', 'istio.stats', 'router']]);
});

test('what an application sends meets no policies of its own workload', () => {
  assert.deepEqual(orders(productpage(), /^0\.0\.0\.0_9080$/), [['peer_metadata', 'fault', 'cors', 'istio.stats', 'router']]);
});
