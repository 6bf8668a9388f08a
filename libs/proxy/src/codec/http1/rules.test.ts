import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { describe, test } from 'node:test';
import { seededRandom } from '@meltemi/base';
import { HeaderMap, RequestHead, type ResponseHead } from '@meltemi/http';
import { Wire, written } from '../../testing/wire.ts';
import { Http1ClientConnection, type ClientConnectionOptions } from './client-connection.ts';
import { Http1RequestParser, type RequestParserOptions } from './request-parser.ts';
import { BodyFraming, writeRequest } from './serialise.ts';

/** Heads, trailers and the error details of what a client sent. */
function parse(text: string, options: RequestParserOptions = {}) {
  const heads: RequestHead[] = [];
  const ends: (readonly string[] | null)[] = [];
  const errors: string[] = [];
  const parser = new Http1RequestParser({
    onRequestHead: (head) => heads.push(head), onBody: () => {}, onMessageEnd: (trailers) => ends.push(trailers?.flat ?? null), onParseError: (error) => errors.push(error.details),
  }, options);
  parser.execute(Buffer.from(text, 'latin1'), 0, text.length);
  return { parser, heads, ends, errors };
}

const chunked = 'POST / HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n';

describe('http_protocol_options of the reading side', () => {
  test('trailers are checked, and told only when enabled', () => {
    const text = `${chunked}\r\n0\r\nx-sum: 1\r\n\r\n`;
    assert.deepEqual(parse(text).ends, [null]);
    assert.deepEqual(parse(text, { enableTrailers: true }).ends, [['x-sum', '1']]);
    assert.deepEqual(parse(`${chunked}\r\n0\r\nbad name: 1\r\n\r\n`).errors, ['http1.codec_error']);
  });
  test('allow_chunked_length drops the length, and the connection ends with the message', () => {
    const text = `${chunked}content-length: 99\r\n\r\n0\r\n\r\n`;
    assert.deepEqual(parse(text).errors, ['http1.content_length_and_chunked_not_allowed']);
    const { heads, ends, parser } = parse(text, { allowChunkedLength: true });
    assert.deepEqual([heads[0]?.headers.has('content-length'), ends, parser.connectionClose], [false, [null], true]);
  });
  test('without allow_absolute_url an absolute target stays the path', () => {
    const head = parse('GET http://a/b HTTP/1.1\r\nhost: x\r\n\r\n', { allowAbsoluteUrl: false }).heads[0];
    assert.deepEqual([head?.path, head?.authority], ['http://a/b', 'x']);
  });
  test('a switch of protocols is told by its name, and one with a body is no switch', () => {
    const ask = 'GET / HTTP/1.1\r\nhost: x\r\nconnection: Upgrade\r\nupgrade: WebSocket\r\n';
    assert.equal(parse(`${ask}\r\n`).heads[0]?.upgrade, 'websocket');
    assert.equal(parse(`${ask}content-length: 2\r\n\r\nab`).heads[0]?.upgrade, '');
    assert.equal(parse('CONNECT a:1 HTTP/1.1\r\nhost: b\r\n\r\n').heads[0]?.upgrade, 'connect');
  });
});

describe('what Connection names', () => {
  const ask = (options: string, fields = '') => parse(`GET / HTTP/1.1\r\nhost: x\r\nconnection: ${options}\r\n${fields}\r\n`);
  test('ends here, but for trailers, which are asked for', () => assert.deepEqual(ask('TE, x-hop, close', 'te: gzip, trailers\r\nx-hop: 1\r\nx-end: 2\r\n').heads[0]?.headers.flat, ['te', 'trailers', 'x-end', '2']));
  test('is not who the request comes from', () => {
    for (const name of ['x-forwarded-for', 'X-Forwarded-Proto', 'x-forwarded-host']) assert.deepEqual(ask(`close, ${name}`).errors, ['http1.connection_header_rejected'], name);
  });
  test('is not much: each name is a walk over all fields', () => {
    const names = (count: number) => Array.from({ length: count }, (_, i) => `x-${i}`).join(', ');
    assert.deepEqual([ask(names(9)).errors, ask(names(10)).errors, ask(`keep-alive, ${'close, '.repeat(20)}x`).errors], [[], ['http1.connection_header_rejected'], []]);
  });
});

const requestText = (head: RequestHead, framing: number, absolute = false) => written((to) => writeRequest(to, head, framing, { absolute, proper: false }));

