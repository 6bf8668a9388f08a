import assert from 'node:assert/strict';
import { test } from 'node:test';
import { migrationReport, type MigratedObject } from './migrate.ts';

const report = (text: string): readonly MigratedObject[] => migrationReport([{ name: 'a.yaml', text }]).objects;
const one = (text: string): MigratedObject => {
  const [first] = report(text);
  assert.ok(first);
  return first;
};

const supported = `# a comment
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: reviews, namespace: shop}
spec:
  hosts: [reviews]
  http:
  - route:
    - destination: {host: reviews}
`;

test('an object whose fields all work is supported, each field at its line', () => {
  const object = one(supported);
  assert.deepEqual([object.classification, object.kind, object.namespace, object.name, object.line], ['supported', 'VirtualService', 'shop', 'reviews', 2]);
  assert.deepEqual(object.fields.map(({ field, line }) => `${field}:${line}`), ['spec.hosts:6', 'spec.http:7', 'spec.http[0].route:8', 'spec.http[0].route[0].destination:9', 'spec.http[0].route[0].destination.host:9']);
});

test('a field without effect makes its object unsupported, and says what happens', () => {
  const object = one('apiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {name: a}\nspec:\n  hosts: [a]\n  tcp:\n  - match:\n    - sourceSubnet: 10.0.0.0/8\n    route: [{destination: {host: a}}]\n');
  const field = object.fields.find((each) => each.classification === 'unsupported');
  assert.deepEqual([object.classification, field?.field, field?.line], ['unsupported', 'spec.tcp[0].match[0].sourceSubnet', 8]);
  assert.match(field?.consequence ?? '', /no effect/);
});

test('of an EnvoyFilter and of expressions the very value decides', () => {
  const filter = (type: string, field = 'statPrefix: a') => one(`apiVersion: networking.istio.io/v1alpha3\nkind: EnvoyFilter\nmetadata: {name: a}\nspec:\n  configPatches:\n  - applyTo: HTTP_FILTER\n    patch:\n      operation: INSERT_FIRST\n      value: {name: a, typed_config: {"@type": type.googleapis.com/envoy.extensions.filters.http.${type}, ${field}}}\n`);
  assert.equal(filter('local_ratelimit.v3.LocalRateLimit').classification, 'supported');
  assert.equal(filter('local_ratelimit.v3.LocalRateLimit', 'statPrefx: a').classification, 'approximated');
  assert.equal(filter('lua.v3.Lua', 'inlineCode: ""').classification, 'unsupported');
  const log = (expression: string) => one(`apiVersion: telemetry.istio.io/v1\nkind: Telemetry\nmetadata: {name: a}\nspec: {accessLogging: [{filter: {expression: "${expression}"}}]}\n`).classification;
  assert.deepEqual([log('response.code >= 400'), log('[1].map(x, x) == [1]')], ['supported', 'unsupported']);
});

test('what the mesh goes on without is unsupported', () => {
  const object = one('trustDomain: td\ndisablePolicyChecks: true\nextensionProviders:\n- name: none\n');
  assert.equal(object.classification, 'unsupported');
  assert.deepEqual(object.fields.filter((each) => each.classification === 'unsupported').map(({ field, line }) => [field, line]), [['disablePolicyChecks', 2], ['extensionProviders[0]', 4]]);
});

test('a value that is nearly done makes its object approximated', () => {
  const object = one('extensionProviders:\n- name: spans\n  opentelemetry: {service: a.b, port: 1, http: {path: /, headers: [{name: x,\n    envName: X}]}}\n');
  assert.equal(object.classification, 'approximated');
  assert.deepEqual(object.fields.filter((each) => each.classification === 'approximated').map(({ field, line }) => [field, line]), [['extensionProviders[0].opentelemetry.http.headers[0].envName', 4]]);
});

test('an object that is refused names each reason', () => {
  const object = one(supported.replace('hosts: [reviews]', 'hosts: [under_score]\n  htpp: []'));
  assert.equal(object.classification, 'unsupported');
  assert.ok(object.fields.some((each) => each.field === 'spec.htpp' && each.line === 7 && /did you mean "http"/.test(each.consequence)), JSON.stringify(object.fields));
});

test('what is none of Istio’s is passed over: workloads, foreign kinds, values, data', () => {
  const text = ['apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: a}\nspec: {selector: {matchLabels: {app: a}}, template: {metadata: {labels: {app: a}}, spec: {containers: [{name: a, image: b}]}}}\n', 'apiVersion: example.com/v1\nkind: Widget\nmetadata: {name: a}\n', 'replicas: 5\n', '- 1\n'].join('---\n');
  assert.deepEqual(report(text).map((object) => object.classification), ['passed over', 'passed over', 'passed over', 'passed over']);
  assert.equal(one('{"a": 1}\n{"b": 2}\n').classification, 'passed over');
});

test('a template is passed over with advice; other text that cannot be read is unsupported, at its line', () => {
  const template = one('{{- if .Values.a }}\napiVersion: networking.istio.io/v1\n{{ end }}\n');
  assert.deepEqual([template.classification, /render/.test(template.consequence)], ['passed over', true]);
  const broken = one('apiVersion: networking.istio.io/v1\nkind: Gateway\n  metadata: {}\n');
  assert.deepEqual([broken.classification, broken.line > 1], ['unsupported', true]);
});

test('the kinds of old releases are unsupported as a whole', () => {
  const object = one('apiVersion: config.istio.io/v1alpha2\nkind: rule\nmetadata: {name: a}\nspec: {match: "true"}\n');
  assert.deepEqual([object.classification, object.consequence], ['unsupported', 'nothing acts on rule']);
});

test('of an installer’s file the mesh’s settings count', () => {
  const object = one('apiVersion: install.istio.io/v1alpha1\nkind: IstioOperator\nspec:\n  profile: demo\n  meshConfig:\n    accessLogFile: /dev/stdout\n    bogus: 1\n');
  assert.deepEqual(object.fields.map(({ field, classification }) => `${field} ${classification}`), ['spec.meshConfig.bogus unsupported', 'spec.meshConfig.accessLogFile supported', 'spec.profile unsupported']);
});

test('the items of a List are objects of their own', () => {
  const item = (name: string): string => `{apiVersion: networking.istio.io/v1, kind: DestinationRule, metadata: {name: ${name}}, spec: {host: ${name}}}`;
  assert.deepEqual(report(`apiVersion: v1\nkind: List\nitems:\n- ${item('a')}\n- ${item('b')}\n`).map(({ name, line }) => `${name}:${line}`), ['a:4', 'b:5']);
});

test('the summary counts objects and fields', () => {
  const { summary } = migrationReport([{ name: 'a.yaml', text: supported }, { name: 'b.yaml', text: 'kind: x\n' }]);
  assert.deepEqual(summary, { files: 2, objects: { 'supported': 1, 'approximated': 0, 'unsupported': 0, 'passed over': 1 }, fields: { supported: 5, approximated: 0, unsupported: 0 } });
});
