import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ResponseHead } from '@meltemi/http';
import { serverSide } from '../../testing/http2-sides.ts';
import { frame, getFields, headers, literals, settings, testOptions, word } from '../../testing/http2-wire.ts';
import { preface } from './frames.ts';

/** What a peer does after the settings, and what we must answer: "STREAM n code" resets one stream, "CONNECTION code" ends it, "OK" serves. */
interface Case {
  readonly rule: string;
  readonly send: string;
  readonly expect: string;
}

const none = 0, protocol = 1, flowControl = 3, streamClosed = 5, frameSize = 6, refused = 7, compression = 9;
const post = getFields.with(1, 'POST');
const open = headers(1, post, 4);
const withField = (...more: readonly string[]) => headers(1, [...getFields, ...more]);
const without = (name: string) => getFields.filter((_, i) => getFields[i - (i % 2)] !== name);
const block = literals(...getFields);

const framing: Case[] = [
  { rule: '4.1: frames of unknown types are ignored', send: frame(0x16, 0, 0, 'x') + headers(1), expect: 'OK' },
  { rule: '4.1: undefined flags are ignored', send: frame(6, 0xf6, 0, '12345678') + headers(1), expect: 'OK' },
  { rule: '4.1: the reserved bit of the stream id is ignored', send: frame(1, 5, 0x8000_0001, block), expect: 'OK' },
  { rule: '4.2: a frame larger than SETTINGS_MAX_FRAME_SIZE', send: open + frame(0, 0, 1, 'x'.repeat(16_385)), expect: `CONNECTION ${frameSize}` },
  { rule: '4.3: a field block that cannot be decompressed', send: frame(1, 5, 1, [0xff, 0xff, 0xff, 0xff, 0xff, 0xff]), expect: `CONNECTION ${compression}` },
  { rule: '4.3: a PRIORITY frame inside a field block', send: frame(1, 1, 1, block) + frame(2, 0, 1, [0, 0, 0, 0, 1]), expect: `CONNECTION ${protocol}` },
  { rule: '4.3: a field block of another stream inside', send: frame(1, 1, 1, block) + headers(3), expect: `CONNECTION ${protocol}` },
  { rule: '5.1: idle: DATA', send: frame(0, 1, 1, 'x'), expect: `CONNECTION ${protocol}` },
  { rule: '5.1: idle: RST_STREAM', send: frame(3, 0, 1, word(8)), expect: `CONNECTION ${protocol}` },
  { rule: '5.1: idle: WINDOW_UPDATE', send: frame(8, 0, 1, word(100)), expect: `CONNECTION ${protocol}` },
  { rule: '5.1: idle: CONTINUATION', send: frame(9, 4, 1, block), expect: `CONNECTION ${protocol}` },
  { rule: '5.1: half-closed (remote): DATA', send: headers(1) + frame(0, 1, 1, 'x'), expect: `STREAM 1 ${streamClosed}` },
  { rule: '5.1: half-closed (remote): HEADERS', send: headers(1) + headers(1), expect: `STREAM 1 ${streamClosed}` },
  { rule: '5.1: half-closed (remote): WINDOW_UPDATE and PRIORITY are fine', send: headers(1) + frame(8, 0, 1, word(10)) + frame(2, 0, 1, [0, 0, 0, 0, 1]), expect: 'OK' },
  { rule: '5.1: closed by RST_STREAM: DATA', send: open + frame(3, 0, 1, word(8)) + frame(0, 1, 1, 'x'), expect: `STREAM 1 ${streamClosed}` },
  { rule: '5.1: closed by RST_STREAM: HEADERS', send: open + frame(3, 0, 1, word(8)) + headers(1), expect: `CONNECTION ${streamClosed}` },
  { rule: '5.1: closed by RST_STREAM: another RST_STREAM and WINDOW_UPDATE are ignored', send: open + frame(3, 0, 1, word(8)).repeat(2) + frame(8, 0, 1, word(1)) + headers(3), expect: 'OK' },
  { rule: '5.1.1: an even stream id from a client', send: headers(2), expect: `CONNECTION ${protocol}` },
  { rule: '5.1.1: a stream id lower than one before', send: headers(5) + headers(3), expect: `CONNECTION ${streamClosed}` },
  { rule: '6.1: DATA on stream 0', send: frame(0, 1, 0, 'x'), expect: `CONNECTION ${protocol}` },
  { rule: '6.1: DATA with more padding than payload', send: open + frame(0, 9, 1, '\x08abc'), expect: `CONNECTION ${protocol}` },
  { rule: '6.1: DATA with padding', send: open + frame(0, 9, 1, '\x02ab\0\0'), expect: 'OK' },
  { rule: '6.1: padded DATA without room for the pad length', send: open + frame(0, 9, 1), expect: `CONNECTION ${frameSize}` },
  { rule: '6.2: HEADERS on stream 0', send: headers(0), expect: `CONNECTION ${protocol}` },
  { rule: '6.2: HEADERS with more padding than payload', send: frame(1, 13, 1, Buffer.concat([Buffer.from([200]), block])), expect: `CONNECTION ${protocol}` },
  { rule: '6.2: HEADERS with padding and priority', send: frame(1, 45, 1, Buffer.concat([Buffer.from([3, 0, 0, 0, 0, 16]), block, Buffer.alloc(3)])), expect: 'OK' },
  { rule: '6.3: PRIORITY on stream 0', send: frame(2, 0, 0, [0, 0, 0, 1, 1]), expect: `CONNECTION ${protocol}` },
  { rule: '6.3: PRIORITY that is not 5 bytes', send: frame(2, 0, 1, [0, 0, 0, 1]), expect: `CONNECTION ${frameSize}` },
  { rule: '6.3: PRIORITY on an idle stream', send: frame(2, 0, 7, [0, 0, 0, 1, 1]) + headers(1), expect: 'OK' },
  { rule: '6.4: RST_STREAM on stream 0', send: frame(3, 0, 0, word(8)), expect: `CONNECTION ${protocol}` },
  { rule: '6.4: RST_STREAM that is not 4 bytes', send: open + frame(3, 0, 1, [0, 0, 0]), expect: `CONNECTION ${frameSize}` },
  { rule: '6.5: SETTINGS ACK with a payload', send: frame(4, 1, 0, 'x'), expect: `CONNECTION ${frameSize}` },
  { rule: '6.5: SETTINGS on a stream', send: frame(4, 0, 1), expect: `CONNECTION ${protocol}` },
  { rule: '6.5: SETTINGS that is not a multiple of 6 bytes', send: frame(4, 0, 0, 'abc'), expect: `CONNECTION ${frameSize}` },
  { rule: '6.5.2: ENABLE_PUSH other than 0 and 1', send: settings(2, 2), expect: `CONNECTION ${protocol}` },
  { rule: '6.5.2: INITIAL_WINDOW_SIZE beyond 2^31-1', send: settings(4, 0x8000_0000), expect: `CONNECTION ${flowControl}` },
  { rule: '6.5.2: MAX_FRAME_SIZE below 2^14', send: settings(5, 16_383), expect: `CONNECTION ${protocol}` },
  { rule: '6.5.2: MAX_FRAME_SIZE beyond 2^24-1', send: settings(5, 0x100_0000), expect: `CONNECTION ${protocol}` },
  { rule: '6.5.2: unknown settings are ignored', send: settings(0xff, 7) + headers(1), expect: 'OK' },
  { rule: '6.6: PUSH_PROMISE from a client', send: open + frame(5, 4, 1, Buffer.concat([word(2), block])), expect: `CONNECTION ${protocol}` },
  { rule: '6.7: PING on a stream', send: frame(6, 0, 1, '12345678'), expect: `CONNECTION ${protocol}` },
  { rule: '6.7: PING that is not 8 bytes', send: frame(6, 0, 0, '123456'), expect: `CONNECTION ${frameSize}` },
  { rule: '6.7: a PING ACK nobody asked for is ignored', send: frame(6, 1, 0, '12345678') + headers(1), expect: 'OK' },
  { rule: '6.8: GOAWAY on a stream', send: frame(7, 0, 1, Buffer.concat([word(0), word(0)])), expect: `CONNECTION ${protocol}` },
  { rule: '6.9: WINDOW_UPDATE of 0 on the connection', send: frame(8, 0, 0, word(0)), expect: `CONNECTION ${protocol}` },
  { rule: '6.9: WINDOW_UPDATE of 0 on a stream', send: open + frame(8, 0, 1, word(0)), expect: `STREAM 1 ${protocol}` },
  { rule: '6.9: WINDOW_UPDATE that is not 4 bytes', send: frame(8, 0, 0, [0, 0, 1]), expect: `CONNECTION ${frameSize}` },
  { rule: '6.9.1: the connection window beyond 2^31-1', send: frame(8, 0, 0, word(0x7fff_ffff)), expect: `CONNECTION ${flowControl}` },
  { rule: '6.9.1: a stream window beyond 2^31-1', send: open + frame(8, 0, 1, word(0x7fff_ffff)), expect: `STREAM 1 ${flowControl}` },
  { rule: '6.9.2: SETTINGS that push an open stream beyond 2^31-1', send: open + frame(8, 0, 1, word(1)) + settings(4, 0x7fff_ffff), expect: `CONNECTION ${flowControl}` },
  { rule: '6.10: a field block in many CONTINUATIONs', send: frame(1, 1, 1, block.subarray(0, 3)) + frame(9, 0, 1, block.subarray(3, 9)) + frame(9, 4, 1, block.subarray(9)), expect: 'OK' },
  { rule: '6.10: CONTINUATION on stream 0', send: frame(1, 1, 1, block) + frame(9, 4, 0, 'x'), expect: `CONNECTION ${protocol}` },
  { rule: '6.10: CONTINUATION after END_HEADERS', send: open + frame(9, 4, 1, block), expect: `CONNECTION ${protocol}` },
];