describe('http_protocol_options of the writing side', () => {
  test('preserve_case writes names as they came, those of our own as the format says', () => {
    const text = 'GET / HTTP/1.1\r\nHOST: x\r\nX-MiXed: 1\r\nx-mixed: 2\r\n\r\n';
    const head = parse(text, { preserveCase: true }).heads[0];
    assert.ok(head);
    head.headers.add('x-added', '3');
    assert.match(requestText(head, BodyFraming.asHeaders), /\r\nHOST: x\r\nX-MiXed: 1\r\nX-MiXed: 2\r\nx-added: 3\r\n/);
    const proper = parse(text, { preserveCase: true, properCaseOwn: true }).heads[0];
    proper?.headers.add('x-added', '3');
    assert.ok(proper);
    assert.match(requestText(proper, BodyFraming.asHeaders), /\r\nX-Added: 3\r\n/);
  });
  test('send_fully_qualified_url writes scheme, host and path', () => {
    assert.match(requestText(new RequestHead('GET', '/p?q', 'h:1'), BodyFraming.asHeaders, true), /^GET http:\/\/h:1\/p\?q HTTP\/1\.1\r\nhost: h:1\r\n/);
    assert.match(requestText(new RequestHead('OPTIONS', '*', 'h'), BodyFraming.asHeaders, true), /^OPTIONS \* /);
    assert.match(requestText(new RequestHead('CONNECT', '', 'h:1'), BodyFraming.tunnel, true), /^CONNECT h:1 /);
  });
});

/** A client connection over a wire with what its stream was told. */
function client(options: ClientConnectionOptions = {}) {
  const wire = new Wire();
  const seen: string[] = [];
  const connection = new Http1ClientConnection(wire, { onIdle: () => seen.push('idle'), onGone: () => seen.push('gone') }, options);
  const heads: ResponseHead[] = [];
  const begin = (method: string, upgrade: boolean) => connection.begin({
    onInterim: () => {}, onHead: (head, endStream) => { heads.push(head); seen.push(`head ${head.status} ${endStream}`); }, onData: (buffer, start, end) => seen.push(`data ${buffer.toString('latin1', start, end)}`),
    onEnd: (trailers) => seen.push(`end ${trailers?.flat.join() ?? ''}`), onReset: (reset) => seen.push(`reset ${reset.kind} ${reset.detail}`), onWritable: () => seen.push('writable'),
  }, method, upgrade);
  const ask = (method: string, path: string, upgrade = '') => {
    begin(method, upgrade !== '' && upgrade !== 'connect');
    const head = new RequestHead(method, path, 'x:1', new HeaderMap(upgrade === 'websocket' ? ['upgrade', upgrade] : []));
    connection.head(head, upgrade === '');
  };
  const send = (text: string) => connection.data(Buffer.from(text, 'latin1'), 0, text.length);
  return { wire, seen, heads, connection, begin, ask, send };
}

describe('a switch of protocols towards a host', () => {
  for (const [what, method, upgrade, answer] of [['websocket', 'GET', 'websocket', 'HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\n\r\n'], ['CONNECT', 'CONNECT', 'connect', 'HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\n']] as const) {
    test(`${what}: bytes behind the request wait until the host agreed`, () => {
      const { wire, seen, ask, send } = client();
      ask(method, '/', upgrade);
      assert.equal(send('GET /smuggled HTTP/1.1\r\n\r\n'), false);
      assert.doesNotMatch(wire.sent, /smuggled/);
      wire.receive(`${answer}hi`);
      assert.match(wire.sent, /\r\n\r\nGET \/smuggled HTTP\/1\.1\r\n\r\n$/);
      assert.deepEqual(seen.slice(1), ['writable', 'data hi']);
    });
    test(`${what}: a host that refuses never sees them`, () => {
      const { wire, seen, ask, send } = client();
      ask(method, '/', upgrade);
      send('GET /smuggled HTTP/1.1\r\n\r\n');
      wire.receive('HTTP/1.1 403 Forbidden\r\ncontent-length: 2\r\n\r\nno');
      assert.doesNotMatch(wire.sent, /smuggled/);
      assert.deepEqual(seen, ['head 403 false', 'data no', 'gone', 'end ']);
    });
  }
});

