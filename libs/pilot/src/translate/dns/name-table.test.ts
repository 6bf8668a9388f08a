import assert from 'node:assert/strict';
import { test } from 'node:test';
import { NameTable } from '@meltemi/api/gen/istio/networking/nds/v1/nds.ts';
import { xdsType } from '@meltemi/xds';
import { defaultFeatures } from '../../features.ts';
import type { PushContext } from '../../push-context/push-context.ts';
import { configsOf, meshOf, productpage } from '../../testing/mesh.test-support.ts';
import { translate } from '../translate.ts';
import { nameTable } from './name-table.ts';

const capturing = (metadata: Record<string, unknown> = {}) => productpage({ DNS_CAPTURE: 'true', ...metadata });

/** Host → addresses. */
function addressesIn(push: PushContext, metadata: Record<string, unknown> = {}): Record<string, string[]> {
  return Object.fromEntries(Object.entries(nameTable(push, capturing(metadata))).map(([host, { ips }]) => [host, ips]));
}

const service = (name: string, spec: string, namespace = 'default') => `apiVersion: v1\nkind: Service\nmetadata: {name: ${name}, namespace: ${namespace}}\nspec: {ports: [{name: tcp, port: 3306}], ${spec}}\n---\n`;
const entry = (name: string, spec: string, more = '') => `apiVersion: networking.istio.io/v1\nkind: ServiceEntry\nmetadata: {name: ${name}, namespace: default}\nspec: {ports: [{number: 80, name: http, protocol: HTTP}], ${spec}}\n${more}---\n`;
const pod = (name: string, ip: string, more: { spec?: string; labels?: string; ready?: boolean } = {}) =>
  `apiVersion: v1\nkind: Pod\nmetadata: {name: ${name}, namespace: default, labels: {app: db${more.labels ?? ''}}}\nspec: {containers: [{name: a}]${more.spec ?? ''}}\nstatus: {phase: Running, podIP: ${ip}, conditions: [{type: Ready, status: "${more.ready === false ? 'False' : 'True'}"}]}\n---\n`;

test('a Kubernetes service is there by its full name, with what short forms are made of', () => {
  const push = meshOf(configsOf(service('reviews', 'clusterIP: 10.96.0.7')));
  assert.deepEqual(nameTable(push, capturing()), { 'reviews.default.svc.cluster.local': { ips: ['10.96.0.7'], registry: 'Kubernetes', shortname: 'reviews', namespace: 'default', altHosts: [] } });
});

test('addresses of families that the proxy does not have are left out', () => {
  const push = meshOf(configsOf(`${service('dual', 'clusterIP: 10.96.0.7, clusterIPs: [10.96.0.7, "fd00::7"]')}${service('six', 'clusterIP: "fd00::8"')}`));
  assert.deepEqual(addressesIn(push), { 'dual.default.svc.cluster.local': ['10.96.0.7'] });
  assert.deepEqual(addressesIn(push, { INSTANCE_IPS: '10.0.0.1,fd00::1' }), { 'dual.default.svc.cluster.local': ['10.96.0.7', 'fd00::7'], 'six.default.svc.cluster.local': ['fd00::8'] });
});

test('a ServiceEntry has its own addresses but no blocks; without any it has one of the mesh, for proxies that resolve names', () => {
  const push = meshOf(configsOf(`${entry('own', 'hosts: [own.example.com], addresses: [192.0.2.1, 192.0.2.9/32, 198.51.100.0/24], resolution: STATIC')}${entry('auto', 'hosts: [auto.example.com], resolution: DNS', 'status: {addresses: [{value: 240.240.7.7, host: auto.example.com}, {value: "2001:2::7", host: auto.example.com}]}\n')}`));
  assert.deepEqual(addressesIn(push), { 'own.example.com': ['192.0.2.1', '192.0.2.9'], 'auto.example.com': ['240.240.7.7'] });
  assert.deepEqual(Object.keys(nameTable(push, productpage())), ['own.example.com']);
  assert.equal(nameTable(push, capturing())['auto.example.com']?.registry, 'External');
});

test('a wildcard host is there as it is written', () => {
  assert.deepEqual(addressesIn(meshOf(configsOf(entry('wild', 'hosts: ["*.example.com"], addresses: [192.0.2.1], resolution: NONE')))), { '*.example.com': ['192.0.2.1'] });
});

