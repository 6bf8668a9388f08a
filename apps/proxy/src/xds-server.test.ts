import assert from 'node:assert/strict';
import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { ServerCredentials } from '@grpc/grpc-js';
import { waitFor } from '@meltemi/base';
import { xdsType } from '@meltemi/xds';
import { authority } from './testing/authority.ts';
import { backend, closedPort } from './testing/backend.ts';
import { anyPort, cluster, endpoint, filter, httpListener, route, typeOf, type Json } from './testing/bootstrap.ts';
import { request } from './testing/client.ts';
import { runToEnd, startProxy, temporaryFolder, writeBootstrap, type RunningProxy } from './testing/proxy-process.ts';
import { SnapshotServer, type Snapshot } from './testing/snapshot-server.ts';

const { cluster: cds, endpoint: eds, listener: lds, route: rds, secret: sds } = xdsType;
const nodeId = 'snapshots';

/** How a bootstrap names its server. */
interface Mode {
  readonly via: 'ads' | 'separate';
  readonly protocol: 'sotw' | 'delta';
}

const api = (protocol: Mode['protocol'], more: Json = {}): Json => ({ api_type: protocol === 'delta' ? 'DELTA_GRPC' : 'GRPC', transport_api_version: 'V3', grpc_services: [{ envoy_grpc: { cluster_name: 'xds' } }], ...more });
const sourceOf = ({ via, protocol }: Mode, more: Json = {}): Json => ({ ...(via === 'ads' ? { ads: {} } : { api_config_source: api(protocol) }), resource_api_version: 'V3', ...more });

function bootstrapOf(mode: Mode, xds: Json, more: Json = {}): Json {
  return {
    node: { id: nodeId, cluster: 'tests' }, admin: { address: anyPort }, static_resources: { clusters: [xds] },
    dynamic_resources: { lds_config: sourceOf(mode), cds_config: sourceOf(mode), ...(mode.via === 'ads' && { ads_config: api(mode.protocol) }) }, ...more,
  };
}

interface World {
  readonly version: string;
  /** Cluster → port, over EDS. */
  readonly clusters: Readonly<Record<string, number>>;
  /** Listener → the cluster its routes name. */
  readonly listeners: Readonly<Record<string, string>>;
  readonly extraClusters?: Readonly<Record<string, Json>>;
  readonly source: Json;
}

function world({ version, clusters, listeners, extraClusters = {}, source }: World): Snapshot {
  const map = (keys: Readonly<Record<string, unknown>>, value: (name: string) => Json) => Object.fromEntries(Object.keys(keys).map((name) => [name, JSON.parse(JSON.stringify(value(name))) as Json]));
  return {
    [cds]: { version, resources: { ...map(clusters, (name) => ({ name, type: 'EDS', connect_timeout: '1s', eds_cluster_config: { eds_config: source } })), ...extraClusters } },
    [eds]: { version, resources: map(clusters, (name) => ({ cluster_name: name, endpoints: [{ lb_endpoints: [endpoint(clusters[name] ?? 0)] }] })) },
    [lds]: { version, resources: map(listeners, (name) => httpListener({ name, hcm: { route_config: undefined, rds: { route_config_name: `${name}-routes`, config_source: source } } })) },
    [rds]: { version, resources: Object.fromEntries(Object.entries(listeners).map(([name, to]) => [`${name}-routes`, { name: `${name}-routes`, virtual_hosts: [{ name: 'all', domains: ['*'], routes: [route({ prefix: '/' }, to)] }] }])) },
  };
}

const page = async (proxy: RunningProxy, path: string) => (await request(proxy.port('admin'), { path })).body;
const listenerPort = (proxy: RunningProxy, name: string) => waitFor(`listener ${name}`, async () => Number(new RegExp(`${name}::127\\.0\\.0\\.1:(\\d+)`).exec(await page(proxy, '/listeners'))?.[1]) || undefined, { deadlineMs: 10_000 });
const answers = (port: number, by: string) => waitFor(`${by} to answer`, async () => (await request(port)).headers['x-backend'] === by, { deadlineMs: 10_000 });
const stat = async (proxy: RunningProxy, name: string) => Number(new RegExp(`^${name.replaceAll('.', '\\.')}: (\\d+)$`, 'm').exec(await page(proxy, '/stats'))?.[1] ?? NaN);