describe('a WebSocket of an HTTP/2 client, which has no key, towards a host', () => {
  /** The key that went out. */
  const asked = (fields: readonly string[] = [], protocol: 'HTTP/1.1' | 'HTTP/2' = 'HTTP/2') => {
    const side = client({ random: seededRandom(1) });
    side.begin('GET', true);
    side.connection.head(new RequestHead('GET', '/', 'x', new HeaderMap(['upgrade', 'websocket', ...fields]), 'http', protocol), false);
    return { ...side, key: /\r\nsec-websocket-key: (\S+)\r\n/.exec(side.wire.sent)?.[1] ?? '' };
  };
  const switched = (accept: string) => `HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\n${accept === '' ? '' : `sec-websocket-accept: ${accept}\r\n`}\r\nhi`;
  test('gets one, and its answer is the host\'s proof, which is not the client\'s', () => {
    const { wire, seen, key, heads } = asked();
    assert.equal(Buffer.from(key, 'base64').length, 16);
    wire.receive(switched(createHash('sha1').update(`${key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`).digest('base64')));
    assert.deepEqual([seen, heads[0]?.headers.flat], [['head 101 false', 'data hi'], ['upgrade', 'websocket']]);
    assert.notEqual(asked().key, '');
  });
  test('fails where the host does not prove that it speaks WebSocket', () => {
    for (const accept of ['', 'AAAAAAAAAAAAAAAAAAAAAAAAAAA=']) {
      const { wire, seen } = asked();
      wire.receive(switched(accept));
      assert.deepEqual(seen, ['gone', 'reset protocol http1.websocket_accept']);
    }
  });
  test('keeps a key of its own, and other clients bring theirs', () => {
    const { wire, seen, key } = asked(['sec-websocket-key', 'own']);
    assert.equal(key, 'own');
    wire.receive(switched('of the client to look at'));
    assert.equal(seen[0], 'head 101 false');
    assert.equal(asked([], 'HTTP/1.1').key, '');
  });
});

describe('answers that no request can have', () => {
  const cases: Record<string, [string, string]> = {
    'a 101 that nobody asked for': ['HTTP/1.1 101 Switching Protocols\r\n\r\n', 'http1.codec_error'],
    'a 204 with a length': ['HTTP/1.1 204 No Content\r\ncontent-length: 3\r\n\r\nabc', 'http1.content_length_not_allowed'],
    'a 204 in chunks': ['HTTP/1.1 204 No Content\r\ntransfer-encoding: chunked\r\n\r\n', 'http1.transfer_encoding_not_allowed'],
    'an interim answer with a length': ['HTTP/1.1 103 Early Hints\r\ncontent-length: 3\r\n\r\n', 'http1.content_length_not_allowed'],
    'a flood of interim answers': ['HTTP/1.1 103 Early Hints\r\n\r\n'.repeat(65), 'http1.codec_error'],
    'too large a head': [`HTTP/1.1 200 OK\r\nx: ${'a'.repeat(61 * 1024)}\r\n\r\n`, 'http1.headers_too_large'],
    'too many fields': [`HTTP/1.1 200 OK\r\n${'a: b\r\n'.repeat(101)}\r\n`, 'http1.too_many_headers'],
    'a status line without a status': ['HTTP/1.1 OK\r\n\r\n', 'http1.codec_error'],
    'a status of two digits': ['HTTP/1.1 20 OK\r\n\r\n', 'http1.codec_error'],
    'the greeting of another protocol, and then silence': ['220 mail.example ESMTP\r\n', 'http1.codec_error'],
    'one byte that begins no answer': ['\x15', 'http1.codec_error'],
    'another version, unfinished': ['HTTP/2', 'http1.codec_error'],
  };
  for (const [what, [text, details]] of Object.entries(cases))
    test(what, () => {
      const { wire, seen, ask } = client();
      ask('GET', '/');
      wire.receive(text);
      assert.deepEqual(seen, ['gone', `reset protocol ${details}`]);
    });
  test('a 204 whose length is 0 is overlooked', () => {
    const { wire, seen, ask } = client();
    ask('GET', '/');
    wire.receive('HTTP/1.1 204 No Content\r\ncontent-length: 0\r\n\r\n');
    assert.deepEqual(seen, ['head 204 true', 'idle']);
  });
  test('with allow_chunked_length both framings are read as chunks, and the connection is not used again', () => {
    const { wire, seen, ask } = client({ allowChunkedLength: true });
    ask('GET', '/');
    wire.receive('HTTP/1.1 200 OK\r\ncontent-length: 9\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n');
    assert.deepEqual(seen, ['head 200 false', 'data ok', 'end ', 'gone']);
  });
});

test('trailers go out only when enabled', () => {
  for (const enableTrailers of [false, true]) {
    const { wire, connection } = client({ enableTrailers });
    connection.begin({ onInterim: () => {}, onHead: () => {}, onData: () => {}, onEnd: () => {}, onReset: () => {}, onWritable: () => {} }, 'POST', false);
    connection.head(new RequestHead('POST', '/', 'x'), false);
    connection.end(new HeaderMap(['x-sum', '1']));
    assert.equal(wire.sent.includes('x-sum'), enableTrailers);
  }
});
