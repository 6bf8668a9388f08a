import assert from 'node:assert/strict';
import { execFile, execFileSync } from 'node:child_process';
import { X509Certificate, createHash } from 'node:crypto';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:https';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { joinTokenText, mintJoinToken, startIdentityAgent } from '@meltemi/identity-edge';
import { get, LocalMesh, repository } from '../index.ts';
import { programsFrom } from './bookinfo-mesh.ts';
import { OpensslAuthority, type IssuedPair } from './openssl-authority.ts';

const namespace = 'istio-system';

/** The mesh's own defaults: what a server or a sidecar has that says nothing itself. */
const settings = 'tlsDefaults: {minProtocolVersion: TLSV1_3, ecdhCurves: [P-384], cipherSuites: [ECDHE-ECDSA-AES256-GCM-SHA384]}\nmeshMTLS: {minProtocolVersion: TLSV1_3}\n';

describe('TLS settings on the wire, asked by openssl and curl', () => {
  const workDir = mkdtempSync(join(tmpdir(), 'meltemi-e2e-'));
  const authority = new OpensslAuthority(join(workDir, 'pki'));
  const stranger = new OpensslAuthority(join(workDir, 'stranger'));
  const names = ['plain', 'suites', 'twelve', 'both', 'hash', 'spki', 'named', 'crl'].map((name) => `${name}.example`);
  const upstreams: Server[] = [];
  let mesh: LocalMesh;
  let client: IssuedPair;
  let other: IssuedPair;

  before(async () => {
    const server = authority.issue('server', names, 'server');
    [client, other] = [authority.issue('client.example'), authority.issue('other.example')];
    const revoked = authority.issue('revoked.example');
    authority.revoke(revoked);
    const crl = join(workDir, 'clients.crl');
    writeFileSync(crl, authority.revocations());
    const [rsaKey, rsaCertificate] = [join(workDir, 'rsa.key'), join(workDir, 'rsa.crt')];
    execFileSync('openssl', ['req', '-x509', '-CA', authority.file, '-CAkey', join(workDir, 'pki/ca.key'), '-newkey', 'rsa:2048', '-nodes', '-days', '2', '-keyout', rsaKey, '-out', rsaCertificate, '-subj', '/CN=rsa', '-addext', 'subjectAltName=DNS:both.example'], { stdio: 'pipe' });

    const own = `serverCertificate: ${server.certificateFile}, privateKey: ${server.keyFile}`;
    const servers: [name: string, tls: string][] = [
      ['plain', `mode: SIMPLE, ${own}`],
      ['suites', `mode: SIMPLE, ${own}, minProtocolVersion: TLSV1_2`],
      ['twelve', `mode: SIMPLE, ${own}, minProtocolVersion: TLSV1_2, maxProtocolVersion: TLSV1_2, cipherSuites: [ECDHE-ECDSA-CHACHA20-POLY1305]`],
      ['both', `mode: SIMPLE, minProtocolVersion: TLSV1_2, cipherSuites: [ECDHE-RSA-AES128-GCM-SHA256, ECDHE-ECDSA-AES128-GCM-SHA256], tlsCertificates: [{serverCertificate: ${rsaCertificate}, privateKey: ${rsaKey}}, {${own}}]`],
      ['hash', `mode: MUTUAL, ${own}, caCertificates: ${authority.file}, verifyCertificateHash: ["${sha256(new X509Certificate(client.certificate).raw, 'hex')}"]`],
      ['spki', `mode: MUTUAL, ${own}, caCertificates: ${authority.file}, verifyCertificateSpki: ["${sha256(new X509Certificate(client.certificate).publicKey.export({ type: 'spki', format: 'der' }), 'base64')}"]`],
      ['named', `mode: MUTUAL, ${own}, caCertificates: ${authority.file}, subjectAltNames: [client.example]`],
      ['crl', `mode: MUTUAL, ${own}, caCertificates: ${authority.file}, caCrl: ${crl}`],
    ];
    const trusted = `caCertificates: ${authority.file}`;
    const destinations: [name: string, certificate: IssuedPair, tls: string][] = [
      ['right', server, `mode: SIMPLE, ${trusted}, subjectAltNames: [elsewhere.test, named.example]`],
      ['wrong', server, `mode: SIMPLE, ${trusted}, subjectAltNames: [elsewhere.test]`],
      ['unknown', stranger.issue('server', names, 'server'), `mode: SIMPLE, ${trusted}`],
      ['skipped', stranger.issue('server', names, 'server'), 'mode: SIMPLE, insecureSkipVerify: true'],
      ['withdrawn', revoked, `mode: SIMPLE, ${trusted}, caCrl: ${crl}, subjectAltNames: [revoked.example]`],
      ['kept', other, `mode: SIMPLE, ${trusted}, caCrl: ${crl}, subjectAltNames: [other.example]`],
      ['nameless', server, `mode: SIMPLE, ${trusted}`],
    ];
    const entries = await Promise.all(destinations.map(async ([name, pair, tls]) => destination(name, await listen(pair), tls)));
    writeFileSync(join(workDir, 'mesh.yaml'), readFileSync(join(repository, 'deploy/laptop/mesh.yaml'), 'utf8') + settings);
    writeFileSync(join(workDir, 'tls.yaml'), gatewayOf(servers, destinations.map(([name]) => name)) + entries.join(''));
    mesh = new LocalMesh({ workDir, net: 99, from: programsFrom, meshConfig: join(workDir, 'mesh.yaml'), manifests: [join(repository, 'deploy/laptop/control-plane.yaml'), join(import.meta.dirname, 'manifests/echo.yaml'), join(workDir, 'tls.yaml')] });
    await mesh.start();
  });
  after(async () => {
    await mesh?.stop();
    for (const one of upstreams) one.close();
    if (process.env['MELTEMI_E2E_KEEP'] === undefined) rmSync(workDir, { recursive: true, force: true });
  });

  async function listen(pair: IssuedPair): Promise<number> {
    const server = createServer({ key: pair.key, cert: pair.certificate }, (_request, response) => response.end('hello'));
    upstreams.push(server);
    await once(server.listen(0, '127.0.0.1'), 'listening');
    return (server.address() as AddressInfo).port;
  }

  /** "TLSv1.2 ECDHE-…" of a handshake that was done; "refused" otherwise. */
  async function handshake(host: string, ...flags: readonly string[]): Promise<string> {
    return negotiated(await run('openssl', ['s_client', '-connect', `${mesh.gateway.address}:8443`, '-servername', `${host}.example`, ...flags]));
  }

  async function status(host: string, pair?: IssuedPair): Promise<number> {
    const { out } = await run('curl', ['-s', '--max-time', '10', '--resolve', `${host}.example:8443:${mesh.gateway.address}`, '--cacert', authority.file, '-o', '/dev/null', '-w', '%{http_code}', ...(pair ? authority.curlFlags(pair) : []), `https://${host}.example:8443/`]);
    return Number(out);
  }

  test('a server that says nothing has MeshConfig\'s tlsDefaults: versions, curves and cipher suites', async () => {
    assert.equal(await handshake('plain', '-tls1_2'), 'refused');
    assert.equal(await handshake('plain', '-groups', 'X25519'), 'refused');
    assert.match(await handshake('plain', '-groups', 'P-384'), /^TLSv1\.3 /);
    assert.equal(await handshake('suites', '-tls1_2'), 'TLSv1.2 ECDHE-ECDSA-AES256-GCM-SHA384');
    assert.equal(await handshake('suites', '-tls1_2', '-cipher', 'ECDHE-ECDSA-AES128-GCM-SHA256'), 'refused');
  });

  test('minProtocolVersion, maxProtocolVersion and cipherSuites of a server go before them', async () => {
    assert.equal(await handshake('twelve', '-tls1_3'), 'refused');
    assert.equal(await handshake('twelve'), 'TLSv1.2 ECDHE-ECDSA-CHACHA20-POLY1305');
    assert.equal(await handshake('twelve', '-cipher', 'ECDHE-ECDSA-AES256-GCM-SHA384'), 'refused');
  });

  test('one server has an RSA and an ECDSA certificate, and each client gets the one it can check', async () => {
    assert.match(await handshake('both', '-tls1_2', '-cipher', 'ECDHE-RSA-AES128-GCM-SHA256'), /ECDHE-RSA/);
    assert.match(await handshake('both', '-tls1_2', '-cipher', 'ECDHE-ECDSA-AES128-GCM-SHA256'), /ECDHE-ECDSA/);
  });

  test('clients are told apart by hash, by key, by name and by the revocation list', async () => {
    for (const host of ['hash', 'spki', 'named']) assert.deepEqual([host, await status(host, client), await status(host, other), await status(host)], [host, 200, 0, 0]);
    assert.deepEqual([await status('crl', client), await status('crl', authority.issue('revoked.example')), await status('crl', stranger.issue('client.example'))], [200, 0, 0]);
  });

  test('DestinationRules check servers by CA, names and revocation list, or not at all when told so', async () => {
    const ask = async (name: string) => (await get(`http://${mesh.gateway.address}:8080/${name}`, { headers: { host: 'up.example' } })).status;
    const found = Object.fromEntries(await Promise.all(['right', 'wrong', 'unknown', 'skipped', 'withdrawn', 'kept', 'nameless'].map(async (name) => [name, await ask(name)] as const)));
    assert.deepEqual(found, { right: 200, wrong: 503, unknown: 503, skipped: 200, withdrawn: 503, kept: 200, nameless: 503 });
  });

  test('MeshConfig\'s meshMTLS is the least version between sidecars', async () => {
    const identity = 'spiffe://cluster.local/ns/default/sa/openssl';
    const agent = startIdentityAgent({ citadelAddress: `${mesh.control}:15022`, identity, joinToken: joinTokenText(await mintJoinToken(mesh.citadelSocket, identity)), log: { info: () => undefined, warn: () => undefined } });
    try {
      const { certChainPem, privateKeyPem } = await agent.ready();
      const [chain, key] = [join(workDir, 'openssl.crt'), join(workDir, 'openssl.key')];
      writeFileSync(chain, certChainPem);
      writeFileSync(key, privateKeyPem, { mode: 0o600 });
      const inbound = async (version: string) => negotiated(await run('openssl', ['s_client', '-connect', `${mesh.workload('echo-v1').address}:8080`, '-cert', chain, '-cert_chain', chain, '-key', key, '-alpn', 'istio', version]));
      assert.equal(await inbound('-tls1_2'), 'refused');
      assert.match(await inbound('-tls1_3'), /^TLSv1\.3 /);
    } finally {
      agent.stop();
    }
  });
});

