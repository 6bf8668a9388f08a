import assert from 'node:assert/strict';
import { inspect } from 'node:util';
import { test } from 'node:test';
import { Secret } from '@meltemi/api/gen/envoy/extensions/transport_sockets/tls/v3/secret.ts';
import { xdsType } from '@meltemi/xds';
import type { Proxy } from '../proxy/proxy.ts';
import type { PushContext } from '../push-context/push-context.ts';
import { configsOf, ingressGateway, meshOf, productpage } from '../testing/mesh.test-support.ts';
import { pemsFor, secretYaml } from '../testing/pems.test-support.ts';
import { translate } from '../translate/translate.ts';
import { secretSet } from './secret-set.ts';

const shop = pemsFor('shop');
const other = pemsFor('other');

const gateway = (tls: string, namespace = 'istio-system') => `
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: main, namespace: ${namespace}}
spec:
  selector: {istio: ingressgateway}
  servers: [{port: {number: 443, name: https, protocol: HTTPS}, hosts: ["*"], tls: {${tls}}}]
---
`;

function answer(push: PushContext, names: readonly string[], { proxy = ingressGateway(), namespace = proxy.namespace }: { readonly proxy?: Proxy; readonly namespace?: string | undefined } = {}) {
  const configuration = [xdsType.listener, xdsType.cluster].map((typeUrl) => translate(push, proxy, { typeUrl }));
  const { set, withheld } = secretSet(push, { proxy, namespace, names, configuration });
  const given = Object.fromEntries([...set.resources].map(([name, { any }]) => [name, contentOf(Secret.decode(any.value))]));
  return { given, withheld: Object.fromEntries(withheld.map(({ name, reason }) => [name, reason])) };
}

function contentOf({ type }: Secret): Record<string, string> {
  const text = (source: { specifier?: { $case: string; value: unknown } | undefined } | undefined) => (source?.specifier?.$case === 'inlineBytes' ? String(source.specifier.value) : 'missing');
  if (type?.$case === 'tlsCertificate') return { chain: text(type.value.certificateChain), key: text(type.value.privateKey) };
  if (type?.$case === 'validationContext') return { roots: text(type.value.trustedCa), ...(type.value.crl ? { crl: text(type.value.crl) } : {}) };
  return assert.fail('neither certificate nor roots');
}

test('a gateway gets the certificate that its Gateway names, of either kind of Secret', () => {
  for (const secret of [secretYaml('istio-system/shop', { 'tls.crt': shop.certificate, 'tls.key': shop.key }, 'kubernetes.io/tls'), secretYaml('istio-system/shop', { cert: shop.certificate, key: shop.key })]) {
    const push = meshOf(configsOf(`${gateway('mode: SIMPLE, credentialName: shop')}${secret}`));
    assert.deepEqual(answer(push, ['kubernetes://shop']), { given: { 'kubernetes://shop': { chain: shop.certificate, key: shop.key } }, withheld: {} });
  }
});

test('stringData counts as data does, and wins', () => {
  const yaml = `apiVersion: v1\nkind: Secret\nmetadata: {name: shop, namespace: istio-system}\ndata: {cert: "", key: ""}\nstringData: ${JSON.stringify({ cert: shop.certificate, key: shop.key })}\n`;
  assert.deepEqual(answer(meshOf(configsOf(`${gateway('mode: SIMPLE, credentialName: shop')}${yaml}`)), ['kubernetes://shop']).given, { 'kubernetes://shop': { chain: shop.certificate, key: shop.key } });
});

test('roots are looked for in the Secret with the suffix, then in the one without; with what they revoked', () => {
  const whole = secretYaml('istio-system/shop', { 'tls.crt': shop.certificate, 'tls.key': shop.key, 'ca.crt': shop.root, 'ca.crl': '-----BEGIN X509 CRL-----\nAAAA\n-----END X509 CRL-----\n' });
  const mutual = gateway('mode: MUTUAL, credentialName: shop');
  const names = ['kubernetes://shop', 'kubernetes://shop-cacert'];
  const inOne = answer(meshOf(configsOf(`${mutual}${whole}`)), names).given;
  assert.equal(inOne['kubernetes://shop-cacert']?.['roots'], shop.root);
  assert.match(inOne['kubernetes://shop-cacert']?.['crl'] ?? '', /X509 CRL/);
  const apart = answer(meshOf(configsOf(`${mutual}${whole}${secretYaml('istio-system/shop-cacert', { cacert: other.root })}`)), names).given;
  assert.deepEqual(apart['kubernetes://shop-cacert'], { roots: other.root });
  assert.equal(apart['kubernetes://shop']?.['chain'], shop.certificate);
});

