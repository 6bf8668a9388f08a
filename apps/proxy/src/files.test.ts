import assert from 'node:assert/strict';
import { mkdirSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import http from 'node:http';
import { join } from 'node:path';
import tls from 'node:tls';
import { test } from 'node:test';
import { jsonToBinary } from '@meltemi/api';
import { waitFor } from '@meltemi/base';
import { stringify } from 'yaml';
import { authority, type Leaf } from './testing/authority.ts';
import { backend } from './testing/backend.ts';
import { anyPort, cluster, endpoint, filter, httpListener, route, typeOf, type Json } from './testing/bootstrap.ts';
import { request } from './testing/client.ts';
import { runToEnd, startProxy, temporaryFolder, writeBootstrap, type RunningProxy } from './testing/proxy-process.ts';

const types = {
  listener: 'envoy.config.listener.v3.Listener', cluster: 'envoy.config.cluster.v3.Cluster', route: 'envoy.config.route.v3.RouteConfiguration',
  endpoints: 'envoy.config.endpoint.v3.ClusterLoadAssignment', secret: 'envoy.extensions.transport_sockets.tls.v3.Secret',
} as const;

/** A DiscoveryResponse as a file has it. */
function discovery(type: keyof typeof types, resources: readonly Json[], version = ''): Json {
  return { ...(version && { version_info: version }), resources: resources.map((resource) => ({ '@type': `type.googleapis.com/${types[type]}`, ...resource })) };
}

/** Moves a file into place, as Envoy wants it. */
function move(path: string, content: string | Uint8Array): void {
  writeFileSync(`${path}.new`, content);
  renameSync(`${path}.new`, path);
}

const fromFile = (path: string, more: Json = {}) => ({ path_config_source: { path, ...more }, resource_api_version: 'V3' });
const table = (to: string): Json => ({ name: 'routes', virtual_hosts: [{ name: 'all', domains: ['*'], routes: [route({ prefix: '/' }, to)] }] });
const edsCluster = (path: string, more: Json = {}): Json => ({ name: 'app', type: 'EDS', connect_timeout: '1s', eds_cluster_config: { eds_config: fromFile(path) }, ...more });
const assignment = (...ports: number[]): Json => ({ cluster_name: 'app', endpoints: [{ lb_endpoints: ports.map((port) => endpoint(port)) }] });

/** The listener "web" on a port, its routes from a file. */
function webListener(routesPath: string, port: number, hcm: Json = {}): Json {
  const built = httpListener({ name: 'web', hcm: { route_config: undefined, rds: { route_config_name: 'routes', config_source: fromFile(routesPath) }, ...hcm }, listener: { address: { socket_address: { address: '127.0.0.1', port_value: port } } } });
  return JSON.parse(JSON.stringify(built)) as Json;
}

const dynamic = (dir: string): Json => ({
  node: { id: 'files', cluster: 'tests' }, admin: { address: anyPort },
  dynamic_resources: { lds_config: fromFile(join(dir, 'lds.yaml')), cds_config: { path: join(dir, 'cds.yaml') } },
});

async function stat(proxy: RunningProxy, name: string): Promise<number> {
  const { body } = await request(proxy.port('admin'), { path: `/stats?filter=^${name.replaceAll('.', '\\.')}$` });
  return Number(/: (\d+)/.exec(body)?.[1] ?? NaN);
}

const dump = async (proxy: RunningProxy) => (await request(proxy.port('admin'), { path: '/config_dump?include_eds' })).body;

/** The DNS name in the certificate a listener shows. */
function peerName(port: number): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = tls.connect({ port, host: '127.0.0.1', rejectUnauthorized: false }, () => {
      resolve(socket.getPeerX509Certificate()?.subjectAltName?.replace('DNS:', '') ?? '');
      socket.destroy();
    });
    socket.on('error', reject);
  });
}

/** Asks again and again over kept connections; counts what failed. */
function traffic(port: number) {
  const agent = new http.Agent({ keepAlive: true, maxSockets: 3 });
  const failures: string[] = [];
  const seen = new Map<string, number>();
  let stopped = false;
  const loop = async () => {
    while (!stopped) {
      try {
        const { status, headers } = await request(port, { agent });
        const by = String(headers['x-backend']);
        seen.set(by, (seen.get(by) ?? 0) + 1);
        if (status !== 200) failures.push(String(status));
      } catch (cause) {
        failures.push(String(cause));
      }
    }
  };
  const loops = [loop(), loop(), loop()];
  return { failures, seen, stop: async () => { stopped = true; await Promise.all(loops); agent.destroy(); } };
}

