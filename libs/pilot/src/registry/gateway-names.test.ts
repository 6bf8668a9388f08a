import assert from 'node:assert/strict';
import { test } from 'node:test';
import { defaultMeshConfig } from '@meltemi/config';
import { buildPushContext } from '../push-context/push-context.ts';
import { configsOf } from '../testing/mesh.test-support.ts';
import { gatewayNames } from './networks.ts';

const networks = (gateways: string) => `apiVersion: v1\nkind: ConfigMap\nmetadata: {name: istio, namespace: istio-system}\ndata:\n  meshNetworks: |\n    networks: {two: {gateways: [${gateways}]}}\n---\n`;
const balanced = (name: string, labels: string) => `apiVersion: v1\nkind: Service\nmetadata: {name: ${name}, namespace: istio-system, labels: {${labels}}}\nspec: {type: LoadBalancer, ports: [{name: tls, port: 15443}]}\nstatus: {loadBalancer: {ingress: [{hostname: ${name}.elb.test}]}}\n---\n`;

test('names of network gateways are those of MeshNetworks, and of load balancers that lead to a network', () => {
  assert.deepEqual(gatewayNames(configsOf(networks('{address: east.test, port: 15443}, {address: 1.1.1.1, port: 15443}'))), ['east.test']);
  assert.deepEqual(gatewayNames(configsOf(balanced('east', 'topology.istio.io/network: two') + balanced('web', 'app: web'))), ['east.elb.test']);
  assert.deepEqual(gatewayNames(configsOf(networks('{registryServiceName: web.istio-system.svc.cluster.local, port: 15443}') + balanced('web', 'app: web'))), ['web.elb.test']);
});

test('a named gateway is as many as it has addresses, and none while nobody has looked it up', () => {
  const configs = configsOf(networks('{address: east.test, port: 15443}') + balanced('lb', 'topology.istio.io/network: three'));
  const gateways = (addresses: readonly (readonly [string, readonly string[]])[]) => {
    const { registry } = buildPushContext({ configs, meshConfig: defaultMeshConfig(), gatewayAddresses: new Map(addresses) });
    return Object.fromEntries([...registry.gateways.byNetwork].filter(([key]) => key.endsWith('/')).map(([key, list]) => [key, list.map(({ address, port }) => `${address} ${port}`)]));
  };
  assert.deepEqual(gateways([]), {});
  assert.deepEqual(gateways([['east.test', ['10.0.0.1', '2001:db8::1']], ['lb.elb.test', ['10.0.0.9']]]), { 'two/': ['10.0.0.1 15443', '2001:db8::1 15443'], 'three/': ['10.0.0.9 15443'] });
});

test('other addresses make another registry', () => {
  const configs = configsOf(networks('{address: east.test, port: 15443}'));
  const first = buildPushContext({ configs, meshConfig: defaultMeshConfig(), gatewayAddresses: new Map([['east.test', ['10.0.0.1']]]) });
  const next = buildPushContext({ configs, meshConfig: defaultMeshConfig(), previous: first, gatewayAddresses: new Map([['east.test', ['10.0.0.2']]]) });
  assert.deepEqual(next.registry.gateways.byNetwork.get('two/')?.map(({ address }) => address), ['10.0.0.2']);
});
