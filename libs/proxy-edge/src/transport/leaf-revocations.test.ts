import assert from 'node:assert/strict';
import { once } from 'node:events';
import net, { type AddressInfo } from 'node:net';
import { test, type TestContext } from 'node:test';
import tls from 'node:tls';
import type { DownstreamTls, Source, TlsCertificate, UpstreamTls, Validation } from '@meltemi/snapshot';
import { clientTls } from './tls-client.ts';
import { tlsFixture } from './tls-fixture.ts';
import { serverTls } from './tls-server.ts';

const mesh = tlsFixture();
const other = tlsFixture('another root');
const bad = mesh.issue('spiffe://cluster.local/ns/x/sa/bad');
const good = mesh.issue('spiffe://cluster.local/ns/x/sa/good');
const server = 'spiffe://cluster.local/ns/x/sa/server';
const withCrl = (leafCrl: Source): Validation => ({ ...mesh.trust(), leafCrl });

function dialer(certificate: TlsCertificate, changes: Partial<UpstreamTls> = {}): UpstreamTls {
  return { ...mesh.upstream('spiffe://cluster.local/ns/x/sa/unused', []), certificates: [certificate], ...changes };
}

/** What each side says of the other: null, or why it is refused. */
async function outcome(t: TestContext, downstream: DownstreamTls, upstream: UpstreamTls, own?: Validation): Promise<{ readonly server: string | null; readonly client: string | null }> {
  const secrets = () => own && ({ kind: 'validation', validation: own } as const);
  const accepting = serverTls(downstream, secrets);
  const dialing = clientTls(upstream, secrets);
  assert.ok(accepting.ok && dialing.ok, JSON.stringify([accepting, dialing]));
  const verdict = Promise.withResolvers<string | null>();
  const listener = net.createServer((socket) => accepting.value.accept(socket, { hello: null, timeoutMs: 5000 }, { onSecure: () => verdict.resolve(null), onFailure: verdict.resolve }));
  t.after(() => listener.close());
  await once(listener.listen(0, '127.0.0.1'), 'listening');
  const socket = tls.connect({ port: (listener.address() as AddressInfo).port, host: '127.0.0.1', ...dialing.value.connectOptions('', null) });
  t.after(() => socket.destroy());
  socket.on('error', () => {});
  const shaken = await new Promise<boolean>((resolve) => { socket.once('secureConnect', () => resolve(true)); socket.once('close', () => resolve(false)); });
  return { server: await verdict.promise, client: shaken ? dialing.value.refusal(socket.getPeerX509Certificate(), '') : 'closed' };
}

test('a revoked certificate is refused, whichever side shows it; another of the same authority is not', async (t) => {
  const validation = withCrl(mesh.crl([bad]));
  const listening = mesh.downstream(server, { validation });
  assert.match((await outcome(t, listening, dialer(bad))).server ?? 'accepted', /verify revocation: certificate [0-9a-f]+ is revoked/);
  assert.deepEqual(await outcome(t, listening, dialer(good)), { server: null, client: null });
  const impostor = { ...mesh.downstream(server), certificates: [bad] };
  assert.match((await outcome(t, impostor, dialer(good, { validation }))).client ?? 'accepted', /is revoked/);
});

test('an authority without a list, or with one that has ended, vouches for nobody', async (t) => {
  const foreign = mesh.downstream(server, { validation: withCrl(other.crl([])) });
  assert.match((await outcome(t, foreign, dialer(good))).server ?? 'accepted', /no revocation list of its issuer/);
  const ended = mesh.downstream(server, { validation: withCrl(mesh.crl([], Date.now() - 1000)) });
  assert.match((await outcome(t, ended, dialer(good))).server ?? 'accepted', /list of its issuer ended at/);
});

test("the mesh's own bundle names certificates by serial, and cuts nobody off whose issuer has no list", async (t) => {
  const listening = { ...mesh.downstream(server, { validation: null }), validationSdsName: 'ROOTCA' };
  assert.deepEqual(await outcome(t, listening, dialer(good), withCrl(other.crl([bad]))), { server: null, client: null });
  assert.match((await outcome(t, listening, dialer(bad), withCrl(other.crl([bad])))).server ?? 'accepted', /is revoked/);
});

test('a list that cannot be read makes no context', () => {
  const context = serverTls(mesh.downstream(server, { validation: withCrl({ kind: 'inline', bytes: Buffer.from('hello') }) }), () => undefined);
  assert.ok(!context.ok && /crl/.test(JSON.stringify(context.error)));
});
