import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { readClientHello } from './client-hello.ts';
import { readHttpPreface } from './http-preface.ts';

const vector = (lengthBytes: number, ...parts: Buffer[]) => {
  const body = Buffer.concat(parts);
  const head = Buffer.alloc(lengthBytes);
  head.writeUIntBE(body.length, 0, lengthBytes);
  return Buffer.concat([head, body]);
};
const extension = (type: number, body: Buffer) => Buffer.concat([Buffer.from([0, type]), vector(2, body)]);
const hello = Buffer.concat([
  Buffer.from([1]),
  vector(3, Buffer.from([3, 3]), Buffer.alloc(32), vector(1), vector(2, Buffer.from([0x13, 1])), vector(1, Buffer.from([0])),
    vector(2,
      extension(0, vector(2, Buffer.from([0]), vector(2, Buffer.from('Reviews.Local')))),
      extension(16, vector(2, vector(1, Buffer.from('istio')), vector(1, Buffer.from('http/1.1'))))))]);
const record = (part: Buffer) => Buffer.concat([Buffer.from([22, 3, 1]), vector(2, part)]);

test('server name and protocols are read, also when the hello spans records', () => {
  const expected = { serverName: 'reviews.local', alpn: ['istio', 'http/1.1'] };
  assert.deepEqual(readClientHello(record(hello)), expected);
  assert.deepEqual(readClientHello(Buffer.concat([record(hello.subarray(0, 30)), record(hello.subarray(30))])), expected);
  // TLS 1.3 clients send a change of cipher and early data behind it, in the same packet.
  assert.deepEqual(readClientHello(Buffer.concat([record(hello), Buffer.from([20, 3, 3, 0, 1, 1, 23, 3, 3, 0, 2, 9, 9])])), expected);
});

test('a server name that is no visible text is none: it would get into logs as it stands', () => {
  const named = (name: string) => readClientHello(record(Buffer.concat([Buffer.from([1]), vector(3, Buffer.from([3, 3]), Buffer.alloc(32), vector(1), vector(2, Buffer.from([0x13, 1])), vector(1, Buffer.from([0])), vector(2, extension(0, vector(2, Buffer.from([0]), vector(2, Buffer.from(name, 'latin1'))))))])));
  for (const name of ['a\n[forged] "GET / HTTP/1.1" 200', 'a\r', 'a\0.test', 'a b', 'a\x1b[31m', 'a\x85b', 'a\x9b31m']) assert.deepEqual(named(name), { serverName: '', alpn: [] }, JSON.stringify(name));
  assert.deepEqual(named('A_b-1.test'), { serverName: 'a_b-1.test', alpn: [] });
});

test('an incomplete hello asks for more, other bytes are not TLS', () => {
  const whole = record(hello);
  for (let length = 0; length < whole.length; length++) assert.equal(readClientHello(whole.subarray(0, length)), 'more');
  assert.equal(readClientHello(Buffer.from('GET / HTTP/1.1')), 'not-tls');
});

test('no bytes make the inspectors throw', () => {
  fc.assert(fc.property(fc.uint8Array({ maxLength: 200 }), fc.boolean(), (bytes, tls) => {
    readClientHello(Buffer.from(tls ? record(Buffer.from(bytes)) : bytes));
    readHttpPreface(Buffer.from(bytes));
  }));
});

test('HTTP is told from other protocols by its request line', () => {
  assert.equal(readHttpPreface(Buffer.from('GET / HTTP/1.1\r\n')), 'http/1.1');
  assert.equal(readHttpPreface(Buffer.from('GET / HTTP/1.0\r\n')), 'http/1.0');
  assert.equal(readHttpPreface(Buffer.from('GET /long')), 'more');
  assert.equal(readHttpPreface(Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n')), 'h2c');
  assert.equal(readHttpPreface(Buffer.from('\x16\x03')), 'none');
  assert.equal(readHttpPreface(Buffer.from('hello there\n')), 'none');
});
