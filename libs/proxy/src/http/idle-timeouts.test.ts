import assert from 'node:assert/strict';
import { test } from 'node:test';
import { preface } from '../codec/http2/frames.ts';
import { headers, settings } from '../testing/http2-wire.ts';
import { requestText, routeToApp, Served } from '../testing/served.ts';

/** One client, connected, after the worker's first look. */
function connected(hcm: Record<string, unknown>, route: Record<string, unknown> = {}) {
  const served = new Served({ hcm, routes: [routeToApp({}, route)] });
  const { wire } = served.connect();
  served.pass(1_000);
  return { served, wire, backend: served.backend.requests };
}

const idle = { commonHttpProtocolOptions: { idleTimeout: '60s' } };
const counted = (served: Served, name: string) => served.stats.counter(`http.test.${name}`).value;

test('downstream idle: a connection without a request is closed in order, not sooner', () => {
  const { served, wire } = connected(idle);
  served.pass(58_000);
  assert.equal(wire.ended, false);
  served.pass(3_000);
  assert.deepEqual([wire.ended, wire.closed, wire.sent], [true, false, '']);
  assert.equal(counted(served, 'downstream_cx_idle_timeout'), 1);
});

test('downstream idle: a request starts the time anew, and none is cut short by it', () => {
  const { served, wire, backend } = connected(idle);
  served.pass(50_000);
  wire.receive(requestText());
  for (let i = 0; i < 5; i++) served.pass(30_000);
  backend[0]?.respond();
  served.pass(1_000);
  assert.match(wire.sent, /200 OK/);
  served.pass(59_000);
  assert.equal(wire.ended, false);
  served.pass(2_000);
  assert.equal(wire.ended, true);
});

test('stream idle: a request that gets no answer in time is answered 504 with SI', () => {
  const { served, wire, backend } = connected({ streamIdleTimeout: '5s' });
  wire.receive(requestText());
  served.pass(1_000);
  served.pass(5_000);
  assert.equal(wire.sent, '');
  served.pass(1_000);
  assert.match(wire.sent, /^HTTP\/1\.1 504 [^]*stream timeout$/);
  assert.deepEqual([served.done[0]?.responseCodeDetails, backend[0]?.wasReset, counted(served, 'downstream_rq_idle_timeout')], ['stream_idle_timeout', true, 1]);
});

test('stream idle: a client that stops in the middle of its body gets 408', () => {
  const { served, wire } = connected({ streamIdleTimeout: '5s' });
  wire.receive(`${requestText('/', ['content-length: 10'], 'POST')}12345`);
  served.pass(1_000);
  served.pass(6_000);
  assert.match(wire.sent, /^HTTP\/1\.1 408 /);
});

test('stream idle: bytes either way keep a stream, and one that has answered already is reset', () => {
  const { served, wire, backend } = connected({ streamIdleTimeout: '5s' });
  wire.receive(`${requestText('/', ['content-length: 3'], 'POST')}1`);
  served.pass(4_000);
  wire.receive('2');
  served.pass(4_000);
  wire.receive('3');
  served.pass(4_000);
  backend[0]?.begin();
  served.pass(4_000);
  backend[0]?.part('a');
  served.pass(4_000);
  assert.equal(wire.closed, false);
  served.pass(6_000);
  assert.deepEqual([wire.closed, backend[0]?.wasReset], [true, true]);
});

test('stream idle: the route\'s own time wins, and 0 is no limit', () => {
  const longer = connected({ streamIdleTimeout: '5s' }, { idleTimeout: '60s' });
  const never = connected({ streamIdleTimeout: '5s' }, { idleTimeout: '0s' });
  for (const { served, wire } of [longer, never]) {
    wire.receive(requestText());
    served.pass(1_000);
    served.pass(30_000);
    assert.equal(wire.sent, '');
    served.pass(40_000);
  }
  assert.match(longer.wire.sent, / 504 /);
  assert.equal(never.wire.sent, '');
});

test('request headers: a head has its time from its first byte, not from before the wait for it', () => {
  const { served, wire } = connected({ requestHeadersTimeout: '10s', ...idle });
  served.pass(40_000);
  wire.receive('GET / HT');
  served.pass(1_000);
  assert.equal(wire.closed, false, 'it has just begun');
  served.pass(9_000);
  wire.receive('TP/1.1\r\nhost: x\r\n');
  served.pass(2_000);
  assert.equal(wire.closed, true, 'drops of bytes win no time');
  assert.equal(counted(served, 'downstream_rq_header_timeout'), 1);
});

test('request headers: the head after a served request has its own time', () => {
  const { served, wire, backend } = connected({ requestHeadersTimeout: '10s' });
  wire.receive('GET /1');
  served.pass(8_000);
  wire.receive(` HTTP/1.1\r\nhost: x\r\n\r\n`);
  backend[0]?.respond();
  wire.receive('GET /2');
  served.pass(1_000);
  served.pass(9_000);
  assert.equal(wire.closed, false);
  served.pass(2_000);
  assert.equal(wire.closed, true);
});

test('a response that a client of HTTP/2 gives no window for ends with the stream idle timeout', () => {
  const world = new Served({ hcm: { streamIdleTimeout: '10s' } });
  const { wire } = world.connect();
  wire.receive(preface + settings(4, 10) + headers(1));
  world.backend.requests[0]?.respond(200, [], 'more than ten bytes');
  assert.equal(world.done.length, 1, 'the log has it: all was said');
  for (let i = 0; i < 9; i++) world.pass(1000);
  assert.equal(world.stats.entries().find(({ name }) => name === 'http2.tx_flush_timeout')?.value, 0);
  for (let i = 0; i < 4; i++) world.pass(1000);
  assert.equal(world.stats.entries().find(({ name }) => name === 'http2.tx_flush_timeout')?.value, 1);
});

test('a head that does not end, or comes in drops, is not waited for longer than a minute, also when no timeout is set', () => {
  for (const hcm of [{}, { streamIdleTimeout: '0s', commonHttpProtocolOptions: { idleTimeout: '3600s' } }]) {
    const { served, wire } = connected(hcm);
    wire.receive('GET / HT');
    for (let i = 0; i < 59; i++) {
      served.pass(1_000);
      wire.receive('x');
    }
    assert.equal(wire.closed, false);
    served.pass(3_000);
    assert.equal(wire.closed, true);
  }
});
