import assert from 'node:assert/strict';
import { test } from 'node:test';
import { analyzeTexts } from './analyze.ts';
import { analyzers } from './analyzers.ts';
import { messageTypes } from './messages/messages.ts';
import { parseSuppression } from './suppress.ts';
import { analyzeYaml, documents, object, testDay } from './testing/cases.ts';

const missingGateway = object('networking.istio.io/v1', 'VirtualService', '{name: reviews, namespace: shop}', 'spec: {hosts: [a.example.com], gateways: [none], http: [{redirect: {uri: /}}]}');
const said = (yaml: string, options: Parameters<typeof analyzeYaml>[1] = {}): string[] => analyzeYaml(yaml, options).map(({ code, origin }) => `${code} ${origin}`);

test('there are 68 codes, each once, and analyzers have names of their own', () => {
  assert.equal(messageTypes.length, 68);
  assert.equal(new Set(messageTypes.map((type) => type.code)).size, 68);
  assert.equal(new Set(analyzers.map((analyzer) => analyzer.name)).size, analyzers.length);
});

test('an object that does not decode is reported and set aside, and all others are still analyzed', () => {
  const typo = object('networking.istio.io/v1', 'VirtualService', '{name: typo}', 'spec: {hosts: [b], htttp: []}');
  const messages = analyzeYaml(documents(typo, 'a: [1\n', missingGateway));
  assert.deepEqual(messages.map(({ code, origin, line }) => [code, origin, line]), [
    ['IST0101', 'VirtualService reviews.shop', 11],
    ['IST0106', 'Document 1 of a.yaml', 7],
    ['IST0106', 'VirtualService typo.default', 4],
    ['IST0132', 'VirtualService reviews.shop', 11],
  ]);
});

test('an object that is readable but not valid tells everything that is wrong with it', () => {
  assert.deepEqual(said(object('networking.istio.io/v1', 'VirtualService', '{name: a}', 'spec: {hosts: [a.example.com], gateways: [none], http: [{route: []}]}')), [
    'IST0101 VirtualService a.default', 'IST0106 VirtualService a.default', 'IST0132 VirtualService a.default',
  ]);
});

test('a Kubernetes object the mesh cannot use is a warning: its own API server is the judge', () => {
  const messages = analyzeYaml(object('v1', 'Service', '{name: a}', 'spec: {clusterIP: x, ports: [{port: 80, name: http}]}'));
  assert.deepEqual(messages.map(({ code, level }) => [code, level]), [['IST0133', 'Warning']]);
});

test('kinds of other groups pass without a word, unknown kinds of the mesh do not', () => {
  assert.deepEqual(said(object('example.com/v1', 'Widget', '{name: a}', 'spec: {}')), []);
  assert.deepEqual(said(object('networking.istio.io/v1', 'VirtualServise', '{name: a}', 'spec: {}')), ['IST0106 VirtualServise a.default']);
});

test('documents that are no objects can be left out', () => {
  assert.deepEqual(said('values: 1\n'), ['IST0106 Document 0 of a.yaml']);
  assert.deepEqual(said('values: 1\n', { ignoreUnknown: true }), []);
});

test('suppressions take a code out for the objects they name, in both of Istio\'s forms', () => {
  const suppressed = (text: string): number => {
    const parsed = parseSuppression(text);
    assert.ok(parsed, text);
    return said(missingGateway, { suppressions: [parsed] }).length;
  };
  for (const text of ['IST0101=VirtualService reviews.shop', 'IST0101=VirtualService shop/reviews', 'IST0101=*', 'IST0101=VirtualService *.shop', 'IST0101=*rev*shop']) assert.equal(suppressed(text), 1, text);
  for (const text of ['IST0101=VirtualService reviews', 'IST0102=VirtualService reviews.shop', 'IST0101=Gateway *']) assert.equal(suppressed(text), 2, text);
  assert.equal(parseSuppression('IST0101'), undefined);
  assert.equal(parseSuppression('IST0101=a=b'), undefined);
});

test('the annotation takes codes out for its object', () => {
  const annotated = (value: string): string[] => said(missingGateway.replace('namespace: shop', `namespace: shop, annotations: {galley.istio.io/analyze-suppress: "${value}"}`));
  assert.deepEqual(annotated('IST0101'), ['IST0132 VirtualService reviews.shop']);
  assert.deepEqual(annotated('IST0101,IST0132'), []);
  assert.deepEqual(annotated('*'), []);
  assert.equal(annotated('IST0102').length, 2);
});

test('messages can be kept to one namespace and the cluster, and objects without one are in it', () => {
  const yaml = documents(missingGateway, missingGateway.replace('shop', 'bank'), missingGateway.replace(', namespace: shop', ''), object('v1', 'Namespace', '{name: bank}', ''));
  assert.deepEqual(said(yaml, { namespaces: ['bank'], defaultNamespace: 'bank' }).sort(), ['IST0101 VirtualService reviews.bank', 'IST0102 Namespace bank', 'IST0132 VirtualService reviews.bank']);
});

test('what Kubernetes runs for itself is left out', () => {
  assert.deepEqual(said(documents(object('v1', 'Namespace', '{name: kube-system}', ''), missingGateway.replace('shop', 'kube-system'))), []);
});

test('worst first, and the same thing only once', () => {
  const namespace = object('v1', 'Namespace', '{name: bank}', '');
  const levels = analyzeTexts([{ name: 'a.yaml', text: namespace }, { name: 'b.yaml', text: missingGateway }, { name: 'b.yaml', text: missingGateway }], { now: testDay }).map(({ level }) => level);
  assert.deepEqual(levels, ['Error', 'Warning', 'Info']);
});

test('settings of the mesh come from their files, or from the ConfigMap istio among the objects', () => {
  const policy = object('security.istio.io/v1', 'AuthorizationPolicy', '{name: deny, namespace: root}', 'spec: {}');
  const map = object('v1', 'ConfigMap', '{name: istio, namespace: istio-system}', 'data: {mesh: "rootNamespace: root"}');
  assert.deepEqual(said(policy), ['IST0127 AuthorizationPolicy deny.root']);
  assert.deepEqual(said(documents(policy, map)), []);
  assert.deepEqual(said(policy, { meshConfig: { name: 'mesh.yaml', text: 'rootNamespace: root' } }), []);
  assert.deepEqual(said(policy, { meshConfig: { name: 'mesh.yaml', text: map } }), []);
});

test('mistakes in the files of the mesh\'s settings are told', () => {
  const [message] = analyzeYaml('', { meshConfig: { name: 'mesh.yaml', text: 'rootNamespace: a\naccessLogEncoding: b\n' } });
  assert.deepEqual([message?.code, message?.origin, message?.file, message?.line], ['IST0106', 'MeshConfig default', 'mesh.yaml', 2]);
  assert.deepEqual(said('', { meshConfig: { name: 'mesh.yaml', text: 'rootNamespace: a\n' } }), []);
});