const messages: Case[] = [
  { rule: '8.1: trailers without END_STREAM', send: open + headers(1, ['x', 'y'], 4), expect: `STREAM 1 ${protocol}` },
  { rule: '8.1: trailers with a pseudo field', send: open + headers(1, [':path', '/']), expect: `STREAM 1 ${protocol}` },
  { rule: '8.1.1: content-length larger than the body', send: headers(1, [...post, 'content-length', '4'], 4) + frame(0, 1, 1, 'abc'), expect: `STREAM 1 ${protocol}` },
  { rule: '8.1.1: content-length smaller than the body', send: headers(1, [...post, 'content-length', '2'], 4) + frame(0, 1, 1, 'abc'), expect: `STREAM 1 ${protocol}` },
  { rule: '8.1.1: content-length without a body', send: withField('content-length', '1'), expect: `STREAM 1 ${protocol}` },
  { rule: '8.1.1: content-length that is no number', send: withField('content-length', '1x'), expect: `STREAM 1 ${protocol}` },
  { rule: '8.1.1: two content-lengths', send: withField('content-length', '0', 'content-length', '0'), expect: `STREAM 1 ${protocol}` },
  { rule: '8.2.1: a name with upper-case letters', send: withField('X-Upper', 'a'), expect: `STREAM 1 ${protocol}` },
  { rule: '8.2.1: a name with a blank', send: withField('x y', 'a'), expect: `STREAM 1 ${protocol}` },
  { rule: '8.2.1: an empty name', send: withField('', 'a'), expect: `STREAM 1 ${protocol}` },
  { rule: '8.2.1: a line break in a value', send: withField('x', 'a\r\nb: c'), expect: `STREAM 1 ${protocol}` },
  { rule: '8.2.1: NUL in a value', send: withField('x', 'a\0b'), expect: `STREAM 1 ${protocol}` },
  { rule: '8.2.1: a value that begins with a blank', send: withField('x', ' a'), expect: `STREAM 1 ${protocol}` },
  { rule: '8.2.2: connection', send: withField('connection', 'close'), expect: `STREAM 1 ${protocol}` },
  { rule: '8.2.2: transfer-encoding', send: withField('transfer-encoding', 'chunked'), expect: `STREAM 1 ${protocol}` },
  { rule: '8.2.2: upgrade', send: withField('upgrade', 'websocket'), expect: `STREAM 1 ${protocol}` },
  { rule: '8.2.2: te other than trailers', send: withField('te', 'gzip'), expect: `STREAM 1 ${protocol}` },
  { rule: '8.2.2: te: trailers', send: withField('te', 'trailers'), expect: 'OK' },
  { rule: '8.3: an unknown pseudo field', send: headers(1, [...getFields, ':test', 'x']), expect: `STREAM 1 ${protocol}` },
  { rule: '8.3: a response’s pseudo field in a request', send: headers(1, [...getFields, ':status', '200']), expect: `STREAM 1 ${protocol}` },
  { rule: '8.3: a pseudo field behind an ordinary one', send: headers(1, ['x', 'y', ...getFields]), expect: `STREAM 1 ${protocol}` },
  { rule: '8.3: a pseudo field twice', send: headers(1, [...getFields, ':path', '/x']), expect: `STREAM 1 ${protocol}` },
  { rule: '8.3.1: no :method', send: headers(1, without(':method')), expect: `STREAM 1 ${protocol}` },
  { rule: '8.3.1: no :scheme', send: headers(1, without(':scheme')), expect: `STREAM 1 ${protocol}` },
  { rule: '8.3.1: no :path', send: headers(1, without(':path')), expect: `STREAM 1 ${protocol}` },
  { rule: '8.3.1: an empty :path', send: headers(1, getFields.with(5, '')), expect: `STREAM 1 ${protocol}` },
  { rule: '8.3.1: a :path with a fragment', send: headers(1, getFields.with(5, '/a#b')), expect: `STREAM 1 ${protocol}` },
  { rule: '8.3.1: a :path that is not absolute', send: headers(1, getFields.with(5, 'http://x/')), expect: `STREAM 1 ${protocol}` },
  { rule: '8.3.1: OPTIONS *', send: headers(1, getFields.with(1, 'OPTIONS').with(5, '*')), expect: 'OK' },
  { rule: '8.3.1: userinfo in :authority', send: headers(1, getFields.with(7, 'a@b')), expect: `STREAM 1 ${protocol}` },
  { rule: '8.3.1: host other than :authority', send: withField('host', 'b.example'), expect: `STREAM 1 ${protocol}` },
  { rule: '8.3.1: host instead of :authority', send: headers(1, [...without(':authority'), 'host', 'b.example']), expect: 'OK' },
  { rule: '8.5: CONNECT where it is not offered', send: headers(1, [':method', 'CONNECT', ':authority', 'x:1'], 4), expect: `STREAM 1 ${protocol}` },
  { rule: 'RFC 8441 4: :protocol without CONNECT', send: headers(1, [...getFields, ':protocol', 'websocket']), expect: `STREAM 1 ${protocol}` },
];

