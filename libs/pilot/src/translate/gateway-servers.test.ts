import assert from 'node:assert/strict';
import { test } from 'node:test';
import { xdsType } from '@meltemi/xds';
import { defaultFeatures } from '../features.ts';
import { bookinfo, configsOf, ingressGateway, jsonOf, meshOf, productpage, proxyOf } from '../testing/mesh.test-support.ts';
import { translate } from './translate.ts';

const servers = { http: '{port: {number: 80, name: http, protocol: HTTP}, hosts: ["*"]}' };

interface Rest {
  readonly namespace?: string;
  readonly born?: string;
}

const object = (kind: string, name: string, spec: string, { namespace = 'default', born = '2026-01-01T00:00:00Z' }: Rest = {}): string =>
  `---\napiVersion: networking.istio.io/v1\nkind: ${kind}\nmetadata: {name: ${name}, namespace: ${namespace}, creationTimestamp: "${born}"}\nspec: ${spec}\n`;

const gateway = (name: string, server: string, rest: Rest = {}) => object('Gateway', name, `{selector: {istio: ingressgateway}, servers: [${server}]}`, rest);
const rule = (name: string, gateways: string, http: string, rest: Rest & { readonly host?: string; readonly more?: string } = {}) =>
  object('VirtualService', name, `{hosts: ["${rest.host ?? 'shop.example'}"], gateways: [${gateways}], http: [${http}]${rest.more ?? ''}}`, rest);
const to = (host: string, match = '') => `{${match}route: [{destination: {host: ${host}.default.svc.cluster.local, port: {number: 9080}}}]}`;

interface VirtualHost {
  readonly name: string;
  readonly domains: readonly string[];
  readonly require_tls?: string;
  readonly routes?: readonly { readonly route?: { readonly cluster?: string } }[];
}

function tableOf(yaml: string, name = 'http.8080'): readonly VirtualHost[] {
  const tables = jsonOf(translate(meshOf([...bookinfo(), ...configsOf(yaml)]), ingressGateway(), { typeUrl: xdsType.route, names: [name] })) as Record<string, { readonly virtual_hosts?: readonly VirtualHost[] }>;
  return tables[name]?.virtual_hosts ?? [];
}

/** "details, reviews": where requests to shop.example go, in order. */
function targets(yaml: string): string {
  const host = tableOf(yaml).find(({ domains }) => domains.includes('shop.example'));
  return (host?.routes ?? []).map(({ route }) => route?.cluster?.split('|')[3]?.split('.')[0] ?? '').join(', ');
}

function listenersOf(yaml: string): Record<string, { readonly filter_chains: readonly { readonly filters: readonly { readonly name: string }[] }[] }> {
  return jsonOf(translate(meshOf([...bookinfo(), ...configsOf(yaml)]), ingressGateway(), { typeUrl: xdsType.listener })) as ReturnType<typeof listenersOf>;
}

test('a Gateway of any namespace takes the proxies its selector picks, on the target port of their Service', () => {
  assert.deepEqual(Object.keys(listenersOf(gateway('gw', servers.http))), ['0.0.0.0_8080']);
  assert.equal(targets(gateway('gw', servers.http) + rule('shop', 'gw', to('details'))), 'details');
});

test('a VirtualService names a Gateway of its own namespace short, of another as namespace/name', () => {
  const elsewhere = gateway('gw', servers.http, { namespace: 'edge' });
  assert.equal(targets(elsewhere + rule('shop', 'gw', to('details'))), '');
  assert.equal(targets(elsewhere + rule('shop', 'edge/gw', to('details'))), 'details');
});

test('hosts of a server say whose rules it takes: "./" its own namespace, "ns/" that one', () => {
  const server = (host: string) => gateway('gw', `{port: {number: 80, name: http, protocol: HTTP}, hosts: ["${host}"]}`, { namespace: 'edge' });
  const shop = rule('shop', 'edge/gw', to('details'));
  assert.equal(targets(server('./shop.example') + shop), '');
  assert.equal(targets(server('default/shop.example') + shop), 'details');
  assert.equal(targets(server('*/*.example') + shop), 'details');
  assert.equal(targets(server('other.example') + shop), '', 'hosts must meet');
});

test('a rule that is not exported to the gateway\'s namespace is not bound', () => {
  const gw = gateway('gw', servers.http, { namespace: 'istio-system' });
  assert.equal(targets(gw + rule('shop', 'istio-system/gw', to('details'), { more: ', exportTo: ["."]' })), '');
  assert.equal(targets(gw + rule('shop', 'istio-system/gw', to('details'), { more: ', exportTo: [istio-system]' })), 'details');
});

