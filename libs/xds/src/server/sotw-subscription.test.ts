import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { DiscoveryRequest } from '@meltemi/api/gen/envoy/service/discovery/v3/discovery.ts';
import { testSet } from '../resource-set.fake.ts';
import { xdsType } from '../resource-types.ts';
import { sotwProtocol, type SotwSubscription } from './sotw-subscription.ts';
import type { Part } from './subscription.ts';

class Stream {
  state: SotwSubscription;
  readonly typeUrl: string;
  nonce = 0;

  constructor(typeUrl: string) {
    this.typeUrl = typeUrl;
    this.state = sotwProtocol.open(typeUrl);
  }

  ask(resourceNames: string[], request: Partial<DiscoveryRequest> = {}): ReturnType<typeof sotwProtocol.receive> {
    const received = sotwProtocol.receive(this.state, { typeUrl: this.typeUrl, versionInfo: '', resourceNames, resourceLocators: [], responseNonce: '', ...request });
    this.state = received.state;
    return received;
  }

  /** Texts of the resources sent; undefined = no response. */
  send(texts: Record<string, string>, part: Part = 'all'): string[] | undefined {
    const { state, response } = sotwProtocol.send(this.state, testSet(this.typeUrl, texts), { part, nonce: `n${++this.nonce}` });
    this.state = state;
    return response && [...state.sent.keys()].sort();
  }
}

test('an empty first list asks for everything, and for nothing once names were given', () => {
  const stream = new Stream(xdsType.cluster);
  stream.ask([]);
  assert.deepEqual(stream.send({ a: '1', b: '1' }), ['a', 'b']);
  stream.ask(['a'], { responseNonce: 'n1' });
  assert.deepEqual(stream.send({ a: '1', b: '1' }), ['a']);
  stream.ask([], { responseNonce: 'n2' });
  assert.equal(stream.send({ a: '2' }), undefined);
});

test('every response holds all names asked for', () => {
  const stream = new Stream(xdsType.endpoint);
  stream.ask(['a', 'b']);
  assert.deepEqual(stream.send({ a: '1', b: '1', c: '1' }), ['a', 'b']);
  assert.equal(stream.send({ a: '1', b: '1', c: '2' }), undefined);
  assert.deepEqual(stream.send({ a: '2', b: '1' }), ['a', 'b']);
  stream.ask(['a', 'b', 'c'], { responseNonce: 'n3' });
  assert.deepEqual(stream.send({ a: '2', b: '1', c: '1' }), ['a', 'b', 'c']);
});

test('a name given up and asked for again is sent again', () => {
  const stream = new Stream(xdsType.endpoint);
  stream.ask(['a', 'b']);
  stream.send({ a: '1', b: '1' });
  stream.ask(['b'], { responseNonce: 'n1' });
  assert.equal(stream.send({ a: '1', b: '1' }), undefined);
  stream.ask(['a', 'b'], { responseNonce: 'n1' });
  assert.deepEqual(stream.send({ a: '1', b: '1' }), ['a', 'b']);
});

test('a request with a stale nonce changes nothing', () => {
  const stream = new Stream(xdsType.endpoint);
  stream.ask(['a']);
  stream.send({ a: '1' });
  stream.send({ a: '2' });
  const before = stream.state;
  const received = stream.ask(['a', 'b'], { responseNonce: 'n1', errorDetail: { code: 3, message: 'late', details: [] } });
  assert.deepEqual(received, { state: before, namesChanged: false, answer: undefined });
});

test('names may change before the first response came', () => {
  const stream = new Stream(xdsType.endpoint);
  stream.ask(['a']);
  stream.ask(['a', 'b']);
  assert.deepEqual(stream.send({ a: '1', b: '1' }), ['a', 'b']);
});

test('clusters that go away stay in the first response and are gone in the last', () => {
  const stream = new Stream(xdsType.cluster);
  stream.ask([]);
  stream.send({ old: '1', kept: '1' });
  assert.deepEqual(stream.send({ kept: '1', fresh: '1' }, 'changed'), ['fresh', 'kept', 'old']);
  assert.deepEqual(stream.send({ kept: '1', fresh: '1' }, 'removed'), ['fresh', 'kept']);
  assert.equal(stream.send({ kept: '1', fresh: '1' }, 'removed'), undefined);
});

test('an ACK and a NACK name the version they are about', () => {
  const stream = new Stream(xdsType.cluster);
  stream.ask([]);
  stream.send({ a: '1' });
  const version = stream.state.acknowledgements.sentVersion;
  assert.deepEqual(stream.ask([], { responseNonce: 'n1', versionInfo: version }).answer, { kind: 'ack', version });
  stream.send({ a: 'bad' });
  const refused = stream.state.acknowledgements.sentVersion;
  const { answer } = stream.ask([], { responseNonce: 'n2', versionInfo: version, errorDetail: { code: 3, message: 'no', details: [] } });
  assert.deepEqual(answer, { kind: 'nack', refusal: { version: refused, message: 'no', resources: ['a'] } });
  assert.equal(stream.send({ a: 'bad' }), undefined);
  assert.deepEqual(stream.send({ a: 'good' }), ['a']);
});

test('nothing is answered while a missing name is being made', () => {
  const stream = new Stream(xdsType.listener);
  stream.ask(['a', 'later']);
  stream.state = { ...stream.state, moreComes: true };
  assert.equal(stream.send({ a: '1' }), undefined);
  assert.deepEqual(stream.send({ a: '1', later: '1' }), ['a', 'later']);
});

test('a client has a resource no more once a response is on its way that is without it, though the next brings it back', () => {
  const stream = new Stream(xdsType.cluster);
  stream.ask([]);
  stream.send({ a: '1', b: '1' });
  stream.ask([], { responseNonce: 'n1' });
  assert.equal(sotwProtocol.has(stream.state, 'a'), true);
  stream.send({ b: '1' });
  assert.equal(sotwProtocol.has(stream.state, 'a'), false);
  stream.send({ a: '2', b: '1' });
  assert.equal(sotwProtocol.has(stream.state, 'a'), false);
  stream.ask([], { responseNonce: 'n3', errorDetail: { code: 3, message: 'a: no', details: [] } });
  assert.equal(sotwProtocol.has(stream.state, 'a'), false, 'the response in between took it away: a refusal of the last leaves nothing');
  assert.equal(sotwProtocol.has(stream.state, 'b'), true);
});

test('a refused version leaves the one the client had', () => {
  const stream = new Stream(xdsType.cluster);
  stream.ask([]);
  stream.send({ a: '1', b: '1' });
  stream.ask([], { responseNonce: 'n1' });
  const first = stream.state.taken.get('a');
  assert.ok(first);
  stream.send({ a: '2', b: '1' });
  stream.ask([], { responseNonce: 'n2', errorDetail: { code: 3, message: 'a: no', details: [] } });
  assert.equal(stream.state.taken.get('a'), first);
});