for (const { rule, send, expect } of [...framing, ...messages]) {
  test(`RFC 9113 ${rule}`, () => {
    const { open: begin, wire, codec, sent } = serverSide(testOptions({ streamErrorOnMalformed: true }));
    begin();
    wire.receive(send);
    const answers = sent();
    const goaway = answers.find((each) => each.startsWith('GOAWAY'));
    const reset = answers.find((each) => each.startsWith('RST_STREAM'));
    const outcome = goaway !== undefined ? `CONNECTION ${goaway.split(' ')[2]}` : reset !== undefined ? reset.replace('RST_STREAM', 'STREAM') : 'OK';
    assert.equal(outcome, expect);
    assert.equal(codec.closing, expect.startsWith('CONNECTION'));
    // After a stream error the connection serves on.
    if (codec.closing) return;
    wire.receive(headers(99));
    assert.equal(codec.streams.has(99), true);
  });
}

for (const { rule, send, expect } of messages) {
  if (expect === 'OK' || rule.startsWith('8.5')) continue;
  test(`Envoy's default, a malformed message ends the connection: ${rule}`, () => {
    const { open: begin, wire, seen, codec, sent } = serverSide();
    begin();
    wire.receive(headers(1) + send.replaceAll('\0\0\0\x01', '\0\0\0\x03'));
    assert.match(sent().join(), /GOAWAY [13] 1$/);
    assert.ok(codec.closing && wire.ended);
    assert.ok(seen.some((each) => /^1 reset protocol http2\.|^error 1 http2\./.test(each)), seen.join());
  });
}

