import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { connect as connectTcp } from 'node:net';
import { after, before, describe, test } from 'node:test';
import { connect as connectTls, type ConnectionOptions, type TLSSocket } from 'node:tls';
import { waitFor } from '@meltemi/base';
import type { KeyPair } from '../conformance/certificates.ts';
import { authorityExtensions, Forge, workloadExtensions } from './forge.ts';
import { TwoHops } from './two-hops.ts';

// At the sidecar's mTLS port, STRICT, with a policy that lets one identity pass: no other certificate gets a request through.

const friend = 'spiffe://cluster.local/ns/foo/sa/friend';
const policies = `
apiVersion: security.istio.io/v1
kind: PeerAuthentication
metadata: {name: default, namespace: foo}
spec: {mtls: {mode: STRICT}}
---
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: friends, namespace: foo}
spec: {action: ALLOW, rules: [{from: [{source: {principals: ["cluster.local/ns/foo/sa/friend"]}}]}]}
`;

let forge: Forge;
let mesh: TwoHops;
before(async () => {
  forge = new Forge();
  mesh = await TwoHops.start(135, policies, { authority: forge });
});
after(async () => {
  await mesh.stop();
  forge.remove();
});

/** The status of a request over TLS, or why there is none. */
async function ask(options: ConnectionOptions, session?: Buffer): Promise<{ readonly outcome: number | 'refused'; readonly session: Buffer | null; readonly resumed: boolean }> {
  const entrance = mesh.entranceOf('sidecar');
  const tcp = connectTcp(entrance);
  const tls: TLSSocket = connectTls({ socket: tcp, rejectUnauthorized: false, servername: 'outbound_.8080_._.web.foo.svc.cluster.local', ALPNProtocols: ['istio-http/1.1'], ...(session ? { session } : {}), ...options });
  let received = '';
  let over = false;
  let ticket: Buffer | null = null;
  tls.on('session', (one: Buffer) => (ticket = one));
  tls.on('data', (bytes: Buffer) => (received += bytes.toString('latin1')));
  for (const socket of [tcp, tls]) socket.on('error', () => (over = true)).on('close', () => (over = true));
  tls.on('end', () => (over = true));
  tls.once('secureConnect', () => tls.write('GET /a HTTP/1.1\r\nhost: web.foo\r\n\r\n'));
  await waitFor('an answer or the end', () => over || /\r\n\r\n/.test(received), { deadlineMs: 8000, everyMs: 1 });
  const resumed = tls.isSessionReused() === true;
  const own = tls.getProtocol() === 'TLSv1.2' ? (tls.getSession() ?? null) : ticket;
  tls.destroy();
  tcp.destroy();
  const status = /^HTTP\/1\.1 (\d{3})/.exec(received)?.[1];
  return { outcome: status === undefined ? 'refused' : Number(status), session: own, resumed };
}

const using = ({ certificate, key }: KeyPair): ConnectionOptions => ({ cert: certificate, key });

interface Case {
  readonly name: string;
  readonly make: () => KeyPair;
  /** Refused: the handshake fails. Denied: it does, or the policy does not know the name. */
  readonly outcome: 200 | 'refused' | 'denied';
}

const named = (name: string): Omit<Case, 'name'> => ({ make: () => forge.make('one', { names: [name] }), outcome: 'denied' });
const intermediate = (name: string, signer: string, extensions: readonly string[]) => forge.make(name, { subject: `/CN=${name}`, signer, extensions });

