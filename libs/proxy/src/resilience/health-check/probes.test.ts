import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { HttpCheck, TcpCheck } from '@meltemi/snapshot';
import { frame, headers, settings, testOptions } from '../../testing/http2-wire.ts';
import { Wire } from '../../testing/wire.ts';
import { GrpcProbe } from './grpc-probe.ts';
import { HttpProbe } from './http-probe.ts';
import { payloadsMatch } from './payload-match.ts';
import type { CheckResult, CheckTransport, Probe } from './probe.ts';
import { TcpProbe } from './tcp-probe.ts';

const http: HttpCheck = {
  kind: 'http', protocol: 'http1', method: 'GET', host: '', path: '/healthz', send: null, receive: [], responseBufferBytes: 1024, expectedStatuses: [{ from: 200, to: 201 }], retriableStatuses: [],
  requestHeaders: [], serviceName: null,
};

/** A probe, the connections that it opened, and what it said. */
function setUp(make: (transport: CheckTransport) => Probe) {
  const wires: Wire[] = [];
  const results: CheckResult[] = [];
  const probe = make({
    connect: (result) => {
      const wire = new Wire();
      wires.push(wire);
      result.onOpen(wire);
      return () => {};
    },
  });
  const wire = () => wires.at(-1) ?? assert.fail('no connection');
  return { probe, wires, results, wire, start: () => probe.start((result) => results.push(result)), receive: (text: string) => wire().receive(text) };
}

const httpProbe = (changes: Partial<HttpCheck> = {}, reuse = true, onVerify = () => {}) =>
  setUp((transport) => new HttpProbe({ ...http, ...changes }, { transport, reuse, authority: 'app', scheme: 'http', http2: testOptions(), onVerify }));
const answer = (status: number, more = '', body = '') => `HTTP/1.1 ${status} X\r\n${more}content-length: ${body.length}\r\n\r\n${body}`;
const kinds = (results: CheckResult[]) => results.map((result) => (result.kind === 'passed' ? (result.degraded ? 'degraded' : 'passed') : `failed${result.counted ? ' counted' : ''}${result.network ? ' network' : ''}${result.excluded ? ' excluded' : ''}`));

test('HTTP: asks as Envoy does and keeps the connection', () => {
  const { start, receive, results, wires, wire } = httpProbe();
  start();
  assert.match(wire().sent, /^GET \/healthz HTTP\/1\.1\r\nhost: app\r\nuser-agent: Envoy\/HC\r\n\r\n$/i);
  receive(answer(200));
  start();
  receive(answer(200, 'x-envoy-degraded: true\r\n'));
  assert.deepEqual(kinds(results), ['passed', 'degraded']);
  assert.equal(wires.length, 1);
});

test('HTTP: without reuse each check has a connection of its own', () => {
  const { start, receive, wires, wire } = httpProbe({}, false);
  start();
  receive(answer(200));
  assert.equal(wire().closed, true);
  start();
  assert.equal(wires.length, 2);
});

for (const protocol of ['http1', 'http2'] as const) test(`${protocol}: without reuse nobody waits for the end of a body that does not matter`, () => {
  const { start, receive, wire, results } = httpProbe({ protocol }, false);
  start();
  if (protocol === 'http1') receive('HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nab');
  else receive(settings() + headers(1, [':status', '200'], 4));
  assert.deepEqual(kinds(results), ['passed']);
  assert.ok(wire().closed || wire().ended);
});

test('HTTP: statuses decide: expected, retriable, others; the host may ask to be left out', () => {
  const { start, receive, results } = httpProbe({ expectedStatuses: [{ from: 200, to: 300 }], retriableStatuses: [{ from: 429, to: 430 }] });
  for (const reply of [answer(204).replace('content-length: 0\r\n', ''), answer(429), answer(500), answer(503, 'x-envoy-immediate-health-check-fail: true\r\n')]) {
    start();
    receive(reply);
  }
  assert.deepEqual(kinds(results), ['passed', 'failed counted', 'failed', 'failed excluded']);
});

test('HTTP: the body must hold what is expected, in its order', () => {
  const { start, receive, results } = httpProbe({ receive: [Buffer.from('up'), Buffer.from('ok')] });
  for (const body of ['up and ok', 'ok and up']) {
    start();
    receive(answer(200, '', body));
  }
  assert.deepEqual(kinds(results), ['passed', 'failed']);
});

test('HTTP: the service must be the one that is expected', () => {
  let verified = 0;
  const { start, receive, results } = httpProbe({ serviceName: { matches: (value) => value.startsWith('loc') } }, true, () => { verified++; });
  for (const name of ['locations', 'users']) {
    start();
    receive(answer(200, `x-envoy-upstream-healthchecked-cluster: ${name}\r\n`));
  }
  assert.deepEqual([kinds(results), verified], [['passed', 'failed'], 2]);
});

