import assert from 'node:assert/strict';
import { test } from 'node:test';
import { answers, client, gateway, goes, grant, other, pod, route, router, service } from '../testing/gateway-api.ts';

const services = service('a') + service('b');
const to = (name: string, port = 80) => `backendRefs: [{name: ${name}, port: ${port}}]`;
const grpc = (rules: string, more = '') => gateway('gw', '{name: http, port: 80, protocol: HTTP}') + services + route('GRPCRoute', 'rpc', `parentRefs: [{name: gw}]${more}, rules: [${rules}]`);
const call = (path: string, headers = {}) => ({ host: 'rpc.example', path, method: 'POST', protocol: 'http2', headers: { 'content-type': 'application/grpc', ...headers } });

test('GRPCRoute: a service with all its methods, one method, or a method of any service', () => {
  assert.deepEqual(goes(grpc(`{matches: [{method: {service: shop.Cart}}], ${to('a')}}`), router, call('/shop.Cart/Add'), call('/shop.Cart/Drop'), call('/shop.Carts/Add')), ['a', 'a', '404']);
  assert.deepEqual(goes(grpc(`{matches: [{method: {service: shop.Cart, method: Add}}], ${to('a')}}`), router, call('/shop.Cart/Add'), call('/shop.Cart/Drop')), ['a', '404']);
  assert.deepEqual(goes(grpc(`{matches: [{method: {method: Add}}], ${to('a')}}`), router, call('/shop.Cart/Add'), call('/other.Bag/Add'), call('/shop.Cart/Drop')), ['a', 'a', '404']);
  assert.deepEqual(goes(grpc(`{matches: [{method: {type: RegularExpression, service: "shop\\\\.(Cart|Bag)"}}], ${to('a')}}`), router, call('/shop.Bag/Add'), call('/shop.Box/Add')), ['a', '404']);
});

test('GRPCRoute: the method decides before the service, headers before nothing', () => {
  const rules = `{matches: [{method: {service: shop.Cart}}], ${to('a')}}, {matches: [{method: {service: shop.Cart, method: Add}}], ${to('b')}}, {matches: [{headers: [{name: v, value: "2"}]}], ${to('b')}}`;
  assert.deepEqual(goes(grpc(rules), router, call('/shop.Cart/Add'), call('/shop.Cart/Drop'), call('/x.Y/Z', { v: '2' })), ['b', 'a', 'b']);
});

test('GRPCRoute: shares a host with an HTTPRoute in one order', () => {
  const web = route('HTTPRoute', 'web', `parentRefs: [{name: gw}], rules: [{matches: [{path: {value: /shop.Cart}}], ${to('b')}}]`);
  assert.deepEqual(goes(grpc(`{matches: [{method: {service: shop.Cart, method: Add}}], ${to('a')}}`) + web, router, call('/shop.Cart/Add'), call('/shop.Cart/Drop')), ['a', 'b']);
});

const tcp = (rules: string) => gateway('gw', '{name: raw, port: 9000, protocol: TCP}') + service('a', { ports: '[{name: tcp, port: 9000}]' }) + service('b', { ports: '[{name: tcp, port: 9000}]' }) + route('TCPRoute', 'raw', `parentRefs: [{name: gw}], rules: [${rules}]`);

test('TCPRoute: bytes of a port go to its backends by weight', () => {
  assert.deepEqual(goes(tcp(`{${to('a', 9000)}}`), router, { port: 9000, protocol: 'tcp' }), ['a']);
  const [shared] = answers(tcp('{backendRefs: [{name: a, port: 9000, weight: 1}, {name: b, port: 9000, weight: 4}]}'), router, { port: 9000, protocol: 'tcp' });
  assert.deepEqual(shared?.clusters?.map(({ name, weight }) => [name.split('|')[3]?.split('.')[0], weight]), [['a', 1], ['b', 4]]);
});

const tls = (listener: string, hostnames: string) => gateway('gw', `{name: tls, port: 443, protocol: TLS, ${listener}}`) + service('a', { ports: '[{name: tls, port: 443}]' }) + route('TLSRoute', 'sni', `parentRefs: [{name: gw}], hostnames: [${hostnames}], rules: [{${to('a', 443)}}]`);
const hello = (sni: string) => ({ port: 443, protocol: 'tcp', tls: 'tls', sni });

test('TLSRoute: passed through by the name the client asks for', () => {
  assert.deepEqual(goes(tls('tls: {mode: Passthrough}', 'a.example, "*.b.example"'), router, hello('a.example'), hello('x.b.example'), hello('c.example')), ['a', 'a', 'no_filter_chain']);
});

