import assert from 'node:assert/strict';
import { createServer, type AddressInfo, type Server, type Socket } from 'node:net';
import { after, before, test } from 'node:test';
import { gzipSync } from 'node:zlib';
import { systemClock } from '@meltemi/base';
import { BlockedAddresses } from './blocked-addresses.ts';
import { JwksKeeper } from './jwks-keeper.ts';
import { httpKeyServer } from './key-server.ts';

// A real server that does what a hostile issuer may: what pilot fetches is bounded in time and size, and never comes from elsewhere.

const crlf = '\r\n';
const keys = JSON.stringify({ keys: [{ kty: 'RSA', kid: 'a' }] });
const answer = (body: string | Buffer, head = '', status = '200 OK') => [Buffer.from(`HTTP/1.1 ${status}${crlf}content-length: ${Buffer.byteLength(body)}${crlf}${head}${crlf}`), Buffer.from(body)];

/** Writes for as long as the other side takes it. */
function pour(socket: Socket, part: string | Buffer): void {
  const more = (): void => { while (!socket.destroyed && socket.write(part)); };
  socket.on('drain', more);
  more();
}

/** A byte now and then. */
function drip(socket: Socket, part: string): void {
  const timer = setInterval(() => socket.write(part), 20);
  socket.on('close', () => clearInterval(timer));
}

const documents: Readonly<Record<string, (socket: Socket, base: string) => void>> = {
  '/jwks': (socket) => answer(keys).forEach((part) => socket.write(part)),
  '/moved': (socket, base) => answer('', `location: ${base}/jwks${crlf}`, '302 Found').forEach((part) => socket.write(part)),
  '/to-metadata': (socket) => answer('', `location: http://169.254.169.254/latest${crlf}`, '307 Temporary Redirect').forEach((part) => socket.write(part)),
  '/silent': () => {},
  '/slow-head': (socket) => { socket.write(`HTTP/1.1 200 OK${crlf}`); drip(socket, 'x: y\r\n'); },
  '/slow-body': (socket) => { socket.write(`HTTP/1.1 200 OK${crlf}content-length: 100000${crlf}${crlf}`); drip(socket, ' '); },
  '/slow-error': (socket) => { socket.write(`HTTP/1.1 500 No${crlf}content-length: 100000${crlf}${crlf}`); drip(socket, ' '); },
  '/endless-head': (socket) => { socket.write(`HTTP/1.1 200 OK${crlf}`); pour(socket, `x-${'a'.repeat(1000)}: y${crlf}`); },
  '/endless-body': (socket) => { socket.write(`HTTP/1.1 200 OK${crlf}transfer-encoding: chunked${crlf}${crlf}`); pour(socket, `1000${crlf}${' '.repeat(0x1000)}${crlf}`); },
  '/endless-interim': (socket) => pour(socket, `HTTP/1.1 103 Early Hints${crlf}link: </a>${crlf}${crlf}`),
  '/large': (socket) => answer(`{"keys":[{"kty":"RSA","kid":"${'a'.repeat(2 * 1024 * 1024)}"}]}`).forEach((part) => socket.write(part)),
  '/zip-bomb': (socket) => answer(gzipSync(Buffer.alloc(8 * 1024 * 1024, 32)), `content-encoding: gzip${crlf}`).forEach((part) => socket.write(part)),
  '/cut': (socket) => socket.end(`HTTP/1.1 200 OK${crlf}content-length: 1000${crlf}${crlf}{"keys"`),
  '/nonsense': (socket) => socket.end('SSH-2.0-OpenSSH_9.2\r\n'),
  '/secret': (socket) => answer('root:x:0:0:root:/root:/bin/bash').forEach((part) => socket.write(part)),
  '/no-keys': (socket) => answer('{"token":"top secret"}').forEach((part) => socket.write(part)),
};

const server = httpKeyServer();
const open = new Set<Socket>();
let hostile: Server;
let base = '';

before(async () => {
  hostile = createServer((socket) => {
    open.add(socket);
    socket.on('error', () => socket.destroy());
    socket.on('close', () => open.delete(socket));
    socket.once('data', (request: Buffer) => documents[request.toString('latin1').split(' ')[1] ?? '']?.(socket, base));
  });
  await new Promise<void>((resolve) => hostile.listen(0, '127.0.0.1', resolve));
  base = `http://127.0.0.1:${(hostile.address() as AddressInfo).port}`;
});
after(async () => {
  await server.close();
  for (const socket of open) socket.destroy();
  await new Promise((resolve) => hostile.close(resolve));
});

const limits = { timeoutMs: 300, signal: new AbortController().signal };

for (const path of ['/moved', '/to-metadata', '/silent', '/slow-head', '/slow-body', '/slow-error', '/endless-head', '/endless-body', '/endless-interim', '/large', '/cut', '/nonsense'])
  test(`${path} gives no document, and soon`, async () => {
    const started = performance.now();
    await assert.rejects(server.get(`${base}${path}`, limits));
    assert.ok(performance.now() - started < 5_000);
  });

test('what is not http is not opened', async () => {
  for (const url of ['file:///etc/passwd', 'ftp://127.0.0.1/jwks', 'data:application/json,{}', 'unix:/run/x.sock', 'gopher://127.0.0.1/', '//127.0.0.1/jwks']) await assert.rejects(server.get(url, limits), url);
});

test('addresses of clouds are refused however they are written', async () => {
  for (const host of ['169.254.169.254', '2852039166', '0xa9fea9fe', '0251.0376.0251.0376', '169.254.43518', '[::ffff:169.254.169.254]', '[::ffff:a9fe:a9fe]', '[64:ff9b::a9fe:a9fe]', '0', '0.0.0.0', '[::]']) await assert.rejects(server.get(`http://${host}/latest`, limits), /may come from/, host);
});

test('a range that is forbidden is not reached, by address or by name', async () => {
  const blocked = BlockedAddresses.and('127.0.0.0/8,::1/128');
  assert.ok(blocked.ok);
  const careful = httpKeyServer(blocked.value);
  for (const host of ['127.0.0.1', 'localhost']) await assert.rejects(careful.get(`${base.replace('127.0.0.1', host)}/jwks`, limits), /may come from/);
  await careful.close();
});

/** What a keeper has of this issuer after its first try, and what it logged. */
async function kept(issuer: string, jwksUri: string): Promise<{ readonly jwks: string | undefined; readonly logged: string }> {
  const logged: object[] = [];
  const keeper = new JwksKeeper({ server, clock: systemClock, log: { info: () => {}, warn: (fields) => logged.push(fields) }, stats: { fetched: { inc: () => {} }, failed: { inc: () => {} } }, onChange: () => {} });
  keeper.want([{ id: 'x', issuer, jwksUri, timeoutMs: 1_000 }]);
  await keeper.tried(5_000);
  keeper.stop();
  return { jwks: keeper.keySets.get('x')?.jwks, logged: JSON.stringify(logged) };
}

test('only a key set goes on to proxies, and nothing else that was read stands in the log', async () => {
  assert.equal((await kept('i', `${base}/jwks`)).jwks, keys);
  for (const path of ['/secret', '/no-keys', '/zip-bomb', '/moved']) {
    const { jwks, logged } = await kept('i', `${base}${path}`);
    assert.equal(jwks, undefined, path);
    assert.doesNotMatch(logged, /root:|top secret|bash/);
  }
});
