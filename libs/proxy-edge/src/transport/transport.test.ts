import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import fs, { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';
import net from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import tls from 'node:tls';
import { waitFor } from '@meltemi/base';
import { readClientHello, type ByteConnection, type ConnectionSink } from '@meltemi/proxy';
import type { DownstreamTls, UpstreamTls } from '@meltemi/snapshot';
import type { AcceptedSocket } from './accepted-socket.ts';
import { dial } from './dial.ts';
import { listen } from './listen.ts';
import type { SocketConnection } from './socket-connection.ts';
import { clientTls } from './tls-client.ts';
import { tlsFixture } from './tls-fixture.ts';
import { subjectAltNames } from './tls-info.ts';
import { serverTls } from './tls-server.ts';

const loopback = { kind: 'ip', address: '127.0.0.1', port: 0 } as const;

/** Writes back what it reads, pausing while the peer does not take it. */
class Echo implements ConnectionSink {
  readonly connection: ByteConnection;
  constructor(connection: ByteConnection) {
    this.connection = connection;
  }
  onData(buffer: Buffer, length: number): void {
    if (!this.connection.write(buffer, 0, length)) this.connection.pause();
  }
  onEnd(): void {
    this.connection.end();
  }
  onDrain(): void {
    this.connection.resume();
  }
  onClose(): void {}
}

class Collect implements ConnectionSink {
  text = '';
  ended = false;
  closed: Error | null | undefined;
  onData(buffer: Buffer, length: number): void {
    this.text += buffer.toString('latin1', 0, length);
  }
  onEnd(): void {
    this.ended = true;
  }
  onDrain(): void {}
  onClose(cause: Error | null): void {
    this.closed = cause;
  }
}

async function serve(t: TestContext, onConnection: (accepted: AcceptedSocket) => void) {
  const socket = await listen({ target: loopback, reusePort: false, backlog: null, onConnection });
  t.after(() => socket.close());
  return socket.target;
}

async function connect(t: TestContext, options: Omit<Parameters<typeof dial>[0], 'connectTimeoutMs' | 'bufferLimit'>) {
  const sink = new Collect();
  const connection = await new Promise<SocketConnection>((resolve, reject) => {
    dial({ connectTimeoutMs: 5000, bufferLimit: 1 << 20, ...options }, { onOpen: resolve, onFailure: ({ cause, transportFailure }) => reject(new Error(transportFailure ?? cause.message)) });
  });
  connection.sink = sink;
  t.after(() => connection.destroy());
  return { connection, sink };
}

function echo(accepted: AcceptedSocket, connection: SocketConnection): void {
  connection.sink = new Echo(connection);
  accepted.start(connection);
}

test('a megabyte comes back unchanged, then the end of it', async (t) => {
  const target = await serve(t, (accepted) => echo(accepted, accepted.plain(1 << 20)));
  const { connection, sink } = await connect(t, { target, tls: null });
  const body = Buffer.alloc(1 << 20, 'abcdefg');
  for (let at = 0; at < body.length; at += 50_000) connection.write(body, at, Math.min(body.length, at + 50_000));
  connection.writeText('end');
  connection.end();
  await waitFor('the echo', () => sink.ended);
  assert.equal(sink.text, `${body.toString('latin1')}end`);
});

test('a character beyond latin1 leaves as UTF-8, and never as the line break its lower byte would be', async (t) => {
  const target = await serve(t, (accepted) => echo(accepted, accepted.plain(1 << 20)));
  const { connection, sink } = await connect(t, { target, tls: null });
  connection.writeText('x: \u010a\u{1f600}\u00e9\ud800');
  connection.end();
  await waitFor('the echo', () => sink.ended);
  assert.equal(sink.text, `x: ${Buffer.from('\u010a\u{1f600}').toString('latin1')}\u00e9${Buffer.from('\ufffd').toString('latin1')}`);
});

test('a name with line breaks in a certificate stays quoted; one with separators is read whole; what is no host is no name of DNS', () => {
  const text = 'URI:"spiffe://a\\u000d\\u000ax: 1", URI:"spiffe://a, DNS:b", DNS:"b, URI:spiffe://c", DNS:spiffe://d, DNS:*.e_1.test';
  assert.deepEqual(subjectAltNames({ subjectAltName: text }), { uri: ['"spiffe://a\\u000d\\u000ax: 1"', 'spiffe://a, DNS:b'], dns: ['*.e_1.test'], ip: [], email: [] });
});

test('a slow reader makes writes return false, and drain comes when it read', async (t) => {
  const target = await serve(t, (accepted) => accepted.start(accepted.plain(1 << 20)));
  const { connection, sink } = await connect(t, { target, tls: null });
  let drained = false;
  sink.onDrain = () => (drained = true);
  const other = net.connect(target.kind === 'ip' ? target.port : 0, '127.0.0.1');
  t.after(() => other.destroy());
  const block = Buffer.alloc(60_000);
  let room = true;
  for (let i = 0; i < 2000 && room; i++) room = connection.write(block, 0, block.length);
  assert.equal(room, false);
  await waitFor('drain', () => drained);
});

/** Looks for a ClientHello, then TLS or plain echo. */
function sniffingEcho(config: DownstreamTls, failures: string[]) {
  const tls = serverTls(config, () => undefined);
  assert.ok(tls.ok);
  return (accepted: AcceptedSocket) =>
    accepted.peek(5000, (bytes) => readClientHello(bytes) !== 'more', () => {
      const hello = readClientHello(accepted.peeked);
      if (typeof hello === 'string') return accepted.destroy();
      return accepted.secure(tls.value, { hello, timeoutMs: 5000, limit: 1 << 20 }, { opened: (connection) => echo(accepted, connection), failed: (reason) => failures.push(reason) });
    });
}

const server = 'spiffe://cluster.local/ns/a/sa/server';
const client = 'spiffe://cluster.local/ns/a/sa/client';

async function dialTls(t: TestContext, target: Awaited<ReturnType<typeof serve>>, config: UpstreamTls) {
  const tls = clientTls(config, () => undefined);
  assert.ok(tls.ok);
  return connect(t, { target, tls: tls.value });
}

test('mTLS: both sides know each other by SPIFFE id, after the server looked at the hello', async (t) => {
  const ca = tlsFixture();
  const failures: string[] = [];
  const target = await serve(t, sniffingEcho(ca.downstream(server), failures));
  const { connection, sink } = await dialTls(t, target, ca.upstream(client, [server]));
  assert.deepEqual(connection.tls?.peerUriSans, [server]);
  assert.deepEqual(connection.tls?.localUriSans, [client]);
  assert.equal(connection.tls?.alpn, 'istio');
  connection.writeText('hello');
  await waitFor('the echo', () => sink.text === 'hello');
  assert.deepEqual(failures, []);
});

test('mTLS: a megabyte comes back unchanged past readers that pause, then the end of it', async (t) => {
  const ca = tlsFixture();
  const target = await serve(t, sniffingEcho(ca.downstream(server), []));
  const { connection, sink } = await dialTls(t, target, ca.upstream(client, [server]));
  const body = Buffer.alloc(1 << 20, 'abcdefg');
  for (let at = 0; at < body.length; at += 50_000) connection.write(body, at, Math.min(body.length, at + 50_000));
  connection.writeText('end');
  connection.pause();
  connection.end();
  setImmediate(() => connection.resume());
  await waitFor('the echo', () => sink.ended);
  assert.equal(sink.text, `${body.toString('latin1')}end`);
});

for (const kind of ['plain', 'mTLS'] as const) {
  test(`${kind}: a peer that resets the connection is told as what it is, without a stack that would tell nothing`, async (t) => {
    const ca = tlsFixture();
    let reset = () => {};
    const onPlain = (accepted: AcceptedSocket) => {
      reset = () => accepted.socket.resetAndDestroy();
      if (kind === 'plain') echo(accepted, accepted.plain(1 << 20));
      else sniffingEcho(ca.downstream(server), [])(accepted);
    };
    const target = await serve(t, onPlain);
    const { connection, sink } = kind === 'plain' ? await connect(t, { target, tls: null }) : await dialTls(t, target, ca.upstream(client, [server]));
    connection.writeText('hello');
    await waitFor('the echo', () => sink.text === 'hello');
    reset();
    await waitFor('the end', () => sink.closed !== undefined);
    const { code, message, syscall, stack } = sink.closed as NodeJS.ErrnoException;
    assert.deepEqual([code, message, syscall, stack], ['ECONNRESET', 'read ECONNRESET', 'read', 'Error: read ECONNRESET']);
  });
}

test('mTLS: an empty write between others is none', async (t) => {
  const ca = tlsFixture();
  const target = await serve(t, sniffingEcho(ca.downstream(server), []));
  const { connection, sink } = await dialTls(t, target, ca.upstream(client, [server]));
  for (const text of ['', 'hel', '', '', 'lo', '']) {
    connection.writeText(text);
    connection.flush();
  }
  await waitFor('the echo', () => sink.text === 'hello');
  connection.end();
  await waitFor('the end', () => sink.ended);
});

test('mTLS: what is sent in front of the handshake arrives first, and both directions work behind it', async (t) => {
  const ca = tlsFixture();
  const first = Buffer.from('PROXY UNKNOWN\r\n');
  const seen: string[] = [];
  const accept = sniffingEcho(ca.downstream(server), []);
  const target = await serve(t, (accepted) => accepted.peek(5000, (bytes) => bytes.length >= first.length, () => {
    seen.push(accepted.peeked.toString('latin1', 0, first.length));
    accepted.consume(first.length);
    accept(accepted);
  }));
  const context = clientTls(ca.upstream(client, [server]), () => undefined);
  assert.ok(context.ok);
  const { connection, sink } = await connect(t, { target, tls: context.value, first });
  connection.writeText('hello');
  await waitFor('the echo', () => sink.text === 'hello');
  connection.end();
  await waitFor('the end', () => sink.ended);
  assert.deepEqual(seen, [first.toString()]);
});

test('a client with a certificate may resume its session, and is still known by its name', async (t) => {
  const ca = tlsFixture();
  const failures: string[] = [];
  const target = await serve(t, sniffingEcho(ca.downstream(server, { sessionTickets: true }), failures));
  const { certificateChain, privateKey } = ca.issue(client);
  const pems = { cert: certificateChain.kind === 'inline' ? certificateChain.bytes : '', key: privateKey.kind === 'inline' ? privateKey.bytes : '' };
  let session: Buffer | undefined;
  for (const resumed of [false, true]) {
    const socket: tls.TLSSocket = tls.connect({ host: '127.0.0.1', port: target.kind === 'ip' ? target.port : 0, checkServerIdentity: () => undefined, ca: ca.rootPem, ...pems, ...(session && { session }) });
    t.after(() => socket.destroy());
    socket.on('session', (ticket: Buffer) => { session = ticket; });
    socket.on('error', (error) => failures.push(error.message));
    let text = '';
    socket.on('data', (chunk: Buffer) => { text += chunk.toString(); });
    socket.write('hello');
    await waitFor('the echo and a ticket', () => failures.length > 0 || (text === 'hello' && session !== undefined));
    assert.deepEqual(failures, []);
    assert.equal(socket.isSessionReused(), resumed);
    socket.destroy();
  }
});

test('a server with another identity is not talked to', async (t) => {
  const ca = tlsFixture();
  const target = await serve(t, sniffingEcho(ca.downstream(server), []));
  await assert.rejects(dialTls(t, target, ca.upstream(client, ['spiffe://cluster.local/ns/a/sa/other'])), /SAN/);
});

test('a pinned certificate is asked for also where no authority is trusted; names then mean nothing and are refused', async (t) => {
  const ca = tlsFixture();
  const target = await serve(t, sniffingEcho(ca.downstream(server), []));
  const untrusted = { ...ca.trust(), trustedCa: null };
  const pinned = (hash: string) => ca.upstream(client, [], { validation: { ...untrusted, hashes: [hash] } });
  await assert.rejects(dialTls(t, target, pinned('0'.repeat(64))), /pin/);
  const { connection } = await dialTls(t, target, ca.upstream(client, [server]));
  await dialTls(t, target, pinned(connection.tls?.peerFingerprint256 ?? ''));
  const named = clientTls(ca.upstream(client, [], { validation: { ...untrusted, sanMatchers: ca.trust(server).sanMatchers } }), () => undefined);
  assert.match(named.ok ? '' : (named.error[0]?.message ?? ''), /without a trusted CA/);
});

test('a client of another authority, without certificate, or in plaintext is refused', async (t) => {
  const ca = tlsFixture();
  const stranger = tlsFixture();
  const failures: string[] = [];
  const target = await serve(t, sniffingEcho(ca.downstream(server), failures));
  for (const config of [stranger.upstream(client, [], { validation: ca.trust(server) }), ca.upstream(client, [server], { certificates: [] })]) {
    const opened = await dialTls(t, target, config).catch(() => null);
    opened?.connection.writeText('hello');
    await waitFor('the refusal', () => opened === null || opened.sink.closed !== undefined || opened.sink.ended);
    assert.equal(opened?.sink.text ?? '', '');
  }
  await waitFor('the reasons', () => failures.length === 2);
  const plain = await connect(t, { target, tls: null });
  plain.connection.writeText('GET / HTTP/1.1\r\n\r\n');
  await waitFor('the close', () => plain.sink.ended || plain.sink.closed !== undefined);
});

test('a client that leaves before its handshake is gone at once, not when the handshake would be late', async (t) => {
  const failures: string[] = [];
  const context = serverTls(tlsFixture().downstream(server), () => undefined);
  assert.ok(context.ok);
  const target = await serve(t, (accepted) => accepted.secure(context.value, { hello: null, timeoutMs: 60_000, limit: 1 << 20 }, { opened: () => failures.push('opened'), failed: (reason) => failures.push(reason) }));
  for (const said of ['', '\x16\x03\x01']) net.connect(target.kind === 'ip' ? target.port : 0, '127.0.0.1').on('error', () => {}).end(said, 'latin1');
  await waitFor('both to fail', () => failures.length === 2, { deadlineMs: 20_000 });
  assert.ok(failures.every((reason) => /closed during the TLS handshake/.test(reason)), failures.join());
});

test('a peek without bytes ends at its deadline', async (t) => {
  const outcomes: string[] = [];
  const target = await serve(t, (accepted) => accepted.peek(30, () => false, (outcome) => {
    outcomes.push(outcome);
    accepted.destroy();
  }));
  const { sink } = await connect(t, { target, tls: null });
  await waitFor('the close', () => sink.ended || sink.closed !== undefined);
  assert.deepEqual(outcomes, ['timeout']);
});

test('a connection that breaks while it is looked at is told apart from one that ends', async (t) => {
  const outcomes: string[] = [];
  const target = await serve(t, (accepted) => accepted.peek(5000, () => false, (outcome) => outcomes.push(outcome)));
  const breaks = net.connect(target.kind === 'ip' ? target.port : 0, '127.0.0.1', () => breaks.write('G', () => setImmediate(() => breaks.resetAndDestroy())));
  await waitFor('the break', () => outcomes.length > 0);
  assert.deepEqual(outcomes, ['closed']);
});

test('a Unix socket has the mode it was given; one left behind is replaced, any other file is not', async (t) => {
  const dir = mkdtempSync(join(tmpdir(), 'listen-'));
  t.after(() => rmSync(dir, { recursive: true, force: true }));
  const target = { kind: 'pipe', path: join(dir, 's'), mode: 0o600 } as const;
  const options = { target, reusePort: false, backlog: null, onConnection: () => {} };
  writeFileSync(target.path, 'precious');
  await assert.rejects(listen(options), /EADDRINUSE/);
  assert.equal(readFileSync(target.path, 'utf8'), 'precious');
  rmSync(target.path);
  await (await listen(options)).close();
  const socket = await listen(options);
  assert.equal(statSync(target.path).mode & 0o777, 0o600);
  await socket.close();
});

test('a Unix socket that cannot be moved to its path is not left open, and one that cannot be taken away is closed all the same', async (t) => {
  const dir = mkdtempSync(join(tmpdir(), 'listen-'));
  t.after(() => rmSync(dir, { recursive: true, force: true }));
  const path = join(dir, 's');
  const options = (mode: number) => ({ target: { kind: 'pipe', path, mode } as const, reusePort: false, backlog: null, onConnection: () => {} });
  const renaming = t.mock.method(fs, 'renameSync', () => { throw new Error('cannot be moved'); });
  syncBuiltinESMExports();
  const servers = t.mock.method(net, 'createServer');
  await assert.rejects(listen(options(0o600)), /cannot be moved/);
  renaming.mock.restore();
  syncBuiltinESMExports();
  assert.equal(servers.mock.calls[0]?.result?.listening, false);
  const socket = await listen(options(0o600));
  const removing = t.mock.method(fs, 'rmSync', () => { throw new Error('cannot be taken away'); });
  syncBuiltinESMExports();
  await socket.close();
  removing.mock.restore();
  syncBuiltinESMExports();
  assert.equal(servers.mock.calls[1]?.result?.listening, false);
});

test('whoever connected before a port closes is still accepted, however many they are', async (t) => {
  const accepted: AcceptedSocket[] = [];
  const socket = await listen({ target: loopback, reusePort: false, backlog: null, onConnection: (one) => accepted.push(one) });
  t.after(() => accepted.forEach((one) => one.destroy()));
  const port = socket.target.kind === 'ip' ? socket.target.port : 0;
  // Another process: this one does not look for connections meanwhile.
  execFileSync('bash', ['-c', `for i in 1 2 3 4 5 6 7 8; do exec {fd}<>/dev/tcp/127.0.0.1/${port}; done`]);
  await socket.close();
  assert.equal(accepted.length, 8);
});

test('a refused port fails at once with its reason', async (t) => {
  const target = await serve(t, () => {});
  const gone = await listen({ target: loopback, reusePort: false, backlog: null, onConnection: () => {} });
  await gone.close();
  await assert.rejects(connect(t, { target: gone.target, tls: null }), /ECONNREFUSED/);
  assert.ok(target);
});
