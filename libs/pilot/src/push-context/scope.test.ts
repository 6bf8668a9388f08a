import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { MeshConfigSpec } from '@meltemi/config';
import { configsOf, ingressGateway, meshOf, productpage } from '../testing/mesh.test-support.ts';
import { scopeOf } from './scope.ts';

const service = (name: string, namespace: string, rest = '') => `---\napiVersion: v1\nkind: Service\nmetadata: {name: ${name}, namespace: ${namespace}${rest}}\nspec: {ports: [{name: http, port: 80}, {name: tcp, port: 90}]}\n`;
const istio = (kind: string, name: string, namespace: string, spec: string, created = '') =>
  `---\napiVersion: networking.istio.io/v1\nkind: ${kind}\nmetadata: {name: ${name}, namespace: ${namespace}${created === '' ? '' : `, creationTimestamp: "${created}"`}}\nspec: ${spec}\n`;
const entry = (name: string, namespace: string, host: string, rest = '', created = '') => istio('ServiceEntry', name, namespace, `{hosts: ["${host}"], resolution: DNS, ports: [{number: 80, name: http, protocol: HTTP}]${rest}}`, created);
const sidecar = (spec: string, namespace = 'default', name = 'default') => istio('Sidecar', name, namespace, spec);
const base = service('a', 'default') + service('b', 'other') + service('c', 'other') + service('d', 'third');

/** "name:ports" of what a proxy in `default` sees, shortly. */
function seen(yaml: string, options: { readonly mesh?: Partial<MeshConfigSpec>; readonly gateway?: boolean; readonly labels?: Record<string, string>; readonly namespace?: string } = {}): string[] {
  const proxy = options.gateway === true ? ingressGateway() : productpage({ ...(options.labels ? { LABELS: options.labels } : {}), ...(options.namespace === undefined ? {} : { NAMESPACE: options.namespace }) });
  const { services } = scopeOf(meshOf(configsOf(yaml), options.mesh), proxy);
  return services.map(({ hostname, namespace, ports }) => `${hostname.replace('.svc.cluster.local', '')}${hostname.endsWith('local') ? '' : `@${namespace}`}${ports.length === 2 || !hostname.endsWith('local') ? '' : `:${ports.map(({ number }) => number).join()}`}`).toSorted();
}

for (const [what, hosts, expected] of [
  ['everything', '"*/*"', ['a.default', 'b.other', 'c.other', 'd.third']],
  ['its own namespace', '"./*"', ['a.default']],
  ['a namespace and a name of another', '"other/*", "third/d.third.svc.cluster.local"', ['b.other', 'c.other', 'd.third']],
  ['a name of any namespace', '"*/b.other.svc.cluster.local"', ['b.other']],
  ['a wildcard name', '"*/*.other.svc.cluster.local"', ['b.other', 'c.other']],
  ['nothing', '"~/*"', []],
  ['all but a namespace', '"*/*", "~other/*"', ['a.default', 'd.third']],
  ['all but one name, in whatever namespace', '"*/*", "~/c.other.svc.cluster.local"', ['a.default', 'b.other', 'd.third']],
  ['a namespace but one of its names', '"other/*", "~other/b.other.svc.cluster.local"', ['c.other']],
] as const) {
  test(`a Sidecar that imports ${what}`, () => assert.deepEqual(seen(base + sidecar(`{egress: [{hosts: [${hosts}]}]}`)), expected));
}

test('a wider host than the import names is not imported', () => {
  assert.deepEqual(seen(istio('ServiceEntry', 'w', 'other', '{hosts: ["*.example"], ports: [{number: 80, name: http, protocol: HTTP}]}') + sidecar('{egress: [{hosts: ["*/a.example"]}]}')), []);
  assert.deepEqual(seen(entry('w', 'other', 'a.example') + sidecar('{egress: [{hosts: ["*/*.example"]}]}')), ['a.example@other']);
});

test('a listener with a port shows that port only; several listeners put a service together; an HTTP proxy shows all', () => {
  const listener = (number: number, protocol: string) => `{port: {number: ${number}, name: p, protocol: ${protocol}}, bind: 127.0.0.1, hosts: ["./*"]}`;
  assert.deepEqual(seen(base + sidecar(`{egress: [${listener(80, 'HTTP')}]}`)), ['a.default:80']);
  assert.deepEqual(seen(base + sidecar(`{egress: [${listener(80, 'HTTP')}, ${listener(90, 'TCP')}]}`)), ['a.default']);
  assert.deepEqual(seen(base + sidecar(`{egress: [${listener(15002, 'HTTP_PROXY')}]}`)), ['a.default']);
  assert.deepEqual(seen(base + sidecar(`{egress: [${listener(7, 'HTTP')}]}`)), []);
});

test('which Sidecar: the one that selects the workload, its namespace\'s, the root namespace\'s — never the root\'s selecting one', () => {
  const importing = (host: string, selector = '') => `{egress: [{hosts: ["${host}"]}]${selector}}`;
  const root = sidecar(importing('other/*'), 'istio-system');
  const own = sidecar(importing('third/*'));
  const selecting = sidecar(importing('./*', ', workloadSelector: {labels: {app: x}}'), 'default', 'selecting');
  assert.deepEqual(seen(base + root + own + selecting, { labels: { app: 'x' } }), ['a.default']);
  assert.deepEqual(seen(base + root + own + selecting, { labels: { app: 'y' } }), ['d.third']);
  assert.deepEqual(seen(base + root + selecting, { labels: { app: 'y' } }), ['b.other', 'c.other']);
  assert.deepEqual(seen(base + sidecar(importing('./*', ', workloadSelector: {labels: {app: x}}'), 'istio-system'), { labels: { app: 'x' } }), ['a.default', 'b.other', 'c.other', 'd.third']);
  assert.deepEqual(seen(base + sidecar(importing('./*'), 'istio-system')), ['a.default']);
});

