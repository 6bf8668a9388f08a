import assert from 'node:assert/strict';
import { test } from 'node:test';
import { xdsType } from '@meltemi/xds';
import type { Proxy } from '../proxy/proxy.ts';
import type { Scope } from '../push-context/scope.ts';
import type { Service } from '../registry/model.ts';
import { bookinfo, configsOf, jsonOf, meshOf, productpage, proxyOf } from '../testing/mesh.test-support.ts';
import { translate } from './translate.ts';
import { carriedBy } from './without-http2.ts';

const service = { hostname: 'a.default.svc.cluster.local', ports: [{ number: 80, name: 'http', protocol: 'HTTP' }, { number: 90, name: 'grpc', protocol: 'GRPC' }] } as unknown as Service;
const reach = { services: [service], byHost: new Map([[service.hostname, service]]), perListener: [[service]] };
const scope: Scope = { services: reach.services, byHost: reach.byHost, egress: [{ services: [service], virtualServices: [] }], allowAny: true, dynamicDns: false, reach, listening: { reach, rules: [[]] } };

test('a proxy without HTTP/2 carries gRPC ports as TCP, everywhere it sees the service', () => {
  const carried = carriedBy({ http2: false }, scope);
  for (const each of [carried.services[0], carried.byHost.get(service.hostname), carried.egress[0]?.services[0]]) assert.deepEqual(each?.ports.map((port) => port.protocol), ['HTTP', 'TCP']);
  assert.equal(carriedBy({ http2: false }, scope), carried, 'the same scope gives the same object: caches go by identity');
});

test('a proxy with HTTP/2 sees the scope as it is', () => {
  assert.equal(carriedBy({ http2: true }, scope), scope);
});

/** Every ALPN list in resources. */
function alpnLists(value: unknown): string[][] {
  if (Array.isArray(value)) return value.flatMap(alpnLists);
  if (typeof value !== 'object' || value === null) return [];
  return Object.entries(value).flatMap(([name, field]) => (name === 'alpn_protocols' ? [field as string[]] : alpnLists(field)));
}

const tlsPlaces = `
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: gw, namespace: istio-system}
spec:
  selector: {istio: ingressgateway}
  servers:
  - {port: {number: 443, name: https, protocol: HTTPS}, hosts: ["a.example"], tls: {mode: SIMPLE, credentialName: a}}
  - {port: {number: 8443, name: mutual, protocol: HTTPS}, hosts: ["b.example"], tls: {mode: ISTIO_MUTUAL}}
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: a}
spec: {hosts: [a.example, b.example], gateways: [istio-system/gw], http: [{route: [{destination: {host: productpage}}]}]}
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: reviews}
spec: {host: reviews, trafficPolicy: {connectionPool: {http: {h2UpgradePolicy: UPGRADE}}, tls: {mode: SIMPLE}}}
---
apiVersion: v1
kind: Service
metadata: {name: payments}
spec: {ports: [{name: grpc, port: 9000}], selector: {app: productpage}}
`;

test('no TLS context of a proxy without HTTP/2 offers h2, as client or as server; others get it everywhere Istio has it', () => {
  const push = meshOf([...bookinfo(), ...configsOf(tlsPlaces)], { h2UpgradePolicy: 'UPGRADE' });
  const ours = { MELTEMI_VERSION: '0.1.0' };
  const lists = (proxy: Proxy) => (['listener', 'cluster'] as const).flatMap((type) => alpnLists(jsonOf(translate(push, proxy, { typeUrl: xdsType[type] }))));
  const gateway = (metadata: Record<string, string>) => proxyOf('router~10.0.0.9~istio-ingressgateway-0.istio-system~istio-system.svc.cluster.local', { NAMESPACE: 'istio-system', LABELS: { istio: 'ingressgateway', app: 'istio-ingressgateway' }, ...metadata });
  for (const [without, withHttp2] of [[productpage(ours), productpage({ ...ours, MELTEMI_HTTP2: 'true' })], [gateway(ours), gateway({})]] as const) {
    assert.ok(lists(without).length > 0);
    assert.deepEqual(lists(without).filter((list) => list.includes('h2')), []);
    assert.ok(lists(withHttp2).some((list) => list.includes('h2')));
  }
  assert.ok(lists(gateway(ours)).some((list) => list.join() === 'http/1.1'), 'browsers still agree on something');
});
