import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Config } from '@meltemi/config';
import { xdsType } from '@meltemi/xds';
import { healthStatus } from '../registry/entry-health.ts';
import { translate } from '../translate/translate.ts';
import { configsOf, jsonOf, meshOf, proxyOf } from '../testing/mesh.test-support.ts';
import { entryFromGroup, isGroup, wantedGroup, type WorkloadGroupSpec } from './auto-entry.ts';

const yaml = `
apiVersion: networking.istio.io/v1
kind: WorkloadGroup
metadata: {name: db, namespace: vms}
spec:
  metadata: {labels: {app: db}}
  template: {serviceAccount: db, ports: {tcp: 15432}}
---
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: db, namespace: vms}
spec: {hosts: [db.test], location: MESH_INTERNAL, resolution: STATIC, ports: [{number: 5432, name: tcp, protocol: TCP}], workloadSelector: {labels: {app: db}}}
`;

test('a registered proxy serves what selects its labels, on the ports of the template', () => {
  const configs = configsOf(yaml);
  const group = configs.find(isGroup);
  assert.ok(group);
  const proxy = proxyOf('sidecar~10.0.0.7~vm.vms~vms.svc.cluster.local', { NAMESPACE: 'vms', AUTO_REGISTER_GROUP: 'db' });
  assert.equal(wantedGroup(proxy), 'db');
  const endpoints = (more: readonly Config[]) => [...(meshOf([...configs, ...more]).registry.endpoints.get('vms/db.test')?.get(5432) ?? [])].map(({ address, port, serviceAccount, mutualTls }) => ({ address, port, serviceAccount, mutualTls }));
  assert.deepEqual(endpoints([]), []);
  assert.deepEqual(endpoints([entryFromGroup(group, proxy)]), [{ address: '10.0.0.7', port: 15432, serviceAccount: 'db', mutualTls: true }]);
});

test('names are Istio\'s: group, address and network, without colons', () => {
  const [config] = configsOf(yaml);
  const name = (id: string, metadata: object) => entryFromGroup(config as Config<WorkloadGroupSpec>, proxyOf(`sidecar~${id}~vm.vms~vms.svc.cluster.local`, { NAMESPACE: 'vms', ...metadata })).key.name;
  assert.equal(name('2001:db8::7', { NETWORK: 'n' }), 'db-2001-db8--7-n');
});

test('an entry that is not healthy gets no traffic, and its proxy is configured all the same', () => {
  const [config] = configsOf(yaml);
  const group = { ...config, spec: { ...(config?.spec as WorkloadGroupSpec), probe: { tcpSocket: { port: 1 } } } } as Config<WorkloadGroupSpec>;
  const proxy = proxyOf('sidecar~10.0.0.7~vm.vms~vms.svc.cluster.local', { NAMESPACE: 'vms', AUTO_REGISTER_GROUP: 'db' });
  const client = proxyOf('sidecar~10.0.0.8~web.vms~vms.svc.cluster.local', { NAMESPACE: 'vms' });
  const entry = entryFromGroup(group, proxy);
  const seen = (status: Config['status']) => {
    const push = meshOf([...configsOf(yaml), status === undefined ? entry : { ...entry, status }]);
    const endpoints = JSON.stringify(jsonOf(translate(push, client, { typeUrl: xdsType.endpoint, names: ['outbound|5432||db.test'] })));
    const inbound = JSON.stringify(jsonOf(translate(push, proxy, { typeUrl: xdsType.listener })));
    return [endpoints.includes('10.0.0.7'), inbound.includes('15432')];
  };
  assert.deepEqual(seen(undefined), [false, true]);
  assert.deepEqual(seen(healthStatus('refused', 'now')), [false, true]);
  assert.deepEqual(seen(healthStatus(undefined, 'now')), [true, true]);
});
