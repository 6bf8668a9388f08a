import assert from 'node:assert/strict';
import { test } from 'node:test';
import { formatFieldErrors } from '@meltemi/base';
import { parse } from 'yaml';
import { loadMesh } from '../load.ts';
import { workloadFiles, type WorkloadFilesOptions } from './workload-files.ts';

const yaml = `
apiVersion: networking.istio.io/v1
kind: WorkloadGroup
metadata: {name: db, namespace: vms}
spec:
  metadata: {labels: {app: mysql, version: v2}, annotations: {proxy.istio.io/config: "concurrency: 3"}}
  template: {serviceAccount: db, network: vm-net, ports: {tcp: 3306}}
  probe: {tcpSocket: {port: 3306}, periodSeconds: 5}
---
apiVersion: networking.istio.io/v1beta1
kind: ProxyConfig
metadata: {name: all, namespace: istio-system}
spec: {concurrency: 1, environmentVariables: {ISTIO_META_TIER: gold, B: root}}
---
apiVersion: networking.istio.io/v1beta1
kind: ProxyConfig
metadata: {name: mine, namespace: vms}
spec: {selector: {matchLabels: {app: mysql}}, environmentVariables: {B: "it's mine"}}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: istio, namespace: istio-system}
data: {mesh: "trustDomain: mesh.test\\ndefaultConfig: {discoveryAddress: pilot.test:15012, meshId: m1, terminationDrainDuration: 20s}"}
`;

const asked: WorkloadFilesOptions = { namespace: 'vms', name: 'db', clusterId: 'c1', discoveryAddress: '', citadelAddress: '', internalIp: '', externalIp: '', ingressIp: '', autoRegister: false, captureDns: false };

function made(more: Partial<WorkloadFilesOptions> = {}) {
  const result = workloadFiles(loadMesh([{ name: 'a.yaml', text: yaml }]), { ...asked, ...more });
  assert.ok(result.ok, result.ok ? '' : formatFieldErrors(result.error));
  const { files, identity } = result.value;
  const env = Object.fromEntries((files.get('cluster.env') ?? '').trimEnd().split('\n').map((line) => [line.slice(0, line.indexOf('=')), line.slice(line.indexOf('=') + 1)]));
  return { identity, env, hosts: files.get('hosts'), config: (parse(files.get('mesh.yaml') ?? '') as { defaultConfig: Record<string, unknown> }).defaultConfig };
}

test('the ProxyConfig is the mesh\'s, the annotation\'s and what objects say, with the group\'s probe', () => {
  const { config, identity } = made();
  assert.deepEqual([config['discoveryAddress'], config['concurrency'], config['meshId'], config['terminationDrainDuration'], config['readinessProbe']], ['pilot.test:15012', 3, 'm1', '20s', { tcpSocket: { port: 3306 }, periodSeconds: 5 }]);
  assert.equal((config['proxyMetadata'] as Record<string, string>)['B'], "it's mine");
  assert.equal(identity, 'spiffe://mesh.test/ns/vms/sa/db');
});

test('cluster.env has Istio\'s variables and those of ProxyConfig objects, quoted for a shell', () => {
  const { env } = made({ autoRegister: true, captureDns: true, internalIp: '10.0.0.7', citadelAddress: 'ca.test:1' });
  const labels = JSON.parse((env['ISTIO_METAJSON_LABELS'] ?? '').slice(1, -1)) as Record<string, string>;
  assert.deepEqual(labels, { app: 'mysql', version: 'v2', 'service.istio.io/canonical-name': 'mysql', 'service.istio.io/canonical-revision': 'v2' });
  const expected = {
    CANONICAL_SERVICE: 'mysql', CANONICAL_REVISION: 'v2', ISTIO_META_AUTO_REGISTER_GROUP: 'db', ISTIO_META_CLUSTER_ID: 'c1', ISTIO_META_DNS_CAPTURE: 'true', ISTIO_META_MESH_ID: 'm1', ISTIO_META_NETWORK: 'vm-net', ISTIO_META_WORKLOAD_NAME: 'db',
    ISTIO_META_TIER: 'gold', ISTIO_SVC_IP: '10.0.0.7', POD_NAMESPACE: 'vms', SERVICE_ACCOUNT: 'db', TRUST_DOMAIN: 'mesh.test', CA_ADDR: 'ca.test:1', ISTIO_SERVICE: 'mysql.vms',
  };
  for (const [name, value] of Object.entries(expected)) assert.equal(env[name], `'${value}'`, name);
  assert.equal(env['B'], "'it'\\''s mine'");
  assert.equal(made().env['ISTIO_META_AUTO_REGISTER_GROUP'], undefined);
});

test('hosts says where the discovery address is, when asked', () => {
  assert.equal(made().hosts, '');
  assert.equal(made({ ingressIp: '192.0.2.1' }).hosts, '192.0.2.1 pilot.test\n');
  assert.equal(made({ ingressIp: '192.0.2.1', discoveryAddress: 'istiod.istio-system.svc:15012' }).hosts, '192.0.2.1 istiod.istio-system.svc\n');
});

test('a group that is not there is named', () => {
  const result = workloadFiles(loadMesh([]), asked);
  assert.match(result.ok ? '' : formatFieldErrors(result.error), /no WorkloadGroup vms\/db/);
});
