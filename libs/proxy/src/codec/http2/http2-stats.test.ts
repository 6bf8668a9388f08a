import assert from 'node:assert/strict';
import { test } from 'node:test';
import { HeaderMap, RequestHead, ResponseHead } from '@meltemi/http';
import { FlatStats } from '@meltemi/observe';
import { clientSide, serverSide } from '../../testing/http2-sides.ts';
import { frame, getFields, headers, testOptions, word, type TestOptions } from '../../testing/http2-wire.ts';
import { http2Stats } from './http2-stats.ts';

function counting(http2: Partial<TestOptions['http2']> = {}, limits?: TestOptions['limits']) {
  const flat = new FlatStats();
  const options = { ...testOptions(http2, limits), stats: http2Stats(flat, 'http2.') };
  return { options, counted: () => Object.fromEntries(flat.entries({ usedOnly: true }).map(({ name, value }) => [name.replace('http2.', ''), value])) };
}

test('resets and trailers of both directions, and the GOAWAYs of a drain', () => {
  const { options, counted } = counting();
  const { open, wire, streams, codec } = serverSide(options);
  open();
  wire.receive(headers(1, getFields, 4) + headers(1, ['x', 'y']) + headers(3, getFields, 4) + frame(3, 0, 3, word(8)) + headers(5, getFields, 4));
  streams[2]?.reset();
  codec.drain();
  assert.deepEqual(counted(), { trailers: 1, rx_reset: 1, tx_reset: 1, goaway_sent: 1 });
});

for (const [name, limits, send] of [
  ['rx_messaging_error', {}, headers(1, ['x', 'y'])],
  ['inbound_empty_frames_flood', {}, headers(1, getFields, 4) + frame(0, 0, 1).repeat(2)],
  ['inbound_priority_frames_flood', { maxPriorityFramesPerStream: 1 }, frame(2, 0, 3, [0, 0, 0, 0, 1]).repeat(2)],
  ['inbound_window_update_frames_flood', {}, frame(8, 0, 0, word(1)).repeat(6)],
  ['outbound_control_flood', { maxOutboundControlFrames: 1 }, frame(6, 0, 0, '12345678').repeat(5)],
  ['outbound_flood', { maxOutboundFrames: 1 }, frame(6, 0, 0, '12345678').repeat(5)],
] as const) {
  test(`${name}: one, with the GOAWAY that ends the connection`, () => {
    const { options, counted } = counting(limits);
    const { open, wire } = serverSide(options);
    open();
    wire.pendingBytes = 1e9;
    wire.receive(send);
    assert.deepEqual(counted(), { [name]: 1, goaway_sent: 1 });
  });
}

test('stream_refused_errors and header_overflow: each with the reset of its stream', () => {
  const { options, counted } = counting({ maxConcurrentStreams: 1 }, { maxHeadBytes: 400, maxFields: 10 });
  const { open, wire } = serverSide(options);
  open();
  wire.receive(headers(1, [...getFields, 'x', 'y'.repeat(400)]));
  wire.receive(headers(3, getFields, 4) + headers(5));
  assert.deepEqual(counted(), { header_overflow: 1, stream_refused_errors: 1, tx_reset: 2 });
});

test('keepalive_timeout: a peer that does not answer the PING', () => {
  const { options, counted } = counting({ keepaliveIntervalMs: 1000, keepaliveTimeoutMs: 100 });
  clientSide(options).open();
  options.clock.advance(2000);
  options.clock.advance(200);
  assert.deepEqual(counted(), { keepalive_timeout: 1, goaway_sent: 1 });
});

test('streams_active and pending_send_bytes are what they were at the last look, and 0 when the connection is gone', () => {
  const { options, counted } = counting();
  const { open, wire, streams, codec } = serverSide(options);
  open(4, 10);
  wire.receive(headers(1) + headers(3));
  const [first] = streams;
  first?.head(new ResponseHead(200), false);
  first?.data(Buffer.alloc(25), 0, 25);
  codec.count();
  assert.deepEqual(counted(), { streams_active: 2, pending_send_bytes: 15 });
  wire.receive(frame(8, 0, 1, word(5)));
  codec.count();
  assert.deepEqual(counted(), { streams_active: 2, pending_send_bytes: 10 });
  wire.destroy();
  assert.deepEqual(counted(), { streams_active: 0, pending_send_bytes: 0 });
});

test('nothing pends once a stream that waited is reset', () => {
  const { options } = counting();
  const { open, wire, stream, codec } = clientSide(options);
  open(4, 10);
  const one = stream('POST');
  one.head(new RequestHead('POST', '/', 'a.example', new HeaderMap([])), false);
  one.data(Buffer.alloc(30), 0, 30);
  wire.receive(frame(8, 0, 1, word(4)));
  assert.equal(codec.pendingBytes, 16);
  one.reset();
  assert.equal(codec.pendingBytes, 0);
});

test('tx_flush_timeout: a complete response that the client takes nothing of is given up; one that moves on is not', () => {
  const { options, counted } = counting();
  const { open, wire, streams, codec, sent } = serverSide(options);
  open(4, 10);
  wire.receive(headers(1) + headers(3) + headers(5));
  for (const stream of streams) {
    stream.head(new ResponseHead(200), false);
    stream.data(Buffer.alloc(40), 0, 40);
  }
  // The third may still get more from its upstream: that has a deadline of its own.
  for (const stream of streams.slice(0, 2)) stream.end(null);
  sent();
  codec.dropStalled(0, 1000);
  codec.dropStalled(900, 1000);
  wire.receive(frame(8, 0, 3, word(5)));
  sent();
  codec.dropStalled(1100, 1000);
  assert.deepEqual(sent(), ['RST_STREAM 1 2']);
  assert.deepEqual([...codec.streams.keys()], [3, 5]);
  codec.dropStalled(2000, 1000);
  assert.deepEqual(sent(), []);
  codec.dropStalled(2200, 1000);
  assert.deepEqual([sent(), counted()['tx_flush_timeout'], codec.pendingBytes], [['RST_STREAM 3 2'], 2, 30]);
});
