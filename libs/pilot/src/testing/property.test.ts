import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { ClusterLoadAssignment } from '@meltemi/api/gen/envoy/config/endpoint/v3/endpoint.ts';
import { Cluster, Cluster_DiscoveryType } from '@meltemi/api/gen/envoy/config/cluster/v3/cluster.ts';
import { Listener } from '@meltemi/api/gen/envoy/config/listener/v3/listener.ts';
import { RouteConfiguration } from '@meltemi/api/gen/envoy/config/route/v3/route.ts';
import { jsonToBinary, binaryToJson, typeNameOf } from '@meltemi/api';
import { decode, type Config } from '@meltemi/config';
import { xdsType } from '@meltemi/xds';
import type { PushContext } from '../push-context/push-context.ts';
import type { Proxy } from '../proxy/proxy.ts';
import { listenerReferences, routeClusters } from '../translate/references.ts';
import { translate } from '../translate/translate.ts';
import { bookinfo, ingressGateway, meshOf, productpage, proxyOf, sample } from './mesh.test-support.ts';

const services = ['productpage', 'details', 'reviews', 'ratings'];
const host = fc.constantFrom(...services);

const stringMatch = fc.oneof(fc.record({ exact: fc.constantFrom('/a', 'x') }), fc.record({ prefix: fc.constantFrom('/', '/b') }), fc.record({ regex: fc.constant('.*') }));
const optional = <T>(value: fc.Arbitrary<T>) => fc.option(value, { nil: undefined, freq: 3 });

const match = fc.record({
  uri: optional(stringMatch),
  method: optional(fc.constant({ exact: 'GET' })),
  headers: optional(fc.dictionary(fc.constantFrom('end-user', 'x-a'), stringMatch, { maxKeys: 2 })),
  queryParams: optional(fc.constant({ q: { exact: '1' } })),
  port: optional(fc.constantFrom(9080, 80)),
  sourceLabels: optional(fc.constantFrom({ app: 'productpage' }, { app: 'nobody' })),
  gateways: optional(fc.constantFrom(['mesh'], ['gw'])),
  ignoreUriCase: optional(fc.boolean()),
}, { requiredKeys: [] });

const destination = fc.record({ host, subset: fc.constantFrom('v1', ''), port: fc.constantFrom(undefined, { number: 9080 }) });
const route = fc
  .record({
    match: fc.array(match, { maxLength: 2 }),
    route: fc.array(destination, { minLength: 1, maxLength: 3 }),
    timeout: optional(fc.constantFrom('1s', '0.5s')),
    retries: optional(fc.record({ attempts: fc.integer({ min: 1, max: 5 }), retryOn: fc.constantFrom('5xx', '503,reset') })),
    fault: optional(fc.constant({ delay: { fixedDelay: '1s', percentage: { value: 10 } } })),
    mirror: optional(destination),
    rewrite: optional(fc.constant({ uri: '/z' })),
    headers: optional(fc.constant({ request: { set: { host: 'h', 'x-a': '1' }, remove: ['x-b'] } })),
  })
  .map(({ route: destinations, ...rest }) => ({ ...rest, route: destinations.map((entry, index) => ({ destination: entry, weight: destinations.length === 1 ? 0 : index === 0 ? 100 : 0 })) }));

const virtualService = fc.record({
  name: fc.constantFrom('one', 'two', 'three'),
  spec: fc.record({
    hosts: fc.uniqueArray(fc.oneof(host, fc.constant('*.default.svc.cluster.local'), fc.constant('shop.example')), { minLength: 1, maxLength: 2 }),
    gateways: fc.constantFrom(['mesh'], ['gw', 'mesh']),
    http: fc.array(route, { minLength: 1, maxLength: 3 }),
    exportTo: fc.constantFrom([], ['.'], ['*']),
  }),
});

const peerMode = fc.constantFrom('STRICT', 'PERMISSIVE', 'DISABLE', 'UNSET');