test('RFC 9113 3.4: a preface that is not HTTP/2’s ends the connection', () => {
  const { wire, codec, sent } = serverSide();
  sent();
  wire.receive('GET / HTTP/1.1\r\n\r\n');
  assert.deepEqual([codec.closing, sent(), wire.ended], [true, ['GOAWAY 0 1'], true]);
});

test('RFC 9113 3.4: the first frame must be SETTINGS', () => {
  const { wire, sent } = serverSide();
  sent();
  wire.receive(preface + headers(1));
  assert.deepEqual(sent(), ['GOAWAY 0 1']);
});

test('RFC 9113 5.1.2: streams beyond the limit are refused and can be sent again', () => {
  const { open: begin, wire, streams, sent } = serverSide(testOptions({ maxConcurrentStreams: 2 }));
  begin();
  wire.receive(headers(1) + headers(3) + headers(5));
  assert.deepEqual(sent(), [`RST_STREAM 5 ${refused}`]);
  streams[0]?.head(new ResponseHead(204), true);
  wire.receive(headers(7));
  assert.equal(streams.length, 3);
});

test('RFC 9113 6.5.3: settings that are not acknowledged in time end the connection', () => {
  const options = testOptions();
  const { open: begin, sent } = serverSide(options);
  begin();
  options.clock.advance(30_000);
  assert.deepEqual(sent(), ['GOAWAY 0 4']);
});

