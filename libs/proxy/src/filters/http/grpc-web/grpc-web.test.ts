import assert from 'node:assert/strict';
import { test } from 'node:test';
import { filterJson, requestText, Served } from '../../../testing/served.ts';

const filter = filterJson('envoy.filters.http.grpc_web', 'envoy.extensions.filters.http.grpc_web.v3.GrpcWeb');
const message = (text: string, flags = 0) => Buffer.concat([Buffer.from([flags, 0, 0, 0, text.length]), Buffer.from(text)]);

/** A call as a browser makes it; `body` is sent in these parts. */
function call(fields: readonly string[], body: readonly (Buffer | string)[], filters = [filter]) {
  const world = new Served({ filters });
  const { wire } = world.connect();
  const bytes = body.map((part) => Buffer.from(part as string));
  const length = bytes.reduce((sum, part) => sum + part.length, 0);
  wire.receive(requestText('/echo.Echo/Say', [...fields, `content-length: ${length}`], 'POST'));
  for (const part of bytes) wire.receive(part.toString('latin1'));
  return { world, wire, request: world.backend.requests[0] };
}

/** The body of a chunked response. */
const bodyOf = (sent: string): string => sent.slice(sent.indexOf('\r\n\r\n') + 4).replaceAll(/[0-9a-f]+\r\n([\s\S]*?)\r\n(?=[0-9a-f]+\r\n)|0\r\n\r\n$/g, '$1');
const grpc = ['content-type', 'application/grpc'];
const trailers = message('grpc-status:0\r\ngrpc-message:fine\r\n', 0x80);

test('a binary call reaches the upstream as gRPC; its trailers come back as the last frame', () => {
  const { wire, request } = call(['content-type: application/grpc-web+proto', 'accept: application/grpc-web+proto'], [message('hi')]);
  const head = request?.head.headers;
  assert.deepEqual(['content-type', 'te', 'content-length', 'grpc-accept-encoding'].map((name) => head?.get(name)), ['application/grpc', 'trailers', null, 'identity']);
  assert.equal(request?.body, message('hi').toString('latin1'));
  request?.begin(200, grpc);
  request?.part(message('hello'));
  request?.end(['grpc-status', '0', 'grpc-message', 'fine']);
  assert.match(wire.sent, /^HTTP\/1\.1 200 OK\r\ncontent-type: application\/grpc-web\+proto\r\n/);
  assert.equal(bodyOf(wire.sent), `${message('hello').toString('latin1')}${trailers.toString('latin1')}`);
});

test('a text call is base64 both ways, wherever its parts are cut', () => {
  const text = message('hello').toString('base64') + message('x').toString('base64');
  for (let at = 0; at <= text.length; at++) {
    const { wire, request } = call(['content-type: application/grpc-web-text', 'accept: application/grpc-web-text'], [text.slice(0, at), text.slice(at)]);
    assert.equal(request?.body, Buffer.concat([message('hello'), message('x')]).toString('latin1'));
    request?.begin(200, grpc);
    request?.part(message('answer').subarray(0, 7));
    request?.part(message('answer').subarray(7));
    request?.end(['grpc-status', '0', 'grpc-message', 'fine']);
    assert.match(wire.sent, /content-type: application\/grpc-web-text\+proto\r\n/);
    assert.equal(bodyOf(wire.sent), message('answer').toString('base64') + trailers.toString('base64'));
  }
});

test('the access log and statistics see the status of the trailers', () => {
  const { world, request } = call(['content-type: application/grpc-web'], [message('hi')]);
  request?.begin(200, grpc);
  request?.end(['grpc-status', '5']);
  assert.deepEqual(world.done[0]?.responseTrailers, ['grpc-status', '5']);
});

test('an answer of trailers only keeps its status in the head', () => {
  const { wire, request } = call(['content-type: application/grpc-web'], [message('hi')]);
  request?.respond(200, [...grpc, 'grpc-status', '7'], '');
  assert.match(wire.sent, /content-type: application\/grpc-web\+proto\r\n/);
  assert.match(wire.sent, /grpc-status: 7\r\n/);
});

test('base64 that is none is refused with 400', () => {
  for (const body of ['AAA$', 'AAAAAAb', '====']) {
    const { wire, request } = call(['content-type: application/grpc-web-text'], [body]);
    assert.match(wire.sent, /grpc-message: Bad gRPC-web request, invalid base64 data\./, body);
    assert.ok(request === undefined || request.wasReset);
  }
});

test('an answer that is no gRPC becomes its status and message', () => {
  const { wire, request, world } = call(['content-type: application/grpc-web'], [message('hi')]);
  request?.begin(503, ['content-type', 'text/plain']);
  request?.part('upstream');
  request?.part(' is gone');
  for (let i = 0; i < 25; i++) request?.part('!'.repeat(800));
  request?.end();
  assert.match(wire.sent, /^HTTP\/1\.1 503 /);
  assert.match(wire.sent, /grpc-status: 14\r\n/);
  assert.match(wire.sent, /grpc-message: upstream is gone!{16368}\r\n/);
  assert.match(wire.sent, /content-length: 0\r\n/);
  assert.deepEqual(world.bugs, []);
});

test('everything else passes as it is', () => {
  for (const type of ['application/grpc', 'application/json', 'application/grpc-web+thrift']) {
    const { request } = call([`content-type: ${type}`], ['{}']);
    assert.equal(request?.head.headers.get('content-type'), type);
  }
});

test('a browser from an allowed origin may read it', () => {
  const cors = filterJson('envoy.filters.http.cors', 'envoy.extensions.filters.http.cors.v3.Cors');
  const policy = { '@type': 'type.googleapis.com/envoy.extensions.filters.http.cors.v3.CorsPolicy', allowOriginStringMatch: [{ exact: 'https://shop' }], exposeHeaders: 'grpc-status' };
  const world = new Served({ filters: [filter, cors], routes: [{ match: { prefix: '/' }, route: { cluster: 'app' }, typedPerFilterConfig: { 'envoy.filters.http.cors': policy } }] });
  const { wire } = world.connect();
  wire.receive(requestText('/echo.Echo/Say', ['origin: https://shop', 'content-type: application/grpc-web', 'content-length: 0'], 'POST'));
  world.backend.requests[0]?.respond(200, [...grpc, 'grpc-status', '0'], '');
  assert.match(wire.sent, /access-control-allow-origin: https:\/\/shop\r\n/);
  assert.match(wire.sent, /access-control-expose-headers: grpc-status\r\n/);
});