test('listeners, routes, clusters and endpoints from files change under traffic without an error, and a broken file changes nothing', async () => {
  const dir = temporaryFolder();
  await using one = await backend('one');
  await using two = await backend('two');
  const [lds, rds, cds, eds] = ['lds.yaml', 'rds.json', 'cds.yaml', 'eds.pb'].map((name) => join(dir, name)) as [string, string, string, string];
  const write = {
    eds: (...ports: number[]) => move(eds, jsonToBinary('envoy.service.discovery.v3.DiscoveryResponse', discovery('endpoints', [assignment(...ports)]))),
    rds: (version: string, to = 'app') => move(rds, JSON.stringify(discovery('route', [table(to)], version))),
    cds: (version: string, more: Json = {}) => move(cds, stringify(discovery('cluster', [edsCluster(eds, more), cluster('fixed', [two.port])], version))),
    lds: (version: string, port: number, hcm: Json = {}) => move(lds, stringify(discovery('listener', [webListener(rds, port, hcm)], version))),
  };
  write.eds(one.port);
  write.rds('r0');
  write.cds('c0');
  write.lds('l0', 0);
  try {
    await using proxy = await startProxy(dynamic(dir));
    const port = await waitFor('the listener', async () => Number(/web::127\.0\.0\.1:(\d+)/.exec((await request(proxy.port('admin'), { path: '/listeners' })).body)?.[1]) || undefined);
    assert.equal((await request(port)).headers['x-backend'], 'one');
    write.lds('l-fixed', port);
    const load = traffic(port);
    for (let round = 1; round <= 20; round++) {
      const backendNow = round % 2 === 0 ? one : two;
      write.eds(backendNow.port);
      write.rds(`r${round}`, round % 4 === 3 ? 'fixed' : 'app');
      write.cds(`c${round}`, { connect_timeout: `${round}s` });
      write.lds(`l${round}`, port, { server_name: `v${round}` });
      await waitFor(`round ${round} to be in force`, async () => (await request(port)).headers['server'] === `v${round}`);
      const wanted = round % 4 === 3 ? 'two' : backendNow.name;
      await waitFor(`${wanted} to answer in round ${round}`, async () => (await request(port)).headers['x-backend'] === wanted);
    }
    const text = await dump(proxy);
    for (const version of ['l20', 'r20', 'c20']) assert.ok(text.includes(`"version_info": "${version}"`) || text.includes(`"version_info":"${version}"`), version);
    // Broken: no YAML, a field that does not exist, a resource that cannot be run.
    move(cds, 'resources: [');
    move(rds, JSON.stringify(discovery('route', [{ ...table('app'), virtual_host: [] }])));
    write.lds('l21', port, { server_name: 'v21', codec_type: 'HTTP3' });
    await waitFor('the broken files to be refused', async () => (await stat(proxy, 'cluster_manager.cds.update_rejected')) === 1 && (await stat(proxy, 'http.web.rds.routes.update_rejected')) === 1 && (await stat(proxy, 'listener_manager.lds.update_rejected')) === 1);
    assert.equal((await request(port)).headers['server'], 'v20');
    const broken = await dump(proxy);
    assert.match(broken, /error_state/);
    assert.match(broken, /codec_type/);
    assert.match(proxy.err() + proxy.out(), /cds\.yaml.*line|line.*cds\.yaml|Flow|flow/);
    write.lds('l22', port, { server_name: 'v22' });
    await waitFor('what is put right to be in force', async () => (await request(port)).headers['server'] === 'v22');
    assert.doesNotMatch(await dump(proxy), /codec_type.*only AUTO/);
    await load.stop();
    assert.deepEqual(load.failures, []);
    assert.ok((load.seen.get('one') ?? 0) > 0 && (load.seen.get('two') ?? 0) > 0);
    assert.ok((await stat(proxy, 'cluster_manager.cds.update_success')) >= 21);
    assert.equal(await stat(proxy, 'cluster_manager.active_clusters'), 2);
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
});

test('a Kubernetes ConfigMap is followed: its ..data link is moved, the files only look changed', async () => {
  const dir = temporaryFolder();
  await using one = await backend('one');
  await using two = await backend('two');
  let generation = 0;
  const publish = (to: Json) => {
    const data = `..${++generation}`;
    mkdirSync(join(dir, data));
    writeFileSync(join(dir, data, 'cds.yaml'), stringify(discovery('cluster', [to])));
    symlinkSync(data, join(dir, '..data_tmp'));
    renameSync(join(dir, '..data_tmp'), join(dir, '..data'));
  };
  publish(cluster('app', [one.port]));
  symlinkSync('..data/cds.yaml', join(dir, 'cds.yaml'));
  try {
    await using proxy = await startProxy({
      admin: { address: anyPort }, static_resources: { listeners: [httpListener({ name: 'web', routes: [route({ prefix: '/' }, 'app')] })] },
      dynamic_resources: { cds_config: fromFile(join(dir, 'cds.yaml'), { watched_directory: { path: dir } }) },
    });
    assert.equal((await request(proxy.port('web'))).headers['x-backend'], 'one', 'a static listener waits for the first clusters');
    publish(cluster('app', [two.port]));
    await waitFor('the new map', async () => (await request(proxy.port('web'))).headers['x-backend'] === 'two');
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
});

test('a certificate over SDS from a file is rotated by moving its files, and a pair that does not fit changes nothing', async () => {
  const [dir, temporary] = [temporaryFolder(), temporaryFolder()];
  await using app = await backend('app');
  const ca = authority(temporary, 'roots');
  const [first, second] = ['one', 'two'].map((name) => ca.issue(name, { dnsNames: [`${name}.test`] })) as [Leaf, Leaf];
  const [cert, key, sds] = ['cert.pem', 'key.pem', 'sds.yaml'].map((name) => join(dir, name)) as [string, string, string];
  writeFileSync(cert, first.cert);
  writeFileSync(key, first.key);
  writeFileSync(sds, stringify(discovery('secret', [{ name: 'server', tls_certificate: { certificate_chain: { filename: cert }, private_key: { filename: key }, watched_directory: { path: dir } } }])));
  const chain = { transport_socket: filter('envoy.transport_sockets.tls', typeOf.downstreamTls, { common_tls_context: { tls_certificate_sds_secret_configs: [{ name: 'server', sds_config: fromFile(sds) }] } }) };
  try {
    await using proxy = await startProxy({ admin: { address: anyPort }, static_resources: { listeners: [httpListener({ name: 'web', routes: [route({ prefix: '/' }, 'app')], chain })], clusters: [cluster('app', [app.port])] } });
    const served = () => peerName(proxy.port('web'));
    assert.equal(await served(), 'one.test');
    move(key, second.key);
    await waitFor('the odd pair to be refused', () => /do not belong together/.test(proxy.err() + proxy.out()));
    assert.equal(await served(), 'one.test');
    move(cert, second.cert);
    await waitFor('the new certificate', async () => (await served()) === 'two.test');
  } finally {
    rmSync(temporary, { recursive: true, force: true });
    rmSync(dir, { recursive: true, force: true });
  }
});

test('--mode validate reads the files a bootstrap leads to, and names what is wrong in them', async () => {
  const dir = temporaryFolder();
  try {
    const validate = () => runToEnd(['-c', writeBootstrap(dir, dynamic(dir)), '--mode', 'validate']);
    assert.match((await validate()).err, /dynamic_resources\.cds_config: .*cds\.yaml does not exist/);
    writeFileSync(join(dir, 'eds.yaml'), stringify(discovery('endpoints', [{ ...assignment(1), named_endpoints: { x: { hostname: 'x' } } }])));
    writeFileSync(join(dir, 'cds.yaml'), stringify(discovery('cluster', [edsCluster(join(dir, 'eds.yaml'))])));
    writeFileSync(join(dir, 'lds.yaml'), stringify(discovery('listener', [webListener(join(dir, 'rds.yaml'), 0)])));
    const { code, err } = await validate();
    assert.equal(code, 1);
    assert.match(err, /EDS app: named_endpoints/);
    assert.match(err, /LDS web: .*rds\.yaml does not exist/);
    writeFileSync(join(dir, 'eds.yaml'), stringify(discovery('endpoints', [assignment(1)])));
    writeFileSync(join(dir, 'rds.yaml'), stringify(discovery('route', [table('app')])));
    assert.match((await validate()).out, /OK/);
    const chain = { transport_socket: filter('envoy.transport_sockets.tls', typeOf.downstreamTls, { common_tls_context: { tls_certificates: [{ certificate_chain: { filename: join(dir, 'gone.pem') }, private_key: { filename: join(dir, 'gone.pem') } }] } }) };
    writeFileSync(join(dir, 'lds.yaml'), stringify(discovery('listener', [httpListener({ name: 'secure', routes: [route({ prefix: '/' }, 'app')], chain })])));
    assert.match((await validate()).err, /listener "secure": .*gone\.pem/);
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
});