test('ServiceEntries of one host are one entry; a Kubernetes service of that name has it to itself', () => {
  const push = meshOf(configsOf(`${entry('a', 'hosts: [x.example.com, reviews.default.svc.cluster.local], addresses: [192.0.2.1], resolution: STATIC')}${entry('b', 'hosts: [x.example.com], addresses: [192.0.2.2], resolution: STATIC')}${service('reviews', 'clusterIP: 10.96.0.7')}`));
  assert.deepEqual(addressesIn(push), { 'x.example.com': ['192.0.2.1', '192.0.2.2'], 'reviews.default.svc.cluster.local': ['10.96.0.7'] });
});

test('a headless service is its ready Pods, and Pods with a subdomain have names of their own', () => {
  const pods = [pod('db-0', '10.0.1.1', { spec: ', subdomain: db' }), pod('db-1', '10.0.1.2', { spec: ', hostname: second, subdomain: db' }), pod('db-2', '10.0.1.3'), pod('db-3', '10.0.1.4', { spec: ', subdomain: db', ready: false })].join('');
  const push = meshOf(configsOf(`${service('db', 'clusterIP: None, selector: {app: db}')}${pods}`));
  assert.deepEqual(addressesIn(push), {
    'db.default.svc.cluster.local': ['10.0.1.1', '10.0.1.2', '10.0.1.3'],
    'db-0.db.default.svc.cluster.local': ['10.0.1.1'], 'second.db.default.svc.cluster.local': ['10.0.1.2'],
  });
  assert.equal(nameTable(push, capturing())['db-0.db.default.svc.cluster.local']?.shortname, 'db-0.db');
  assert.deepEqual(addressesIn(meshOf(configsOf(`${service('db', 'clusterIP: None, publishNotReadyAddresses: true, selector: {app: db}')}${pods}`)))['db-3.db.default.svc.cluster.local'], ['10.0.1.4']);
});

test('headless: other networks are out of reach; of Pods of one name the cluster\'s own counts; other clusters take part unless switched off', () => {
  const configs = configsOf(`${service('db', 'clusterIP: None, selector: {app: db}')}${[
    pod('db-0', '10.0.1.1', { spec: ', subdomain: db', labels: ', topology.istio.io/cluster: far' }), pod('db-0b', '10.0.1.2', { spec: ', hostname: db-0, subdomain: db', labels: ', topology.istio.io/cluster: Kubernetes' }),
    pod('db-9', '10.0.1.9', { labels: ', topology.istio.io/network: other' }),
  ].join('')}`);
  assert.deepEqual(addressesIn(meshOf(configs), { NETWORK: 'own' }), { 'db.default.svc.cluster.local': ['10.0.1.1', '10.0.1.2'], 'db-0.db.default.svc.cluster.local': ['10.0.1.2'] });
  const alone = meshOf(configs, {}, undefined, { ...defaultFeatures, multiclusterHeadless: false });
  assert.deepEqual(addressesIn(alone, { NETWORK: 'own' })['db.default.svc.cluster.local'], ['10.0.1.2']);
});

test('only what the Sidecar imports is there', () => {
  const push = meshOf(configsOf(`${service('reviews', 'clusterIP: 10.96.0.7')}${service('ratings', 'clusterIP: 10.96.0.8', 'other')}apiVersion: networking.istio.io/v1\nkind: Sidecar\nmetadata: {name: default, namespace: default}\nspec: {egress: [{hosts: ["./*"]}]}`));
  assert.deepEqual(Object.keys(nameTable(push, capturing())), ['reviews.default.svc.cluster.local']);
});

test('over xDS it is one resource without a name; a change of endpoints makes a new one only where names answer with endpoints', () => {
  const configs = (ip: string, headlessIp: string) => configsOf(`${service('db', 'clusterIP: None, selector: {app: db}')}${service('web', 'clusterIP: 10.96.0.9, selector: {app: web}')}${pod('db-0', headlessIp)}${pod('web-0', ip).replace('app: db', 'app: web')}`);
  const first = meshOf(configs('10.0.1.1', '10.0.1.9'));
  const set = (push: PushContext) => translate(push, capturing(), { typeUrl: xdsType.nameTable });
  const [[name, resource] = []] = [...set(first).resources];
  assert.equal(name, '');
  assert.deepEqual(Object.keys(NameTable.decode(resource?.any.value ?? new Uint8Array()).table), ['db.default.svc.cluster.local', 'web.default.svc.cluster.local']);
  const second = meshOf(configs('10.0.1.2', '10.0.1.9'), {}, first);
  assert.equal(set(second).version, set(first).version);
  const third = meshOf(configs('10.0.1.2', '10.0.1.8'), {}, second);
  assert.notEqual(set(third).version, set(second).version);
});
