import assert from 'node:assert/strict';
import { test } from 'node:test';
import { filterJson, requestText, Served } from '../../../testing/served.ts';

const filter = (config: Record<string, unknown> = {}) => filterJson('envoy.filters.http.grpc_http1_bridge', 'envoy.extensions.filters.http.grpc_http1_bridge.v3.Config', config);
const message = (text: string) => Buffer.concat([Buffer.from([0, 0, 0, 0, text.length]), Buffer.from(text)]);
const grpc = ['content-type', 'application/grpc'];

function call(type: string, body: Buffer | string, config: Record<string, unknown> = {}, path = '/echo.Echo/Say') {
  const world = new Served({ filters: [filter(config)] });
  const { wire } = world.connect();
  wire.receive(requestText(path, [`content-type: ${type}`, `content-length: ${body.length}`], 'POST'));
  wire.receive(body.toString('latin1'));
  return { world, wire, request: world.backend.requests[0] };
}

test('the answer waits for its trailers and has their status in its head', () => {
  const { world, wire, request } = call('application/grpc', message('hi'));
  request?.begin(200, grpc);
  request?.part(message('hello'));
  assert.equal(wire.sent, '');
  request?.end(['grpc-status', '0', 'grpc-message', 'fine']);
  const body = message('hello').toString('latin1');
  assert.match(wire.sent, /^HTTP\/1\.1 200 OK\r\n/);
  assert.match(wire.sent, /\r\ngrpc-status: 0\r\ngrpc-message: fine\r\ncontent-length: 10\r\n/);
  assert.ok(wire.sent.endsWith(`\r\n\r\n${body}`));
  assert.deepEqual(world.done[0]?.responseTrailers, ['grpc-status', '0', 'grpc-message', 'fine']);
});

test('a status that is not 0 is a 503, with trailers and without a body', () => {
  const late = call('application/grpc+proto', message('hi'));
  late.request?.begin(200, grpc);
  late.request?.end(['grpc-status', '5', 'grpc-message', 'no such thing']);
  assert.match(late.wire.sent, /^HTTP\/1\.1 503 [\s\S]*grpc-status: 5\r\ngrpc-message: no such thing\r\ncontent-length: 0\r\n/);
  const early = call('application/grpc', message('hi'));
  early.request?.respond(200, [...grpc, 'grpc-status', '7'], '');
  assert.match(early.wire.sent, /^HTTP\/1\.1 503 [\s\S]*grpc-status: 7\r\n/);
});

test('an answer larger than the buffer limit is an error of the proxy', () => {
  const { wire, request } = call('application/grpc', message('hi'));
  request?.begin(200, grpc);
  for (let i = 0; i < 3; i++) request?.part('x'.repeat(400));
  assert.match(wire.sent, /grpc-status: 2\r\ngrpc-message: Internal Server Error\r\n/);
  assert.equal(request?.wasReset, true);
});

test('plain protobuf gets its frame on the way and loses it on the way back, where that is asked for', () => {
  const { wire, request } = call('application/x-protobuf', 'hi', { upgradeProtobufToGrpc: true });
  assert.deepEqual([request?.head.headers.get('content-type'), request?.head.headers.get('content-length'), request?.body], ['application/grpc', null, message('hi').toString('latin1')]);
  request?.begin(200, grpc);
  request?.part(message('hello').subarray(0, 3));
  request?.part(message('hello').subarray(3));
  request?.end(['grpc-status', '0']);
  assert.match(wire.sent, /content-type: application\/x-protobuf\r\n/);
  assert.match(wire.sent, /content-length: 5\r\n[\s\S]*\r\n\r\nhello$/);
  assert.equal(call('application/x-protobuf', 'hi').request?.body, 'hi');
});

test('query parameters go when they are to be ignored; what is no gRPC passes as it is', () => {
  assert.equal(call('application/grpc', message('hi'), { ignoreQueryParameters: true }, '/a?b').request?.head.path, '/a');
  assert.equal(call('application/grpc', message('hi'), {}, '/a?b').request?.head.path, '/a?b');
  const { wire, request } = call('application/json', '{}', { upgradeProtobufToGrpc: true, ignoreQueryParameters: true }, '/a?b');
  assert.equal(request?.head.path, '/a?b');
  request?.begin(200, ['grpc-status', '5', 'content-length', '1']);
  request?.part('x');
  assert.match(wire.sent, /^HTTP\/1\.1 200 /);
});
