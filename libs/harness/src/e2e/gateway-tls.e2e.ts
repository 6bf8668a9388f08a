import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:https';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TLSSocket } from 'node:tls';
import { after, before, describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { waitFor } from '@meltemi/base';
import { applyAndWait, get, LocalMesh, meltemi, repository } from '../index.ts';
import { programsFrom } from './bookinfo-mesh.ts';
import { OpensslAuthority } from './openssl-authority.ts';

const net = 91;
const namespace = 'istio-system';

const server = (name: string, tls: string) => `  - {port: {number: 443, name: https-${name}, protocol: HTTPS}, hosts: [${name}.example], tls: {${tls}}}`;

/** One port, a host name for each way to serve TLS. Nobody has the Secret of x.example. */
const gateways = `
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: main, namespace: ${namespace}}
spec:
  selector: {istio: ingressgateway}
  servers:
${[
  server('a', 'mode: SIMPLE, credentialName: a-cert'),
  server('b', 'mode: SIMPLE, credentialName: b-cert'),
  server('m', 'mode: MUTUAL, credentialName: m-cert'),
  server('o', 'mode: OPTIONAL_MUTUAL, credentialName: b-cert, caCertCredentialName: clients-cacert'),
  server('x', 'mode: SIMPLE, credentialName: nobody-has-it'),
].join('\n')}
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: echo, namespace: ${namespace}}
spec:
  hosts: ["*.example"]
  gateways: [main]
  http:
  - match: [{uri: {prefix: /bank}}]
    route: [{destination: {host: bank.example, port: {number: 443}}}]
  - route: [{destination: {host: echo.default.svc.cluster.local, port: {number: 80}}}]
---
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: standard, namespace: ${namespace}}
spec:
  gatewayClassName: istio
  addresses: [{type: Hostname, value: istio-ingressgateway.${namespace}.svc.cluster.local}]
  listeners:
  - {name: https, hostname: g.example, port: 443, protocol: HTTPS, tls: {certificateRefs: [{name: g-cert, namespace: vault}]}, allowedRoutes: {namespaces: {from: All}}}
---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: standard, namespace: default}
spec:
  parentRefs: [{name: standard, namespace: ${namespace}}]
  rules: [{backendRefs: [{name: echo, port: 80}]}]
---
apiVersion: gateway.networking.k8s.io/v1beta1
kind: ReferenceGrant
metadata: {name: gateways, namespace: vault}
spec: {from: [{group: gateway.networking.k8s.io, kind: Gateway, namespace: ${namespace}}], to: [{group: "", kind: Secret}]}
---
`;

const bank = (port: number) => `
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: bank, namespace: ${namespace}}
spec: {hosts: [bank.example], ports: [{number: 443, name: http, protocol: HTTP, targetPort: ${port}}], resolution: STATIC, endpoints: [{address: 127.0.0.1}]}
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: bank, namespace: ${namespace}}
spec: {host: bank.example, trafficPolicy: {tls: {mode: MUTUAL, credentialName: bank-client, sni: bank.example}}}
---
`;

describe('gateways serve TLS from Secrets', () => {
  const workDir = mkdtempSync(join(tmpdir(), 'meltemi-e2e-'));
  const authority = new OpensslAuthority(join(workDir, 'pki'));
  let mesh: LocalMesh;
  let upstream: Server;

  before(async () => {
    const [a, b, m, g, bankServer, client] = ['a.example', 'b.example', 'm.example', 'g.example', 'bank.example', 'gateway'].map((name) => authority.issue(name));
    assert.ok(a && b && m && g && bankServer && client);
    authority.revoke(authority.issue('revoked-client'));
    upstream = createServer({ key: bankServer.key, cert: bankServer.certificate, ca: authority.certificate, requestCert: true, rejectUnauthorized: true }, (request, response) => response.end(`hello ${String((request.socket as TLSSocket).getPeerCertificate().subject.CN)}`));
    await once(upstream.listen(0, '127.0.0.1'), 'listening');
    const secrets = [
      secret('a-cert', { 'tls.crt': a.certificate, 'tls.key': a.key }),
      secret('m-cert', { 'tls.crt': m.certificate, 'tls.key': m.key, 'ca.crt': authority.certificate, 'ca.crl': authority.revocations() }),
      secret('g-cert', { 'tls.crt': g.certificate, 'tls.key': g.key }, 'vault'),
      secret('bank-client', { cert: client.certificate, key: client.key, cacert: authority.certificate }),
      secret('clients-cacert', { cacert: authority.certificate }),
      // with two names: o.example is served by it, too
      secret('b-cert', authority.pair(authority.issue('b.example', ['b.example', 'o.example']))),
    ];
    writeFileSync(join(workDir, 'gateway.yaml'), gateways + bank((upstream.address() as AddressInfo).port) + secrets.join(''));
    mesh = new LocalMesh({ workDir, net, from: programsFrom, manifests: [join(repository, 'deploy/laptop/control-plane.yaml'), join(fileURLToPath(new URL('.', import.meta.url)), 'manifests/echo.yaml'), join(workDir, 'gateway.yaml')] });
    await mesh.start();
  });
  after(async () => {
    await mesh.stop();
    upstream.close();
    rmSync(workDir, { recursive: true, force: true });
  });

  const curl = (host: string, path = '/', more: readonly string[] = []) => run('curl', ['-sS', '--max-time', '10', '--resolve', `${host}:8443:${mesh.gateway.address}`, '--cacert', authority.file, '-o', '-', '-w', ' %{http_code}', ...more, `https://${host}:8443${path}`]);
  const shown = async (host: string) => (await run('openssl', ['s_client', '-connect', `${mesh.gateway.address}:8443`, '-servername', host, '-showcerts'])).out;

  test('every host has its own certificate, from either kind of Secret and from another namespace that grants it', async () => {
    for (const host of ['a.example', 'b.example', 'g.example']) {
      const answer = await curl(host);
      assert.match(answer.out, / 200$/, `${host}: ${answer.err}`);
      assert.match(await shown(host), new RegExp(`subject=CN ?= ?${host}`));
    }
  });

  test('a host whose Secret nobody has is refused, and keeps nobody else waiting for ever', async () => {
    const answer = await curl('x.example');
    assert.match(answer.err, /curl: \(35\)|reset|SSL/);
    assert.match(mesh.pilot.tail(), /nobody-has-it in force/);
  });

  test('MUTUAL asks for a client certificate, and knows what was revoked', async () => {
    const [good, revoked] = [authority.issue('client'), authority.issue('revoked-client')];
    assert.match((await curl('m.example', '/', authority.curlFlags(good))).out, / 200$/);
    for (const flags of [[], authority.curlFlags(revoked)]) assert.doesNotMatch((await curl('m.example', '/', flags)).out, / 200$/);
  });

  test('OPTIONAL_MUTUAL takes clients without a certificate, and refuses those with one it does not trust', async () => {
    assert.match((await curl('o.example')).out, / 200$/);
    assert.match((await curl('o.example', '/', authority.curlFlags(authority.issue('client')))).out, / 200$/);
    const stranger = new OpensslAuthority(join(workDir, 'stranger'));
    assert.doesNotMatch((await curl('o.example', '/', stranger.curlFlags(stranger.issue('client')))).out, / 200$/);
  });

  test('a DestinationRule’s credentialName is what the gateway shows a server', async () => {
    assert.equal((await curl('a.example', '/bank')).out, 'hello gateway 200');
  });

  test('a renewed Secret is used by the next handshake: nothing else is pushed, no listener is rebuilt', async () => {
    const first = await serialOf(await shown('a.example'));
    await applyAndWait(mesh, { yaml: secret('r-cert', authority.pair(authority.issue('r.example'))) + gatewayFor('r') });
    const before = await listenersOf(mesh);
    const old = await serialOf(await shown('r.example'));
    await applyAndWait(mesh, { yaml: secret('r-cert', authority.pair(authority.issue('r.example', ['r.example'], 'renewed'))) });
    await waitFor('the renewed certificate', async () => (await serialOf(await shown('r.example'))) !== old);
    assert.equal(await serialOf(await shown('a.example')), first);
    assert.deepEqual(await listenersOf(mesh), before);
  });

  test('a broken Secret is set aside with its reason, and the last good one goes on, also after pilot and the gateway came back', async () => {
    const good = await serialOf(await shown('r.example'));
    const [one, other] = [authority.issue('r.example', ['r.example'], 'one'), authority.issue('r.example', ['r.example'], 'other')];
    await meltemi(mesh, ['apply', '--wait', '-f', '-'], { stdin: secret('r-cert', { 'tls.crt': one.certificate, 'tls.key': other.key }) });
    const status = await meltemi(mesh, ['get', 'secret', 'r-cert', '-n', namespace]);
    assert.match(status.stdout, /r-cert +QUARANTINED \(last good in force\)/);
    assert.match(status.stderr, /Secret istio-system\/r-cert: data\["tls\.key"\]: does not belong to the first certificate of tls\.crt/);
    assert.equal(await serialOf(await shown('r.example')), good);
    await mesh.pilot.stop();
    await mesh.pilot.start();
    await mesh.gateway.proxy.stop();
    await mesh.gateway.proxy.start();
    await waitFor('the last good certificate', async () => (await serialOf(await shown('r.example'))) === good, { deadlineMs: 60_000 });
  });

  test('no dump, no log and no status shows a key', async () => {
    const admin = `http://${mesh.gateway.address}:15000`;
    const pages = await Promise.all([`${admin}/config_dump?include_eds`, `${admin}/certs`, `http://${mesh.control}:15014/debug/configz`].map(async (url) => (await get(url)).body));
    const { stdout } = await meltemi(mesh, ['get', 'secrets', '-A', '-o', 'yaml']);
    const logs = mesh.processes().map(({ spec }) => readFileSync(spec.logFile, 'utf8'));
    const text = [...pages, stdout, ...logs].join('\n');
    assert.match(text, /kubernetes:\/\/a-cert/);
    for (const key of authority.keys()) for (const part of [key.slice(60, 90), Buffer.from(key).toString('base64').slice(80, 120)]) assert.equal(text.includes(part), false);
  });
});

function gatewayFor(name: string): string {
  return `
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: ${name}, namespace: ${namespace}}
spec:
  selector: {istio: ingressgateway}
  servers:
${server(name, `mode: SIMPLE, credentialName: ${name}-cert`)}
`;
}

function secret(name: string, values: Readonly<Record<string, string>>, of = namespace): string {
  const data = Object.entries(values).map(([key, text]) => `  ${key}: ${Buffer.from(text).toString('base64')}`);
  return ['apiVersion: v1', 'kind: Secret', `metadata: {name: ${name}, namespace: ${of}}`, 'data:', ...data, '---', ''].join('\n');
}

/** The serial number of the certificate that openssl was shown. */
async function serialOf(output: string): Promise<string> {
  const pem = /-----BEGIN CERTIFICATE-----[^-]*-----END CERTIFICATE-----/.exec(output)?.[0] ?? '';
  return (await run('openssl', ['x509', '-noout', '-serial'], pem)).out.trim();
}

/** Version of each listener that the gateway runs. */
async function listenersOf(mesh: LocalMesh): Promise<unknown> {
  const dump = JSON.parse((await get(`http://${mesh.gateway.address}:15000/config_dump`)).body) as { configs: { dynamic_listeners?: { name: string; active_state?: { version_info: string; last_updated: string } }[] }[] };
  return dump.configs.flatMap(({ dynamic_listeners: listeners = [] }) => listeners.map(({ name, active_state: state }) => [name, state?.version_info, state?.last_updated]));
}

function run(command: string, args: readonly string[], stdin = ''): Promise<{ readonly out: string; readonly err: string }> {
  return new Promise((resolve) => {
    const child = execFile(command, args, { timeout: 20_000 }, (_cause, out, err) => resolve({ out, err }));
    // who reads nothing ends before it is written to
    child.stdin?.on('error', () => {}).end(stdin);
  });
}
