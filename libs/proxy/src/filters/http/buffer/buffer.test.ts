import assert from 'node:assert/strict';
import { test } from 'node:test';
import { filterJson, requestText, routeToApp, Served } from '../../../testing/served.ts';

type Json = Record<string, unknown>;

function served(maxRequestBytes = 10, override?: Json, hcm: Json = {}): Served {
  const perRoute = override === undefined ? {} : { typedPerFilterConfig: { 'envoy.filters.http.buffer': { '@type': 'type.googleapis.com/envoy.extensions.filters.http.buffer.v3.BufferPerRoute', ...override } } };
  return new Served({ filters: [filterJson('envoy.filters.http.buffer', 'envoy.extensions.filters.http.buffer.v3.Buffer', { maxRequestBytes })], routes: [routeToApp(perRoute)], hcm });
}

const chunked = requestText('/', ['transfer-encoding: chunked'], 'POST');

test('a chunked request goes on when it is complete, with its length', () => {
  const world = served();
  const { wire } = world.connect();
  wire.receive(`${chunked}3\r\nabc\r\n`);
  assert.equal(world.backend.requests.length, 0);
  wire.receive('2\r\nde\r\n0\r\n\r\n');
  const [request] = world.backend.requests;
  assert.deepEqual([request?.body, request?.head.headers.get('content-length')], ['abcde', '5']);
});

test('a body with trailers keeps them and gets no length', () => {
  const world = served(10, undefined, { httpProtocolOptions: { enableTrailers: true } });
  const { wire } = world.connect();
  wire.receive(`${chunked}3\r\nabc\r\n0\r\nx-sum: 1\r\n\r\n`);
  const [request] = world.backend.requests;
  assert.deepEqual([request?.body, request?.head.headers.get('content-length'), request?.ended], ['abc', null, true]);
});

test('a larger request is answered with 413 and never reaches the upstream', () => {
  const world = served();
  const { wire } = world.connect();
  wire.receive(`${requestText('/', ['content-length: 12'], 'POST')}${'x'.repeat(12)}`);
  assert.match(wire.sent, /^HTTP\/1\.1 413 /);
  assert.equal(world.backend.requests.length, 0);
  assert.equal(world.done[0]?.responseCodeDetails, 'request_payload_too_large');
});

test('a route raises the limit, or buffers nothing', () => {
  const more = served(10, { buffer: { maxRequestBytes: 2000 } });
  more.connect().wire.receive(`${requestText('/', ['content-length: 1500'], 'POST')}${'x'.repeat(1500)}`);
  assert.equal(more.backend.requests[0]?.body.length, 1500);
  const off = served(10, { disabled: true });
  off.connect().wire.receive(`${requestText('/', ['content-length: 12'], 'POST')}abc`);
  assert.equal(off.backend.requests[0]?.body, 'abc');
});

test('an upgrade is not waited for', () => {
  const world = new Served({ filters: [filterJson('envoy.filters.http.buffer', 'envoy.extensions.filters.http.buffer.v3.Buffer', { maxRequestBytes: 10 })], hcm: { upgradeConfigs: [{ upgradeType: 'websocket' }] } });
  world.connect().wire.receive(requestText('/', ['connection: upgrade', 'upgrade: websocket']));
  assert.equal(world.backend.requests.length, 1);
});
