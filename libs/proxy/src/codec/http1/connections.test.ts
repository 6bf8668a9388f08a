import assert from 'node:assert/strict';
import { test } from 'node:test';
import { HeaderMap, RequestHead, ResponseHead } from '@meltemi/http';
import type { RequestReceiver, ResponseReceiver, UpstreamReset } from '../../stream.ts';
import { Http1ClientConnection } from './client-connection.ts';
import { Http1ServerConnection } from './server-connection.ts';
import { Wire } from '../../testing/wire.ts';

function serverSide() {
  const wire = new Wire();
  const seen: string[] = [];
  const receiver: RequestReceiver = {
    onData: (buffer, start, end) => seen.push(`data ${buffer.toString('latin1', start, end)}`),
    onEnd: () => seen.push('end'),
    onReset: (reason) => seen.push(`reset ${reason}`),
    onWritable: () => {},
  };
  const codec = new Http1ServerConnection(wire, {
    onRequest: (_connection, head) => {
      seen.push(`${head.method} ${head.path}`);
      return receiver;
    },
    onCodecError: (_connection, error) => seen.push(`error ${error.status}`),
    refusal: (error) => ({ head: new ResponseHead(error.status, new HeaderMap(['content-length', '0'])), body: Buffer.alloc(0) }),
    onConnectionClose: () => seen.push('closed'),
  }, { lingerMs: 1, after: () => () => {} });
  const answer = (body = 'ok') => {
    codec.head(new ResponseHead(200, new HeaderMap(['content-length', String(body.length)])), false);
    codec.data(Buffer.from(body), 0, body.length);
    codec.end(null);
  };
  return { wire, seen, codec, answer };
}

test('a second request waits for the first answer, and reading stops meanwhile', () => {
  const { wire, seen, answer } = serverSide();
  wire.receive('GET /1 HTTP/1.1\r\nhost: x\r\n\r\nGET /2 HTTP/1.1\r\nhost: x\r\n\r\n');
  assert.deepEqual([seen, wire.paused], [['GET /1'], true]);
  answer();
  assert.deepEqual([seen, wire.paused], [['GET /1', 'GET /2'], false]);
});

test('an answer before the end of the request closes the connection after it', () => {
  const { wire, seen, answer } = serverSide();
  wire.receive('POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 10\r\n\r\nabc');
  answer();
  assert.match(wire.sent, /connection: close/);
  assert.equal(wire.ended, true);
  wire.receive('defghijGET /smuggled HTTP/1.1\r\nhost: x\r\n\r\n');
  assert.deepEqual(seen, ['POST /', 'data abc']);
});

test('HTTP/1.0: kept only when asked, and a body without length lasts until the close', () => {
  const kept = serverSide();
  kept.wire.receive('GET / HTTP/1.0\r\nconnection: keep-alive\r\n\r\n');
  kept.answer();
  assert.match(kept.wire.sent, /connection: keep-alive/);
  assert.equal(kept.wire.ended, false);
  const plain = serverSide();
  plain.wire.receive('GET / HTTP/1.0\r\n\r\n');
  plain.codec.head(new ResponseHead(200), false);
  plain.codec.data(Buffer.from('abc'), 0, 3);
  plain.codec.end(null);
  assert.equal(plain.wire.ended, true);
  assert.ok(!plain.wire.sent.includes('chunked'));
});

test('a client that leaves resets the request under way', () => {
  const { wire, seen } = serverSide();
  wire.receive('GET / HTTP/1.1\r\nhost: x\r\n\r\n');
  wire.sink.onEnd();
  assert.deepEqual(seen, ['GET /', 'reset disconnect', 'closed']);
});

function clientSide() {
  const wire = new Wire();
  const seen: string[] = [];
  const client = new Http1ClientConnection(wire, { onIdle: () => seen.push('idle'), onGone: () => seen.push('gone') });
  const receiver: ResponseReceiver = {
    onInterim: (head) => seen.push(`interim ${head.status}`),
    onHead: (head, endStream) => seen.push(`head ${head.status} ${endStream}`),
    onData: (buffer, start, end) => seen.push(`data ${buffer.toString('latin1', start, end)}`),
    onEnd: () => seen.push('end'),
    onReset: (reset: UpstreamReset) => seen.push(`reset ${reset.kind} ${reset.stale}`),
    onWritable: () => {},
  };
  const ask = (method = 'GET') => {
    client.begin(receiver, method, false);
    client.head(new RequestHead(method, '/', 'x'), true);
  };
  return { wire, seen, client, ask };
}

test('a connection is idle again after its answer, not before', () => {
  const { wire, seen, ask } = clientSide();
  ask();
  wire.receive('HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\no');
  assert.deepEqual(seen, ['head 200 false', 'data o']);
  wire.receive('k');
  assert.deepEqual(seen.slice(2), ['data k', 'end', 'idle']);
});

test('a request without a body says so where one is meant to be', () => {
  for (const [method, told] of [['POST', true], ['PUT', true], ['PATCH', true], ['GET', false], ['HEAD', false], ['DELETE', false], ['OPTIONS', false]] as const) {
    const { wire, ask } = clientSide();
    ask(method);
    assert.equal(wire.sent.endsWith('\r\ncontent-length: 0\r\n\r\n'), told, wire.sent);
  }
  const { wire, client } = clientSide();
  client.begin({ onInterim() {}, onHead() {}, onData() {}, onEnd() {}, onReset() {}, onWritable() {} }, 'POST', false);
  const head = new RequestHead('POST', '/', 'x', new HeaderMap(['content-length', '0']));
  client.head(head, true);
  assert.equal(wire.sent.match(/content-length/g)?.length, 1);
});

test('bytes behind an answer are never read as the next one', () => {
  const { wire, seen, ask } = clientSide();
  ask();
  wire.receive('HTTP/1.1 204 No Content\r\n\r\nHTTP/1.1 200 OK\r\n\r\n');
  assert.deepEqual(seen, ['head 204 true', 'gone']);
});

test('a reused connection that dies without a byte says it was stale; a fresh one does not', () => {
  const { wire, seen, ask } = clientSide();
  ask();
  wire.receive('HTTP/1.1 204 No Content\r\n\r\n');
  ask();
  wire.sink.onEnd();
  assert.deepEqual(seen.slice(2), ['reset termination true', 'gone']);
  const fresh = clientSide();
  fresh.ask();
  fresh.wire.sink.onEnd();
  assert.equal(fresh.seen[0], 'reset termination false');
});

test('an answer cut short is a termination', () => {
  const { wire, seen, ask } = clientSide();
  ask();
  wire.receive('HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nab');
  wire.sink.onEnd();
  assert.deepEqual(seen.slice(2), ['gone', 'reset termination false']);
});

test('a connection paused by the last bytes of a request reads on for the next one', () => {
  const { wire, seen, codec, answer } = serverSide();
  wire.receive('POST /1 HTTP/1.1\r\nhost: x\r\ncontent-length: 4\r\n\r\nab');
  codec.pauseRequest();
  assert.equal(wire.paused, true);
  wire.receive('cd');
  assert.equal(wire.paused, false);
  answer();
  wire.receive('GET /2 HTTP/1.1\r\nhost: x\r\n\r\n');
  assert.equal(seen.at(-1), 'GET /2');
});

test('a connection paused by the last bytes of an answer reads on for the next one', () => {
  const { wire, seen, client, ask } = clientSide();
  ask();
  wire.receive('HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nab');
  client.pauseResponse();
  wire.receive('cd');
  assert.equal(seen.at(-1), 'idle');
  assert.equal(wire.paused, false);
});
