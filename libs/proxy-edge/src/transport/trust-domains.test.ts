import assert from 'node:assert/strict';
import { once } from 'node:events';
import net, { type AddressInfo } from 'node:net';
import { test, type TestContext } from 'node:test';
import tls from 'node:tls';
import type { DownstreamTls, UpstreamTls, Validation } from '@meltemi/snapshot';
import { clientTls } from './tls-client.ts';
import { tlsFixture } from './tls-fixture.ts';
import { serverTls } from './tls-server.ts';

const a = tlsFixture();
const b = tlsFixture();
const inline = (text: string) => ({ kind: 'inline', bytes: Buffer.from(text) }) as const;
/** Mesh a's proxies, which believe b's roots of b's identities. */
const federated: Validation = { ...a.trust(), trustedCa: null, trustDomains: [{ name: 'a.example', roots: inline(a.rootPem) }, { name: 'b.example', roots: inline(b.rootPem) }] };
/** Of clients that want to get in whoever the server is. */
const unchecked = { validation: { ...federated, acceptUntrusted: true } };
const server = 'spiffe://a.example/ns/x/sa/server';

/** What the server says of a client: its name, or why it is refused. */
async function outcome(t: TestContext, downstream: DownstreamTls, upstream: UpstreamTls): Promise<{ readonly server: string; readonly client: string | null }> {
  const accepting = serverTls(downstream, () => undefined);
  const dialing = clientTls(upstream, () => undefined);
  assert.ok(accepting.ok && dialing.ok, JSON.stringify([accepting, dialing]));
  const verdict = Promise.withResolvers<string>();
  const listener = net.createServer((socket) => accepting.value.accept(socket, { hello: null, timeoutMs: 5000 }, { onSecure: (_socket, info) => verdict.resolve(info.peerUriSans.join()), onFailure: verdict.resolve }));
  t.after(() => listener.close());
  await once(listener.listen(0, '127.0.0.1'), 'listening');
  const socket = tls.connect({ port: (listener.address() as AddressInfo).port, host: '127.0.0.1', ...dialing.value.connectOptions('', null) });
  t.after(() => socket.destroy());
  socket.on('error', () => {});
  const shaken = await new Promise<boolean>((resolve) => { socket.once('secureConnect', () => resolve(true)); socket.once('close', () => resolve(false)); });
  return { server: await verdict.promise, client: shaken ? dialing.value.refusal(socket.getPeerX509Certificate(), '') : 'closed' };
}

test('a peer of a federated trust domain is known by its own roots', async (t) => {
  const id = 'spiffe://b.example/ns/x/sa/client';
  const { server: seen, client } = await outcome(t, a.downstream(server, { validation: federated }), b.upstream(id, [], { validation: { ...b.trust(), trustedCa: null, trustDomains: federated.trustDomains } }));
  assert.equal(seen, id);
  assert.equal(client, null);
});

test('a foreign root that names one of our identities is refused, whichever side shows it', async (t) => {
  const forged = await outcome(t, a.downstream(server, { validation: federated }), b.upstream('spiffe://a.example/ns/x/sa/admin', [], unchecked));
  assert.match(forged.server, /verify trust domain: no path to a root of trust domain a\.example/);
  const impostor = await outcome(t, b.downstream(server, { validation: { ...federated, acceptUntrusted: true } }), a.upstream('spiffe://a.example/ns/x/sa/client', [server], { validation: { ...federated, sanMatchers: a.trust(server).sanMatchers } }));
  assert.match(impostor.client ?? 'accepted', /verify trust domain: no path to a root of trust domain a\.example/);
});

test('a trust domain that is not federated is refused, though one of the roots signed it', async (t) => {
  const { server: seen } = await outcome(t, a.downstream(server, { validation: federated }), b.upstream('spiffe://c.example/ns/x/sa/client', [], unchecked));
  assert.match(seen, /verify trust domain: .*is not of trust domain a\.example or b\.example/);
});

test('names are checked besides trust domains', async (t) => {
  const { server: seen } = await outcome(t, a.downstream(server, { validation: { ...federated, sanMatchers: a.trust('spiffe://a.example/ns/x/sa/other').sanMatchers } }), b.upstream('spiffe://b.example/ns/x/sa/client', [], unchecked));
  assert.match(seen, /verify SAN list/);
});

test('no ticket brings a refused client back past the check of its trust domain', async (t) => {
  const context = serverTls(a.downstream(server, { validation: federated, sessionTickets: true }), () => undefined);
  const dialing = clientTls(b.upstream('spiffe://a.example/ns/x/sa/admin', []), () => undefined);
  assert.ok(context.ok && dialing.ok);
  const verdicts: string[] = [];
  const listener = net.createServer((socket) => context.value.accept(socket, { hello: null, timeoutMs: 5000 }, { onSecure: () => verdicts.push('accepted'), onFailure: (reason) => verdicts.push(reason) }));
  t.after(() => listener.close());
  await once(listener.listen(0, '127.0.0.1'), 'listening');
  for (const maxVersion of ['TLSv1.2', 'TLSv1.3'] as const) {
    let session: Buffer | undefined;
    for (let round = 0; round < 2; round++) {
      const { secureContext: _unused, ...rest } = dialing.value.connectOptions('', null);
      const material = b.issue('spiffe://a.example/ns/x/sa/admin');
      const read = (source: typeof material.privateKey) => (source.kind === 'inline' ? source.bytes : '');
      const socket = tls.connect({ ...rest, rejectUnauthorized: false, maxVersion, port: (listener.address() as AddressInfo).port, host: '127.0.0.1', cert: read(material.certificateChain), key: read(material.privateKey), ...(session && { session }) });
      socket.on('session', (got) => (session = got));
      socket.on('error', () => {});
      socket.resume();
      await new Promise((resolve) => socket.once('close', resolve));
    }
  }
  assert.equal(verdicts.length, 4);
  for (const verdict of verdicts) assert.match(verdict, /verify trust domain/);
});
