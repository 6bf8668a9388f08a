import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { defaultMeshConfig, keyText, type Config } from '@meltemi/config';
import { xdsType, type ResourceSet } from '@meltemi/xds';
import type { Proxy } from '../proxy/proxy.ts';
import type { PushContext } from '../push-context/push-context.ts';
import { checkedContext, type CheckedContext } from '../quarantine/checked-context.ts';
import { translate } from '../translate/translate.ts';
import { bookinfo, configsOf, ingressGateway, meshOf, podYaml, productpage, proxyOf, sample } from './mesh.test-support.ts';

const types = [xdsType.cluster, xdsType.endpoint, xdsType.listener, xdsType.route];
const apps = ['productpage', 'details', 'reviews', 'ratings'];

/** What happens to a mesh: objects that come or change, and keys that go. */
interface Step {
  readonly put: readonly Config[];
  readonly gone: readonly string[];
}

const put = (yaml: string): Step => ({ put: configsOf(yaml), gone: [] });
const app = fc.constantFrom(...apps);

const pod = fc.record({ app, index: fc.nat(3), ip: fc.nat(6), version: fc.constantFrom('v1', 'v2'), ready: fc.boolean() })
  .map((made) => put(podYaml(`${made.app}-${made.index}`, `10.0.1.${made.ip}`, { labels: { app: made.app, version: made.version }, ready: made.ready })));
const podGone = fc.record({ app, index: fc.nat(3) }).map(({ app: name, index }): Step => ({ put: [], gone: [`/Pod/default/${name}-${index}`] }));
const slice = fc.record({ app, ready: fc.boolean(), last: fc.nat(6) })
  .map((made) => put(`apiVersion: discovery.k8s.io/v1\nkind: EndpointSlice\nmetadata: {name: ${made.app}-slice, namespace: default, labels: {kubernetes.io/service-name: ${made.app}}}\naddressType: IPv4\nports: [{name: http, port: 9080}]\nendpoints: [{addresses: [10.0.1.${made.last}], conditions: {ready: ${made.ready}}}]\n`));
const sliceGone = app.map((name): Step => ({ put: [], gone: [`discovery.k8s.io/EndpointSlice/default/${name}-slice`] }));
const route = fc.record({ app, subset: fc.constantFrom('v1', 'v2'), name: fc.constantFrom('one', 'two'), poison: fc.boolean() })
  .map((made) => put(`apiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {name: ${made.name}, namespace: default}\nspec: {hosts: [${made.app}], http: [{${made.poison ? 'headers: {request: {set: {x: "%NO_SUCH_WORD%"}}}, ' : ''}route: [{destination: {host: ${made.app}, subset: ${made.subset}}}]}]}\n`));
