import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect, type AddressInfo } from 'node:net';
import { test } from 'node:test';
import { credentials } from '@grpc/grpc-js';
import { EchoClient, type EchoResponse } from '@meltemi/api/gen/meltemi/echo/v1/echo.ts';
import { bindGrpc, grpcEcho } from './grpc-echo.ts';
import { httpEcho } from './http-echo.ts';
import { settingsFrom, type Settings } from './settings.ts';
import { tcpEcho } from './tcp-echo.ts';

const settings = settingsFrom(['--version', 'v2', '--instance', 'echo-1'], {}) as Settings;

test('HTTP says what it was sent, and the query steers the answer', async () => {
  const server = httpEcho(settings).listen(0, '127.0.0.1');
  await once(server, 'listening');
  try {
    const base = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    const said = await (await fetch(`${base}/a?b=1`, { method: 'POST', body: 'hello', headers: { 'x-test': 'yes' } })).json() as Record<string, unknown>;
    assert.deepEqual([said['method'], said['path'], said['body'], said['version']], ['POST', '/a?b=1', 'hello', 'v2']);
    const steered = await fetch(`${base}/?status=503&size=10&header=x-a:b`);
    assert.deepEqual([steered.status, steered.headers.get('x-a'), (await steered.text()).length], [503, 'b', 10]);
  } finally {
    server.close();
    server.closeAllConnections();
  }
});

test('TCP prefixes lines with the version, also when they come in pieces', async () => {
  const server = tcpEcho(settings).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const socket = connect((server.address() as AddressInfo).port, '127.0.0.1');
  let text = '';
  socket.setEncoding('utf8').on('data', (part: string) => { text += part; });
  socket.write('hel');
  socket.end('lo\nworld');
  await once(socket, 'end');
  server.close();
  assert.equal(text, 'v2 hello\nv2 world');
});

test('gRPC echoes unary calls', async () => {
  const server = grpcEcho(settings);
  const port = await bindGrpc(server, '127.0.0.1', 0);
  const client = new EchoClient(`127.0.0.1:${port}`, credentials.createInsecure());
  const reply = await new Promise<EchoResponse>((resolve, reject) => client.echo({ message: 'hi' }, (cause, value) => (cause ? reject(cause) : resolve(value))));
  client.close();
  server.forceShutdown();
  assert.deepEqual([reply.message, reply.version, reply.instance], ['hi', 'v2', 'echo-1']);
});

test('an unknown flag is named', () => {
  assert.equal(settingsFrom(['--htpp', '1'], {}), 'unknown flag --htpp');
});
