import assert from 'node:assert/strict';
import { test } from 'node:test';
import { HeaderMap, RequestHead } from '@meltemi/http';
import { clientSide } from '../../testing/http2-sides.ts';
import { frame, headers, settings, testOptions, word } from '../../testing/http2-wire.ts';
import { preface } from './frames.ts';

const get = (path = '/') => new RequestHead('GET', path, 'a.example');
const post = (fields: string[] = []) => new RequestHead('POST', '/', 'a.example', new HeaderMap(fields));

test('begins with the preface, settings without push, and the larger window', () => {
  const { wire } = clientSide(testOptions({ initialConnectionWindow: 100_000 }));
  assert.equal(wire.sent.startsWith(`${preface}\0\0\x12\x04\0\0\0\0\0\0\x02\0\0\0\0`), true);
  assert.equal(wire.sent.endsWith(frame(8, 0, 0, word(34_465))), true);
});

test('streams run side by side and give their place back', () => {
  const { open, wire, seen, codec, stream, sent } = clientSide();
  open(3, 2);
  assert.equal(codec.capacity, 2);
  stream().head(get('/1'), true);
  stream().head(get('/2'), true);
  assert.equal(codec.capacity, 0);
  assert.deepEqual(sent(), ['HEADERS 1 end :method=GET :scheme=http :path=/1 :authority=a.example', 'HEADERS 3 end :method=GET :scheme=http :path=/2 :authority=a.example']);
  wire.receive(headers(3, [':status', '204']) + headers(1, [':status', '200', 'x', 'y'], 4) + frame(0, 1, 1, 'hello'));
  assert.deepEqual(seen, ['2 204 [] end', '1 200 [x y]', '1 data hello', '1 end', 'capacity 2', 'idle']);
});

test('interim responses come first, trailers last', () => {
  const { open, wire, seen, stream } = clientSide();
  open();
  stream().head(get(), true);
  wire.receive(headers(1, [':status', '103', 'link', 'x'], 4) + headers(1, [':status', '200'], 4) + frame(0, 0, 1, 'b') + headers(1, ['grpc-status', '0']));
  assert.deepEqual(seen.filter((each) => each.startsWith('1')), ['1 interim 103 [link x]', '1 200 []', '1 data b', '1 end [grpc-status 0]']);
});

test('the answer to HEAD has a length and no body', () => {
  const { open, wire, seen, stream } = clientSide();
  open();
  stream('HEAD').head(new RequestHead('HEAD', '/', 'a.example'), true);
  wire.receive(headers(1, [':status', '200', 'content-length', '10']));
  assert.equal(seen.includes('1 200 [content-length 10] end'), true);
});

for (const [what, bytes] of [
  ['a body shorter than its content-length', headers(1, [':status', '200', 'content-length', '3'], 4) + frame(0, 1, 1, 'ab')],
  ['an end without the content-length', headers(1, [':status', '200', 'content-length', '3'])],
  ['a body before the head', frame(0, 0, 1, 'ab')],
  ['no status', headers(1, ['x', 'y'])],
  ['a status of two digits', headers(1, [':status', '20'])],
  ['a request’s pseudo field', headers(1, [':status', '200', ':path', '/'])],
  ['an interim response that ends the stream', headers(1, [':status', '100'])],
  ['101', headers(1, [':status', '101'], 4)],
  ['a connection field', headers(1, [':status', '200', 'connection', 'close'])],
  ['trailers without end', headers(1, [':status', '200'], 4) + headers(1, ['x', 'y'], 4)],
] as const) {
  test(`a malformed response ends the connection, and every stream on it: ${what}`, () => {
    const { open, wire, seen, codec, stream, sent } = clientSide();
    open();
    for (let i = 0; i < 2; i++) stream().head(get(), true);
    sent();
    wire.receive(bytes);
    assert.deepEqual(seen.filter((each) => / reset /.test(each)).map((each) => each.replace(/http2\..*/, '')), ['1 reset protocol ', '2 reset protocol ']);
    assert.deepEqual([sent().at(-1), codec.closing], ['GOAWAY 0 1', true]);
  });

  test(`a malformed response resets its stream alone, where that is asked for: ${what}`, () => {
    const { open, wire, seen, codec, stream, sent } = clientSide(testOptions({ streamErrorOnMalformed: true }));
    open();
    stream().head(get(), true);
    sent();
    wire.receive(bytes);
    assert.match(seen.findLast((each) => each.startsWith('1')) ?? '', /^1 reset protocol http2\./);
    assert.deepEqual([sent(), codec.closing], [['RST_STREAM 1 1'], false]);
  });
}

test('RST_STREAM says whether the server has processed the request', () => {
  const { open, wire, seen, stream } = clientSide();
  open();
  stream().head(get(), true);
  stream().head(get(), true);
  wire.receive(frame(3, 0, 1, word(7)) + frame(3, 0, 3, word(2)));
  assert.deepEqual(seen.filter((each) => each.includes('reset')), ['1 reset remote http2.remote_refuse refused', '2 reset remote http2.remote_reset']);
});