const istio = (kind: string, name: string, spec: string) => `apiVersion: networking.istio.io/v1\nkind: ${kind}\nmetadata: {name: ${name}, namespace: default}\nspec: ${spec}\n`;
/** Rules that route connections, that delegate, that bring a service of another namespace, and that bind a gateway. */
const otherRoute = fc.constantFrom(
  istio('VirtualService', 'one', '{hosts: [db], tcp: [{route: [{destination: {host: db, port: {number: 3306}}}]}]}'),
  istio('VirtualService', 'one', '{hosts: [db], tcp: [{match: [{destinationSubnets: [10.7.0.0/16]}], route: [{destination: {host: ratings, port: {number: 9080}}}]}]}'),
  istio('VirtualService', 'two', '{hosts: [db.default.svc.cluster.local], tls: [{match: [{port: 443, sniHosts: [db.default.svc.cluster.local]}], route: [{destination: {host: db, port: {number: 443}}}]}]}'),
  istio('VirtualService', 'two', '{hosts: [reviews], http: [{match: [{uri: {prefix: /a}}], delegate: {name: child}}, {route: [{destination: {host: reviews}}]}]}'),
  istio('VirtualService', 'child', '{http: [{timeout: 1s, route: [{destination: {host: ratings}}]}]}'),
  istio('VirtualService', 'child', '{http: [{timeout: 2s, route: [{destination: {host: far.elsewhere.svc.cluster.local}}]}]}'),
  istio('VirtualService', 'two', '{hosts: [details], http: [{route: [{destination: {host: far.elsewhere.svc.cluster.local}}]}]}'),
  istio('VirtualService', 'one', '{hosts: ["*"], gateways: [bookinfo-gateway], http: [{match: [{uri: {prefix: /api}}], route: [{destination: {host: ratings, port: {number: 9080}}}]}]}'),
  istio('VirtualService', 'two', '{hosts: ["*.default.svc.cluster.local", "shop.example"], http: [{route: [{destination: {host: ratings}}]}]}'),
).map(put);
const otherRouteGone = fc.constant<Step>({ put: [], gone: ['networking.istio.io/VirtualService/default/child'] });
const sidecar = fc.constantFrom('["./*"]', '["*/*"]', '["default/ratings.default.svc.cluster.local", "default/db.default.svc.cluster.local"]').map((hosts) => put(istio('Sidecar', 'default', `{egress: [{port: {number: 9080, name: http, protocol: HTTP}, hosts: ${hosts}}, {hosts: ${hosts}}]}`)));
const sidecarGone = fc.constant<Step>({ put: [], gone: ['networking.istio.io/Sidecar/default/default'] });
const subsets = fc.constantFrom('v1', 'v3').map((version) => put(istio('DestinationRule', 'ratings', `{host: ratings, trafficPolicy: {loadBalancer: {consistentHash: {httpHeaderName: x-${version}}}}, subsets: [{name: v1, labels: {version: ${version}}}]}`)));
const routeGone = fc.constantFrom('one', 'two').map((name): Step => ({ put: [], gone: [`networking.istio.io/VirtualService/default/${name}`] }));
const mtls = fc.constantFrom('STRICT', 'PERMISSIVE', 'DISABLE').map((mode) => put(`apiVersion: security.istio.io/v1\nkind: PeerAuthentication\nmetadata: {name: default, namespace: default}\nspec: {mtls: {mode: ${mode}}}\n`));
const entry = fc.nat(3).map((last) => put(`apiVersion: networking.istio.io/v1\nkind: ServiceEntry\nmetadata: {name: outside, namespace: default}\nspec: {hosts: [outside.example], ports: [{number: 80, name: http, protocol: HTTP}], resolution: STATIC, endpoints: [{address: 10.9.9.${last}}], workloadSelector: null}\n`.replace(', workloadSelector: null', '')));

const step = fc.oneof({ weight: 5, arbitrary: pod }, { weight: 3, arbitrary: podGone }, { weight: 3, arbitrary: slice }, sliceGone, { weight: 3, arbitrary: route }, { weight: 4, arbitrary: otherRoute }, routeGone, otherRouteGone, sidecar, sidecarGone, subsets, mtls, entry);

const proxies: readonly Proxy[] = [productpage(), ingressGateway(), proxyOf('sidecar~10.0.1.1~x.default~default.svc.cluster.local', { NAMESPACE: 'default', LABELS: { app: 'reviews', version: 'v1' } }), proxyOf('sidecar~10.0.9.1~y.elsewhere~elsewhere.svc.cluster.local', { NAMESPACE: 'elsewhere' })];

function versions(push: PushContext): Record<string, string> {
  const found: Record<string, string> = {};
  for (const [index, proxy] of proxies.entries()) for (const typeUrl of types) for (const { name, version } of translate(push, proxy, { typeUrl }).resources.values()) found[`${index} ${typeUrl} ${name}`] = version;
  return found;
}

function routesOf(push: PushContext, proxy: Proxy): ResourceSet['resources'] {
  return translate(push, proxy, { typeUrl: xdsType.route }).resources;
}

function after(objects: ReadonlyMap<string, Config>, { put: changed, gone }: Step): Map<string, Config> {
  const next = new Map(objects);
  for (const config of changed) next.set(keyText(config.key), config);
  for (const text of gone) next.delete(text);
  return next;
}

const service = (name: string, namespace: string, ports: string) => `apiVersion: v1\nkind: Service\nmetadata: {name: ${name}, namespace: ${namespace}}\nspec: {clusterIP: 10.96.7.${name.length}, ports: [${ports}]}\n`;
const more = configsOf([service('db', 'default', '{name: tcp, port: 3306}, {name: tls, port: 443}'), service('far', 'elsewhere', '{name: http, port: 9080}')].join('---\n'));
const start = new Map([...bookinfo(), ...more, ...sample('bookinfo/networking/destination-rule-all.yaml'), ...sample('bookinfo/networking/bookinfo-gateway.yaml')].map((config) => [keyText(config.key), config]));