test('a match may name other gateways than its rule; "mesh" is for sidecars', () => {
  const yaml = gateway('gw', servers.http) + rule('shop', 'gw, mesh', [to('details', 'match: [{gateways: [mesh], uri: {prefix: /a}}], '), to('reviews', 'match: [{gateways: [gw], uri: {prefix: /a}}], '), to('ratings')].join(', '), { host: 'productpage.default.svc.cluster.local' });
  const outside = tableOf(yaml).flatMap(({ routes = [] }) => routes.map(({ route }) => route?.cluster?.split('|')[3]?.split('.')[0]));
  assert.deepEqual(outside, ['reviews', 'ratings'], 'at the gateway');
  const tables = jsonOf(translate(meshOf([...bookinfo(), ...configsOf(yaml)]), productpage(), { typeUrl: xdsType.route, names: ['9080'] })) as Record<string, { readonly virtual_hosts: readonly VirtualHost[] }>;
  const inside = tables['9080']?.virtual_hosts.find(({ name }) => name.startsWith('productpage.'))?.routes?.map(({ route }) => route?.cluster?.split('|')[3]?.split('.')[0]);
  assert.deepEqual(inside, ['details', 'ratings'], 'in the mesh');
});

test('rules of one host merge on a gateway, the older first and catch-alls last', () => {
  const yaml =
    gateway('gw', servers.http) +
    rule('a-old', 'gw', [to('details', 'match: [{uri: {prefix: /d}}], '), to('ratings')].join(', ')) +
    rule('b-young', 'gw', to('reviews', 'match: [{uri: {prefix: /r}}], '), { born: '2026-02-01T00:00:00Z' });
  assert.equal(targets(yaml), 'details, reviews, ratings');
});

test('servers of several Gateways share a port when their protocols do; else the oldest keeps it', () => {
  const tcp = '{port: {number: 80, name: tcp, protocol: TCP}, hosts: ["*"]}';
  const filters = (yaml: string) => listenersOf(yaml)['0.0.0.0_8080']?.filter_chains.flatMap((chain) => chain.filters.map(({ name }) => name.split('.').at(-1)));
  const young = { born: '2026-02-01T00:00:00Z' };
  assert.deepEqual(filters(gateway('web', servers.http) + gateway('raw', tcp, young) + rule('shop', 'web', to('details'))), ['http_connection_manager']);
  const both = gateway('one', servers.http) + gateway('two', '{port: {number: 80, name: http, protocol: HTTP}, hosts: ["two.example"]}', young) + rule('shop', 'one', to('details')) + rule('two', 'two', to('reviews'), { host: 'two.example' });
  assert.deepEqual(new Set(tableOf(both).flatMap(({ domains }) => domains)), new Set(['shop.example', 'two.example']));
});

test('httpsRedirect answers every request of the server with a redirect', () => {
  const yaml = gateway('gw', '{port: {number: 80, name: http, protocol: HTTP}, hosts: ["shop.example"], tls: {httpsRedirect: true}}') + rule('shop', 'gw', to('details'));
  assert.deepEqual(tableOf(yaml).map(({ require_tls: tls }) => tls), ['ALL']);
});

test('a gateway with IPv6 alone listens on ::, one with both families on both when dual stack is on', () => {
  const edge = (addresses: string) => proxyOf(`router~${addresses.split(',')[0]}~gw.edge~edge.svc.cluster.local`, { NAMESPACE: 'edge', INSTANCE_IPS: addresses, LABELS: { istio: 'ingressgateway' } });
  const yaml = gateway('gw', servers.http) + gateway('own', '{port: {number: 81, name: http, protocol: HTTP}, bind: 10.9.9.9, hosts: ["*"]}');
  const bound = (addresses: string, dualStack = false) => {
    const listeners = jsonOf(translate(meshOf(configsOf(yaml), {}, undefined, { ...defaultFeatures, dualStack }), edge(addresses), { typeUrl: xdsType.listener })) as Record<string, { readonly additional_addresses?: readonly unknown[] }>;
    return Object.entries(listeners).map(([name, { additional_addresses: more = [] }]) => `${name}${'+'.repeat(more.length)}`);
  };
  assert.deepEqual(bound('fd00::9'), ['10.9.9.9_81', '::_80']);
  assert.deepEqual(bound('10.0.0.9,fd00::9'), ['0.0.0.0_80', '10.9.9.9_81']);
  assert.deepEqual(bound('10.0.0.9,fd00::9', true), ['0.0.0.0_80+', '10.9.9.9_81']);
});
