import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Config } from '@meltemi/config';
import { xdsType } from '@meltemi/xds';
import { bookinfo, configsOf, meshOf, podYaml, productpage, proxyOf, sample } from '../testing/mesh.test-support.ts';
import { translate } from '../translate/translate.ts';
import { affects, difference } from './affects.ts';

const types = [xdsType.listener, xdsType.route, xdsType.cluster] as const;

test('an endpoint change keeps routes, listeners and clusters, the very objects', () => {
  const configs = [...bookinfo(), ...sample('bookinfo/networking/destination-rule-all.yaml')];
  const before = meshOf(configs);
  const after = meshOf([...configs, ...configsOf(podYaml('ratings-v1-1', '10.0.0.66', { labels: { app: 'ratings', version: 'v1' }, account: 'bookinfo-ratings' }))], {}, before);
  for (const typeUrl of types) assert.equal(translate(before, productpage(), { typeUrl }), translate(after, productpage(), { typeUrl }));
  const endpoints = (push: typeof before) => translate(push, productpage(), { typeUrl: xdsType.endpoint }).resources;
  const changed = [...endpoints(after)].filter(([name, resource]) => endpoints(before).get(name) !== resource).map(([name]) => name);
  assert.deepEqual(changed.toSorted(), ['outbound|9080|v1|ratings.default.svc.cluster.local', 'outbound|9080||ratings.default.svc.cluster.local']);
});

test('the order in which objects come does not matter', () => {
  const configs = [...bookinfo(), ...sample('bookinfo/networking/virtual-service-all-v1.yaml')];
  for (const typeUrl of [...types, xdsType.endpoint]) assert.equal(translate(meshOf(configs), productpage(), { typeUrl }).version, translate(meshOf(configs.toReversed()), productpage(), { typeUrl }).version);
});

test('an object that breaks the index is quarantined, the others stay in force', () => {
  const [good] = sample('bookinfo/networking/virtual-service-all-v1.yaml');
  assert.ok(good);
  const broken: Config = { ...good, key: { ...good.key, name: 'broken' }, meta: { ...good.meta, name: 'broken' }, spec: { hosts: ['details'] } };
  const push = meshOf([...bookinfo(), good, broken]);
  assert.deepEqual(push.quarantined.map(({ key }) => key.name), ['broken']);
  assert.equal(push.virtualServices.all.length, 1);
});

test('an unchanged context affects nobody; a new endpoint affects those who see its service', () => {
  const before = meshOf(bookinfo());
  const same = meshOf([...before.inputs.values()].flat(), {}, before);
  assert.equal(affects(difference(before, same), { previous: before, next: same }, productpage()), false);
  const hidden = configsOf('apiVersion: v1\nkind: Service\nmetadata: {name: private, namespace: other, annotations: {networking.istio.io/exportTo: "."}}\nspec: {ports: [{port: 80}]}');
  const next = meshOf([...[...before.inputs.values()].flat(), ...hidden], {}, before);
  const change = difference(before, next);
  assert.deepEqual([...change.services], ['other/private.other.svc.cluster.local']);
  assert.equal(affects(change, { previous: before, next }, productpage()), false);
  assert.equal(affects(change, { previous: before, next }, proxyOf('sidecar~10.1.0.1~a.other~other.svc.cluster.local')), true);
});

test('a rule that other namespaces cannot see does not affect them', () => {
  const before = meshOf(bookinfo());
  const rule = configsOf('apiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {name: r, namespace: other}\nspec: {hosts: [x.example], exportTo: ["."], http: [{directResponse: {status: 200}}]}');
  const next = meshOf([...[...before.inputs.values()].flat(), ...rule], {}, before);
  assert.equal(affects(difference(before, next), { previous: before, next }, productpage()), false);
});