test('caCertCredentialName names a Secret of roots, whatever it is called', () => {
  const push = meshOf(configsOf(`${gateway('mode: OPTIONAL_MUTUAL, credentialName: shop, caCertCredentialName: clients')}${secretYaml('istio-system/clients', { 'ca.crt': other.root })}`));
  assert.deepEqual(answer(push, ['kubernetes://clients']).given, { 'kubernetes://clients': { roots: other.root } });
});

test('nobody gets a secret without an identity that was verified, or of another namespace, or that nothing of theirs names', () => {
  const yaml = `${gateway('mode: SIMPLE, credentialName: shop')}${secretYaml('istio-system/shop', { cert: shop.certificate, key: shop.key })}${secretYaml('istio-system/spare', { cert: other.certificate, key: other.key })}${secretYaml('bank/vault', { cert: other.certificate, key: other.key })}`;
  const push = meshOf(configsOf(yaml));
  const name = 'kubernetes://shop';
  const ask = (names: readonly string[], proxy: Proxy, namespace: string | undefined) => answer(push, names, { proxy, namespace: namespace as string });
  const unverified = secretSet(push, { proxy: ingressGateway(), namespace: undefined, names: [name], configuration: [translate(push, ingressGateway(), { typeUrl: xdsType.listener })] });
  assert.equal(unverified.set.resources.size, 0);
  assert.match(unverified.withheld[0]?.reason ?? '', /over mTLS/);
  assert.deepEqual(ask([name], productpage(), 'default'), { given: {}, withheld: { [name]: 'is named by no listener and no cluster of this proxy' } });
  assert.deepEqual(ask(['kubernetes://spare', 'default', 'kubernetes://bank/vault'], ingressGateway(), 'istio-system').given, {});
});

