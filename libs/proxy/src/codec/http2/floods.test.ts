import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ResponseHead } from '@meltemi/http';
import { serverSide } from '../../testing/http2-sides.ts';
import { frame, getFields, headers, literals, settings, testOptions, word } from '../../testing/http2-wire.ts';

const open = headers(1, getFields, 4);

/** Sends `once` at most `times` times; how often until the connection ended with ENHANCE_YOUR_CALM, and why. */
function flood(once: (i: number) => string, times: number, before = ''): { count: number; why: string | undefined } {
  const { open: begin, wire, seen, codec, sent } = serverSide();
  begin();
  wire.receive(before);
  // The client reads nothing.
  wire.pendingBytes = 1e9;
  sent();
  let count = 0;
  while (count < times && !codec.closing) wire.receive(once(count++));
  if (codec.closing) assert.equal(sent().at(-1)?.split(' ')[2], '11');
  return { count: codec.closing ? count : Infinity, why: seen.find((each) => each.startsWith('error 11'))?.slice(9) };
}

test('PINGs whose answers are not read: 1,000 wait, one more ends it', () => {
  assert.deepEqual(flood(() => frame(6, 0, 0, '12345678'), 2000), { count: 1000, why: 'codec_error:Too_many_control_frames_in_the_outbound_queue.' });
});

test('SETTINGS whose answers are not read', () => {
  assert.deepEqual(flood(() => settings(4, 65_535), 2000).why, 'codec_error:Too_many_control_frames_in_the_outbound_queue.');
});

test('PINGs whose answers are read may go on for ever', () => {
  const { open: begin, wire, codec } = serverSide();
  begin();
  for (let i = 0; i < 5000; i++) wire.receive(frame(6, 0, 0, '12345678'));
  assert.equal(codec.closing, false);
});

test('requests that are answered with resets nobody reads', () => {
  assert.match(flood((i) => headers(3 + 2 * i, [':method', 'CONNECT', ':authority', 'x:1'], 4), 2000, open).why ?? '', /premature_resets|control_frames/);
});

test('answers that nobody reads: 10,000 frames wait', () => {
  const { open: begin, wire, seen, streams, codec } = serverSide();
  begin();
  wire.pendingBytes = 1e9;
  let id = 1;
  while (!codec.closing && id < 40_000) {
    wire.receive(headers(id));
    streams.at(-1)?.head(new ResponseHead(204), true);
    id += 2;
  }
  assert.equal(seen.at(-1), 'error 11 codec_error:Too_many_frames_in_the_outbound_queue.');
  assert.equal((id - 1) / 2 > 9_900 && (id - 1) / 2 < 10_100, true);
});

test('a stream of many small messages that is read slowly is no flood', () => {
  const { open: begin, wire, streams, codec } = serverSide();
  begin();
  wire.pendingBytes = 1e9;
  wire.receive(headers(1));
  streams[0]?.head(new ResponseHead(200), false);
  for (let i = 0; i < 20_000; i++) streams[0]?.data(Buffer.from('x'), 0, 1);
  wire.receive(headers(3));
  assert.equal(codec.closing, false);
});

test('empty DATA: the second in a row ends it', () => {
  assert.deepEqual(flood(() => frame(0, 0, 1), 10, open), { count: 2, why: 'http2.inbound_empty_frames_flood' });
});

test('DATA with padding only counts as empty', () => {
  assert.deepEqual(flood(() => frame(0, 8, 1, '\x03\0\0\0'), 10, open), { count: 2, why: 'http2.inbound_empty_frames_flood' });
});

test('PRIORITY: a hundred per stream', () => {
  assert.deepEqual(flood(() => frame(2, 0, 1, [0, 0, 0, 0, 1]), 1000, open), { count: 201, why: 'codec_error:Too_many_PRIORITY_frames' });
});

test('WINDOW_UPDATE: in proportion to the data we sent', () => {
  assert.deepEqual(flood(() => frame(8, 0, 1, word(1)), 1000, open), { count: 8, why: 'codec_error:Too_many_WINDOW_UPDATE_frames' });
});

test('CONTINUATION: neither endless nor in endless pieces', () => {
  const start = frame(1, 0, 3, literals(...getFields));
  assert.ok(flood((i) => (i === 0 ? start : frame(9, 0, 3, 'x')), 1000).count < 30);
  assert.ok(flood((i) => (i === 0 ? start : frame(9, 0, 3, 'x'.repeat(16_384))), 1000).count < 15);
  assert.deepEqual(flood((i) => (i === 0 ? start : frame(9, 0, 3)), 1000), { count: 3, why: 'http2.inbound_empty_frames_flood' });
});

test('rapid reset (CVE-2023-44487): 250 requests given up at once end the connection', () => {
  assert.deepEqual(flood((i) => headers(1 + 2 * i) + frame(3, 0, 1 + 2 * i, word(8)), 1000), { count: 250, why: 'too_many_premature_resets' });
});

test('resets that we are made to send (CVE-2025-8671) count as well', () => {
  assert.equal(flood((i) => headers(1 + 2 * i, getFields, 4) + frame(8, 0, 1 + 2 * i, word(0)), 1000).count <= 250, true);
});

test('a client that gives up few of many requests, or old ones, is left alone', () => {
  const options = testOptions();
  const { open: begin, wire, streams, codec } = serverSide(options);
  begin();
  for (let i = 0; i < 2000; i++) {
    wire.receive(headers(1 + 2 * i));
    if (i % 3 === 0) wire.receive(frame(3, 0, 1 + 2 * i, word(8)));
    else streams.at(-1)?.head(new ResponseHead(204), true);
  }
  for (let i = 2000; i < 3000; i++) {
    wire.receive(headers(1 + 2 * i));
    options.clock.advance(1001);
    wire.receive(frame(6, 0, 0, '12345678') + frame(4, 1, 0));
    wire.receive(frame(3, 0, 1 + 2 * i, word(8)));
  }
  assert.equal(codec.closing, false);
});

test('a field that is small on the wire and large in memory is dropped beyond the limit', () => {
  const { open: begin, wire, seen, sent } = serverSide();
  begin();
  // One entry of 4,000 bytes, then a thousand references to it.
  const entry = Buffer.concat([Buffer.from([0x40, 1, 0x78, 127, 0xa1, 0x1e]), Buffer.alloc(4000, 0x79)]);
  wire.receive(frame(1, 5, 1, Buffer.concat([literals(...getFields), entry, Buffer.alloc(1000, 0xbe)])));
  assert.deepEqual([seen, sent()], [['error 11 http2.too_many_headers'], ['RST_STREAM 1 11']]);
});

test('a flood that goes on after the end is not read on', () => {
  const { open: begin, wire } = serverSide();
  begin();
  wire.pendingBytes = 1e9;
  for (let i = 0; i < 1001; i++) wire.receive(frame(6, 0, 0, '12345678'));
  assert.equal(wire.ended, true);
  assert.equal(wire.paused, false, 'a little is dropped, so that GOAWAY arrives');
  for (let i = 0; i < 5000; i++) wire.receive(frame(6, 0, 0, '12345678'));
  assert.equal(wire.paused, true);
});