test('GOAWAY: streams above its last id are refused, the others finish, then the connection leaves', () => {
  const { open, wire, seen, codec, stream } = clientSide();
  open();
  stream().head(get(), true);
  stream().head(get(), true);
  wire.receive(frame(7, 0, 0, Buffer.concat([word(1), word(0)])));
  assert.deepEqual(seen, ['goaway 1', '2 reset remote http2.remote_refuse refused']);
  assert.equal(codec.capacity, 0);
  wire.receive(headers(1, [':status', '204']));
  assert.equal(seen.at(-1), '1 204 [] end');
  assert.equal(wire.ended, true);
  wire.destroy();
  assert.equal(seen.at(-1), 'gone');
});

test('a stream asked for before GOAWAY and begun after it is refused', () => {
  const { open, wire, seen, stream, sent } = clientSide();
  open();
  const late = stream();
  wire.receive(frame(7, 0, 0, Buffer.concat([word(0), word(0)])));
  sent();
  late.head(get(), true);
  assert.equal(seen.at(-1), '1 reset remote http2.remote_refuse refused');
});

test('a connection that breaks resets what runs; one that died while idle says stale', () => {
  const { open, wire, seen, stream } = clientSide();
  open();
  stream().head(get(), true);
  wire.receive(headers(1, [':status', '204']));
  stream().head(get(), true);
  wire.sink.onEnd();
  assert.deepEqual(seen.slice(-2), ['2 reset termination  stale', 'gone']);
});

test('a new connection that breaks at once is not stale, however many streams it had', () => {
  const { open, wire, seen, stream } = clientSide();
  open();
  stream().head(get(), true);
  stream().head(get(), true);
  wire.sink.onEnd();
  assert.deepEqual(seen.slice(0, 2), ['1 reset termination ', '2 reset termination ']);
});

test('a server that breaks the protocol ends the connection and says why', () => {
  const { open, wire, seen, stream } = clientSide();
  open();
  stream().head(get(), true);
  wire.receive(frame(5, 4, 1, word(2)));
  assert.equal(seen.at(-1), '1 reset protocol codec_error:a_push_that_was_not_allowed');
  wire.destroy();
  assert.equal(seen.at(-1), 'gone codec_error:a_push_that_was_not_allowed');
});

test('an answer before the end of the request cancels the rest', () => {
  const { open, wire, seen, stream, sent } = clientSide();
  open();
  const writer = stream('POST');
  writer.head(post(), false);
  sent();
  wire.receive(headers(1, [':status', '413']));
  assert.deepEqual(sent(), ['RST_STREAM 1 8']);
  assert.deepEqual(seen.slice(0, 1), ['1 413 [] end']);
  assert.equal(writer.data(Buffer.from('late'), 0, 4), true);
  assert.deepEqual(sent(), []);
});

test('request bodies keep to both windows and say when there is room', () => {
  const { open, wire, seen, stream, sent } = clientSide();
  open(4, 100_000);
  const writer = stream('POST');
  writer.head(post(), false);
  sent();
  assert.equal(writer.data(Buffer.alloc(70_000), 0, 70_000), false);
  assert.deepEqual(sent(), ['DATA 1 16384', 'DATA 1 16384', 'DATA 1 16384', 'DATA 1 16383']);
  wire.receive(frame(8, 0, 0, word(10_000)));
  assert.equal(seen.at(-1), '1 writable');
  assert.deepEqual(sent(), ['DATA 1 4465']);
});

test('one stalled response does not stop the others', () => {
  const { open, wire, seen, stream, sent } = clientSide(testOptions({ initialStreamWindow: 20_000 }));
  open();
  const stalled = stream();
  stalled.head(get(), true);
  stream().head(get(), true);
  sent();
  wire.receive(headers(1, [':status', '200'], 4) + headers(3, [':status', '200'], 4));
  stalled.pauseResponse();
  wire.receive(frame(0, 0, 1, 'x'.repeat(16_384)));
  for (let i = 0; i < 20; i++) wire.receive(frame(0, 0, 3, 'y'.repeat(10_000)));
  assert.equal(seen.filter((each) => each.startsWith('1 data')).length, 0);
  assert.equal(seen.at(-1)?.length, '2 data '.length + 200_000);
  assert.equal(sent().filter((each) => each.startsWith('WINDOW_UPDATE 1')).length, 0);
  stalled.resumeResponse();
  assert.equal(sent().some((each) => each.startsWith('WINDOW_UPDATE 1')), true);
});