test('after any sequence of changes, what is built from the last context is what is built from nothing', () => {
  fc.assert(
    fc.property(fc.array(step, { minLength: 1, maxLength: 12 }), (steps) => {
      let objects = start;
      let push = meshOf([...objects.values()]);
      for (const each of steps) {
        objects = after(objects, each);
        push = meshOf([...objects.values()], {}, push);
        // Sets are asked for on the way, so that the next ones are made from them.
        const incremental = versions(push);
        assert.deepEqual(incremental, versions(meshOf([...objects.values()].toReversed())));
      }
    }),
    { numRuns: 40 },
  );
});

test('the same holds for what is set aside, as far as nobody has an older version', () => {
  fc.assert(
    fc.property(fc.array(step, { minLength: 1, maxLength: 6 }), (steps) => {
      let objects = start;
      let checked: CheckedContext | undefined;
      for (const each of steps) {
        objects = after(objects, each);
        checked = checkedContext({ configs: objects.values(), meshConfig: defaultMeshConfig(), previous: checked });
        const fresh = checkedContext({ configs: checked.inForce.values(), meshConfig: defaultMeshConfig() });
        assert.deepEqual(fresh.setAside, [], 'what is in force is good by itself');
        assert.deepEqual(versions(checked.push), versions(fresh.push));
      }
    }),
    { numRuns: 20 },
  );
});

test('an endpoint change keeps every route, cluster and listener, and makes one assignment anew', () => {
  const before = meshOf([...start.values()]);
  const sets = (push: PushContext) => types.map((typeUrl) => translate(push, productpage(), { typeUrl }));
  const [clusters, endpoints, listeners, routes] = sets(before);
  const moved = after(start, put(podYaml('ratings-v1-0', '10.0.0.66', { labels: { app: 'ratings', version: 'v1' }, account: 'bookinfo-ratings' })));
  const [clustersAfter, endpointsAfter, listenersAfter, routesAfter] = sets(meshOf([...moved.values()], {}, before));
  assert.equal(clustersAfter, clusters);
  assert.equal(listenersAfter, listeners);
  assert.equal(routesAfter, routes);
  const changed = [...(endpointsAfter?.resources.values() ?? [])].filter((resource) => endpoints?.resources.get(resource.name) !== resource).map(({ name }) => name);
  assert.ok(changed.length > 0 && changed.every((name) => name.endsWith('ratings.default.svc.cluster.local')), changed.join());
});

test('a changed rule for requests keeps every cluster, assignment and listener', () => {
  const sets = (push: PushContext, proxy: Proxy) => [xdsType.cluster, xdsType.endpoint, xdsType.listener].map((typeUrl) => translate(push, proxy, { typeUrl }));
  const rule = (weight: number) => put(istio('VirtualService', 'one', `{hosts: [reviews], http: [{route: [{destination: {host: reviews, subset: v1}, weight: ${weight}}, {destination: {host: reviews, subset: v2}, weight: ${100 - weight}}]}]}`));
  const objects = after(start, rule(10));
  const before = meshOf([...objects.values()]);
  const changed = meshOf([...after(objects, rule(20)).values()], {}, before);
  for (const proxy of proxies) {
    const [clusters, endpoints, listeners] = sets(before, proxy);
    const [clustersAfter, endpointsAfter, listenersAfter] = sets(changed, proxy);
    assert.equal(clustersAfter, clusters);
    assert.equal(endpointsAfter, endpoints);
    if (proxy.type === 'sidecar') assert.equal(listenersAfter, listeners);
  }
  assert.notEqual(routesOf(changed, productpage()).get('9080')?.version, routesOf(before, productpage()).get('9080')?.version);
});

test('a rule that brings a service, or that routes connections, changes the clusters or listeners it is about', () => {
  const before = meshOf([...start.values()].concat(configsOf(istio('Sidecar', 'default', '{egress: [{hosts: ["default/*"]}]}'))));
  const proxy = productpage();
  const names = (push: PushContext, typeUrl: string) => [...translate(push, proxy, { typeUrl }).resources.keys()];
  assert.ok(!names(before, xdsType.cluster).some((name) => name.includes('far')));
  const brought = meshOf([...(before.inputs.get('Sidecar') ?? []), ...start.values(), ...configsOf(istio('VirtualService', 'two', '{hosts: [details], http: [{route: [{destination: {host: far.elsewhere.svc.cluster.local}}]}]}'))], {}, before);
  assert.ok(names(brought, xdsType.cluster).some((name) => name.includes('far')));
  const connections = meshOf([...(before.inputs.get('Sidecar') ?? []), ...start.values(), ...configsOf(istio('VirtualService', 'two', '{hosts: [db], tcp: [{route: [{destination: {host: ratings, port: {number: 9080}}}]}]}'))], {}, brought);
  assert.deepEqual(names(connections, xdsType.cluster), names(before, xdsType.cluster));
  assert.notEqual(translate(connections, proxy, { typeUrl: xdsType.listener }).version, translate(brought, proxy, { typeUrl: xdsType.listener }).version);
});

