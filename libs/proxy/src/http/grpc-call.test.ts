import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { ManualClock, seededRandom, type Result } from '@meltemi/base';
import { Backend } from '../testing/backend.ts';
import { callGrpc, grpcTimeout, type GrpcFailure } from './grpc-call.ts';

function called(message = Buffer.from('ask')) {
  const clock = new ManualClock();
  const backend = new Backend('authz', clock);
  const results: Result<Buffer, GrpcFailure>[] = [];
  callGrpc({ cluster: 'authz', authority: '', path: '/a.B/C', message, metadata: [['x-key', 'v']], timeoutMs: 250, maxBytes: 100 }, { clock, random: seededRandom(1), clusters: { get: () => backend } }, (result) => results.push(result));
  const [request] = backend.requests;
  assert.ok(request);
  const failed = () => results.map((result) => (result.ok ? result.value.toString() : [result.error.status, result.error.message]));
  return { clock, request, failed };
}

const framed = (text: string) => Buffer.concat([Buffer.from([0, 0, 0, 0, text.length]), Buffer.from(text)]);

test('a call is sent as gRPC over HTTP/2 wants it, and its answer unpacked', () => {
  const { request, failed } = called();
  const { head } = request;
  assert.deepEqual([head.method, head.path, head.authority], ['POST', '/a.B/C', 'authz']);
  assert.deepEqual(['te', 'content-type', 'grpc-timeout', 'x-key'].map((name) => head.field(name)), ['trailers', 'application/grpc', '250m', 'v']);
  assert.equal(request.body, framed('ask').toString('latin1'));
  request.begin(200, ['content-type', 'application/grpc']);
  request.part(framed('answer').subarray(0, 4));
  request.part(framed('answer').subarray(4));
  request.end(['grpc-status', '0']);
  assert.deepEqual(failed(), ['answer']);
});

test('a status comes from trailers or from a head without more', () => {
  const first = called();
  first.request.begin(200);
  first.request.end(['grpc-status', '7', 'grpc-message', 'not%20you']);
  assert.deepEqual(first.failed(), [[7, 'not you']]);
  const second = called();
  second.request.begin(200, ['grpc-status', '5', 'grpc-message', 'bad%zz']);
  second.request.end();
  assert.deepEqual(second.failed(), [[5, 'bad%zz']]);
});

test('what is no gRPC answer becomes the status that gRPC has for it', () => {
  const cases: [(call: ReturnType<typeof called>) => void, number][] = [
    [({ request }) => request.respond(503), 14],
    [({ request }) => request.respond(200), 2],
    [({ clock }) => clock.advance(250), 4],
    [({ request }) => request.break(), 14],
    [({ request }) => (request.begin(), request.part('x'.repeat(106))), 8],
    [({ request }) => (request.begin(), request.part(framed('one')), request.part(framed('two')), request.end(['grpc-status', '0'])), 13],
    [({ request }) => (request.begin(), request.part(Buffer.from([1, 0, 0, 0, 0])), request.end(['grpc-status', '0'])), 12],
  ];
  for (const [act, status] of cases) {
    const call = called();
    act(call);
    assert.deepEqual(call.failed().map((said) => (said as [number])[0]), [status], act.toString());
  }
});

test('timeouts fit in eight digits and are never shorter than asked', () => {
  fc.assert(fc.property(fc.double({ min: 0.001, max: 1e14, noNaN: true }), (ms) => {
    const [, digits = '', unit = ''] = /^(\d{1,8})([mS])$/.exec(grpcTimeout(ms)) ?? [];
    assert.notEqual(digits, '');
    const said = Number(digits) * (unit === 'S' ? 1000 : 1);
    assert.ok(said >= ms || digits === '99999999');
  }));
});

test('no answer makes it throw or answer twice', () => {
  fc.assert(fc.property(fc.uint8Array({ maxLength: 120 }), fc.string({ maxLength: 6 }), fc.string(), (body, status, message) => {
    const { request, failed } = called();
    request.begin(200);
    request.part(Buffer.from(body));
    if (failed().length === 0) request.end(['grpc-status', status, 'grpc-message', message]);
    assert.equal(failed().length, 1);
  }));
});
