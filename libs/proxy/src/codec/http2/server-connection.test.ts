import assert from 'node:assert/strict';
import { test } from 'node:test';
import { HeaderMap, ResponseHead } from '@meltemi/http';
import { serverSide } from '../../testing/http2-sides.ts';
import { frame, getFields, headers, settings, testOptions, word } from '../../testing/http2-wire.ts';
import { preface } from './frames.ts';

const ok = () => new ResponseHead(200, new HeaderMap(['content-length', '2']));

test('says its settings first, acknowledges the client’s, and hands the request up', () => {
  const { wire, seen, sent } = serverSide();
  assert.deepEqual(sent(), ['SETTINGS']);
  wire.receive(preface + settings() + headers(1));
  assert.deepEqual(sent(), ['SETTINGS ack']);
  assert.deepEqual(seen, ['1 GET / a.example [] end']);
});

test('an answer in one turn ends with its last data frame', () => {
  const { open, wire, streams, sent } = serverSide();
  open();
  wire.turns = true;
  wire.receive(headers(1));
  streams[0]?.head(ok(), false);
  streams[0]?.data(Buffer.from('ok'), 0, 2);
  streams[0]?.end(null);
  wire.flush();
  assert.deepEqual(sent(), ['HEADERS 1 :status=200 content-length=2', 'DATA 1 end 2']);
});

test('bodies and trailers pass in both directions', () => {
  const { open, wire, seen, streams, sent } = serverSide();
  open();
  wire.receive(headers(1, [...getFields.with(1, 'POST'), 'te', 'trailers'], 4) + frame(0, 0, 1, 'ab') + frame(0, 0, 1, 'cd') + headers(1, ['x-sum', '4']));
  assert.deepEqual(seen, ['1 POST / a.example [te trailers]', '1 data abcd', '1 end [x-sum 4]']);
  streams[0]?.head(new ResponseHead(200), false);
  streams[0]?.end(new HeaderMap(['grpc-status', '0']));
  assert.deepEqual(sent(), ['HEADERS 1 :status=200', 'HEADERS 1 end grpc-status=0']);
});

test('many requests are answered in any order', () => {
  const { open, wire, streams, sent } = serverSide();
  open();
  wire.receive(headers(1) + headers(3) + headers(5));
  for (const stream of [streams[2], streams[0], streams[1]]) stream?.head(new ResponseHead(204), true);
  assert.deepEqual(sent(), ['HEADERS 5 end :status=204', 'HEADERS 1 end :status=204', 'HEADERS 3 end :status=204']);
});

test('an answer before the end of the request tells the client to stop', () => {
  const { open, wire, seen, streams, sent } = serverSide();
  open();
  wire.receive(headers(1, getFields, 4));
  streams[0]?.head(new ResponseHead(413), true);
  assert.deepEqual(sent(), ['HEADERS 1 end :status=413', 'RST_STREAM 1 0']);
  wire.receive(frame(0, 1, 1, 'late'));
  assert.deepEqual([seen.slice(1), sent()], [[], []]);
});

test('a paused request holds what the window lets in and gives no new window until it goes on', () => {
  const { open, wire, seen, streams, sent } = serverSide();
  open();
  wire.receive(settings() + frame(4, 1, 0) + headers(1, getFields, 4));
  sent();
  streams[0]?.pauseRequest();
  const part = 'x'.repeat(16_384);
  wire.receive(frame(0, 0, 1, part) + frame(0, 0, 1, part) + frame(0, 1, 1, 'y'));
  assert.deepEqual([seen.length, sent()], [1, []]);
  streams[0]?.resumeRequest();
  assert.equal(seen[1], `1 data ${part}${part}y`);
  assert.equal(seen[2], '1 end');
  assert.deepEqual(sent(), ['WINDOW_UPDATE 0 32768']);
});

test('data beyond the window waits, is bounded by the false it answers, and goes on with the update', () => {
  const { open, wire, seen, streams, sent } = serverSide();
  open(4, 10);
  wire.receive(headers(1));
  const stream = streams[0];
  stream?.head(new ResponseHead(200), false);
  assert.equal(stream?.data(Buffer.from('0123456789abcdef'), 0, 16), false);
  stream?.end(null);
  assert.deepEqual(sent(), ['HEADERS 1 :status=200', 'DATA 1 10']);
  wire.receive(frame(8, 0, 1, word(4)));
  wire.receive(frame(8, 0, 1, word(4)));
  assert.deepEqual(sent(), ['DATA 1 4', 'DATA 1 2', 'DATA 1 end 0']);
  assert.equal(seen.includes('1 writable'), false);
});

test('drains in two steps: nothing under way is lost, then the connection ends', () => {
  const { open, wire, seen, streams, codec, sent } = serverSide();
  open();
  wire.receive(headers(1));
  codec.drain();
  assert.deepEqual(sent(), ['GOAWAY 2147483647 0', 'PING']);
  wire.receive(headers(3) + frame(6, 1, 0, '\x02\0\0\0\0\0\0\0') + headers(5));
  assert.deepEqual(sent(), ['GOAWAY 3 0']);
  assert.equal(seen.length, 2);
  streams[0]?.head(new ResponseHead(204), true);
  assert.equal(wire.ended, false);
  streams[1]?.head(new ResponseHead(204), true);
  assert.equal(wire.ended, true);
});

test('a client that never answers the ping is told the last stream all the same', () => {
  const options = testOptions();
  const { open, wire, codec, sent } = serverSide(options);
  open();
  codec.drain();
  sent();
  options.clock.advance(1000);
  assert.deepEqual(sent(), ['GOAWAY 0 0']);
  assert.equal(wire.ended, true);
  options.clock.advance(1000);
  assert.equal(wire.closed, true);
});
