import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect, createServer, type AddressInfo } from 'node:net';
import { test } from 'node:test';
import { ByteCounter } from './byte-counter.ts';

test('the forwarder counts what the server sends, and passes it on whole', async () => {
  const server = createServer((socket) => socket.on('data', () => socket.end(Buffer.alloc(100_000, 'x')))).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const counter = await ByteCounter.start((server.address() as AddressInfo).port);
  const socket = connect({ port: counter.port, host: '127.0.0.1' });
  socket.write('go');
  let received = 0;
  for await (const part of socket as AsyncIterable<Buffer>) received += part.length;
  assert.equal(received, 100_000);
  assert.equal(counter.sent, 100_000);
  await counter.stop();
  server.close();
});