test('an answer that ended while it was held back is told in full, also when the connection is gone', () => {
  const { open, wire, seen, stream } = clientSide();
  open();
  const held = stream();
  held.head(get(), true);
  wire.receive(headers(1, [':status', '200'], 4));
  held.pauseResponse();
  wire.receive(frame(0, 1, 1, 'body'));
  wire.destroy();
  held.resumeResponse();
  assert.deepEqual(seen.filter((each) => each.startsWith('1')), ['1 200 []', '1 data body', '1 end']);
});

test('keepalive pings with jitter and ends a connection that does not answer', () => {
  const options = testOptions({ keepaliveIntervalMs: 1000, keepaliveTimeoutMs: 500 });
  const { open, wire, seen, sent } = clientSide(options);
  open();
  options.clock.advance(1150);
  assert.deepEqual(sent(), ['PING']);
  wire.receive(frame(6, 1, 0, '\x01\0\0\0\0\0\0\0'));
  options.clock.advance(1150);
  assert.deepEqual(sent(), ['PING']);
  options.clock.advance(500);
  assert.equal(seen.at(-1), 'gone http2.ping_timeout');
});

test('a connection silent for long is pinged before its next stream', () => {
  const options = testOptions({ keepaliveTimeoutMs: 500, connectionIdleIntervalMs: 10_000 });
  const { open, stream, sent } = clientSide(options);
  open();
  stream().reset();
  assert.deepEqual(sent(), []);
  options.clock.advance(10_001);
  stream().head(get(), true);
  assert.deepEqual(sent().map((each) => each.split(' ')[0]), ['PING', 'HEADERS']);
});

test('an upgrade goes out as extended CONNECT and its 200 comes back as 101', () => {
  const { open, wire, seen, stream, sent } = clientSide();
  open(8, 1);
  const head = get('/chat');
  head.headers.add('upgrade', 'websocket');
  stream('GET', true).head(head, false);
  assert.deepEqual(sent(), ['HEADERS 1 :method=CONNECT :protocol=websocket :scheme=http :path=/chat :authority=a.example']);
  wire.receive(headers(1, [':status', '200'], 4) + frame(0, 0, 1, 'hi'));
  assert.deepEqual(seen, ['1 101 [upgrade websocket]', '1 data hi']);
});

test('an HTTP/1 client whose WebSocket goes on over HTTP/2 gets the proof that its key asks for, the server\'s own where there is one', () => {
  for (const [own, accept] of [[[], 's3pPLMBiTxaQ9kYGzzhZRbK+xOo='], [['sec-websocket-accept', 'own'], 'own']] as const) {
    const { open, wire, seen, stream } = clientSide();
    open(8, 1);
    const head = new RequestHead('GET', '/chat', 'a.example', new HeaderMap(['upgrade', 'websocket', 'sec-websocket-key', 'dGhlIHNhbXBsZSBub25jZQ==']));
    stream('GET', true).head(head, false);
    wire.receive(headers(1, [':status', '200', ...own], 4));
    assert.match(seen[0] ?? '', new RegExp(`sec-websocket-accept ${accept.replaceAll('+', String.raw`\+`)}`));
  }
});

test('an upgrade to a server that does not offer it fails without a byte', () => {
  const { open, seen, stream, sent } = clientSide();
  open();
  stream('GET', true).head(get(), false);
  assert.deepEqual([seen[0], sent()], ['1 reset local http2.extended_connect_not_supported', []]);
});

test('retires: at once when idle, after the last answer otherwise', () => {
  const busy = clientSide();
  busy.open();
  busy.stream().head(get(), true);
  busy.codec.retire();
  assert.deepEqual([busy.codec.capacity, busy.wire.ended], [0, false]);
  busy.wire.receive(headers(1, [':status', '204']));
  assert.equal(busy.wire.ended, true);
  const idle = clientSide();
  idle.open();
  idle.codec.retire();
  assert.equal(idle.wire.ended, true);
});

test('until the server has said its limit a hundred streams are opened', () => {
  const { codec, wire } = clientSide(testOptions({ maxConcurrentStreams: 1024 }));
  assert.equal(codec.capacity, 100);
  wire.receive(settings(3, 5000));
  assert.equal(codec.capacity, 1024);
});

test('a server that names no limit has none, once its settings are there', () => {
  const { codec, wire, seen } = clientSide(testOptions({ maxConcurrentStreams: 1024 }));
  for (let i = 0; i < 100; i++) codec.newStream({ onInterim: () => {}, onHead: () => {}, onData: () => {}, onEnd: () => {}, onReset: () => {}, onWritable: () => {} }, 'GET').head(get(), true);
  assert.equal(codec.capacity, 0);
  wire.receive(settings());
  assert.equal(codec.capacity, 924);
  assert.deepEqual(seen, ['capacity 924']);
});

test('what is known of a host limits the streams before its settings', () => {
  const { codec, wire } = clientSide({ ...testOptions({ maxConcurrentStreams: 1024 }), streamsAtFirst: 2 });
  assert.equal(codec.capacity, 2);
  wire.receive(settings(3, 7));
  assert.equal(codec.capacity, 7);
});

