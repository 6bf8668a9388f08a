import assert from 'node:assert/strict';
import { test } from 'node:test';
import { analyzeYaml, cases, documents, object } from '../../testing/cases.ts';
import { meshNetworks } from './mesh-networks.ts';
import { multiclusterServices } from './services.ts';

const remote = object('v1', 'Secret', "{name: east, namespace: istio-system, labels: {istio/multiCluster: 'true'}}", 'data: {east: ""}');
const networks = (registry: string) => `networks:\n  n1:\n    endpoints:\n    - fromRegistry: ${registry}\n    gateways: [{address: 1.1.1.1, port: 443}]\n`;

cases(meshNetworks, {
  'a registry nobody has': { yaml: remote, meshNetworks: networks('west'), finds: [['IST0126 MeshNetworks meshnetworks.istio-system', 4, /west, which the network n1/]] },
  'the registry of a remote cluster': { yaml: remote, meshNetworks: networks('east'), finds: [] },
  'the cluster\'s own': { yaml: '', meshNetworks: networks('Kubernetes'), finds: [] },
  'networks of the ConfigMap istio': { yaml: object('v1', 'ConfigMap', '{name: istio, namespace: istio-system}', 'data: {meshNetworks: "networks: {n1: {endpoints: [{fromRegistry: west}]}}"}'), finds: [['IST0126 MeshNetworks meshnetworks.istio-system', 4, /west/]] },
  'ranges need no registry': { yaml: '', meshNetworks: 'networks: {n1: {endpoints: [{fromCidr: 10.0.0.0/8}]}}', finds: [] },
});

test('networks of a file are reported with that file', () => {
  const [message] = analyzeYaml('', { meshNetworks: { name: 'networks.yaml', text: networks('west') } });
  assert.deepEqual([message?.file, message?.line], ['networks.yaml', 4]);
});

const service = (spec: string, name = 'a') => object('v1', 'Service', `{name: ${name}}`, `spec: ${spec}`);

cases(multiclusterServices, {
  'other ports': { yaml: service('{ports: [{name: http, port: 80}]}'), remote: service('{ports: [{name: http, port: 81}]}'), finds: [['IST0170 Service a.default', 4, /"default" and "remote": its ports differ/]] },
  'another type, and headless in one only': { yaml: service('{ports: [{port: 80}]}'), remote: service('{type: NodePort, clusterIP: None, ports: [{port: 80}]}'), finds: [['IST0170 Service a.default', 4, /headless in some only; its type differs/]] },
  'the same ports in another order': { yaml: service('{ports: [{name: a, port: 1}, {name: b, port: 2}]}'), remote: service('{ports: [{name: b, port: 2}, {name: a, port: 1}]}'), finds: [] },
  'services of one cluster alone': { yaml: documents(service('{ports: [{port: 80}]}'), service('{ports: [{port: 81}]}', 'b')), remote: service('{ports: [{port: 82}]}', 'c'), finds: [] },
});
