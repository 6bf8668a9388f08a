import assert from 'node:assert/strict';
import { createHmac } from 'node:crypto';
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { request } from 'node:http';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { waitFor } from '@meltemi/base';
import { meltemi } from '../../cli.ts';
import { MeshProcess } from '../../process.ts';
import { programCommand } from '../../programs.ts';
import { ControlPlane } from './control-plane.ts';
import { Forger } from './forger.ts';

const mesh = new ControlPlane();
const address = '127.88.7.2';
const shop = new Forger().leaf('shop/shop');
const jwt = token({ sub: 'ann' });
const password = 'correct-horse-battery-staple-91';
let proxy: MeshProcess;

const base64 = (text: string) => Buffer.from(text).toString('base64');
const config = `
apiVersion: v1
kind: Secret
metadata: {name: shop, namespace: istio-system}
type: kubernetes.io/tls
data: {tls.crt: ${base64(shop.chain)}, tls.key: ${base64(shop.key)}}
---
apiVersion: v1
kind: Secret
metadata: {name: other, namespace: istio-system}
stringData: {password: ${password}}
---
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: main, namespace: istio-system}
spec:
  selector: {app: gw}
  servers:
  - {port: {number: 8443, name: https, protocol: HTTPS}, hosts: [shop.example], tls: {mode: SIMPLE, credentialName: shop}}
  - {port: {number: 8080, name: http, protocol: HTTP}, hosts: ["*"]}
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: all, namespace: istio-system}
spec: {hosts: ["*"], gateways: [main], http: [{directResponse: {status: 200}}]}
---
apiVersion: security.istio.io/v1
kind: RequestAuthentication
metadata: {name: tokens, namespace: istio-system}
spec: {jwtRules: [{issuer: "https://issuer.example", jwks: '{"keys":[]}'}]}
`;

before(async () => {
  await mesh.start();
  mesh.write('shop.yaml', config);
  const identity = 'spiffe://cluster.local/ns/istio-system/sa/gw';
  proxy = new MeshProcess({
    name: 'proxy', logFile: join(mesh.dir, 'logs', 'proxy'), portsFile: join(mesh.dir, 'ports', 'proxy.json'),
    command: [...programCommand('proxy', 'source'), '--service-node', `router~${address}~gw-0.istio-system~istio-system.svc.cluster.local`, '--discovery-address', `127.0.0.1:${mesh.port('pilot')}`, '--citadel-address', `127.0.0.1:${mesh.port('citadel')}`, '--join-token-file', await mesh.tokenFile(identity), '--state-dir', join(mesh.dir, 'proxy'), '--log-level', 'trace', '--ports-file', join(mesh.dir, 'ports', 'proxy.json')],
    env: { ISTIO_META_NAMESPACE: 'istio-system', ISTIO_META_SERVICE_ACCOUNT: 'gw', ISTIO_METAJSON_LABELS: '{"app":"gw"}' },
  });
  await proxy.start();
});
after(async () => {
  await proxy.kill();
  await mesh.stop();
});

