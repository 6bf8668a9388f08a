import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { HeaderMap, RequestHead, ResponseHead } from '@meltemi/http';
import { written } from '../../testing/wire.ts';
import type { CodecError } from './errors.ts';
import type { Http1MessageParser } from './message-parser.ts';
import { Http1RequestParser } from './request-parser.ts';
import { Http1ResponseParser } from './response-parser.ts';
import { BodyFraming, lastChunkText, writeRequest, writeResponse } from './serialise.ts';

type Event = readonly unknown[];

/** Events of a byte stream cut into `pieces`; adjacent body parts are joined. */
function read(pieces: readonly Buffer[], parse: (log: Recorder) => Http1MessageParser, finish = false): Event[] {
  const log = new Recorder();
  const parser = parse(log);
  for (const piece of pieces) {
    for (let at = 0; at < piece.length; ) {
      const next = parser.execute(piece, at, piece.length);
      if (parser.state === 11 && parser instanceof Http1RequestParser) parser.next();
      else if (next === at || parser.state >= 11) break;
      at = next;
    }
  }
  if (finish) parser.finish();
  return log.events;
}

class Recorder {
  events: Event[] = [];
  onRequestHead(head: RequestHead, endStream: boolean): void {
    this.events.push(['head', head.method, head.path, head.authority, head.scheme, head.protocol, head.headers.flat, endStream]);
  }
  onResponseHead(head: ResponseHead, endStream: boolean): void {
    this.events.push(['head', head.status, head.headers.flat, endStream]);
  }
  onInterimHead(head: ResponseHead): void {
    this.events.push(['interim', head.status]);
  }
  onBody(buffer: Buffer, start: number, end: number): void {
    const text = buffer.toString('latin1', start, end);
    const last = this.events.at(-1);
    if (last?.[0] === 'body') this.events[this.events.length - 1] = ['body', `${String(last[1])}${text}`];
    else this.events.push(['body', text]);
  }
  onMessageEnd(trailers: HeaderMap | null): void {
    this.events.push(['end', trailers?.flat ?? null]);
  }
  onParseError(error: CodecError): void {
    this.events.push(['error', error.status, error.details]);
  }
}

const requests = (log: Recorder) => new Http1RequestParser(log, { enableTrailers: true });
const whole = (text: string) => read([Buffer.from(text, 'latin1')], requests);
const byByte = (text: string) => read([...Buffer.from(text, 'latin1')].map((byte) => Buffer.from([byte])), requests);
const response = (text: string, method = 'GET', finish = false) =>
  read([Buffer.from(text, 'latin1')], (log) => {
    const parser = new Http1ResponseParser(log);
    parser.expect(method, false);
    return parser;
  }, finish);

/** Each reads the same whole and byte by byte. */
const readable: Record<string, [string, Event[]]> = {
  'a request without body': ['GET /a?b HTTP/1.1\r\nHost: x:80\r\nX-A:  1 \r\n\r\n', [['head', 'GET', '/a?b', 'x:80', 'http', 'HTTP/1.1', ['x-a', '1'], true]]],
  'a counted body': ['POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 5\r\n\r\nhello', [['head', 'POST', '/', 'x', 'http', 'HTTP/1.1', ['content-length', '5'], false], ['body', 'hello'], ['end', null]]],
  'a chunked body with extension and trailers': [
    'POST / HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n5;a=b\r\nhello\r\n1\r\n!\r\n0\r\nX-Sum: 6\r\n\r\n',
    [['head', 'POST', '/', 'x', 'http', 'HTTP/1.1', [], false], ['body', 'hello!'], ['end', ['x-sum', '6']]],
  ],
  'pipelined requests, with an empty line between': [
    'GET /1 HTTP/1.1\r\nhost: x\r\n\r\n\r\nGET /2 HTTP/1.1\r\nhost: x\r\n\r\n',
    [['head', 'GET', '/1', 'x', 'http', 'HTTP/1.1', [], true], ['head', 'GET', '/2', 'x', 'http', 'HTTP/1.1', [], true]],
  ],
  'absolute form, whose host wins': ['GET http://reviews:9080/r HTTP/1.1\r\nhost: other\r\n\r\n', [['head', 'GET', '/r', 'reviews:9080', 'http', 'HTTP/1.1', [], true]]],
  'fields that end at this hop': [
    'GET / HTTP/1.1\r\nhost: x\r\nconnection: x-gone, keep-alive\r\nkeep-alive: 5\r\nx-gone: 1\r\nte: trailers\r\nx-kept: 2\r\n\r\n',
    [['head', 'GET', '/', 'x', 'http', 'HTTP/1.1', ['te', 'trailers', 'x-kept', '2'], true]],
  ],
  'an upgrade, and then raw bytes': [
    'GET /chat HTTP/1.1\r\nhost: x\r\nconnection: Upgrade\r\nupgrade: websocket\r\n\r\nraw\r\n\r\n',
    [['head', 'GET', '/chat', 'x', 'http', 'HTTP/1.1', ['upgrade', 'websocket'], false], ['body', 'raw\r\n\r\n']],
  ],
  'CONNECT, and then raw bytes': ['CONNECT db:5432 HTTP/1.1\r\nhost: db:5432\r\ncontent-length: 0\r\n\r\nraw', [['head', 'CONNECT', '', 'db:5432', 'http', 'HTTP/1.1', [], false], ['body', 'raw']]],
  'h2c as a plain request': ['GET / HTTP/1.1\r\nhost: x\r\nconnection: upgrade, http2-settings\r\nupgrade: h2c\r\nhttp2-settings: x\r\n\r\n', [['head', 'GET', '/', 'x', 'http', 'HTTP/1.1', [], true]]],
  'HTTP/1.0 without host': ['GET / HTTP/1.0\r\n\r\n', [['head', 'GET', '/', '', 'http', 'HTTP/1.0', [], true]]],
};
for (const [name, [text, events]] of Object.entries(readable))
  test(`reads ${name}`, () => {
    assert.deepEqual(whole(text), events);
    assert.deepEqual(byByte(text), events);
  });

