import assert from 'node:assert/strict';
import { execFile, spawn, type ChildProcess } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { connect, type PeerCertificate } from 'node:tls';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { waitFor } from '@meltemi/base';
import { applyAndWait, get, MeshProcess } from '../index.ts';
import { programCommand } from '../programs.ts';
import { programsFrom } from './bookinfo-mesh.ts';
import { overTls } from './foreign-authority.ts';
import { address, foreignService, openssl, TwoMeshes } from './interop/two-meshes.ts';

const run = promisify(execFile);
const python = '/usr/bin/python3';
const program = fileURLToPath(new URL('./interop/workload.py', import.meta.url));
const nginxPort = 8443;
/** Workloads are numbered in the order of the manifests. */
const [server, client] = [1, 2];
const ids = { aServer: 'spiffe://a.example/ns/default/sa/server', aClient: 'spiffe://a.example/ns/default/sa/client', bServer: 'spiffe://b.example/ns/default/sa/server', bClient: 'spiffe://b.example/ns/default/sa/client' };

const meshes = new TwoMeshes({
  a: foreignService('server.b.example', { address: address('b', server), port: 8080, identity: ids.bServer }),
  b: [foreignService('server.a.example', { address: address('a', server), port: 8080, identity: ids.aServer }), foreignService('impostor.a.example', { address: address('a', server), port: 8080, identity: ids.aClient })].join('\n---\n'),
});
const { dir } = meshes;
const at = (host: string, side: 'a' | 'b') => get(`http://${address(side, client)}:15002/`, { headers: { host } });

/** The present identity of a workload of mesh A as PEM files, fetched by the Python program: identities last a minute here. */
async function filesOf(deployment: string): Promise<{ readonly svid: string; readonly key: string; readonly bundle: string }> {
  const folder = join(dir, `files-${deployment}`);
  mkdirSync(folder, { recursive: true });
  await run(python, [program, 'svid', meshes.socket(deployment), folder], { timeout: 30_000 });
  return { svid: join(folder, 'svid.pem'), key: join(folder, 'key.pem'), bundle: join(folder, 'bundle.pem') };
}

before(() => meshes.start());
after(() => meshes.stop());

describe('two meshes of two trust domains', () => {
  test('calls cross both ways with mutual TLS, and each side sees the identity of the other', async () => {
    for (const [host, side, caller] of [['server.b.example', 'a', ids.aClient], ['server.a.example', 'b', ids.bClient]] as const) {
      await waitFor(`${host} to answer`, async () => (await at(host, side)).status === 200, { deadlineMs: 30_000 });
      const answer = await at(host, side);
      assert.match(answer.body, new RegExp(`URI=${caller}`), 'the server’s sidecar names the caller');
    }
  });

  test('a server that is not the one named is not talked to', async () => {
    const answer = await at('impostor.a.example', 'b');
    assert.equal(answer.status, 503);
    assert.match(answer.body, /verify SAN list|TLS/i);
  });

  test('a certificate of B’s authority counts for B’s identities, and never for ours', async () => {
    const call = { address: address('a', server), port: 8080, path: '/' };
    assert.match(await overTls({ ...call, ...meshes.signedByB('spiffe://b.example/ns/default/sa/anybody') }), /^HTTP\/1\.1 200 /);
    for (const forged of [ids.aClient, 'spiffe://c.example/ns/default/sa/client', 'spiffe://a.example/ns/istio-system/sa/meltemi-pilot'])
      await assert.rejects(overTls({ ...call, ...meshes.signedByB(forged) }), `${forged} was let in`);
  });

  test('policies tell the two apart', async () => {
    await applyAndWait(meshes.a, { yaml: JSON.stringify({ apiVersion: 'security.istio.io/v1', kind: 'AuthorizationPolicy', metadata: { name: 'server', namespace: 'default' }, spec: { selector: { matchLabels: { app: 'server' } }, action: 'DENY', rules: [{ from: [{ source: { principals: ['b.example/ns/default/sa/client'] } }] }] } }) });
    // connections that are open go on under the rules of before until they are drained
    await waitFor('B’s client to be refused', async () => (await at('server.a.example', 'b')).status === 403, { deadlineMs: 20_000 });
    assert.equal((await get(`http://${address('a', client)}:15002/`, { headers: { host: 'server.default.svc.cluster.local' } })).status, 200);
  });
});