test('a DestinationRule makes the clusters of its own host anew and no others, and leaves what comes in at others alone', () => {
  const client = productpage();
  const clustersOf = (push: PushContext): ResourceSet['resources'] => translate(push, client, { typeUrl: xdsType.cluster }).resources;
  const changedFrom = (before: ResourceSet['resources'], after: ResourceSet['resources']): string[] => [...after.values()].filter((cluster) => cluster.name.startsWith('outbound|') && before.get(cluster.name) !== cluster).map(({ name }) => name);
  const first = meshOf([...start.values()]);
  const before = clustersOf(first);
  const changed = after(start, put(istio('DestinationRule', 'ratings', '{host: ratings, trafficPolicy: {connectionPool: {http: {maxRetries: 7}}}}')));
  const second = meshOf([...changed.values()], {}, first);
  assert.deepEqual(changedFrom(before, clustersOf(second)), ['outbound|9080||ratings.default.svc.cluster.local']);
  assert.equal([...before.keys()].filter((name) => !clustersOf(second).has(name)).every((name) => name.includes('ratings')), true, 'its subsets are gone');
  const inbound = (push: PushContext): unknown[] => [xdsType.cluster, xdsType.listener].flatMap((typeUrl) => [...translate(push, client, { typeUrl }).resources.values()].filter(({ name }) => name.startsWith('inbound|') || name === 'virtualInbound'));
  for (const [index, resource] of inbound(second).entries()) assert.equal(resource, inbound(first)[index]);
  const strict = meshOf([...after(changed, put('apiVersion: security.istio.io/v1\nkind: PeerAuthentication\nmetadata: {name: default, namespace: default}\nspec: {mtls: {mode: DISABLE}}\n')).values()], {}, second);
  assert.ok(changedFrom(clustersOf(second), clustersOf(strict)).includes('outbound|9080||details.default.svc.cluster.local'), 'what all clusters read is seen by all');
});

test('clients of all namespaces share the clusters of a service, but where a rule of their own holds', () => {
  const elsewhere = proxyOf('sidecar~10.0.9.1~y.elsewhere~elsewhere.svc.cluster.local', { NAMESPACE: 'elsewhere', LABELS: { app: 'y' } });
  const clusterOf = (push: PushContext, proxy: Proxy): unknown => translate(push, proxy, { typeUrl: xdsType.cluster }).resources.get('outbound|9080||ratings.default.svc.cluster.local');
  const first = meshOf([...start.values()]);
  assert.ok(clusterOf(first, elsewhere));
  assert.equal(clusterOf(first, elsewhere), clusterOf(first, productpage()));
  const own = after(start, put('apiVersion: networking.istio.io/v1\nkind: DestinationRule\nmetadata: {name: ratings, namespace: elsewhere}\nspec: {host: ratings.default.svc.cluster.local, exportTo: ["."], trafficPolicy: {connectionPool: {http: {maxRetries: 7}}}}\n'));
  const second = meshOf([...own.values()], {}, first);
  assert.notEqual(clusterOf(second, elsewhere), clusterOf(first, elsewhere));
  assert.equal(clusterOf(second, productpage()), clusterOf(first, productpage()));
  assert.notEqual(clusterOf(second, elsewhere), clusterOf(second, productpage()), 'asked in turn, each keeps its own');
  const rule = (name: string, spec: string) => `apiVersion: networking.istio.io/v1\nkind: DestinationRule\nmetadata: {name: ${name}, namespace: default}\nspec: {host: ratings, ${spec}}\n---\n`;
  const two = meshOf([...after(start, put(rule('one', 'trafficPolicy: {connectionPool: {http: {maxRetries: 5}}}') + rule('two', 'subsets: [{name: v9, labels: {version: v9}}]'))).values()], {}, first);
  assert.equal(clusterOf(two, elsewhere), clusterOf(two, productpage()), 'rules that are merged are one rule for all');
});