for (const via of ['ads', 'separate'] as const)
  for (const protocol of ['sotw', 'delta'] as const) {
    test(`a go-control-plane style server is followed (${via}, ${protocol}): versions, nonces, refusals, removals, its restart`, async () => {
      await using one = await backend('one');
      await using two = await backend('two');
      using server = await new SnapshotServer().start();
      const mode = { via, protocol };
      const source = sourceOf(mode);
      const ports = { one: one.port, two: two.port };
      server.set(nodeId, world({ version: '1', clusters: ports, listeners: { web: 'one', other: 'two' }, source }));
      await using proxy = await startProxy(bootstrapOf(mode, cluster('xds', [server.port])));
      const [web, other] = [await listenerPort(proxy, 'web'), await listenerPort(proxy, 'other')];
      await answers(web, 'one');
      await answers(other, 'two');
      await waitFor('every type to be acknowledged', () => [cds, eds, lds, rds].every((type) => server.lastAnswer(type)?.error === ''));
      assert.ok(server.asked.every((each) => each.via === via && each.protocol === protocol && each.nodeId === nodeId), 'the node goes with every request unless set_node_on_first_message_only');
      if (protocol === 'sotw') assert.deepEqual([cds, eds, lds, rds].map((type) => server.lastAnswer(type)?.version), ['1', '1', '1', '1']);
      await waitFor('the gauge of the connection', async () => (await stat(proxy, 'control_plane.connected_state')) === 1);

      // A resource that cannot be run is refused by name; what else came with it is in force.
      const bad = { broken: { name: 'broken', type: 'STATIC', connect_timeout: '1s', lb_policy: 'CLUSTER_PROVIDED' } };
      server.set(nodeId, world({ version: '2', clusters: { ...ports, three: one.port }, listeners: { web: 'three', other: 'two' }, extraClusters: bad, source }));
      await answers(web, 'one');
      await waitFor('the refusal', () => server.lastAnswer(cds)?.error.startsWith('broken: lb_policy'));
      if (protocol === 'sotw') assert.equal(server.lastAnswer(cds)?.version, '1', 'a refused version is not the one that is in force');
      const dump = await page(proxy, '/config_dump');
      assert.match(dump, /"three"/);
      assert.match(dump, /error_state/);
      await waitFor('the refusal to be counted', async () => (await stat(proxy, 'cluster_manager.cds.update_rejected')) === 1);

      server.set(nodeId, world({ version: '3', clusters: ports, listeners: { web: 'two' }, source }));
      await answers(web, 'two');
      await waitFor('the removed listener to be gone', async () => !(await page(proxy, '/listeners')).includes('other::'));
      await assert.rejects(request(other));
      await waitFor('the removed cluster to be gone', async () => !(await page(proxy, '/config_dump')).includes('"three"'));
      assert.doesNotMatch(await page(proxy, '/config_dump'), /error_state/);

      // Without the server all goes on; with it again the proxy says what it holds.
      server.stop();
      await waitFor('the loss to be seen', async () => (await stat(proxy, 'control_plane.connected_state')) === 0);
      assert.equal((await request(web)).headers['x-backend'], 'two');
      const before = server.asked.length;
      server.set(nodeId, world({ version: '4', clusters: ports, listeners: { web: 'one' }, source }));
      await server.start();
      await answers(web, 'one');
      // An answer that was on its way when the server stopped may come in late: a stream's first request answers nothing.
      const firstAsked = () => server.asked.slice(before).find((each) => each.typeUrl === cds && each.nonce === '');
      await waitFor('a new stream to ask for clusters', () => firstAsked() !== undefined);
      const first = firstAsked();
      if (protocol === 'delta') assert.deepEqual(Object.keys(first?.initialVersions ?? {}).sort(), ['one', 'two']);
      else assert.equal(first?.version, '3');
      await waitFor('the gauge', async () => (await stat(proxy, 'control_plane.connected_state')) === 1);
    });
  }