function gatewayOf(servers: readonly (readonly [name: string, tls: string])[], paths: readonly string[]): string {
  return `
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: main, namespace: ${namespace}}
spec:
  selector: {istio: ingressgateway}
  servers:
  - {port: {number: 8080, name: http, protocol: HTTP}, hosts: [up.example]}
${servers.map(([name, tls]) => `  - {port: {number: 443, name: https-${name}, protocol: HTTPS}, hosts: [${name}.example], tls: {${tls}}}`).join('\n')}
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: all, namespace: ${namespace}}
spec:
  hosts: ["*.example"]
  gateways: [main]
  http:
${paths.map((name) => `  - {match: [{uri: {exact: /${name}}}], route: [{destination: {host: ${name}.up, port: {number: 443}}}]}`).join('\n')}
  - route: [{destination: {host: echo.default.svc.cluster.local, port: {number: 80}}}]
---
`;
}

function destination(name: string, port: number, tls: string): string {
  return `
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: ${name}, namespace: ${namespace}}
spec: {hosts: [${name}.up], ports: [{number: 443, name: http, protocol: HTTP, targetPort: ${port}}], resolution: STATIC, endpoints: [{address: 127.0.0.1}]}
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: ${name}, namespace: ${namespace}}
spec: {host: ${name}.up, trafficPolicy: {tls: {${tls}}}}
---
`;
}

function sha256(bytes: Uint8Array, encoding: 'hex' | 'base64'): string {
  return createHash('sha256').update(bytes).digest(encoding);
}

function negotiated(output: { readonly out: string; readonly err: string }): string {
  const [, version, cipher] = /New, (TLSv[\d.]+), Cipher is (\S+)/.exec(output.out) ?? [];
  return version === undefined || cipher === '(NONE)' || /alert/.test(output.err) ? 'refused' : `${version} ${cipher}`;
}

function run(command: string, args: readonly string[]): Promise<{ readonly out: string; readonly err: string }> {
  return new Promise((resolve) => {
    const child = execFile(command, args, { timeout: 20_000 }, (_cause, out, err) => resolve({ out, err }));
    child.stdin?.on('error', () => {}).end();
  });
}
