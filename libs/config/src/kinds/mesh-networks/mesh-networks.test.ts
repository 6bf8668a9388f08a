import assert from 'node:assert/strict';
import { test } from 'node:test';
import { validateDocuments } from '../../documents/validate.ts';
import { table } from '../../testing/verdict.ts';
import { meshNetworks } from './kind.ts';

const network = (fields: string): string => `{networks: {one: {${fields}}}}`;

table(meshNetworks, {
  good: [
    ['nothing', '{}'],
    ['a cluster behind an address', network('endpoints: [{fromRegistry: cluster-1}, {fromCidr: 10.0.0.0/8}], gateways: [{address: 1.1.1.1, port: 15443, locality: us-east/a}]')],
    ['a gateway by name', network('gateways: [{address: gw.example.com, port: 443}, {registryServiceName: istio-eastwestgateway.istio-system.svc.cluster.local, port: 15443}]')],
  ],
  bad: [
    ['both ways to name endpoints', network('endpoints: [{fromRegistry: a, fromCidr: 10.0.0.0/8}]'), 'spec.networks.one.endpoints[0]', /only one of/],
    ['a CIDR block that is none', network('endpoints: [{fromCidr: 10.0.0.0/40}]'), 'spec.networks.one.endpoints[0].fromCidr', /CIDR/],
    ['a cluster with a dot', network('endpoints: [{fromRegistry: a.b}]'), 'spec.networks.one.endpoints[0].fromRegistry', /cluster/],
    ['a gateway without port', network('gateways: [{address: 1.1.1.1}]'), 'spec.networks.one.gateways[0].port', /65535/],
    ['a gateway service with a space', network('gateways: [{registryServiceName: "a b", port: 1}]'), 'spec.networks.one.gateways[0].registryServiceName', /host name/],
  ],
  warns: [['a misspelt field', network('gateway: []'), 'spec.networks.one.gateway', /did you mean "gateways"/]],
});

test('MeshNetworks is found as plain YAML and in the ConfigMap istio', () => {
  const [bare] = validateDocuments('networks:\n  one:\n    gateways:\n    - address: 1.1.1.1\n', 'f');
  assert.deepEqual([bare?.kind, bare?.errors[0]?.path, bare?.errors[0]?.line], ['MeshNetworks', 'networks.one.gateways[0].port', 4]);
  const inMap = 'apiVersion: v1\nkind: ConfigMap\nmetadata: {name: istio}\ndata:\n  meshNetworks: "networks: {one: {gateways: [{port: none}]}}"\n';
  assert.match(validateDocuments(inMap, 'f')[0]?.errors[0]?.path ?? '', /^data\.meshNetworks\.networks\.one/);
});