const cases: Case[] = [
  { name: 'the friend itself', make: () => forge.make('friend', { names: [`URI:${friend}`] }), outcome: 200 },
  { name: 'the friend, certified by an intermediate', make: () => (intermediate('below', 'root', authorityExtensions), forge.make('one', { names: [`URI:${friend}`], signer: 'below', chain: ['below'] })), outcome: 200 },
  { name: 'signed by itself under the same name', make: () => forge.make('one', { names: [`URI:${friend}`], signer: '' }), outcome: 'refused' },
  { name: 'signed by another root of the same subject', make: () => (forge.make('other-root', { subject: '/CN=root', extensions: authorityExtensions, signer: '' }), forge.make('one', { names: [`URI:${friend}`], signer: 'other-root', chain: ['other-root'] })), outcome: 'refused' },
  { name: 'expired', make: () => forge.timed(friend, -2, -1), outcome: 'refused' },
  { name: 'not yet valid', make: () => forge.timed(friend, 1, 2), outcome: 'refused' },
  { name: 'an authority as a workload', make: () => forge.make('one', { names: [`URI:${friend}`], extensions: [...authorityExtensions, 'extendedKeyUsage=serverAuth,clientAuth'] }), outcome: 'refused' },
  { name: 'for servers alone', make: () => forge.make('one', { names: [`URI:${friend}`], extensions: [...workloadExtensions.slice(0, 2), 'extendedKeyUsage=serverAuth'] }), outcome: 'refused' },
  { name: 'for code', make: () => forge.make('one', { names: [`URI:${friend}`], extensions: [...workloadExtensions.slice(0, 2), 'extendedKeyUsage=codeSigning'] }), outcome: 'refused' },
  { name: 'a key that signs certificates alone', make: () => forge.make('one', { names: [`URI:${friend}`], extensions: ['basicConstraints=critical,CA:FALSE', 'keyUsage=critical,keyCertSign'] }), outcome: 'refused' },
  { name: 'signed by a workload', make: () => (forge.make('leaf', { names: ['URI:spiffe://cluster.local/ns/foo/sa/guest'] }), forge.make('one', { names: [`URI:${friend}`], signer: 'leaf', chain: ['leaf'] })), outcome: 'refused' },
  { name: 'an intermediate below one that may have none', make: () => (intermediate('last', 'root', ['basicConstraints=critical,CA:TRUE,pathlen:0', 'keyUsage=critical,keyCertSign']), intermediate('too-deep', 'last', authorityExtensions), forge.make('one', { names: [`URI:${friend}`], signer: 'too-deep', chain: ['too-deep', 'last'] })), outcome: 'refused' },
  { name: 'a name that its authority may not give', make: () => (intermediate('bound', 'root', [...authorityExtensions, 'nameConstraints=critical,permitted;URI:other.test']), forge.make('one', { names: [`URI:${friend}`], signer: 'bound', chain: ['bound'] })), outcome: 'refused' },
  { name: 'an unknown critical extension', make: () => forge.make('one', { names: [`URI:${friend}`], extensions: [...workloadExtensions, '1.2.3.4=critical,ASN1:NULL'] }), outcome: 'refused' },
  { name: 'an RSA key of 1024 bits', make: () => forge.make('one', { names: [`URI:${friend}`], key: ['rsa:1024'] }), outcome: 'refused' },
  { name: 'a signature over SHA-1', make: () => forge.make('one', { names: [`URI:${friend}`], digest: 'sha1' }), outcome: 'refused' },
  { name: 'two identities, the friend second', make: () => forge.make('one', { names: ['URI:spiffe://cluster.local/ns/foo/sa/guest', `URI:${friend}`] }), outcome: 'refused' },
  { name: 'two identities, the friend first', make: () => forge.make('one', { names: [`URI:${friend}`, 'URI:spiffe://cluster.local/ns/foo/sa/guest'] }), outcome: 'refused' },
  { name: 'an identity and another URI', make: () => forge.make('one', { names: ['URI:https://x.test/', `URI:${friend}`] }), outcome: 'refused' },
  { name: 'no name', make: () => forge.make('one', { subject: `/CN=${friend.replaceAll('/', '\\/')}` }), outcome: 'denied' },
  { name: 'the name as DNS', ...named(`DNS:${friend}`) },
  { name: 'the name as an address', ...named(`email:${friend}`) },
  { name: 'another trust domain', ...named('URI:spiffe://evil.test/ns/foo/sa/friend') },
  { name: 'another namespace', ...named('URI:spiffe://cluster.local/ns/bar/sa/friend') },
  ...['spiffe://cluster.local/ns/foo/sa/Friend', 'SPIFFE://cluster.local/ns/foo/sa/friend', 'spiffe://Cluster.local/ns/foo/sa/friend', `${friend}/`, 'spiffe://cluster.local/ns/foo/sa/%66riend', 'spiffe://cluster.local/ns/foo/sa/x/../friend', 'spiffe://cluster.local:443/ns/foo/sa/friend', `${friend}?x`, `${friend}#x`, 'spiffe://x@cluster.local/ns/foo/sa/friend', 'spiffe://cluster.local//ns/foo/sa/friend', 'https://cluster.local/ns/foo/sa/friend', 'cluster.local/ns/foo/sa/friend', `${friend} `, ` ${friend}`, 'spiffe://cluster.local./ns/foo/sa/friend'].map((uri) => ({ name: `the name ${JSON.stringify(uri)}`, ...named(`URI:${uri}`) })),
];