test('RFC 9113 6.9: data beyond the window of a paused stream resets it, beyond the connection’s ends that', () => {
  for (const [connectionWindow, expected] of [[200_000, ['RST_STREAM 1 3']], [65_535, ['GOAWAY 1 3']]] as const) {
    const { open: begin, wire, streams, sent } = serverSide(testOptions({ initialConnectionWindow: connectionWindow }));
    begin();
    wire.receive(open);
    streams[0]?.pauseRequest();
    wire.receive(frame(0, 0, 1, 'x'.repeat(16_384)).repeat(4));
    assert.deepEqual(sent(), expected);
  }
});

test('RFC 9113 6.7: a PING is answered with its own bytes', () => {
  const { open: begin, wire } = serverSide();
  begin();
  wire.receive(frame(6, 0, 0, 'abcdefgh'));
  assert.equal(wire.sent, frame(6, 1, 0, 'abcdefgh'));
});

test('RFC 9113 8.2.3: crumbs of a cookie become one field', () => {
  const { open: begin, wire, seen } = serverSide();
  begin();
  wire.receive(withField('cookie', 'a=b', 'x', 'y', 'cookie', 'c=d'));
  assert.equal(seen[0], '1 GET / a.example [cookie a=b; c=d x y] end');
});

test('RFC 9113 6.5.2: a list of fields beyond the limit ends its stream alone, and the tables stay in step', () => {
  const { open: begin, wire, seen, sent } = serverSide(testOptions({}, { maxHeadBytes: 400, maxFields: 10 }));
  begin();
  wire.receive(withField('x', 'y'.repeat(300)));
  wire.receive(headers(3, [...getFields, ...Array.from({ length: 7 }, (_, i) => [`x${i}`, '']).flat()]));
  assert.deepEqual(seen, ['error 11 http2.too_many_headers', 'error 11 http2.too_many_headers']);
  assert.deepEqual(sent(), ['RST_STREAM 1 11', 'RST_STREAM 3 11']);
  wire.receive(headers(5));
  assert.equal(seen[2], '5 GET / a.example [] end');
});

test('RFC 9113 8.1: a client is told NO_ERROR when the answer is there before its request ended', () => {
  const { open: begin, wire, streams, sent } = serverSide();
  begin();
  wire.receive(open);
  streams[0]?.head(new ResponseHead(200), true);
  assert.deepEqual(sent(), ['HEADERS 1 end :status=200', `RST_STREAM 1 ${none}`]);
});

test('RFC 8441: an extended CONNECT looks like an upgrade above, and its 101 is a 200 on the wire', () => {
  const { open: begin, wire, seen, streams, sent } = serverSide(testOptions({ allowConnect: true }));
  begin();
  wire.receive(headers(1, [':method', 'CONNECT', ':protocol', 'websocket', ':scheme', 'http', ':path', '/chat', ':authority', 'a.example', 'sec-websocket-version', '13'], 4) + frame(0, 0, 1, 'hi'));
  assert.deepEqual(seen, ['1 GET /chat a.example [sec-websocket-version 13 upgrade websocket]', '1 data hi']);
  const head = new ResponseHead(101);
  head.headers.add('upgrade', 'websocket');
  streams[0]?.head(head, false);
  streams[0]?.data(Buffer.from('yo'), 0, 2);
  assert.deepEqual(sent(), ['HEADERS 1 :status=200', 'DATA 1 2']);
  wire.receive(headers(3, [':method', 'CONNECT', ':protocol', 'other', ':scheme', 'http', ':path', '/', ':authority', 'a.example'], 4));
  assert.equal(seen.at(-1), '3 GET / a.example [upgrade other]', 'which protocols may be switched to is the route\'s matter');
});

test('a tunnel by extended CONNECT has no length: none is told on, and none is checked', () => {
  const { open, wire, seen } = serverSide(testOptions({ allowConnect: true }));
  open();
  wire.receive(headers(1, [':method', 'CONNECT', ':protocol', 'websocket', ':scheme', 'http', ':path', '/chat', ':authority', 'a.example', 'content-length', '5'], 4) + frame(0, 0, 1, 'more than five'));
  assert.deepEqual(seen, ['1 GET /chat a.example [upgrade websocket]', '1 data more than five']);
});