test('gateways see what is exported to them, whatever Sidecars say', () => {
  assert.deepEqual(seen(base + sidecar('{egress: [{hosts: ["~/*"]}]}', 'istio-system') + service('e', 'other', ', annotations: {networking.istio.io/exportTo: "."}'), { gateway: true }), ['a.default', 'b.other', 'c.other', 'd.third']);
});

test('exportTo: to all, to its own namespace, by name, to nobody; the mesh\'s default for who says nothing', () => {
  const exported = (name: string, to: string) => service(name, 'other', `, annotations: {networking.istio.io/exportTo: "${to}"}`);
  const yaml = exported('all', '*') + exported('own', '.') + exported('named', 'default,third') + exported('nobody', '~') + service('unsaid', 'other');
  assert.deepEqual(seen(yaml), ['all.other', 'named.other', 'unsaid.other']);
  assert.deepEqual(seen(yaml, { mesh: { defaultServiceExportTo: ['.'] } }), ['all.other', 'named.other']);
  assert.deepEqual(seen(yaml, { namespace: 'other', mesh: { defaultServiceExportTo: ['.'] } }), ['all.other', 'own.other', 'unsaid.other']);
});

test('one host in several namespaces: the viewer\'s own, else Kubernetes\', else the oldest', () => {
  const host = 'shop.example';
  const old = entry('old', 'zebra', host, '', '2020-01-01T00:00:00Z');
  const young = entry('young', 'alpha', host, '', '2022-01-01T00:00:00Z');
  assert.deepEqual(seen(old + young), ['shop.example@zebra']);
  assert.deepEqual(seen(old + young + entry('own', 'default', host, '', '2023-01-01T00:00:00Z')), ['shop.example@default']);
  const kube = (namespace: string) => scopeOf(meshOf(configsOf(service('b', 'other') + entry('squat', namespace, 'b.other.svc.cluster.local', '', '2020-01-01T00:00:00Z'))), productpage()).services.map(({ registry }) => registry);
  assert.deepEqual(kube('alpha'), ['kubernetes']);
  assert.deepEqual(kube('default'), ['service-entry']);
});

test('a rule that is imported brings its destinations, with the ports it names and for routes of this namespace', () => {
  const rule = (route: string) => istio('VirtualService', 'rule', 'default', `{hosts: [x.example], http: [${route}]}`);
  const to = (host: string, rest = '') => `{route: [{destination: {host: ${host}${rest}}}]}`;
  const own = sidecar('{egress: [{hosts: ["./*"]}]}');
  assert.deepEqual(seen(base + own + rule(to('b.other.svc.cluster.local'))), ['a.default', 'b.other']);
  assert.deepEqual(seen(base + own + rule(to('b.other.svc.cluster.local', ', port: {number: 80}'))), ['a.default', 'b.other:80']);
  assert.deepEqual(seen(base + own + rule('{match: [{sourceNamespace: third}], route: [{destination: {host: b.other.svc.cluster.local}}]}')), ['a.default']);
});

test('a Sidecar\'s own outbound policy replaces the mesh\'s', () => {
  const any = (yaml: string, mesh: Partial<MeshConfigSpec> = {}) => scopeOf(meshOf(configsOf(base + yaml), mesh), productpage()).allowAny;
  assert.equal(any(''), true);
  assert.equal(any('', { outboundTrafficPolicy: { mode: 'REGISTRY_ONLY' } }), false);
  assert.equal(any(sidecar('{outboundTrafficPolicy: {mode: ALLOW_ANY}}'), { outboundTrafficPolicy: { mode: 'REGISTRY_ONLY' } }), true);
  assert.equal(any(sidecar('{outboundTrafficPolicy: {}}')), false);
});

test('discoverySelectors: namespaces that no selector fits are not there at all', () => {
  const namespace = (name: string, labels: string) => `---\napiVersion: v1\nkind: Namespace\nmetadata: {name: ${name}, labels: {${labels}}}\n`;
  const yaml = base + namespace('other', 'mesh: "yes"') + namespace('third', 'mesh: "no"');
  const selecting = (...discoverySelectors: MeshConfigSpec['discoverySelectors']) => seen(yaml, { mesh: { discoverySelectors } });
  assert.deepEqual(selecting({ matchLabels: { mesh: 'yes' }, matchExpressions: [] }), ['b.other', 'c.other']);
  assert.deepEqual(selecting({ matchLabels: {}, matchExpressions: [{ key: 'mesh', operator: 'Exists', values: [] }] }), ['b.other', 'c.other', 'd.third']);
  assert.deepEqual(selecting({ matchLabels: {}, matchExpressions: [{ key: 'mesh', operator: 'NotIn', values: ['yes'] }] }), ['a.default', 'd.third']);
  assert.deepEqual(selecting({ matchLabels: { 'kubernetes.io/metadata.name': 'default' }, matchExpressions: [] }), ['a.default']);
});