test('a Secret of another namespace is given where a ReferenceGrant allows it, and by the name that says so', () => {
  const yaml = (grant: string) => `${gateway('mode: SIMPLE, credentialNames: ["kubernetes-gateway://bank/vault", "kubernetes://bank/vault"]')}${secretYaml('bank/vault', { cert: shop.certificate, key: shop.key })}${grant}`;
  const names = ['kubernetes-gateway://bank/vault', 'kubernetes://bank/vault'];
  const without = answer(meshOf(configsOf(yaml(''))), names);
  assert.deepEqual(without.given, {});
  assert.match(without.withheld[names[0] ?? ''] ?? '', /no ReferenceGrant there allows it to a Gateway of istio-system/);
  const grant = 'apiVersion: gateway.networking.k8s.io/v1beta1\nkind: ReferenceGrant\nmetadata: {name: g, namespace: bank}\nspec: {from: [{group: gateway.networking.k8s.io, kind: Gateway, namespace: istio-system}], to: [{group: "", kind: Secret}]}\n';
  const granted = answer(meshOf(configsOf(yaml(grant))), names);
  assert.deepEqual(Object.keys(granted.given), ['kubernetes-gateway://bank/vault']);
  assert.match(granted.withheld[names[1] ?? ''] ?? '', /is of namespace bank, and the proxy's certificate is of istio-system/);
});

test('a sidecar gets what a DestinationRule for its workload names, of its own namespace', () => {
  const rule = (selector: string) => `
apiVersion: v1
kind: Service
metadata: {name: bank, namespace: default}
spec: {ports: [{name: https, port: 443}]}
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: bank, namespace: default}
spec: {host: bank, ${selector} trafficPolicy: {tls: {mode: MUTUAL, credentialName: client}}}
---
`;
  const client = secretYaml('default/client', { cert: shop.certificate, key: shop.key, cacert: other.root });
  const names = ['kubernetes://client', 'kubernetes://client-cacert'];
  assert.deepEqual(answer(meshOf(configsOf(rule('workloadSelector: {matchLabels: {app: productpage}},') + client)), names, { proxy: productpage() }).given, {
    'kubernetes://client': { chain: shop.certificate, key: shop.key },
    'kubernetes://client-cacert': { roots: other.root },
  });
  assert.deepEqual(answer(meshOf(configsOf(rule('') + client)), names, { proxy: productpage() }).given, {});
});

test('roots in a ConfigMap are given to whoever needs them: they are public', () => {
  const push = meshOf(configsOf(`${gateway('mode: MUTUAL, credentialName: shop, caCertCredentialName: "configmap://elsewhere/roots-cacert"')}apiVersion: v1\nkind: ConfigMap\nmetadata: {name: roots, namespace: elsewhere}\ndata: ${JSON.stringify({ 'ca.crt': other.root })}\n`));
  assert.deepEqual(answer(push, ['configmap://elsewhere/roots-cacert']).given, { 'configmap://elsewhere/roots-cacert': { roots: other.root } });
});

test('what is wrong with a Secret is said by key, without a word of the value', () => {
  const broken = { cert: shop.certificate, key: other.key };
  const push = meshOf(configsOf(`${gateway('mode: SIMPLE, credentialName: shop')}${secretYaml('istio-system/shop', broken)}`));
  assert.deepEqual(answer(push, ['kubernetes://shop']).withheld, { 'kubernetes://shop': 'data.key: does not belong to the first certificate of cert' });
});

test('values stand nowhere in a context: not in its objects, however they are printed', () => {
  const push = meshOf(configsOf(secretYaml('istio-system/shop', { cert: shop.certificate, key: 'BEGIN-OF-A-KEY' })));
  const secrets = push.inputs.get('Secret') ?? [];
  assert.equal(secrets.length, 1);
  for (const shown of [JSON.stringify(secrets), inspect(secrets, { depth: 20, showHidden: true })]) assert.doesNotMatch(shown, /BEGIN|QkVHSU4/);
});

const standardGateway = (frontend: string) => `
apiVersion: gateway.networking.k8s.io/v1
kind: GatewayClass
metadata: {name: istio}
spec: {controllerName: istio.io/gateway-controller}
---
apiVersion: v1
kind: Service
metadata: {name: door, namespace: istio-system}
spec: {selector: {istio: ingressgateway}, ports: [{name: https, port: 443, targetPort: 8443}]}
---
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: standard, namespace: istio-system}
spec:
  gatewayClassName: istio
  addresses: [{type: Hostname, value: door.istio-system.svc.cluster.local}]
  listeners: [{name: https, port: 443, protocol: HTTPS, tls: {certificateRefs: [{name: vault, namespace: bank}]}}]
  ${frontend}
---
apiVersion: gateway.networking.k8s.io/v1beta1
kind: ReferenceGrant
metadata: {name: g, namespace: bank}
spec: {from: [{group: gateway.networking.k8s.io, kind: Gateway, namespace: istio-system}], to: [{group: "", kind: Secret, name: vault}]}
---
apiVersion: v1
kind: Pod
metadata: {name: istio-ingressgateway-0, namespace: istio-system, labels: {istio: ingressgateway}}
spec: {containers: [{name: p, image: auto}]}
status: {phase: Running, podIP: 10.0.0.9, podIPs: [{ip: 10.0.0.9}]}
---
`;

test('a Gateway of the Gateway API gets its certificateRefs, and the roots of its frontend validation', () => {
  const frontend = 'tls: {frontend: {default: {validation: {caCertificateRefs: [{group: "", kind: ConfigMap, name: clients}]}}}}';
  const roots = `apiVersion: v1\nkind: ConfigMap\nmetadata: {name: clients, namespace: istio-system}\ndata: ${JSON.stringify({ 'ca.crt': other.root })}\n`;
  const push = meshOf(configsOf(`${standardGateway(frontend)}${secretYaml('bank/vault', { 'tls.crt': shop.certificate, 'tls.key': shop.key })}${roots}`));
  const names = ['kubernetes-gateway://bank/vault', 'configmap://istio-system/clients-cacert'];
  assert.deepEqual(answer(push, names), { given: { [names[0] ?? '']: { chain: shop.certificate, key: shop.key }, [names[1] ?? '']: { roots: other.root } }, withheld: {} });
});

test('sidecars get the roots in the ConfigMap of a BackendTLSPolicy', () => {
  const policy = `
apiVersion: v1
kind: Service
metadata: {name: bank, namespace: default}
spec: {ports: [{name: https, port: 443}]}
---
apiVersion: gateway.networking.k8s.io/v1
kind: BackendTLSPolicy
metadata: {name: bank, namespace: default}
spec: {targetRefs: [{group: "", kind: Service, name: bank}], validation: {hostname: bank.example, caCertificateRefs: [{group: "", kind: ConfigMap, name: roots}]}}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: roots, namespace: default}
data: ${JSON.stringify({ 'ca.crt': other.root })}
`;
  const name = 'configmap://default/roots-cacert';
  assert.deepEqual(answer(meshOf(configsOf(policy)), [name], { proxy: productpage() }), { given: { [name]: { roots: other.root } }, withheld: {} });
});
