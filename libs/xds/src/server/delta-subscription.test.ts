import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { DeltaDiscoveryRequest, DeltaDiscoveryResponse } from '@meltemi/api/gen/envoy/service/discovery/v3/discovery.ts';
import { testSet } from '../resource-set.fake.ts';
import { xdsType } from '../resource-types.ts';
import { deltaProtocol, type DeltaSubscription } from './delta-subscription.ts';
import type { Part } from './subscription.ts';

const eds = xdsType.endpoint;
const cds = xdsType.cluster;

/** Drives one type of one stream; answers are written "+name" for sent and "-name" for removed. */
class Stream {
  state: DeltaSubscription;
  readonly typeUrl: string;
  last: DeltaDiscoveryResponse | undefined;
  nonce = 0;

  constructor(typeUrl: string) {
    this.typeUrl = typeUrl;
    this.state = deltaProtocol.open(typeUrl);
  }

  ask(request: Partial<DeltaDiscoveryRequest> = {}): ReturnType<typeof deltaProtocol.receive> {
    const received = deltaProtocol.receive(this.state, { ...emptyRequest, typeUrl: this.typeUrl, ...request });
    this.state = received.state;
    return received;
  }

  send(versions: Record<string, string>, part: Part = 'all'): string[] | undefined {
    const { state, response } = deltaProtocol.send(this.state, testSet(this.typeUrl, versions), { part, nonce: `n${++this.nonce}` });
    this.state = state;
    this.last = response;
    return response && [...response.resources.map((r) => `+${r.name}`), ...response.removedResources.map((name) => `-${name}`)].sort();
  }
}

const emptyRequest: DeltaDiscoveryRequest = {
  typeUrl: '',
  resourceNamesSubscribe: [],
  resourceNamesUnsubscribe: [],
  resourceLocatorsSubscribe: [],
  resourceLocatorsUnsubscribe: [],
  initialResourceVersions: {},
  responseNonce: '',
};

test('a first request without names asks for all clusters, and gets an answer even when there are none', () => {
  const stream = new Stream(cds);
  stream.ask();
  assert.deepEqual(stream.send({}), []);
  assert.equal(stream.send({}), undefined);
  assert.deepEqual(stream.send({ a: '1', b: '1' }), ['+a', '+b']);
  assert.deepEqual(stream.send({ a: '2' }), ['+a', '-b']);
});

test('a first request without names asks for no endpoints', () => {
  const stream = new Stream(eds);
  stream.ask();
  assert.equal(stream.send({ a: '1' }), undefined);
});

test('an explicit wildcard works for every type, and only what changed is sent afterwards', () => {
  const stream = new Stream(eds);
  stream.ask({ resourceNamesSubscribe: ['*'] });
  assert.deepEqual(stream.send({ a: '1', b: '1' }), ['+a', '+b']);
  assert.deepEqual(stream.send({ a: '1', b: '2' }), ['+b']);
});

test('names that do not exist are answered as removed, once, and sent when they appear', () => {
  const stream = new Stream(eds);
  stream.ask({ resourceNamesSubscribe: ['a', 'ghost'] });
  assert.deepEqual(stream.send({ a: '1' }), ['+a', '-ghost']);
  assert.equal(stream.send({ a: '1' }), undefined);
  assert.deepEqual(stream.send({ a: '1', ghost: '1' }), ['+ghost']);
});

test('a reconnecting client is told of differences only', () => {
  const stream = new Stream(eds);
  const same = testSet(eds, { a: '1' }).resources.get('a')?.version ?? '';
  stream.ask({ resourceNamesSubscribe: ['a', 'b', 'gone', 'new'], initialResourceVersions: { a: same, b: 'older', gone: 'x', unasked: 'x' } });
  assert.deepEqual(stream.send({ a: '1', b: '1', new: '1' }), ['+b', '+new', '-gone']);
});

test('a reconnecting wildcard client that has everything is sent nothing', () => {
  const stream = new Stream(cds);
  const same = testSet(cds, { a: '1' }).resources.get('a')?.version ?? '';
  stream.ask({ initialResourceVersions: { a: same } });
  assert.equal(stream.send({ a: '1' }), undefined);
  const changed = new Stream(cds);
  changed.ask({ initialResourceVersions: { a: same, vanished: 'x' } });
  assert.deepEqual(changed.send({ a: '1' }), ['-vanished']);
});

