import assert from 'node:assert/strict';
import { test } from 'node:test';
import { answers, goes, other, service } from '../testing/gateway-api.ts';

const ingressGateway = { type: 'router', namespace: 'istio-system', labels: { istio: 'ingressgateway' }, ip: '10.1.0.1' };
const services = ['a', 'b', 'c'].map((name) => service(name)).join('');
const annotated = "{kubernetes.io/ingress.class: istio}";
const backend = (name: string, port = 'number: 80') => `backend: {service: {name: ${name}, port: {${port}}}}`;
const path = (text: string, type: string, name: string) => `{path: "${text}", pathType: ${type}, ${backend(name)}}`;
const ingress = (name: string, spec: string, more: { readonly annotations?: string; readonly born?: string } = { annotations: annotated }) => other('networking.k8s.io/v1', 'Ingress', name, `spec: {${spec}}`, more);
const rule = (paths: string, host = 'a.example') => `rules: [{host: ${host}, http: {paths: [${paths}]}}]`;
const at = (text: string) => ({ host: 'a.example', path: text });

test('Ingress: paths are exact, prefixes of segments, or whatever the old way made of them', () => {
  const exact = services + ingress('web', rule(path('/one', 'Exact', 'a')));
  assert.deepEqual(goes(exact, ingressGateway, at('/one'), at('/one/two')), ['a', '404']);
  const prefix = services + ingress('web', rule(path('/one', 'Prefix', 'a')));
  assert.deepEqual(goes(prefix, ingressGateway, at('/one'), at('/one/two'), at('/onetwo')), ['a', 'a', '404']);
  const loose = services + ingress('web', rule([path('/one/*', 'ImplementationSpecific', 'a'), path('/two', 'ImplementationSpecific', 'b'), path('/*', 'ImplementationSpecific', 'c')].join(', ')));
  assert.deepEqual(goes(loose, ingressGateway, at('/one/x'), at('/two'), at('/two/x'), at('/')), ['a', 'b', 'c', 'c']);
});

test('Ingress: the longest path decides, of equal ones the exact', () => {
  const yaml = services + ingress('web', rule([path('/', 'Prefix', 'a'), path('/one', 'Prefix', 'b'), path('/one', 'Exact', 'c')].join(', ')));
  assert.deepEqual(goes(yaml, ingressGateway, at('/'), at('/one/x'), at('/one')), ['a', 'b', 'c']);
});

test('Ingress: a rule without host is for every host, one with a host for that', () => {
  const yaml = services + ingress('web', `rules: [{host: a.example, http: {paths: [${path('/', 'Prefix', 'a')}]}}, {http: {paths: [${path('/', 'Prefix', 'b')}]}}]`);
  assert.deepEqual(goes(yaml, ingressGateway, at('/'), { host: 'else.example', path: '/' }), ['a', 'b']);
});

test('Ingress: a port by name is the Service\'s', () => {
  const yaml = services + service('named', { ports: '[{name: web, port: 8000}]' }) + ingress('web', rule(`{path: /, pathType: Prefix, ${backend('named', 'name: web')}}, {path: /no, pathType: Prefix, ${backend('named', 'name: nothing')}}`));
  const [named] = answers(yaml, ingressGateway, at('/'));
  assert.equal(named?.cluster, 'outbound|8000||named.default.svc.cluster.local');
  assert.deepEqual(goes(yaml, ingressGateway, at('/no')), ['named'], 'a path to nowhere is left out');
});

test('Ingress: whose it is says the annotation, then the class, then MeshConfig', () => {
  const spec = rule(path('/', 'Prefix', 'a'));
  const classed = (controller: string) => `${ingress('web', `ingressClassName: mine, ${spec}`, {})}---\napiVersion: networking.k8s.io/v1\nkind: IngressClass\nmetadata: {name: mine}\nspec: {controller: ${controller}}\n`;
  const mode = (text: string) => `---\ningressControllerMode: ${text}\n`;
  assert.deepEqual(goes(services + ingress('web', spec, {}), ingressGateway, at('/')), ['no_listener'], 'STRICT by default');
  assert.deepEqual(goes(services + ingress('web', spec, { annotations: '{kubernetes.io/ingress.class: nginx}' }), ingressGateway, at('/')), ['no_listener']);
  assert.deepEqual(goes(services + classed('istio.io/ingress-controller'), ingressGateway, at('/')), ['a']);
  assert.deepEqual(goes(services + classed('nginx.org/ingress-controller'), ingressGateway, at('/')), ['no_listener']);
  assert.deepEqual(goes(services + ingress('web', spec, {}) + mode('DEFAULT'), ingressGateway, at('/')), ['a']);
  assert.deepEqual(goes(services + ingress('web', spec) + mode('OFF'), ingressGateway, at('/')), ['no_listener']);
  assert.deepEqual(goes(`${services}${ingress('web', spec, { annotations: '{kubernetes.io/ingress.class: edge}' })}---\ningressClass: edge\n`, ingressGateway, at('/')), ['a']);
});

test('Ingress: MeshConfig says which gateway serves it', () => {
  const yaml = `${services}${ingress('web', rule(path('/', 'Prefix', 'a')))}---\ningressSelector: edge\n`;
  assert.deepEqual(goes(yaml, ingressGateway, at('/')), ['no_listener']);
  assert.deepEqual(goes(yaml, { ...ingressGateway, labels: { istio: 'edge' } }, at('/')), ['a']);
});

test('Ingress: a certificate\'s hosts are served over TLS on 443, too', () => {
  const yaml = services + ingress('web', `tls: [{hosts: [a.example], secretName: cert}], ${rule(path('/', 'Prefix', 'a'))}`);
  const secure = { port: 443, tls: 'tls', sni: 'a.example', host: 'a.example' };
  assert.deepEqual(goes(yaml, ingressGateway, secure, { ...secure, sni: 'b.example' }, at('/')), ['a', 'no_filter_chain', 'a']);
});

test('Ingress: rules of one host in several Ingresses are one order', () => {
  const yaml = services + ingress('one', rule(path('/', 'Prefix', 'a'))) + ingress('two', rule(path('/two', 'Prefix', 'b')));
  assert.deepEqual(goes(yaml, ingressGateway, at('/'), at('/two')), ['a', 'b']);
  assert.equal(answers(yaml, ingressGateway, at('/'))[0]?.virtualHost, 'a.example:80');
});