const refused: Record<string, [string, number]> = {
  'both lengths': ['POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 5\r\ntransfer-encoding: chunked\r\n\r\n', 400],
  'two lengths that differ': ['POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 5\r\ncontent-length: 6\r\n\r\n', 400],
  'a signed length': ['POST / HTTP/1.1\r\nhost: x\r\ncontent-length: +5\r\n\r\n', 400],
  'bare line feeds': ['GET / HTTP/1.1\nhost: x\n\n', 400],
  'a bare line feed in a field': ['GET / HTTP/1.1\r\nhost: x\r\na: b\nc: d\r\n\r\n', 400],
  'a carriage return in a field': ['GET / HTTP/1.1\r\nhost: x\r\na: b\rc\r\n\r\n', 400],
  'a folded field': ['GET / HTTP/1.1\r\nhost: x\r\na: b\r\n c\r\n\r\n', 400],
  'a blank before the colon': ['GET / HTTP/1.1\r\nhost : x\r\n\r\n', 400],
  'a null byte': ['GET / HTTP/1.1\r\nhost: x\r\na: \0\r\n\r\n', 400],
  'no host': ['GET / HTTP/1.1\r\n\r\n', 400],
  'two hosts': ['GET / HTTP/1.1\r\nhost: a\r\nhost: b\r\n\r\n', 400],
  'a byte beyond ASCII in the path': ['GET /\x80 HTTP/1.1\r\nhost: x\r\n\r\n', 400],
  'a fragment in the path': ['GET /a#b HTTP/1.1\r\nhost: x\r\n\r\n', 400],
  'another transfer coding': ['POST / HTTP/1.1\r\nhost: x\r\ntransfer-encoding: gzip, chunked\r\n\r\n', 501],
  'chunked twice': ['POST / HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\ntransfer-encoding: chunked\r\n\r\n', 501],
  'chunked in HTTP/1.0': ['POST / HTTP/1.0\r\ntransfer-encoding: chunked\r\n\r\n', 400],
  'CONNECT with a body': ['CONNECT a:1 HTTP/1.1\r\nhost: a:1\r\ncontent-length: 3\r\n\r\nabc', 400],
  'CONNECT to a path': ['CONNECT /a HTTP/1.1\r\nhost: a:1\r\n\r\n', 400],
  'CONNECT without a port': ['CONNECT a HTTP/1.1\r\nhost: a\r\n\r\n', 400],
  'trailers of 61 KiB': [`POST / HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n0\r\na: ${'b'.repeat(61 * 1024)}\r\n\r\n`, 431],
  '101 trailers': [`POST / HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n0\r\n${'a: b\r\n'.repeat(101)}\r\n`, 431],
  'HTTP/2 with prior knowledge': ['PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', 505],
  'a wrong chunk size': ['POST / HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\nxyz\r\n', 400],
  'a chunk longer than its size': ['POST / HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n1\r\nab\r\n0\r\n\r\n', 400],
  'a length in the trailers': ['POST / HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n0\r\ncontent-length: 5\r\n\r\n', 400],
  'a head of 61 KiB': [`GET / HTTP/1.1\r\nhost: x\r\na: ${'b'.repeat(61 * 1024)}\r\n\r\n`, 431],
  '101 fields': [`GET / HTTP/1.1\r\nhost: x\r\n${'a: b\r\n'.repeat(100)}\r\n`, 431],
};
for (const [name, [text, status]] of Object.entries(refused))
  test(`refuses ${name}`, () => {
    for (const events of [whole(text), byByte(text)]) {
      assert.equal(events.at(-1)?.[0], 'error');
      assert.equal(events.at(-1)?.[1], status);
    }
  });

test('what lies in the buffer behind the bytes that came is nothing', () => {
  const text = 'POST /a?b=c#d HTTP/1.1\r\nhost: a\r\nX-Long-Name-Of-A-Field: with\ta tab and more\r\n\r\n'.replace('#', '%23');
  const buffer = Buffer.from(text, 'latin1');
  for (let come = 1; come < buffer.length; come++) {
    const log = new Recorder();
    const parser = requests(log);
    assert.equal(parser.execute(buffer, 0, come), come);
    assert.deepEqual(log.events, [], `after ${come} bytes`);
    parser.execute(buffer, come, buffer.length);
    assert.deepEqual(log.events, whole(text), `after ${come} bytes`);
  }
});

