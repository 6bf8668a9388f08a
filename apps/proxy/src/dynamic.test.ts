import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ServerCredentials } from '@grpc/grpc-js';
import { jsonToBinary } from '@meltemi/api';
import { waitFor } from '@meltemi/base';
import { resourceSet, xdsResource, xdsSnapshot, xdsType, type XdsSnapshot } from '@meltemi/xds';
import { startAdsServer, type AdsConnection } from '@meltemi/xds-edge';
import { backend } from './testing/backend.ts';
import { anyPort, cluster, endpoint, httpListener, route, type Json } from './testing/bootstrap.ts';
import { request } from './testing/client.ts';
import { startProxy } from './testing/proxy-process.ts';

const names = { [xdsType.cluster]: 'envoy.config.cluster.v3.Cluster', [xdsType.endpoint]: 'envoy.config.endpoint.v3.ClusterLoadAssignment', [xdsType.listener]: 'envoy.config.listener.v3.Listener', [xdsType.route]: 'envoy.config.route.v3.RouteConfiguration' };

function resources(type: keyof typeof names, values: Readonly<Record<string, Json>>) {
  return resourceSet(type, Object.entries(values).map(([name, json]) => xdsResource(name, { typeUrl: type, value: Buffer.from(jsonToBinary(names[type] ?? '', json)) })));
}

const ads = { ads: {}, resource_api_version: 'V3' };
const table = (to: string): Json => ({ name: 'routes', virtual_hosts: [{ name: 'all', domains: ['*'], routes: [route({ prefix: '/' }, to)] }] });

function snapshot(revision: string, ports: Readonly<Record<string, number>>, to: string): XdsSnapshot {
  const eds = Object.keys(ports).map((name) => [name, { name, type: 'EDS', connect_timeout: '1s', eds_cluster_config: { eds_config: ads } }]);
  const assignments = Object.entries(ports).map(([name, port]) => [name, { cluster_name: name, endpoints: [{ lb_endpoints: [endpoint(port)] }] }]);
  const rds = { route_config: undefined, rds: { route_config_name: 'routes', config_source: ads } };
  return xdsSnapshot(revision, [
    resources(xdsType.cluster, Object.fromEntries(eds) as Record<string, Json>), resources(xdsType.endpoint, Object.fromEntries(assignments) as Record<string, Json>),
    resources(xdsType.listener, { dynamic: JSON.parse(JSON.stringify(httpListener({ name: 'dynamic', hcm: rds }))) as Json }), resources(xdsType.route, { routes: table(to) }),
  ]);
}

for (const api_type of ['GRPC', 'DELTA_GRPC']) {
  test(`a plain bootstrap follows an ADS server on loopback (${api_type}), beside its static resources`, async () => {
    await using one = await backend('one');
    await using two = await backend('two');
    const ports = { one: one.port, two: two.port };
    let current = snapshot('1', ports, 'one');
    const open = new Set<AdsConnection>();
    const nacks: string[] = [];
    const server = await startAdsServer({
      listeners: [{ name: 'plain', address: '127.0.0.1:0', credentials: ServerCredentials.createInsecure() }],
      onConnect: (_hello, connection) => {
        open.add(connection);
        connection.push({ ...current, reason: 'connected' });
        return { onNack: (_type, refusal) => void nacks.push(refusal.message), onClose: () => void open.delete(connection) };
      },
    });
    try {
      const adsPort = Number(server.addresses.get('plain')?.split(':').at(-1));
      await using proxy = await startProxy({
        node: { id: 'dynamic', cluster: 'tests' }, admin: { address: anyPort },
        static_resources: { listeners: [httpListener({ name: 'fixed', routes: [route({ prefix: '/' }, 'one')] })], clusters: [cluster('xds', [adsPort])] },
        dynamic_resources: { ads_config: { api_type, transport_api_version: 'V3', grpc_services: [{ envoy_grpc: { cluster_name: 'xds' } }] }, lds_config: ads, cds_config: ads },
      });
      const bound = () => waitFor('the dynamic listener', async () => /dynamic::127\.0\.0\.1:(\d+)/.exec((await request(proxy.port('admin'), { path: '/listeners' })).body)?.[1]);
      const port = Number(await bound());
      await waitFor('the first route', async () => (await request(port)).headers['x-backend'] === 'one');
      assert.equal((await request(proxy.port('fixed'))).headers['x-backend'], 'one');
      current = snapshot('2', ports, 'two');
      for (const connection of open) connection.push({ ...current, reason: 'test' });
      await waitFor('the second route', async () => (await request(port)).headers['x-backend'] === 'two');
      assert.match((await request(proxy.port('admin'), { path: '/config_dump?include_eds' })).body, /dynamic_endpoint_configs/);
      assert.deepEqual(nacks, []);
      await server.stop(0);
      assert.equal((await request(port)).headers['x-backend'], 'two', 'what was learnt stays in force without the server');
    } finally {
      await server.stop(0);
    }
  });
}
