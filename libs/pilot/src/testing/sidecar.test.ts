import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Listener } from '@meltemi/api/gen/envoy/config/listener/v3/listener.ts';
import { xdsType } from '@meltemi/xds';
import type { PushContext } from '../push-context/push-context.ts';
import type { Proxy } from '../proxy/proxy.ts';
import { listenerReferences } from '../translate/references.ts';
import { translate } from '../translate/translate.ts';
import { bookinfo, configsOf, meshOf, proxyOf, sample } from './mesh.test-support.ts';

/** Listener name → what it names, for a proxy. */
function listenersOf(push: PushContext, proxy: Proxy): Record<string, string[]> {
  return Object.fromEntries(
    [...translate(push, proxy, { typeUrl: xdsType.listener }).resources].map(([name, { any }]) => {
      const { routes, clusters } = listenerReferences(Listener.decode(any.value));
      return [name, [...routes, ...clusters].toSorted()];
    }),
  );
}

const laptop = (metadata: Record<string, unknown> = {}) => proxyOf('sidecar~127.0.1.7~client.default~default.svc.cluster.local', { NAMESPACE: 'default', INTERCEPTION_MODE: 'NONE', LABELS: { app: 'client' }, ...metadata });

const sidecar = (spec: string) => configsOf(`apiVersion: networking.istio.io/v1\nkind: Sidecar\nmetadata: {name: client}\nspec: {workloadSelector: {labels: {app: client}}, ${spec}}`);

test('without interception: TCP and HTTP reach their services through Sidecar egress listeners, on the proxy\'s own address', () => {
  const configs = [...bookinfo(), ...sample('tcp-echo/tcp-echo-services.yaml'), ...sidecar('egress: [{port: {number: 9000, name: tcp, protocol: TCP}, bind: 127.0.0.1, hosts: ["./*"]}, {port: {number: 9080, name: http, protocol: HTTP}, bind: 127.0.3.3, hosts: ["./*"]}, {hosts: ["./*"]}]')];
  assert.deepEqual(listenersOf(meshOf(configs, { proxyHttpPort: 15002 }), laptop()), {
    '127.0.1.7_15002': ['http_proxy'],
    '127.0.1.7_9000': ['outbound|9000||tcp-echo.default.svc.cluster.local'],
    '127.0.3.3_9080': ['9080'],
  });
});

test('a Sidecar ingress listener goes where defaultEndpoint says', () => {
  const proxy = laptop({ MELTEMI_APP_ADDRESS: '127.0.2.7' });
  const push = meshOf([...bookinfo(), ...sidecar('ingress: [{port: {number: 9999, name: http, protocol: HTTP}, defaultEndpoint: "127.0.0.1:8088"}]')]);
  assert.deepEqual(listenersOf(push, proxy), { '127.0.1.7_9999': ['inbound|9999||'] });
  const cluster = translate(push, proxy, { typeUrl: xdsType.cluster }).resources.get('inbound|9999||');
  assert.match(cluster?.any.value.toString('latin1') ?? '', /127\.0\.2\.7/);
});

test('a gateway on a shared machine binds its own address', () => {
  const gateway = proxyOf('router~127.0.1.9~gw.istio-system~istio-system.svc.cluster.local', { NAMESPACE: 'istio-system', LABELS: { istio: 'ingressgateway' } });
  const push = meshOf([...bookinfo(), ...sample('bookinfo/networking/bookinfo-gateway.yaml')]);
  const [name] = Object.keys(listenersOf(push, gateway));
  assert.match(name ?? '', /^127\.0\.1\.9_/);
});

test('intercepting: a TCP service with an address has a listener of its own, a sniffed one its own route table', () => {
  const configs = configsOf('apiVersion: v1\nkind: Service\nmetadata: {name: db}\nspec: {clusterIP: 10.96.0.5, ports: [{name: tcp, port: 5432}, {name: any, port: 7000}]}');
  const listeners = listenersOf(meshOf(configs), proxyOf('sidecar~10.0.0.1~a.default~default.svc.cluster.local'));
  assert.deepEqual(listeners['10.96.0.5_5432'], ['PassthroughCluster', 'outbound|5432||db.default.svc.cluster.local'].filter((name) => name !== 'PassthroughCluster'));
  assert.deepEqual(listeners['10.96.0.5_7000'], ['db.default.svc.cluster.local:7000', 'outbound|7000||db.default.svc.cluster.local']);
});

test('REGISTRY_ONLY: unknown hosts are refused with 502, unknown addresses go nowhere', () => {
  const push = meshOf(bookinfo(), { outboundTrafficPolicy: { mode: 'REGISTRY_ONLY' } });
  const proxy = proxyOf('sidecar~10.0.0.1~a.default~default.svc.cluster.local');
  assert.deepEqual(listenersOf(push, proxy)['virtualOutbound'], ['BlackHoleCluster']);
  assert.match(translate(push, proxy, { typeUrl: xdsType.route, names: ['9080'] }).resources.get('9080')?.any.value.toString('latin1') ?? '', /block_all/);
});

test('TCP and TLS routes of a VirtualService reach a sidecar\'s listeners by weight and server name', () => {
  const configs = configsOf(`
apiVersion: v1
kind: Service
metadata: {name: db}
spec: {clusterIP: 10.96.0.5, ports: [{name: tls, port: 443}]}
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: db}
spec:
  hosts: [db.default.svc.cluster.local]
  tls: [{match: [{port: 443, sniHosts: [db.default.svc.cluster.local]}], route: [{destination: {host: db, subset: a}, weight: 40}, {destination: {host: db, subset: b}, weight: 60}]}]
`);
  const listeners = listenersOf(meshOf(configs), proxyOf('sidecar~10.0.0.1~a.default~default.svc.cluster.local'));
  assert.deepEqual(listeners['10.96.0.5_443'], ['PassthroughCluster', 'outbound|443|a|db.default.svc.cluster.local', 'outbound|443|b|db.default.svc.cluster.local']);
});

test('a plain Envoy gets no filter that only Istio\'s proxy has', () => {
  const push = meshOf(bookinfo());
  const text = (version: Record<string, unknown>) => [...translate(push, proxyOf('sidecar~10.0.0.1~a.default~default.svc.cluster.local', version), { typeUrl: xdsType.listener }).resources.values()].map(({ any }) => any.value.toString('latin1')).join('');
  assert.doesNotMatch(text({ ISTIO_VERSION: '' }), /istio\.stats|peer_metadata/);
  for (const version of [{ ISTIO_VERSION: '1.30.0' }, { ISTIO_VERSION: '', MELTEMI_VERSION: '0.1.0' }]) assert.match(text(version), /istio\.stats[^]*peer_metadata|peer_metadata[^]*istio\.stats/);
});

test('under TPROXY the inbound listener is transparent, and only that', () => {
  const transparent = (mode: string) => [...translate(meshOf(bookinfo()), laptop({ INTERCEPTION_MODE: mode }), { typeUrl: xdsType.listener }).resources].filter(([, { any }]) => Listener.decode(any.value).transparent === true).map(([name]) => name);
  assert.deepEqual([transparent('TPROXY'), transparent('REDIRECT')], [['virtualInbound'], []]);
});