test('HTTP: a lost connection and broken answers are network failures; a kept connection that was closed meanwhile is not', () => {
  const { start, receive, results, wire, wires } = httpProbe();
  start();
  receive('SSH-2.0-x\r\n\r\n');
  start();
  wire().sink.onClose(null);
  start();
  receive(answer(200));
  start();
  wire().sink.onClose(null);
  receive(answer(200));
  assert.deepEqual(kinds(results), ['failed counted network', 'failed counted network', 'passed', 'passed']);
  assert.equal(wires.length, 4);
});

test('HTTP: a payload goes out as the body, headers as configured', () => {
  const { start, wire } = httpProbe({ method: 'POST', send: Buffer.from('ping'), requestHeaders: [{ action: 'overwrite', name: 'user-agent', literal: 'mine', formatter: null, keepEmptyValue: false }] });
  start();
  assert.match(wire().sent, /user-agent: mine\r\n/i);
  assert.match(wire().sent, /content-length: 4\r\n[^]*ping$/i);
});

const tcpProbe = (changes: Partial<TcpCheck> = {}, reuse = true) => setUp((transport) => new TcpProbe({ kind: 'tcp', send: null, receive: [], ...changes }, transport, reuse));

test('TCP: connecting is enough when nothing is to be received', () => {
  const { start, results, wires } = tcpProbe({ send: Buffer.from('hi') });
  start();
  start();
  assert.deepEqual([kinds(results), wires.length, wires[0]?.sent], [['passed', 'passed'], 2, 'hi']);
});

test('TCP: waits for the expected bytes, in parts too; the connection is kept', () => {
  const { start, receive, results, wires } = tcpProbe({ send: Buffer.from('PING'), receive: [Buffer.from('PO'), Buffer.from('NG')] });
  start();
  receive('xPO');
  assert.deepEqual(results, []);
  receive('..NG');
  start();
  receive('PONG');
  assert.deepEqual([kinds(results), wires.length], [['passed', 'passed'], 1]);
});

test('TCP: a closed connection fails, endless talk too', () => {
  const { start, receive, results, wire } = tcpProbe({ receive: [Buffer.from('PONG')] });
  start();
  wire().sink.onEnd();
  start();
  receive('x'.repeat(70_000));
  assert.deepEqual(kinds(results), ['failed counted network', 'failed']);
});

const grpcProbe = () => setUp((transport) => new GrpcProbe({ kind: 'grpc', serviceName: 'svc', authority: '', metadata: [] }, { transport, reuse: true, authority: 'app', scheme: 'http', http2: testOptions() }));
const grpcHead = [':status', '200', 'content-type', 'application/grpc'];
/** An answer on a stream: the message with that serving status, then the call's status. */
const grpcAnswer = (stream: number, serving: number, status = '0') =>
  headers(stream, grpcHead, 4) + frame(0, 0, stream, Buffer.from([0, 0, 0, 0, 2, 8, serving])) + headers(stream, ['grpc-status', status]);

test('gRPC: only SERVING passes; the connection is kept', () => {
  const { start, receive, results, wires, wire } = grpcProbe();
  start();
  receive(settings() + grpcAnswer(1, 1));
  for (const [stream, text] of [[3, grpcAnswer(3, 2)], [5, grpcAnswer(5, 1, '5')], [7, headers(7, [...grpcHead, 'grpc-status', '12'])], [9, headers(9, [':status', '503'])]] as const) {
    assert.ok(stream > 0);
    start();
    receive(text);
  }
  assert.deepEqual([kinds(results), wires.length], [['passed', 'failed', 'failed', 'failed', 'failed'], 1]);
  assert.match(wire().sent, /svc/);
});

test('gRPC: a reset stream and a lost connection are network failures; a kept connection that goes away is replaced', () => {
  const { start, receive, results, wires, wire } = grpcProbe();
  start();
  receive(settings() + frame(3, 0, 1, Buffer.from([0, 0, 0, 2])));
  start();
  receive(settings());
  wire().sink.onClose(null);
  start();
  receive(settings() + grpcAnswer(1, 1));
  start();
  receive(frame(7, 0, 0, Buffer.from([0, 0, 0, 1, 0, 0, 0, 0])));
  receive(settings() + grpcAnswer(1, 1));
  assert.deepEqual([kinds(results), wires.length], [['failed counted network', 'failed counted network', 'passed', 'passed'], 4]);
});

test('a probe that was given up says nothing any more', () => {
  for (const { probe, start, results, wire } of [tcpProbe({ receive: [Buffer.from('x')] }), httpProbe(), grpcProbe()]) {
    start();
    const given = wire();
    probe.close();
    given.sink.onClose(null);
    assert.deepEqual([results, given.closed || given.ended], [[], true]);
  }
});

test('payloads that stand in order are found, whatever is between', () => {
  const part = fc.uint8Array({ minLength: 1, maxLength: 4 }).map((bytes) => Buffer.from(bytes));
  fc.assert(fc.property(fc.array(fc.tuple(part, part), { maxLength: 5 }), (pairs) => {
    assert.equal(payloadsMatch(pairs.map(([wanted]) => wanted), Buffer.concat(pairs.flat())), true);
  }), { numRuns: 200 });
  assert.equal(payloadsMatch([Buffer.from('b'), Buffer.from('a')], Buffer.from('ab')), false);
});