test('TLSRoute: a listener takes the names that are its own, and of wider ones its part', () => {
  assert.deepEqual(goes(tls('hostname: "*.example.com", tls: {mode: Passthrough}', '"*.com"'), router, hello('x.example.com'), hello('x.else.com')), ['a', 'no_filter_chain']);
});

test('HTTPS: terminated for the listener\'s name, with a Secret of the Gateway\'s namespace or one it may use', () => {
  const listener = (reference: string) => gateway('gw', `{name: https, port: 443, protocol: HTTPS, hostname: a.example, tls: {certificateRefs: [${reference}]}}`) + services + route('HTTPRoute', 'web', `parentRefs: [{name: gw}], rules: [{${to('a')}}]`);
  const request = { port: 443, tls: 'tls', sni: 'a.example', host: 'a.example' };
  assert.deepEqual(goes(listener('{name: cert}'), router, request, { ...request, sni: 'b.example' }), ['a', 'no_filter_chain']);
  assert.deepEqual(goes(listener('{name: cert, namespace: certs}'), router, request), ['no_listener']);
  const allowed = grant('certs', '{group: gateway.networking.k8s.io, kind: Gateway, namespace: default}', '{group: "", kind: Secret}', { namespace: 'certs' });
  assert.deepEqual(goes(listener('{name: cert, namespace: certs}') + allowed, router, request), ['a']);
  assert.deepEqual(goes(listener('{kind: ConfigMap, name: cert}'), router, request), ['no_listener']);
});

test('a manual deployment: the Service an address names maps the port and says which workloads are meant', () => {
  const manual = gateway('gw', '{name: http, port: 80, protocol: HTTP}', { spec: 'addresses: [{type: Hostname, value: edge}]' }) + services + route('HTTPRoute', 'web', `parentRefs: [{name: gw}], rules: [{${to('a')}}]`);
  const front = service('edge', { ports: '[{name: http, port: 80, targetPort: 8080}]' }) + pod('edge', '10.1.0.1');
  assert.deepEqual(goes(manual + front, router, { port: 8080 }, { port: 81 }), ['a', 'no_listener']);
  assert.deepEqual(goes(manual, router, { port: 80 }), ['no_listener'], 'nobody has the Service');
  assert.deepEqual(goes(manual + service('edge', { ports: '[{name: http, port: 80, targetPort: 8080}]' }), { ...router, labels: { app: 'edge' } }, { port: 8080 }), ['a'], 'by label, before an endpoint stands for it');
});

test('an automated deployment: workloads of the Gateway\'s namespace that say so by label', () => {
  const yaml = gateway('gw', '{name: http, port: 80, protocol: HTTP}') + services + route('HTTPRoute', 'web', `parentRefs: [{name: gw}], rules: [{${to('a')}}]`);
  assert.deepEqual(goes(yaml, router, {}), ['a']);
  assert.deepEqual(goes(yaml, { ...router, namespace: 'other' }, {}), ['no_listener']);
  assert.deepEqual(goes(yaml, { ...router, labels: { istio: 'ingressgateway' } }, {}), ['no_listener']);
});

test('two listeners of one port and host: the first has it', () => {
  const yaml = gateway('gw', '{name: one, port: 80, protocol: HTTP}, {name: two, port: 80, protocol: TCP}') + services + route('HTTPRoute', 'web', `parentRefs: [{name: gw}], rules: [{${to('a')}}]`);
  assert.deepEqual(goes(yaml, router, {}), ['a']);
});

test('a ListenerSet adds listeners to a Gateway that allows it', () => {
  const own = (spec: string) => gateway('gw', '{name: http, port: 80, protocol: HTTP}', { spec }) + services;
  const set = other('gateway.networking.k8s.io/v1', 'ListenerSet', 'more', 'spec: {parentRef: {name: gw}, listeners: [{name: extra, port: 81, protocol: HTTP}]}') + route('HTTPRoute', 'web', `parentRefs: [{kind: ListenerSet, name: more}], rules: [{${to('b')}}]`);
  assert.deepEqual(goes(own('allowedListeners: {namespaces: {from: Same}}') + set, router, { port: 81 }), ['b']);
  assert.deepEqual(goes(own('') + set, router, { port: 81 }), ['no_listener']);
});

const meshed = (spec: string, namespace = 'default') => services + service('a', { namespace: 'other' }) + route('HTTPRoute', 'mesh', spec, { namespace });
const parent = (more = '') => `parentRefs: [{group: "", kind: Service, name: a${more}}]`;

