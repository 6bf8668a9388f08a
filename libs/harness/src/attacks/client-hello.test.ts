import assert from 'node:assert/strict';
import { createServer, type AddressInfo } from 'node:net';
import { after, before, test } from 'node:test';
import { connect as connectTls } from 'node:tls';
import { waitFor } from '@meltemi/base';
import { TwoHops } from './two-hops.ts';

// A ClientHello in pieces, too large, or without end, at a port that takes mTLS and plaintext: it is TLS or nothing, and never a request.

let mesh: TwoHops;
let hello: Buffer;
before(async () => {
  mesh = await TwoHops.start(150);
  hello = await captured();
});
after(() => mesh.stop());

/** What node's own client says first. */
async function captured(): Promise<Buffer> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const said = new Promise<Buffer>((resolve) => server.once('connection', (socket) => socket.once('data', (bytes: Buffer) => (socket.destroy(), resolve(bytes)))));
  const client = connectTls({ host: '127.0.0.1', port: (server.address() as AddressInfo).port, servername: 'outbound_.8080_._.web.foo.svc.cluster.local', ALPNProtocols: ['istio-http/1.1'], ecdhCurve: 'X25519' });
  client.on('error', () => {});
  const bytes = await said;
  client.destroy();
  server.close();
  return bytes;
}

const record = (part: Buffer) => Buffer.concat([Buffer.from([22, 3, 1, part.length >> 8, part.length & 255]), part]);

/** "hello" when the proxy goes on with the handshake, "alert", or "closed". */
async function answerTo(pieces: readonly Buffer[]): Promise<string> {
  mesh.forget();
  const attacker = await mesh.connect('sidecar');
  for (const piece of pieces) {
    attacker.send(piece);
    await new Promise((resolve) => setImmediate(resolve));
  }
  await waitFor('an answer', () => attacker.received.length > 0 || attacker.closed, { deadlineMs: 20_000, everyMs: 1 });
  const first = attacker.received.charCodeAt(0);
  attacker.close();
  assert.equal(mesh.application.requests.length, 0);
  return first === 22 ? 'hello' : first === 21 ? 'alert' : attacker.received === '' ? 'closed' : attacker.received;
}

const bytesOf = (whole: Buffer) => Array.from(whole, (_, i) => whole.subarray(i, i + 1));

test('byte by byte it is the same', async () => {
  assert.equal(await answerTo([hello]), 'hello');
  assert.equal(await answerTo(bytesOf(hello)), 'hello');
});

test('cut into records of a few bytes', async () => {
  const handshake = hello.subarray(5);
  for (const size of [1, 7, 100]) {
    const records = Array.from({ length: Math.ceil(handshake.length / size) }, (_, i) => record(handshake.subarray(i * size, (i + 1) * size)));
    assert.match(await answerTo([Buffer.concat(records)]), /^(?:hello|alert|closed)$/, `records of ${size}`);
  }
});

test('one that is announced as sixteen megabytes', async () => {
  const announced = Buffer.concat([Buffer.from([1, 255, 255, 255]), Buffer.alloc(12_000, 3)]);
  assert.match(await answerTo(Array.from({ length: 8 }, () => record(announced))), /^(?:alert|closed|HTTP\/1\.1 4\d\d )/);
});

test('records that are empty, of other kinds, or of versions nobody speaks', async () => {
  for (const bytes of [Buffer.from([22, 3, 1, 0, 0]), Buffer.from([23, 3, 3, 0, 1, 0]), Buffer.from([22, 3, 1, 255, 255, 1]), Buffer.from([22, 2, 0, 0, 1, 1]), Buffer.from([128, 46, 1, 3, 1, 0, 21, 0, 0, 0, 16])]) {
    const attacker = await mesh.connect('sidecar');
    attacker.send(bytes);
    attacker.socket.end();
    await waitFor('the end', () => attacker.closed, { deadlineMs: 20_000, everyMs: 1 });
    assert.doesNotMatch(attacker.received, /^HTTP\/1\.1 200/);
    attacker.close();
  }
});

test('everybody else is served', async () => {
  const bystander = await mesh.connect('sidecar');
  bystander.send('GET /bystander HTTP/1.1\r\nhost: web.foo\r\n\r\n');
  assert.equal((await bystander.responses(1))[0]?.body, '/bystander');
  bystander.close();
});
