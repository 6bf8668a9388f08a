import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { keyText, type Config } from '@meltemi/config';
import { xdsType } from '@meltemi/xds';
import type { PushContext } from '../push-context/push-context.ts';
import { partsOf } from '../translate/routes/route-resource.ts';
import { translate } from '../translate/translate.ts';
import { bookinfo, configsOf, ingressGateway, meshOf, proxyOf } from './mesh.test-support.ts';

const istio = (kind: string, name: string, spec: string) => `apiVersion: networking.istio.io/v1\nkind: ${kind}\nmetadata: {name: ${name}, namespace: default}\nspec: ${spec}\n`;

const hosts = fc.constantFrom(['a.example'], ['b.example', 'c.test'], ['*.example'], ['*'], ['c.test', 'reviews.default.svc.cluster.local'], ['a.example', 'b.example']);
const route = fc.constantFrom(
  '{route: [{destination: {host: reviews}}]}',
  '{match: [{uri: {prefix: /}}], route: [{destination: {host: ratings}}]}',
  '{match: [{uri: {prefix: /a}}], timeout: 2s, route: [{destination: {host: details}}]}',
  '{match: [{port: 443}, {uri: {exact: /b}, gateways: [one]}], redirect: {uri: /c}}',
  '{match: [{sourceLabels: {istio: ingressgateway}, headers: {x: {exact: y}}}], route: [{destination: {host: reviews, subset: v1}, weight: 40}, {destination: {host: ratings}, weight: 60}]}',
  '{match: [{uri: {prefix: /d}}], delegate: {name: child}}',
);
const rule = fc.record({ name: fc.constantFrom('r1', 'r2', 'r3', 'r4'), hosts, gateways: fc.constantFrom('[one]', '[two]', '[one, two]', '[mesh, one]'), http: fc.array(route, { minLength: 1, maxLength: 4 }), exportTo: fc.constantFrom('', ', exportTo: ["."]') })
  .map((made) => istio('VirtualService', made.name, `{hosts: ${JSON.stringify(made.hosts)}, gateways: ${made.gateways}, http: [${made.http.join(', ')}]${made.exportTo}}`));
const child = fc.constantFrom('1s', '3s').map((timeout) => istio('VirtualService', 'child', `{http: [{match: [{uri: {prefix: /d/e}}], timeout: ${timeout}, route: [{destination: {host: details}}]}]}`));
const http = (names: string, tls = '') => `{port: {number: 80, name: http, protocol: HTTP}, hosts: ${names}${tls}}`;
const https = (names: string) => `{port: {number: 443, name: https, protocol: HTTPS}, hosts: ${names}, tls: {mode: SIMPLE, credentialName: c}}`;
const gateway = fc.record({ name: fc.constantFrom('one', 'two'), servers: fc.constantFrom(http('["*"]'), http('["*.example", "./c.test"]'), http('["a.example", "*"]', ', tls: {httpsRedirect: true}'), https('["*.example"]'), `${http('["b.example"]')}, ${https('["b.example", "other/*"]')}`) })
  .map(({ name, servers }) => istio('Gateway', name, `{selector: {istio: ingressgateway}, servers: [${servers}]}`));
const hashing = fc.constantFrom('x-a', 'x-b').map((header) => istio('DestinationRule', 'reviews', `{host: reviews, trafficPolicy: {loadBalancer: {consistentHash: {httpHeaderName: ${header}}}}, subsets: [{name: v1, labels: {version: v1}}]}`));
const step = fc.oneof({ weight: 6, arbitrary: rule }, child, { weight: 2, arbitrary: gateway }, hashing, fc.constantFrom('r1', 'r2', 'child').map((name) => `gone ${name}`));

/** Some combinations validation refuses: a wildcard on the mesh, routes after a delegate. */
function isValid(text: string): boolean {
  if (text.startsWith('gone ')) return true;
  try {
    return configsOf(text).length > 0;
  } catch {
    return false;
  }
}

const proxies = [ingressGateway(), proxyOf('router~10.0.0.8~other.default~default.svc.cluster.local', { NAMESPACE: 'default', LABELS: { istio: 'ingressgateway' } })];
const start = [...bookinfo(), ...configsOf(istio('Gateway', 'one', `{selector: {istio: ingressgateway}, servers: [${http('["*"]')}]}`))];

const tables = (push: PushContext) => proxies.map((proxy) => [...translate(push, proxy, { typeUrl: xdsType.route }).resources.values()]);
const versions = (push: PushContext) => tables(push).map((list) => list.map(({ name, version }) => `${name} ${version}`).toSorted());

test('a gateway\'s tables after any sequence of changes are those that are built from nothing', () => {
  fc.assert(
    fc.property(fc.array(step.filter(isValid), { minLength: 2, maxLength: 14 }), (steps) => {
      let objects = new Map<string, Config>(start.map((config) => [keyText(config.key), config]));
      let push = meshOf([...objects.values()]);
      versions(push);
      for (const each of steps) {
        objects = new Map(objects);
        if (each.startsWith('gone ')) objects.delete(`networking.istio.io/VirtualService/default/${each.slice(5)}`);
        else for (const config of configsOf(each)) objects.set(keyText(config.key), config);
        push = meshOf([...objects.values()], {}, push);
        assert.deepEqual(versions(push), versions(meshOf([...objects.values()])));
      }
    }),
    { numRuns: 60 },
  );
});

test('a changed rule makes the routes of its own hosts anew and no others', () => {
  const ruled = (name: string, timeout: string) => configsOf(istio('VirtualService', name, `{hosts: [${name}.example], gateways: [one], http: [{timeout: ${timeout}, route: [{destination: {host: reviews}}]}]}`));
  const rules = Array.from({ length: 20 }, (_, at) => ruled(`h${at}`, '1s')).flat();
  const before = meshOf([...start, ...rules]);
  const after = meshOf([...start, ...rules.slice(1), ...ruled('h0', '2s')], {}, before);
  const partsAt = (push: PushContext) => new Map(tables(push).flat().flatMap((resource) => partsOf(resource)?.hosts ?? []).map(({ name, routes }) => [name, routes]));
  const [was, is] = [partsAt(before), partsAt(after)];
  assert.equal(was.size, 20);
  assert.deepEqual([...is].filter(([name, routes]) => was.get(name) !== routes).map(([name]) => name), ['h0.example:80']);
});