describe('programs that are no part of the mesh', () => {
  test('a JWT-SVID is verified by Python and openssl with the keys of the Workload API; the keys of the other mesh are among them, and its document has ours', async () => {
    const { stdout } = await waitFor('the keys of B', async () => {
      const said = await run(python, [program, 'jwt', meshes.socket('client'), 'bank'], { timeout: 30_000 });
      return said.stdout.includes('spiffe://b.example') && said;
    }, { deadlineMs: 30_000, everyMs: 500 });
    const [id, audience, domains, token] = stdout.trim().split(' ');
    assert.deepEqual([id, audience, domains], [ids.aClient, 'bank', 'spiffe://a.example,spiffe://b.example']);
    const audit = readFileSync(meshes.a.citadel.spec.logFile, 'utf8');
    assert.match(audit, /"audience":\["bank"\].*JWT-SVID issued/);
    assert.ok(token && !audit.includes(token));
  });

  test('openssl verifies a mesh identity, and reaches a STRICT workload with it alone', async () => {
    const { svid, key, bundle } = await filesOf('client');
    assert.match(openssl(dir, 'verify', '-CAfile', bundle, '-untrusted', svid, svid), /OK/);
    assert.match(openssl(dir, 'x509', '-in', svid, '-noout', '-ext', 'subjectAltName'), new RegExp(ids.aClient));
    const target = `${address('a', server)}:8080`;
    const shake = (...more: string[]) => run('sh', ['-c', 'printf "GET / HTTP/1.1\\r\\nHost: server\\r\\nConnection: close\\r\\n\\r\\n" | timeout 10 openssl s_client -quiet -verify_return_error -connect "$@"', 'sh', target, '-CAfile', bundle, ...more]).then(({ stdout }) => stdout, () => '');
    assert.match(await shake('-cert', svid, '-key', key, '-cert_chain', svid), /HTTP\/1\.1 200/);
    assert.doesNotMatch(await shake(), /HTTP\/1\.1 200/);
  });

  test('curl with a mesh identity is let in, and without one is not', async () => {
    const { svid, key, bundle } = await filesOf('client');
    const curl = (...flags: string[]) => run('curl', ['-sS', '-m', '10', '--insecure', '--cacert', bundle, ...flags, `https://${address('a', server)}:8080/`]);
    assert.match((await curl('--cert', svid, '--key', key)).stdout, /"version":\s*"v1"/);
    await assert.rejects(curl());
  });

  test('a Python gRPC program takes its identity from the Workload API and calls a STRICT workload, whose identity it checks', async () => {
    const call = (id: string) => run(python, [program, 'echo', meshes.socket('client'), `${address('a', server)}:7070`, id], { timeout: 30_000 });
    assert.match((await call(ids.aServer)).stdout, /^spiffe:\/\/a\.example\/ns\/default\/sa\/client hello/);
    await assert.rejects(call(ids.aClient));
  });

  test('nginx serves with a mesh identity and asks for one; nginx calls a STRICT workload with its own', async () => {
    const own = await filesOf('server');
    const root = join(dir, 'nginx');
    mkdirSync(root);
    writeFileSync(join(root, 'nginx.conf'), `daemon off; worker_processes 1; pid ${root}/pid; error_log ${root}/error.log; events {}
http { access_log off; client_body_temp_path ${root}/b; proxy_temp_path ${root}/p; fastcgi_temp_path ${root}/f; uwsgi_temp_path ${root}/u; scgi_temp_path ${root}/s;
  server { listen ${address('a', 9)}:${nginxPort} ssl; ssl_certificate ${own.svid}; ssl_certificate_key ${own.key}; ssl_client_certificate ${own.bundle}; ssl_verify_client on; ssl_verify_depth 3;
    location / { return 200 "nginx saw $ssl_client_verify\\n"; }
    location /through { proxy_pass https://${address('a', server)}:8080/; proxy_http_version 1.1; proxy_ssl_certificate ${own.svid}; proxy_ssl_certificate_key ${own.key}; proxy_set_header Host server.default; } } }`);
    const nginx = spawn('/usr/sbin/nginx', ['-p', root, '-c', join(root, 'nginx.conf')], { stdio: 'ignore' });
    try {
      const files = await filesOf('client');
      const tls = (names: readonly string[]) => ({ mode: 'MUTUAL', clientCertificate: files.svid, privateKey: files.key, caCertificates: files.bundle, subjectAltNames: names });
      const host = (name: string, names: readonly string[]) => [
        { apiVersion: 'networking.istio.io/v1', kind: 'ServiceEntry', metadata: { name, namespace: 'default' }, spec: { hosts: [`${name}.example`], location: 'MESH_EXTERNAL', resolution: 'STATIC', ports: [{ number: 80, name: 'http', protocol: 'HTTP' }], endpoints: [{ address: address('a', 9), ports: { http: nginxPort } }] } },
        { apiVersion: 'networking.istio.io/v1', kind: 'DestinationRule', metadata: { name, namespace: 'default' }, spec: { host: `${name}.example`, trafficPolicy: { tls: tls(names) } } },
      ].map((object) => JSON.stringify(object)).join('\n---\n');
      await applyAndWait(meshes.a, { yaml: [host('nginx', [ids.aServer]), host('other', [ids.aClient])].join('\n---\n') });
      await waitFor('nginx to answer', async () => (await at('nginx.example', 'a')).status === 200, { deadlineMs: 20_000 });
      assert.match((await at('nginx.example', 'a')).body, /nginx saw SUCCESS/);
      assert.equal((await at('other.example', 'a')).status, 503, 'its name is not the one that the DestinationRule wants');
      const curl = (...flags: string[]) => run('curl', ['-sS', '-m', '10', '-k', ...flags, `https://${address('a', 9)}:${nginxPort}/through`]);
      assert.match((await curl()).stdout, /No required SSL certificate/);
      assert.match((await curl('--cert', files.svid, '--key', files.key)).stdout, new RegExp(`URI=${ids.aServer}`));
    } finally {
      await stopped(nginx);
    }
  });

  test('a proxy from a plain Envoy bootstrap serves with the identity that SDS gives it, and follows its renewal', async () => {
    const sds = (name: string) => ({ name, sds_config: { resource_api_version: 'V3', api_config_source: { api_type: 'GRPC', transport_api_version: 'V3', grpc_services: [{ envoy_grpc: { cluster_name: 'sds-grpc' } }] } } });
    const tls = { '@type': 'type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext', require_client_certificate: true, common_tls_context: { tls_certificate_sds_secret_configs: [sds('default')], validation_context_sds_secret_config: sds('ROOTCA') } };
    const manager = { '@type': 'type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager', stat_prefix: 'web', route_config: { virtual_hosts: [{ name: 'all', domains: ['*'], routes: [{ match: { prefix: '/' }, direct_response: { status: 200, body: { inline_string: 'served\n' } } }] }] }, http_filters: [{ name: 'router', typed_config: { '@type': 'type.googleapis.com/envoy.extensions.filters.http.router.v3.Router' } }] };
    const bootstrap = {
      node: { id: 'second', cluster: 'second' },
      static_resources: {
        listeners: [{ name: 'web', address: { socket_address: { address: address('a', 8), port_value: 9443 } }, filter_chains: [{ transport_socket: { name: 'tls', typed_config: tls }, filters: [{ name: 'hcm', typed_config: manager }] }] }],
        clusters: [{ name: 'sds-grpc', type: 'STATIC', connect_timeout: '1s', typed_extension_protocol_options: { 'envoy.extensions.upstreams.http.v3.HttpProtocolOptions': { '@type': 'type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions', explicit_http_config: { http2_protocol_options: {} } } }, load_assignment: { cluster_name: 'sds-grpc', endpoints: [{ lb_endpoints: [{ endpoint: { address: { pipe: { path: meshes.socket('server') } } } }] }] } }],
      },
    };
    const file = join(dir, 'bootstrap.json');
    writeFileSync(file, JSON.stringify(bootstrap));
    const portsFile = join(dir, 'second.json');
    const second = new MeshProcess({ name: 'second', command: [...programCommand('proxy', programsFrom), '-c', file, '--ports-file', portsFile], env: {}, logFile: join(dir, 'second.log'), portsFile });
    await second.start();
    try {
      const served = async (): Promise<PeerCertificate> => {
        const { svid, key, bundle } = await filesOf('client');
        const socket = connect({ host: address('a', 8), port: 9443, cert: readFileSync(svid), key: readFileSync(key), ca: readFileSync(bundle), checkServerIdentity: () => undefined });
        try {
          return await new Promise((resolve, reject) => {
            socket.once('error', reject).once('secureConnect', () => socket.write('GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n'));
            socket.once('data', (data) => (String(data).startsWith('HTTP/1.1 200') ? resolve(socket.getPeerCertificate()) : reject(new Error(String(data)))));
          });
        } finally {
          socket.destroy();
        }
      };
      await waitFor('the first handshake', () => served().then(() => true, () => false), { deadlineMs: 30_000 });
      const first = await served();
      assert.match(first.subjectaltname ?? '', new RegExp(ids.aServer));
      await assert.rejects(overTls({ address: address('a', 8), port: 9443, path: '/' }), 'a client without a certificate was let in');
      assert.match(await overTls({ address: address('a', 8), port: 9443, path: '/', ...meshes.signedByB(ids.bClient) }), /200/, 'ROOTCA has the federated roots');
      await assert.rejects(overTls({ address: address('a', 8), port: 9443, path: '/', ...meshes.signedByB(ids.aClient) }), 'B’s root vouched for one of ours');
      await waitFor('the renewed certificate', async () => (await served()).serialNumber !== first.serialNumber, { deadlineMs: 60_000, everyMs: 1000 });
      assert.equal(second.running, true);
      assert.equal(existsSync(meshes.socket('server')), true);
    } finally {
      await second.stop();
    }
  });
});

async function stopped(child: ChildProcess): Promise<void> {
  const gone = new Promise((resolve) => child.once('exit', resolve));
  child.kill('SIGTERM');
  await gone;
}