test('a resource subscribed again is sent again', () => {
  const stream = new Stream(eds);
  stream.ask({ resourceNamesSubscribe: ['a'] });
  assert.deepEqual(stream.send({ a: '1' }), ['+a']);
  stream.ask({ resourceNamesSubscribe: ['a'] });
  assert.deepEqual(stream.send({ a: '1' }), ['+a']);
  stream.ask({ resourceNamesUnsubscribe: ['a'] });
  assert.equal(stream.send({ a: '2' }), undefined);
  stream.ask({ resourceNamesSubscribe: ['a'] });
  assert.deepEqual(stream.send({ a: '2' }), ['+a']);
});

test('a name given up under a wildcard is answered, since the client cannot know whether it stays', () => {
  const stream = new Stream(cds);
  stream.ask({ resourceNamesSubscribe: ['*', 'a', 'ghost'] });
  assert.deepEqual(stream.send({ a: '1', b: '1' }), ['+a', '+b', '-ghost']);
  stream.ask({ resourceNamesUnsubscribe: ['a', 'ghost'] });
  assert.deepEqual(stream.send({ a: '1', b: '1' }), ['+a', '-ghost']);
});

test('giving up the wildcard keeps the explicit names', () => {
  const stream = new Stream(cds);
  stream.ask({ resourceNamesSubscribe: ['*', 'a'] });
  stream.send({ a: '1', b: '1' });
  stream.ask({ resourceNamesUnsubscribe: ['*'] });
  assert.equal(stream.send({ a: '1', b: '2' }), undefined);
  assert.deepEqual(stream.send({ a: '2', b: '2' }), ['+a']);
});

test('a stale nonce acknowledges nothing, but the names in the request count', () => {
  const stream = new Stream(eds);
  stream.ask({ resourceNamesSubscribe: ['a'] });
  stream.send({ a: '1' });
  const received = stream.ask({ responseNonce: 'from-another-stream', resourceNamesSubscribe: ['b'] });
  assert.equal(received.answer, undefined);
  assert.equal(received.namesChanged, true);
  assert.equal(stream.state.acknowledgements.pending.size, 1);
  assert.deepEqual(stream.send({ a: '1', b: '1' }), ['+b']);
});

test('a refused version is not sent again, the next one is, and its ACK settles the refusal', () => {
  const stream = new Stream(eds);
  stream.ask({ resourceNamesSubscribe: ['a', 'b'] });
  stream.send({ a: 'bad', b: '1' });
  const { answer } = stream.ask({ responseNonce: 'n1', errorDetail: { code: 3, message: 'a: no such locality', details: [] } });
  assert.deepEqual(answer?.kind === 'nack' && answer.refusal.resources, ['a']);
  assert.equal(stream.send({ a: 'bad', b: '1' }), undefined);
  assert.deepEqual(stream.send({ a: 'bad', b: '2' }), ['+b']);
  stream.ask({ responseNonce: 'n3' });
  assert.deepEqual([...stream.state.acknowledgements.refused.keys()], ['a']);
  assert.deepEqual(stream.send({ a: 'good', b: '2' }), ['+a']);
  stream.ask({ responseNonce: 'n4' });
  assert.equal(stream.state.acknowledgements.lastNack, undefined);
});

test('a refusal that names nobody is settled by the next accepted part of it', () => {
  const stream = new Stream(eds);
  stream.ask({ resourceNamesSubscribe: ['a', 'b'] });
  stream.send({ a: '1', b: '1' });
  stream.ask({ responseNonce: 'n1', errorDetail: { code: 3, message: 'broken', details: [] } });
  assert.equal(stream.state.acknowledgements.refused.size, 2);
  stream.send({ a: '2', b: '1' });
  stream.ask({ responseNonce: 'n2' });
  assert.equal(stream.state.acknowledgements.refused.size, 0);
});

test('parts divide a difference: new, then changed, then removed', () => {
  const stream = new Stream(eds);
  stream.ask({ resourceNamesSubscribe: ['a', 'b', 'c'] });
  stream.send({ a: '1', b: '1' });
  stream.ask({ resourceNamesSubscribe: ['d'] });
  const next = { a: '2', c: '1', d: '1' };
  assert.deepEqual(stream.send(next, 'new'), ['+c', '+d']);
  assert.deepEqual(stream.send(next, 'changed'), ['+a']);
  assert.deepEqual(stream.send(next, 'removed'), ['-b']);
  assert.equal(stream.send(next), undefined);
});

test('missing names wait while more comes', () => {
  const stream = new Stream(eds);
  stream.ask({ resourceNamesSubscribe: ['a', 'later'] });
  stream.state = { ...stream.state, moreComes: true };
  assert.deepEqual(stream.send({ a: '1' }), ['+a']);
  stream.state = { ...stream.state, moreComes: false, upToDateWith: undefined };
  assert.deepEqual(stream.send({ a: '1', later: '1' }), ['+later']);
});