function decoded(kind: string, group: string, name: string, spec: object): Config[] {
  // JSON drops what is undefined, as YAML has it
  const content = JSON.parse(JSON.stringify({ apiVersion: `${group}/v1`, kind, metadata: { name, namespace: 'default' }, spec })) as Record<string, unknown>;
  const result = decode({ key: { group, kind, namespace: 'default', name }, apiVersion: `${group}/v1`, content });
  return result.ok ? [result.value.config] : [];
}

const gateway = { selector: { istio: 'ingressgateway' }, servers: [{ port: { number: 80, name: 'http', protocol: 'HTTP' }, hosts: ['*'] }] };

const proxies: readonly Proxy[] = [
  productpage(),
  productpage({ INTERCEPTION_MODE: 'NONE' }),
  ingressGateway(),
  proxyOf('grpc', { GENERATOR: 'grpc' }),
];

function check(push: PushContext, proxy: Proxy): void {
  const of = (typeUrl: string) => [...translate(push, proxy, { typeUrl }).resources.values()];
  const clusters = of(xdsType.cluster).map(({ any }) => Cluster.decode(any.value));
  const names = new Set(clusters.map(({ name }) => name));
  const assigned = new Set(of(xdsType.endpoint).map(({ any }) => ClusterLoadAssignment.decode(any.value).clusterName));
  for (const { name, clusterDiscoveryType: type } of clusters) if (type?.value === Cluster_DiscoveryType.EDS) assert.ok(assigned.has(name), `${name} has an assignment`);
  const tables = of(xdsType.route).map(({ any }) => RouteConfiguration.decode(any.value));
  for (const { any } of of(xdsType.listener)) {
    const { routes, clusters: used } = listenerReferences(Listener.decode(any.value));
    for (const name of routes) assert.ok(tables.some((table) => table.name === name), `route table ${name} exists`);
    for (const name of used) assert.ok(names.has(name), `a listener's cluster ${name} exists`);
  }
  for (const table of tables) {
    for (const name of routeClusters(table)) assert.ok(names.has(name), `${table.name} names the cluster ${name}, which exists`);
    const domains = table.virtualHosts.flatMap((entry) => entry.domains.map((domain) => domain.toLowerCase()));
    assert.equal(new Set(domains).size, domains.length, `${table.name} names each domain once`);
  }
}

test('whatever valid rules say, every cluster named exists, every EDS cluster has an assignment, and no domain stands twice', () => {
  const base = [...bookinfo(), ...sample('bookinfo/networking/destination-rule-all.yaml'), ...decoded('Gateway', 'networking.istio.io', 'gw', gateway)];
  let accepted = 0;
  fc.assert(
    fc.property(fc.array(virtualService, { maxLength: 3 }), peerMode, (rules, mode) => {
      const configs = rules.flatMap(({ name, spec }, index) => decoded('VirtualService', 'networking.istio.io', `${name}-${index}`, spec));
      accepted += configs.length;
      const push = meshOf([...base, ...configs, ...decoded('PeerAuthentication', 'security.istio.io', 'default', { mtls: { mode } })]);
      assert.deepEqual(push.quarantined, []);
      for (const proxy of proxies) check(push, proxy);
    }),
    { numRuns: 60 },
  );
  assert.ok(accepted > 20, `the generator makes rules that validation accepts: ${accepted}`);
});

test('what is translated is valid by Envoy\'s own descriptors', () => {
  const push = meshOf([...bookinfo(), ...sample('bookinfo/networking/virtual-service-all-v1.yaml')]);
  for (const typeUrl of [xdsType.listener, xdsType.route, xdsType.cluster, xdsType.endpoint]) {
    for (const { any } of translate(push, productpage(), { typeUrl }).resources.values()) {
      const type = typeNameOf(any.typeUrl);
      assert.ok(jsonToBinary(type, binaryToJson(type, any.value)).length > 0);
    }
  }
});
