import assert from 'node:assert/strict';
import { test } from 'node:test';
import { RouteConfiguration } from '@meltemi/api/gen/envoy/config/route/v3/route.ts';
import { Route, RouteAction } from '@meltemi/api/gen/envoy/config/route/v3/route_components.ts';
import { xdsType } from '@meltemi/xds';
import { scopeOf } from '../../push-context/scope.ts';
import { configsOf, bookinfo, meshOf, productpage, proxyOf } from '../../testing/mesh.test-support.ts';
import { create } from '../message.ts';
import { carriedBy } from '../without-http2.ts';
import { translate } from '../translate.ts';
import { sidecarRoutes } from './sidecar-routes.ts';
import { clustersOfTable, encodedTable, routesPart, tableMessage, type TableParts } from './table-parts.ts';

const to = (cluster: string) => create(Route, { name: cluster, action: { $case: 'route', value: create(RouteAction, { clusterSpecifier: { $case: 'cluster', value: cluster } }) } });
const rule = (name: string, host: string, weight: number) => configsOf(`apiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {name: ${name}, namespace: default}\nspec: {hosts: [${host}], http: [{timeout: ${weight}s, route: [{destination: {host: ${host}}}]}]}\n`);

function table(countsAttempts: boolean, hosts: TableParts['hosts']): TableParts {
  return { about: create(RouteConfiguration, { name: '80', validateClusters: false, ignorePortInHostMatching: true }), hosts, countsAttempts };
}

test('a table put together from parts is, byte for byte, its message encoded', () => {
  const long = Array.from({ length: 40 }, (_, index) => `host-${index}.example.com`);
  for (const counts of [true, false]) {
    for (const hosts of [[], [{ name: 'a', domains: ['a', 'a:80'], routes: routesPart([to('one'), to('two')]) }, { name: 'b', domains: long, routes: routesPart([]) }]]) {
      const parts = table(counts, hosts);
      assert.deepEqual(encodedTable(parts), Buffer.from(RouteConfiguration.encode(tableMessage(parts)).finish()));
    }
  }
});

test('a table points at what its routes point at', () => {
  assert.deepEqual([...clustersOfTable(table(true, [{ name: 'a', domains: ['a'], routes: routesPart([to('one'), to('two')]) }, { name: 'b', domains: ['b'], routes: routesPart([to('two')]) }]))], ['one', 'two']);
});

test('a changed rule makes the routes of its own host anew and no others', () => {
  const parts = (push: ReturnType<typeof meshOf>) => {
    const proxy = productpage();
    return new Map(sidecarRoutes(push, proxy, carriedBy(proxy, scopeOf(push, proxy)), '9080').hosts.map(({ name, routes }) => [name, routes]));
  };
  const objects = bookinfo();
  const before = meshOf([...objects, ...rule('one', 'reviews', 1), ...rule('two', 'ratings', 1)]);
  const first = parts(before);
  const kept = objects.concat((before.inputs.get('VirtualService') ?? []).filter(({ key }) => key.name === 'two'));
  const second = parts(meshOf([...kept, ...rule('one', 'reviews', 2)], {}, before));
  assert.ok(first.size > 3);
  assert.deepEqual([...first.keys()].filter((name) => first.get(name) !== second.get(name)), ['reviews.default.svc.cluster.local:9080']);
});

test('a table that a change does not touch stays the same resource', () => {
  const outside = configsOf('apiVersion: v1\nkind: Service\nmetadata: {name: other, namespace: default}\nspec: {clusterIP: 10.96.9.9, ports: [{name: http, port: 8000}]}\n');
  const objects = [...bookinfo(), ...outside];
  const before = meshOf([...objects, ...rule('one', 'reviews', 1)]);
  const after = meshOf([...objects, ...rule('one', 'reviews', 2)], {}, before);
  const [first, second] = [before, after].map((push) => translate(push, productpage(), { typeUrl: xdsType.route }).resources);
  assert.equal(first?.get('8000'), second?.get('8000'));
  assert.notEqual(first?.get('9080'), second?.get('9080'));
});

test('clients with other labels, which no rule asks for, are sent the same objects; a rule that asks tells them apart', () => {
  const client = (labels: Record<string, string>) => proxyOf('sidecar~10.9.9.9~x.default~default.svc.cluster.local', { NAMESPACE: 'default', LABELS: labels });
  const [one, two] = [client({ app: 'a', 'pod-template-hash': '1' }), client({ app: 'b', 'pod-template-hash': '2' })];
  const plain = meshOf([...bookinfo(), ...rule('one', 'reviews', 1)]);
  for (const typeUrl of [xdsType.cluster, xdsType.route, xdsType.endpoint]) assert.equal(translate(plain, one, { typeUrl }), translate(plain, two, { typeUrl }));
  const asking = configsOf('apiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {name: one, namespace: default}\nspec: {hosts: [reviews], http: [{match: [{sourceLabels: {app: a}}], route: [{destination: {host: ratings}}]}, {route: [{destination: {host: reviews}}]}]}\n');
  const told = meshOf([...bookinfo(), ...asking], {}, plain);
  assert.notEqual(translate(told, one, { typeUrl: xdsType.route }).version, translate(told, two, { typeUrl: xdsType.route }).version);
});
