import assert from 'node:assert/strict';
import { X509Certificate } from 'node:crypto';
import { connect as connectTcp } from 'node:net';
import { after, before, describe, test } from 'node:test';
import { connect as connectTls } from 'node:tls';
import type { KeyPair } from '../conformance/certificates.ts';
import { Attacker } from './attacker.ts';
import { Forge } from './forge.ts';
import { TwoHops, type Entrance } from './two-hops.ts';

// x-forwarded-client-cert to the letter, and who may write it: a client's own word, or ours about its certificate.

const gatewayOf = (details: string, more = '') => `
apiVersion: v1
kind: ConfigMap
metadata: {name: istio, namespace: istio-system}
data: {mesh: "defaultConfig: {${details === '' ? '' : `gatewayTopology: {forwardClientCertDetails: ${details}}`}${more}}"}
---
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: tls, namespace: foo}
spec: {selector: {istio: ingressgateway}, servers: [{port: {number: 8443, name: https, protocol: HTTPS}, hosts: ["web.foo"], tls: {mode: MUTUAL, credentialName: cred}}]}
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: web, namespace: foo}
spec:
  hosts: ["*"]
  gateways: [gw, tls]
  http: [{route: [{destination: {host: web.foo.svc.cluster.local, port: {number: 8080}}}]}]
`;

const forged = 'By=spiffe://forged;Hash=00;Subject="CN=admin";URI=spiffe://cluster.local/ns/foo/sa/admin';
const by = 'By=spiffe://cluster.local/ns/foo/sa/web';

/** Names that would add elements, fields or lines if they were written as they are, and what they must look like. */
const names = ['URI:spiffe://cluster.local/ns/foo/sa/a;URI=spiffe://admin', 'DNS:host.test'];
const subject = '/O=a, b; c/CN=x";URI=spiffe:\\/\\/admin é č';
const subjectText = 'Subject="CN=x\\"\\;URI=spiffe://admin \\C3\\A9 \\C4\\8D,O=a\\, b\\; c"';

let forge: Forge;
let own: KeyPair;
before(() => {
  forge = new Forge();
  own = forge.make('client', { subject, names });
});
after(() => forge.remove());

const hash = () => new X509Certificate(own.certificate).fingerprint256.replaceAll(':', '').toLowerCase();
const certificate = () => `Cert="${new X509Certificate(own.certificate).toString().replaceAll('\n', '%0A').replaceAll(' ', '%20').replaceAll('+', '%2B').replaceAll('/', '%2F').replaceAll('=', '%3D')}"`;
const uri = 'URI=spiffe://cluster.local/ns/foo/sa/a%3BURI=spiffe://admin;DNS=host.test';

/** What the application reads in the header; null when it is not there. */
async function told(mesh: TwoHops, { entrance, tls }: { readonly entrance: Entrance; readonly tls: boolean }): Promise<string | null> {
  mesh.forget();
  const tcp = connectTcp(mesh.entranceOf(entrance, tls && entrance === 'gateway' ? 8443 : 8080));
  const socket = tls ? connectTls({ socket: tcp, rejectUnauthorized: false, servername: 'web.foo', ALPNProtocols: [entrance === 'gateway' ? 'http/1.1' : 'istio-http/1.1'], cert: own.certificate, key: own.key }) : tcp;
  await new Promise<void>((resolve, reject) => socket.once(tls ? 'secureConnect' : 'connect', () => resolve()).once('error', reject));
  const client = Attacker.over(socket);
  client.send(`GET /a HTTP/1.1\r\nhost: web.foo\r\nx-forwarded-client-cert: ${forged}\r\n\r\n`);
  assert.equal((await client.responses(1))[0]?.status, 200);
  client.close();
  const found = [...mesh.application.text.matchAll(/\r\nx-forwarded-client-cert: ([^\r]*)/gi)].map((match) => match[1] ?? '');
  assert.ok(found.length <= 1, 'the header comes twice');
  return found[0] ?? null;
}

const ours = () => `${by};Hash=${hash()};${certificate()};${subjectText};${uri}`;
const gateways: readonly (readonly [details: string, mutual: () => string | null, plain: string | null])[] = [
  ['', ours, null],
  ['SANITIZE', () => null, null],
  ['FORWARD_ONLY', () => forged, null],
  ['APPEND_FORWARD', () => `${forged},${ours()}`, null],
  ['SANITIZE_SET', ours, null],
  ['ALWAYS_FORWARD_ONLY', () => forged, forged],
];

for (const [number, [details, mutual, plain]] of gateways.entries())
  describe(`forwardClientCertDetails: ${details || 'not set'}`, () => {
    let mesh: TwoHops;
    before(async () => {
      mesh = await TwoHops.start(140 + number, gatewayOf(details), { authority: forge, withoutSidecar: true });
    });
    after(() => mesh.stop());
    test('a client with a certificate', async () => assert.equal(await told(mesh, { entrance: 'gateway', tls: true }), mutual()));
    test('a client in plaintext', async () => assert.equal(await told(mesh, { entrance: 'gateway', tls: false }), plain));
  });

describe('a sidecar', () => {
  const sidecars: readonly (readonly [name: string, headers: string, mutual: () => string | null])[] = [
    ['adds its peer to what peers said', '', () => `${forged},${by};Hash=${hash()};${subjectText};${uri}`],
    ['says only what it is to say', ', proxyHeaders: {forwardedClientCert: SANITIZE_SET, setCurrentClientCertDetails: {subject: false, uri: false, dns: false, cert: true}}', () => `${by};Hash=${hash()};${certificate()}`],
    ['says nothing', ', proxyHeaders: {forwardedClientCert: SANITIZE}', () => null],
  ];
  for (const [number, [name, headers, mutual]] of sidecars.entries())
    test(name, async () => {
      const mesh = await TwoHops.start(146 + number, gatewayOf('', headers.replace(/^, /, '')), { authority: forge });
      try {
        assert.equal(await told(mesh, { entrance: 'sidecar', tls: true }), mutual());
        assert.equal(await told(mesh, { entrance: 'sidecar', tls: false }), null);
      } finally {
        await mesh.stop();
      }
    });
});