test('no log, page, dump or command shows a private key, a join token, a bearer token or what a Secret holds', async () => {
  await waitFor('the gateway to serve', async () => (await get('/')) > 0, { deadlineMs: 30_000 });
  await get('/', { authorization: `Bearer ${jwt}`, cookie: `session=${password}` });
  await waitFor('the gateway to have its Secret', async () => /kubernetes:\/\/shop|"shop"|shop/.test(await page(`http://${address}:15000/config_dump`)), { deadlineMs: 20_000 });
  const shown = new Map<string, string>();
  for (const program of ['citadel', 'pilot', 'telemetry'] as const) {
    shown.set(`log of ${program}`, mesh.log(program));
    for (const path of await pathsOf(`http://127.0.0.1:${mesh.adminPort(program)}`)) shown.set(`${program}${path}`, await page(`http://127.0.0.1:${mesh.adminPort(program)}${path}`));
  }
  shown.set('log of the proxy', readFileSync(proxy.spec.logFile, 'utf8'));
  for (const path of [...(await pathsOf(`http://${address}:15000`)), '/config_dump?include_eds']) shown.set(`proxy${path}`, await page(`http://${address}:15000${path}`));
  const context = { options: {}, contextFile: join(mesh.dir, 'context.json') } as unknown as Parameters<typeof meltemi>[0];
  mesh.writeContext({ configSocket: mesh.configSocket, proxies: [] });
  for (const args of [['get', 'secrets', '-A', '-o', 'yaml'], ['get', 'all', '-o', 'json']]) {
    const { stdout, stderr } = await meltemi(context, args);
    assert.match(stdout, /tls\.key/);
    shown.set(`meltemi ${args.join(' ')}`, stdout + stderr);
  }
  const secrets = [...secretsOf(mesh.dir), ['the key of the Secret', shop.key], ['a value of a Secret', password], ['a value of a Secret in base64', base64(password)], ['the bearer token', jwt], ['the key of the issuing CA', mesh.forger.keyPem()]] as const;
  assert.ok(secrets.length >= 10, `${secrets.length} secrets were found on disk`);
  for (const [where, text] of shown) {
    for (const [what, secret] of secrets) for (const part of partsOf(secret)) assert.equal(text.includes(part), false, `${where} shows ${what}`);
  }
  assert.ok(shown.size > 25, [...shown.keys()].join());
});

/** Keys and tokens that the programs have on disk, by file. */
function secretsOf(dir: string): (readonly [string, string])[] {
  return readdirSync(dir, { recursive: true, encoding: 'utf8' }).filter((name) => !name.startsWith('logs/')).flatMap((name): (readonly [string, string])[] => {
    const file = join(dir, name);
    if (!statSync(file, { throwIfNoEntry: false })?.isFile()) return [];
    const text = readFileSync(file, 'utf8');
    const keys = [...text.matchAll(/-----BEGIN [A-Z ]*PRIVATE KEY-----([^-]+)/g)].map((match) => [`the private key in ${name}`, match[1] ?? ''] as const);
    return name.startsWith('tokens/') ? [[`the join token ${name}`, text.replace('meltemi.join.v1.', '')] as const] : keys;
  });
}

/** A piece that is in no other text, plain, with lines joined, and in base64. */
function partsOf(secret: string): string[] {
  const joined = secret.replaceAll(/-----[A-Z ]+-----|\\n|\s/g, '');
  const middle = joined.slice(Math.floor(joined.length / 2), Math.floor(joined.length / 2) + 28);
  return [middle, base64(secret).slice(40, 80)].filter((part) => part.length >= 16);
}

async function pathsOf(admin: string): Promise<string[]> {
  return [...(await page(`${admin}/`)).matchAll(/href="([^"]+)"/g)].map((match) => match[1] ?? '').filter((path) => !path.includes('*'));
}

async function page(url: string): Promise<string> {
  return (await fetch(url, { signal: AbortSignal.timeout(10_000) })).text();
}

function get(path: string, headers: Readonly<Record<string, string>> = {}): Promise<number> {
  return new Promise((resolve) => {
    const sent = request({ host: address, port: 8080, path, headers: { host: 'shop.example', ...headers }, timeout: 2000 }, (response) => {
      response.resume();
      resolve(response.statusCode ?? 0);
    });
    sent.on('timeout', () => sent.destroy());
    sent.on('error', () => resolve(0));
    sent.end();
  });
}

function token(claims: object): string {
  const part = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url');
  const signed = `${part({ alg: 'HS256', kid: 'k' })}.${part({ iss: 'https://issuer.example', exp: 4_000_000_000, ...claims })}`;
  return `${signed}.${createHmac('sha256', 'x').update(signed).digest('base64url')}`;
}
