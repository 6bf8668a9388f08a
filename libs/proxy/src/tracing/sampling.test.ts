import assert from 'node:assert/strict';
import { test } from 'node:test';
import { HeaderMap, RequestHead, StreamInfo, unknownConnection } from '@meltemi/http';
import { always, never, percentFraction } from '@meltemi/match';
import { decideTrace, type Sampling } from './sampling.ts';

const plain = '00000001-0000-4000-8000-000000000000';
const packed = (letter: string) => `00000001-0000-${letter}000-8000-000000000000`;

function decide(id: string | null, { sampling = {}, headers = [], pack = true }: { sampling?: Partial<Sampling>; headers?: string[]; pack?: boolean } = {}): [string, string | null] {
  const head = new RequestHead('GET', '/', 'a', new HeaderMap(headers));
  const info = new StreamInfo(unknownConnection, 0, 0);
  info.requestId = id;
  const reason = decideTrace({ clientSampling: always, randomSampling: always, overallSampling: always, ...sampling }, pack, { head, info, dice: 0.5 });
  assert.equal(head.headers.get('x-request-id') ?? id, info.requestId, 'the header says what the log says');
  return [reason, info.requestId];
}

test('a decision is written into the request id, and the next proxy follows it', () => {
  assert.deepEqual(decide(plain), ['sampled', packed('9')]);
  assert.deepEqual(decide(plain, { sampling: { randomSampling: never } }), ['none', plain]);
  assert.deepEqual(decide(packed('9'), { sampling: { randomSampling: never } }), ['sampled', packed('9')]);
  assert.deepEqual(decide(packed('a'), { sampling: { randomSampling: never } }), ['forced', packed('a')]);
  assert.deepEqual(decide(plain, { pack: false }), ['sampled', plain]);
});

test('clients and services may ask for a trace; the overall limit holds for all', () => {
  const off = { randomSampling: never };
  assert.deepEqual(decide(plain, { sampling: off, headers: ['x-client-trace-id', '1'] }), ['client', packed('b')]);
  assert.deepEqual(decide(plain, { sampling: { ...off, clientSampling: percentFraction(40) }, headers: ['x-client-trace-id', '1'] }), ['none', plain]);
  assert.deepEqual(decide(plain, { sampling: off, headers: ['x-envoy-force-trace', 'true'] }), ['forced', packed('a')]);
  assert.deepEqual(decide(packed('a'), { sampling: { overallSampling: never } }), ['none', plain]);
});

test('requests with the same id are decided alike, in the share that was asked for', () => {
  const half = { randomSampling: percentFraction(50) };
  assert.equal(decide('00001387-0000-4000-8000-000000000000', { sampling: half })[0], 'sampled');
  assert.equal(decide('00001388-0000-4000-8000-000000000000', { sampling: half })[0], 'none');
});

test('without an id that is a UUID there is no trace', () => {
  assert.deepEqual(decide(null), ['none', null]);
  assert.deepEqual(decide('my-own-id'), ['none', 'my-own-id']);
});