describe('the certificate', () => {
  for (const { name, make, outcome } of cases)
    test(name, async () => {
      mesh.forget();
      const seen = (await ask({ ...using(make()), ciphers: 'DEFAULT@SECLEVEL=0' })).outcome;
      if (outcome === 'denied') assert.ok(seen === 403 || seen === 'refused', String(seen));
      else assert.equal(seen, outcome);
      assert.equal(mesh.application.requests.length, outcome === 200 ? 1 : 0);
    });

  test('a separator inside a DNS name does not make a URI of its end', async () => {
    const { outcome } = await ask(using(forge.make('one', { names: [`DNS:x.test, URI:${friend}`] })));
    assert.notEqual(outcome, 200);
  });

  test('none at all', async () => {
    assert.equal((await ask({})).outcome, 'refused');
    const plain = await mesh.connect('sidecar');
    plain.send('GET /a HTTP/1.1\r\nhost: web.foo\r\n\r\n');
    assert.deepEqual(await plain.end(), []);
  });

  test('a chain as long as a client likes costs no more than its own connection', async () => {
    const good = forge.make('one', { names: [`URI:${friend}`] });
    const { outcome } = await ask(using({ ...good, certificate: good.certificate + forge.pair('root').certificate.repeat(200) }));
    assert.ok(outcome === 200 || outcome === 'refused');
    assert.equal((await ask(using(good))).outcome, 200);
  });
});

describe('the handshake', () => {
  test('TLS 1.0 and 1.1 are not spoken', async () => {
    const good = using(forge.make('one', { names: [`URI:${friend}`] }));
    for (const version of ['TLSv1', 'TLSv1.1'] as const) assert.equal((await ask({ ...good, minVersion: version, maxVersion: version, ciphers: 'DEFAULT@SECLEVEL=0' })).outcome, 'refused', version);
    assert.equal((await ask({ ...good, maxVersion: 'TLSv1.2' })).outcome, 200);
  });

  for (const version of ['TLSv1.2', 'TLSv1.3'] as const)
    test(`${version}: who comes back with a session is who began it, whatever certificate is shown now`, async () => {
      const own = using(forge.make('friend', { names: [`URI:${friend}`] }));
      const guest = using(forge.make('guest', { names: ['URI:spiffe://cluster.local/ns/foo/sa/guest'] }));
      const first = await ask({ ...guest, maxVersion: version });
      assert.equal(first.outcome, 403);
      const again = await ask({ ...own, maxVersion: version }, first.session ?? undefined);
      assert.equal(again.outcome, again.resumed ? 403 : 200);
    });

  test('a session does not outlive the trust in who began it', async () => {
    forge.make('old-root', { subject: '/CN=old', extensions: authorityExtensions, signer: '' });
    const own = using(forge.make('one', { names: [`URI:${friend}`], signer: 'old-root', chain: ['old-root'] }));
    forge.roots = ['root', 'old-root'];
    mesh.sidecar.refreshSecrets(forge);
    const first = await ask({ ...own });
    assert.equal(first.outcome, 200);
    assert.ok(first.session);
    forge.roots = ['root'];
    mesh.sidecar.refreshSecrets(forge);
    const again = await ask({ ...own }, first.session);
    assert.deepEqual([again.outcome, again.resumed], ['refused', false]);
  });

  test('nobody renegotiates', async () => {
    forge.make('one', { names: [`URI:${friend}`] });
    const { host, port } = mesh.entranceOf('sidecar');
    const client = spawn('openssl', ['s_client', '-connect', `${host}:${port}`, '-tls1_2', '-alpn', 'istio-http/1.1', ...forge.flags('one')], { stdio: ['pipe', 'ignore', 'pipe'], timeout: 10_000 });
    let said = '';
    client.stderr.on('data', (bytes: Buffer) => (said += bytes.toString()));
    client.stdin.write('R\n');
    await new Promise((resolve) => client.once('close', resolve));
    assert.match(said, /RENEGOTIATING/);
    assert.match(said, /no renegotiation/);
  });
});