test('mesh: a route beside its Service is for all its clients', () => {
  const yaml = meshed(`${parent()}, rules: [{matches: [{path: {value: /b}}], ${to('b')}}]`);
  assert.deepEqual(goes(yaml, client('default'), { host: 'a', path: '/b' }, { host: 'a', path: '/else' }), ['b', '404']);
  assert.deepEqual(goes(yaml, client('other'), { host: 'a.default', path: '/b' }), ['b']);
});

test('mesh: a route in a client\'s namespace is for that namespace only, and goes before the Service\'s own', () => {
  const producer = meshed(`${parent()}, rules: [{${to('a')}}]`);
  const consumer = route('HTTPRoute', 'mine', `parentRefs: [{group: "", kind: Service, name: a, namespace: default}], rules: [{backendRefs: [{name: a, port: 80}]}]`, { namespace: 'other', born: '2026-05-01T00:00:00Z' });
  assert.deepEqual(goes(producer + consumer, client('other'), { host: 'a.default' }), ['a.other']);
  assert.deepEqual(goes(producer + consumer, client('default'), { host: 'a.default' }), ['a']);
});

test('mesh: a parent\'s port is the only one the route is for', () => {
  const two = service('two', { ports: '[{name: http, port: 80}, {name: http-alt, port: 81}]' }) + services + route('HTTPRoute', 'mesh', `parentRefs: [{group: "", kind: Service, name: two, port: 81}], rules: [{${to('b')}}]`);
  assert.deepEqual(goes(two, client('default'), { host: 'two', port: 80 }, { host: 'two:81', port: 81 }), ['two', 'b']);
});

test('mesh: backends of other namespaces need no grant, unknown ones answer 500', () => {
  assert.deepEqual(goes(meshed(`${parent()}, rules: [{backendRefs: [{name: a, namespace: other, port: 80}]}]`), client('default'), { host: 'a' }), ['a.other']);
  assert.deepEqual(goes(meshed(`${parent()}, rules: [{backendRefs: [{name: nobody, port: 80}]}]`), client('default'), { host: 'a' }), ['500']);
});

test('mesh: hosts of a ServiceEntry can be routed, and named as backends', () => {
  const entry = other('networking.istio.io/v1', 'ServiceEntry', 'ext', 'spec: {hosts: [ext.example], ports: [{number: 80, name: http, protocol: HTTP}], resolution: DNS}');
  const yaml = services + entry + route('HTTPRoute', 'mesh', `parentRefs: [{group: networking.istio.io, kind: ServiceEntry, name: ext}], rules: [{matches: [{path: {value: /b}}], ${to('b')}}, {backendRefs: [{group: networking.istio.io, kind: Hostname, name: ext.example, port: 80}]}]`);
  assert.deepEqual(goes(yaml, client('default'), { host: 'ext.example', path: '/b' }, { host: 'ext.example' }), ['b', 'ext.example']);
});

test('mesh: a TCPRoute moves the bytes of a Service', () => {
  const ports = { ports: '[{name: tcp, port: 9000}]' };
  const yaml = other('v1', 'Service', 'a', 'spec: {clusterIP: 10.2.0.1, ports: [{name: tcp, port: 9000}], selector: {app: a}}') + service('b', ports) + route('TCPRoute', 'raw', `${parent()}, rules: [{${to('b', 9000)}}]`);
  assert.deepEqual(goes(yaml, client('default'), { address: '10.2.0.1', port: 9000, protocol: 'tcp' }), ['b']);
});

test('BackendTLSPolicy: clients of the backend speak TLS to it', () => {
  const policy = other('gateway.networking.k8s.io/v1', 'BackendTLSPolicy', 'tls', 'spec: {targetRefs: [{group: "", kind: Service, name: a}], validation: {hostname: a.example, wellKnownCACertificates: System}}');
  const yaml = gateway('gw', '{name: http, port: 80, protocol: HTTP}') + services + pod('a', '10.1.0.7') + pod('b', '10.1.0.8') + route('HTTPRoute', 'web', `parentRefs: [{name: gw}], rules: [{${to('a')}}, {matches: [{path: {value: /b}}], ${to('b')}}]`) + policy;
  assert.deepEqual(answers(yaml, router, { path: '/' }, { path: '/b' }).map(({ endpoints }) => endpoints?.map(({ tls: how }) => how)), [['tls'], ['none']]);
});