test('each byte of a head is judged alike wherever it stands, and however near the end of the buffer', () => {
  for (let byte = 0; byte < 256; byte++) {
    for (let before = 0; before < 9; before++) {
      const odd = `${'v'.repeat(before)}${String.fromCharCode(byte)}w`;
      for (const text of [`GET / HTTP/1.1\r\nhost: a\r\nx: ${odd}\r\n\r\n`, `GET / HTTP/1.1\r\nhost: a\r\nx${odd}: v\r\n\r\n`, `GET /${odd} HTTP/1.1\r\nhost: a\r\n\r\n`]) {
        assert.deepEqual(whole(text), byByte(text), JSON.stringify(text));
      }
    }
  }
});

test('responses: what has a body depends on the request and the status', () => {
  assert.deepEqual(response('HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\n', 'HEAD'), [['head', 200, ['content-length', '5'], true]]);
  assert.deepEqual(response('HTTP/1.1 304\r\ncontent-length: 5\r\n\r\n'), [['head', 304, ['content-length', '5'], true]]);
  assert.deepEqual(response('HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 204 No Content\r\n\r\n'), [['interim', 100], ['head', 204, [], true]]);
  assert.deepEqual(response('HTTP/1.0 200 OK\r\n\r\nabc', 'GET', true), [['head', 200, [], false], ['body', 'abc'], ['end', null]]);
  assert.deepEqual(response('HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nab', 'GET', true).at(-1), ['error', 400, 'http1.truncated']);
  assert.deepEqual(response('HTTP/1.1 101 Switching Protocols\r\n\r\n').at(-1), ['error', 400, 'http1.codec_error']);
});

const line = fc.constantFrom('GET / HTTP/1.1', 'POST /x HTTP/1.1', 'host: a', 'Host: b', 'content-length: 3', 'content-length: 4', 'transfer-encoding: chunked', 'x-a: 1', ' fold', 'bad name: 1', 'connection: close', '3', 'abc', '0', '', '5;e', 'PUT', 'x\0: 1');
const end = fc.constantFrom('\r\n', '\r\n', '\r\n', '\r\n', '\r\n', '\n', '\r', '');
const noise = fc.array(fc.tuple(line, end), { maxLength: 14 }).map((lines) => Buffer.from(lines.map((l) => l.join('')).join(''), 'latin1'));
const input = fc.oneof(noise, fc.uint8Array({ maxLength: 80 }).map((bytes) => Buffer.from(bytes)));

test('never throws, and any cut of the same bytes gives the same events', () => {
  fc.assert(
    fc.property(input, fc.array(fc.nat(40), { maxLength: 12 }), (bytes, cuts) => {
      const pieces: Buffer[] = [];
      let at = 0;
      for (const cut of cuts) {
        pieces.push(Buffer.from(bytes.subarray(at, at + cut)));
        at += cut;
      }
      pieces.push(Buffer.from(bytes.subarray(at)));
      const once = read([bytes], requests, true);
      assert.deepEqual(read(pieces, requests, true), once);
      assert.deepEqual(read([...bytes].map((byte) => Buffer.from([byte])), requests, true), once);
    }),
    { numRuns: 1500 },
  );
});

const word = fc.stringMatching(/^[a-z][a-z0-9-]{0,10}$/).filter((name) => !/^(host|te|upgrade|connection|expect|keep-alive|proxy-connection|content-length|transfer-encoding)$/.test(name));
const value = fc.stringMatching(/^([!-~]([ -~]{0,10}[!-~])?)?$/);
const fields = fc.array(fc.tuple(word, value), { maxLength: 8 });

test('what is written reads back the same', () => {
  fc.assert(
    fc.property(fields, fc.array(fc.stringMatching(/^[ -~]{1,20}$/), { maxLength: 4 }), fields, (head, chunks, trailers) => {
      const request = new RequestHead('PUT', '/p?q=1', 'h:1', HeaderMap.from(head));
      const body = chunks.map((chunk) => `${chunk.length.toString(16)}\r\n${chunk}\r\n`).join('');
      const text = written((to) => writeRequest(to, request, BodyFraming.chunked, { absolute: false, proper: false })) + body + lastChunkText(trailers.length > 0 ? HeaderMap.from(trailers) : null);
      const events = whole(text);
      assert.deepEqual(events[0], ['head', 'PUT', '/p?q=1', 'h:1', 'http', 'HTTP/1.1', head.flat(), false]);
      assert.deepEqual(events.at(-1), ['end', trailers.length > 0 ? trailers.flat() : null]);
      const answer = written((to) => writeResponse(to, new ResponseHead(200, HeaderMap.from(head)), BodyFraming.chunked, { closing: false, proper: false })) + body + lastChunkText(null);
      assert.deepEqual(response(answer)[0], ['head', 200, head.flat(), false]);
    }),
    { numRuns: 300 },
  );
});