test('sources mix: clusters from a file, listeners over ADS, endpoints over a stream of their own, from the second of two servers', async () => {
  const dir = temporaryFolder();
  await using one = await backend('one');
  using server = await new SnapshotServer().start();
  const own = sourceOf({ via: 'separate', protocol: 'delta' });
  const snapshot = world({ version: '1', clusters: { one: one.port }, listeners: { web: 'one' }, source: { self: {} } });
  server.set(nodeId, snapshot);
  const file = join(dir, 'cds.json');
  writeFileSync(file, JSON.stringify({ resources: [{ '@type': cds, name: 'one', type: 'EDS', connect_timeout: '1s', eds_cluster_config: { eds_config: own } }] }));
  try {
    const bootstrap = bootstrapOf({ via: 'ads', protocol: 'sotw' }, cluster('xds', [await closedPort(), server.port]));
    await using proxy = await startProxy({
      ...bootstrap, dynamic_resources: { cds_config: { path_config_source: { path: file } }, lds_config: { ads: {}, resource_api_version: 'V3' }, ads_config: api('sotw', { set_node_on_first_message_only: true }) },
    });
    await answers(await listenerPort(proxy, 'web'), 'one');
    const seen = new Set(server.asked.map(({ via, protocol, typeUrl }) => `${via} ${protocol} ${typeUrl}`));
    assert.deepEqual([...seen].sort(), [`ads sotw ${lds}`, `ads sotw ${rds}`, `separate delta ${eds}`]);
    assert.equal(server.asked.filter((each) => each.via === 'ads' && each.nodeId !== '').length, 1, 'the node goes with the first request only');
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
});

test('a server over TLS is checked by its validation context, and shown the client certificate; secrets come over its stream', async () => {
  const dir = temporaryFolder();
  const ca = authority(dir, 'roots');
  const other = authority(dir, 'strangers');
  const [serving, client, web] = [ca.issue('xds', { dnsNames: ['xds.test'] }), ca.issue('client', { dnsNames: ['client.test'] }), ca.issue('web', { dnsNames: ['web.test'] })];
  await using one = await backend('one');
  using server = await new SnapshotServer(ServerCredentials.createSsl(Buffer.from(ca.pem), [{ cert_chain: Buffer.from(serving.cert), private_key: Buffer.from(serving.key) }], true)).start();
  const source = { ads: {}, resource_api_version: 'V3' };
  const tls = filter('envoy.transport_sockets.tls', typeOf.downstreamTls, { common_tls_context: { tls_certificate_sds_secret_configs: [{ name: 'web', sds_config: source }] } });
  server.set(nodeId, {
    [cds]: { version: '1', resources: { one: cluster('one', [one.port]) } },
    [lds]: { version: '1', resources: { web: JSON.parse(JSON.stringify(httpListener({ name: 'web', routes: [route({ prefix: '/' }, 'one')], chain: { transport_socket: tls } }))) as Json } },
    [sds]: { version: '1', resources: { web: { name: 'web', tls_certificate: { certificate_chain: { inline_string: web.cert }, private_key: { inline_string: web.key } } } } },
  });
  const xds = (trusted: string, san: string): Json => cluster('xds', [server.port], {
    transport_socket: filter('envoy.transport_sockets.tls', typeOf.upstreamTls, {
      sni: 'xds.test', common_tls_context: {
        tls_certificates: [{ certificate_chain: { filename: client.certFile }, private_key: { filename: client.keyFile } }],
        validation_context: { trusted_ca: { filename: trusted }, match_typed_subject_alt_names: [{ san_type: 'DNS', matcher: { exact: san } }] },
      },
    }),
  });
  const mode = { via: 'ads', protocol: 'delta' } as const;
  try {
    await using proxy = await startProxy(bootstrapOf(mode, xds(ca.file, 'xds.test')));
    await listenerPort(proxy, 'web');
    const asked = server.asked.length;
    for (const [trusted, san] of [[other.file, 'xds.test'], [ca.file, 'other.test']] as const) {
      await using stranger = await startProxy(bootstrapOf(mode, xds(trusted, san)));
      await waitFor('the server to be refused', () => /not connected to the control plane/.test(stranger.err() + stranger.out()));
    }
    assert.equal(server.asked.filter((each, index) => index >= asked && each.nonce === '').length, 0, 'nothing was said to a server that is not trusted');
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
});

test('what never comes is waited for as long as initial_fetch_timeout says: then 404 without routes, 503 without endpoints', async () => {
  using server = await new SnapshotServer().start();
  const source = (timeout: string) => ({ ads: {}, resource_api_version: 'V3', initial_fetch_timeout: timeout });
  const full = world({ version: '1', clusters: { late: 1 }, listeners: { web: 'late', patient: 'late' }, source: source('1s') });
  const patient = JSON.parse(JSON.stringify(full[lds]?.resources['patient']).replace('"1s"', '"0s"')) as Json;
  const { [eds]: _endpoints, [rds]: routes, ...rest } = full;
  server.set(nodeId, { ...rest, [lds]: { version: '1', resources: { ...full[lds]?.resources, patient } } });
  await using proxy = await startProxy(bootstrapOf({ via: 'ads', protocol: 'sotw' }, cluster('xds', [server.port])));
  const web = await listenerPort(proxy, 'web');
  assert.equal((await request(web)).status, 404);
  assert.doesNotMatch(await page(proxy, '/listeners'), /patient::/);
  for (const name of ['http.web.rds.web-routes', 'cluster.late']) await waitFor(`${name} to be counted`, async () => (await stat(proxy, `${name}.init_fetch_timeout`)) === 1);
  server.set(nodeId, { ...rest, ...(routes && { [rds]: routes }), [lds]: { version: '1', resources: { ...full[lds]?.resources, patient } } });
  await waitFor('the routes, to a cluster without hosts', async () => (await request(web)).status === 503);
  assert.equal((await request(await listenerPort(proxy, 'patient'))).status, 503);
});

test('servers that cannot be followed are refused by field', async () => {
  const dir = temporaryFolder();
  const far: Json = { name: 'xds', type: 'STATIC', connect_timeout: '1s', load_assignment: { cluster_name: 'xds', endpoints: [{ lb_endpoints: [{ endpoint: { address: { socket_address: { address: '192.0.2.1', port_value: 1 } } } }] }] } };
  const separate = { via: 'separate', protocol: 'sotw' } as const;
  const validate = async (bootstrap: Json, ...flags: string[]) => runToEnd(['-c', writeBootstrap(dir, bootstrap), '--mode', 'validate', ...flags]);
  const rest = { ...bootstrapOf(separate, cluster('xds', [1])), dynamic_resources: { lds_config: { api_config_source: { api_type: 'REST', transport_api_version: 'V3', cluster_names: ['xds'] } } } };
  try {
    assert.match((await validate(bootstrapOf(separate, far))).err, /dynamic_resources\.lds_config: cluster "xds": 192\.0\.2\.1:1: plaintext xDS .*--allow-plaintext-xds/);
    assert.equal((await validate(bootstrapOf(separate, far), '--allow-plaintext-xds')).code, 0);
    assert.match((await validate(rest)).err, /lds_config\.api_config_source\.api_type: REST is not supported/);
    assert.match((await validate(bootstrapOf(separate, cluster('another', [1])))).err, /names cluster "xds", which static_resources\.clusters does not have/);
    assert.match((await validate({ ...bootstrapOf(separate, cluster('xds', [1])), dynamic_resources: { cds_config: { ads: {} } } })).err, /cds_config\.ads: needs dynamic_resources\.ads_config/);
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
});
