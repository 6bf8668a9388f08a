import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { DeltaDiscoveryRequest, DeltaDiscoveryResponse } from '@meltemi/api/gen/envoy/service/discovery/v3/discovery.ts';
import { testSet } from '../resource-set.fake.ts';
import { xdsSnapshot, type XdsSnapshot } from '../resource-set.ts';
import { shortTypeName, xdsType } from '../resource-types.ts';
import { deltaSequencer, type SequencerEvent, type SequencerOptions } from './push-sequencer.ts';

const { cluster, endpoint, listener, route, secret } = xdsType;

/** A client that answers only when told; sent responses read like "CDS +a -b". */
class Client {
  readonly sequencer;
  now = 0;
  open: DeltaDiscoveryResponse[] = [];
  events: SequencerEvent[] = [];

  constructor(options: SequencerOptions = {}) {
    this.sequencer = deltaSequencer(options);
  }

  ask(typeUrl: string, names: string[], request: Partial<DeltaDiscoveryRequest> = {}): string[] {
    this.receive({ typeUrl, resourceNamesSubscribe: names, ...request });
    return this.advance();
  }

  push(snapshot: XdsSnapshot): string[] {
    this.sequencer.push(snapshot);
    return this.advance();
  }

  /** Answers the oldest open response of a type; returns what the server sends next. */
  answer(typeUrl: string, error?: string): string[] {
    const response = this.open.find((candidate) => candidate.typeUrl === typeUrl);
    assert.ok(response, `no open ${shortTypeName(typeUrl)}`);
    this.open = this.open.filter((other) => other !== response);
    this.receive({ typeUrl, responseNonce: response.nonce, errorDetail: error === undefined ? undefined : { code: 3, message: error, details: [] } });
    return this.advance();
  }

  advance(): string[] {
    const { responses, events } = this.sequencer.advance(this.now);
    this.open.push(...responses);
    this.events.push(...events);
    return responses.map((r) => [shortTypeName(r.typeUrl), ...r.resources.map((x) => `+${x.name}`), ...r.removedResources.map((name) => `-${name}`)].join(' '));
  }

  followed(): string[] {
    return this.events.flatMap((event) => (event.kind === 'follow' ? [event.revision] : []));
  }

  receive(request: Partial<DeltaDiscoveryRequest>): void {
    const whole = { typeUrl: '', resourceNamesSubscribe: [], resourceNamesUnsubscribe: [], resourceLocatorsSubscribe: [], resourceLocatorsUnsubscribe: [], initialResourceVersions: {}, responseNonce: '', ...request };
    this.events.push(...this.sequencer.receive(whole));
  }

  /** Subscribed to everything of the snapshot, all accepted. */
  static settled(snapshot: XdsSnapshot, options: SequencerOptions = {}): Client {
    const client = new Client(options);
    client.push(snapshot);
    for (const typeUrl of [cluster, endpoint, listener, route]) {
      client.ask(typeUrl, typeUrl === endpoint || typeUrl === route ? [...(snapshot.resources.get(typeUrl)?.resources.keys() ?? [])] : []);
      client.answer(typeUrl);
    }
    assert.deepEqual(client.followed().at(-1), snapshot.revision);
    return client;
  }
}

function snapshot(revision: string, clusters: Record<string, string>, routes: Record<string, string>): XdsSnapshot {
  return xdsSnapshot(revision, [testSet(cluster, clusters), testSet(endpoint, clusters), testSet(listener, { l: revision }), testSet(route, routes)]);
}

test('a push goes clusters, endpoints, listeners, routes, removals, each after the ACK of the one before', () => {
  const client = Client.settled(snapshot('1', { a: '1' }, { r: 'a' }));
  assert.deepEqual(client.push(snapshot('2', { b: '1' }, { r: 'b' })), ['CDS +b']);
  assert.deepEqual(client.ask(endpoint, ['b']), ['EDS +b']);
  assert.deepEqual(client.answer(cluster), []);
  assert.deepEqual(client.answer(endpoint), ['LDS +l']);
  assert.deepEqual(client.answer(listener), ['RDS +r']);
  assert.deepEqual(client.followed(), ['1']);
  assert.deepEqual(client.answer(route), ['CDS -a']);
  assert.deepEqual(client.answer(cluster), ['EDS -a']);
  assert.deepEqual(client.answer(endpoint), []);
  assert.deepEqual(client.followed(), ['1', '2']);
});

test('types nobody asked for are passed over', () => {
  const client = new Client();
  client.push(snapshot('1', { a: '1' }, { r: 'a' }));
  assert.deepEqual(client.ask(listener, []), ['LDS +l']);
  client.answer(listener);
  client.now = client.sequencer.wakeAt() ?? 0;
  client.advance();
  assert.deepEqual(client.followed(), ['1']);
  assert.deepEqual(client.ask('type.googleapis.com/some.Unknown', ['x']), []);
});

test('a client that comes back and names its types one by one has followed nothing before it has asked for its routes', () => {
  const first = snapshot('1', { a: '1' }, { r: 'a' });
  const client = new Client({ stepDeadlineMs: 100 });
  client.push(first);
  const held = (typeUrl: string) => Object.fromEntries([...(first.resources.get(typeUrl)?.resources.values() ?? [])].map(({ name, version }) => [name, version]));
  for (const typeUrl of [cluster, listener]) assert.deepEqual(client.ask(typeUrl, [], { initialResourceVersions: held(typeUrl) }), [], 'it has them already');
  assert.deepEqual(client.events.filter(({ kind }) => kind === 'settle' || kind === 'follow'), []);
  assert.deepEqual(client.ask(route, ['r']), ['RDS +r']);
  client.answer(route, 'r: no');
  assert.deepEqual(client.events.filter(({ kind }) => kind === 'settle' || kind === 'follow'), [{ kind: 'settle', revision: '1', refused: [{ typeUrl: route, name: 'r' }] }]);
});

test('one that takes a new listener has not followed before it has asked for the routes of that, if it asks for all there are; for as long as it may take', () => {
  const [first, second] = [snapshot('1', { a: '1' }, { r: 'a' }), snapshot('2', { a: '1' }, { r: 'a', s: 'a' })];
  const asking = Client.settled(first, { stepDeadlineMs: 100 });
  asking.push(second);
  asking.answer(listener);
  assert.deepEqual(asking.followed(), ['1']);
  assert.deepEqual(asking.ask(route, ['s']), ['RDS +s']);
  asking.answer(route);
  assert.deepEqual(asking.followed(), ['1', '2']);

  const silent = Client.settled(first, { stepDeadlineMs: 100 });
  silent.push(second);
  silent.answer(listener);
  assert.equal(silent.sequencer.wakeAt(), 1200);
  silent.now = 1200;
  silent.advance();
  assert.deepEqual(silent.followed(), ['1', '2'], 'it does not want them');
  silent.push(snapshot('3', { a: '1' }, { r: 'a', s: 'a', t: 'a' }));
  silent.answer(listener);
  assert.deepEqual(silent.followed(), ['1', '2', '3'], 'who left some out is not waited for again');
});

test('one that wants clusters alone is waited for once', () => {
  const client = new Client();
  client.push(snapshot('1', { a: '1' }, { r: 'a' }));
  client.ask(cluster, []);
  client.answer(cluster);
  assert.deepEqual(client.followed(), []);
  client.now = client.sequencer.wakeAt() ?? 0;
  client.advance();
  assert.deepEqual(client.followed(), ['1']);
  client.push(snapshot('2', { a: '2' }, { r: 'a' }));
  client.answer(cluster);
  assert.deepEqual(client.followed(), ['1', '2'], 'without another wait');
});

test('the wait for one that wants clusters alone is not begun anew by each snapshot', () => {
  const client = new Client();
  client.push(snapshot('1', { a: '1' }, { r: 'a' }));
  client.ask(cluster, []);
  client.answer(cluster);
  const until = client.sequencer.wakeAt() ?? 0;
  client.now = until - 1;
  client.push(snapshot('2', { a: '2' }, { r: 'a' }));
  client.answer(cluster);
  assert.deepEqual(client.followed(), []);
  client.now = until;
  client.advance();
  assert.deepEqual(client.followed(), ['2']);
});

test('new routes of an unacknowledged listener are sent at once, when their clusters are there', () => {
  const client = Client.settled(snapshot('1', { a: '1' }, { r: 'a' }));
  const next = snapshot('2', { a: '1', b: '1' }, { r: 'a', fresh: 'b' });
  assert.deepEqual(client.push(next), ['CDS +b']);
  assert.deepEqual(client.ask(route, ['fresh']), []);
  assert.deepEqual(client.ask(endpoint, ['b']), ['EDS +b']);
  assert.deepEqual(client.answer(cluster), []);
  assert.deepEqual(client.answer(endpoint), ['RDS +fresh', 'LDS +l']);
});

test('a route waits for a cluster that is never acknowledged, however long; other routes, listeners and snapshots do not', () => {
  const client = Client.settled(snapshot('1', { a: '1' }, { r: 'a', s: 'a' }), { stepDeadlineMs: 100 });
  client.push(snapshot('2', { a: '1', b: '1' }, { r: 'b', s: 'a' }));
  client.now = 10_000;
  assert.deepEqual(client.advance(), ['LDS +l']);
  client.answer(listener);
  assert.deepEqual(client.sequencer.status().flatMap(({ typeUrl, lagging }) => (lagging ? [shortTypeName(typeUrl)] : [])), ['CDS']);
  assert.deepEqual(client.followed(), ['1']);
  assert.deepEqual(client.push(snapshot('3', { a: '2', b: '1' }, { r: 'b', s: 'a' })), ['CDS +a']);
});

test('a late acknowledgement of the cluster lets its route go', () => {
  const client = Client.settled(snapshot('1', { a: '1' }, { r: 'a' }), { stepDeadlineMs: 100 });
  client.push(snapshot('2', { b: '1' }, { r: 'b' }));
  client.ask(endpoint, ['b']);
  client.now = 10_000;
  assert.deepEqual(client.advance(), ['LDS +l']);
  client.answer(listener);
  client.answer(endpoint);
  assert.deepEqual(client.answer(cluster), ['RDS +r']);
  assert.deepEqual(client.answer(route), ['CDS -a']);
});

test('a route whose cluster is refused stays as it was, and so does what it pointed at', () => {
  const client = Client.settled(snapshot('1', { a: '1' }, { r: 'a' }));
  client.push(snapshot('2', { b: 'bad' }, { r: 'b' }));
  assert.deepEqual(client.answer(cluster, 'b: unreadable'), ['LDS +l']);
  assert.deepEqual(client.answer(listener), []);
  assert.deepEqual(client.events.at(-1), { kind: 'settle', revision: '2', refused: [{ typeUrl: cluster, name: 'b' }] });
  client.push(snapshot('3', { a: '1' }, { r: 'a' }));
  client.answer(listener);
  assert.deepEqual(client.followed(), ['1', '3']);
});

test('a cluster is not taken away while the client still answers nothing to the route that leaves it', () => {
  const client = Client.settled(snapshot('1', { a: '1', b: '1' }, { r: 'a' }), { stepDeadlineMs: 100 });
  client.push(snapshot('2', { b: '1' }, { r: 'b' }));
  client.answer(listener);
  client.now = 10_000;
  assert.deepEqual(client.advance(), []);
  assert.deepEqual(client.answer(route), ['CDS -a']);
});

test('going back to what a client holds sends it nothing', () => {
  const client = Client.settled(snapshot('1', { a: '1' }, { r: 'a' }));
  client.push(snapshot('1', { a: 'bad' }, { r: 'a' }));
  client.answer(cluster, 'a: unreadable');
  client.answer(endpoint);
  const back = snapshot('1', { a: '1' }, { r: 'a' });
  assert.deepEqual(client.push({ ...back, revision: '3', resources: new Map([...back.resources].filter(([typeUrl]) => typeUrl !== endpoint)) }), []);
  assert.deepEqual(client.followed(), ['1', '3']);
});

test('a client that is slow to ask for the endpoints of a new cluster gets no route to it meanwhile; one that never asks gets it in the end', () => {
  const client = Client.settled(snapshot('1', { a: '1' }, { r: 'a' }), { stepDeadlineMs: 100 });
  client.push(snapshot('2', { a: '1', b: '1' }, { r: 'b' }));
  assert.deepEqual(client.answer(cluster), ['LDS +l']);
  assert.deepEqual(client.answer(listener), []);
  assert.equal(client.sequencer.wakeAt(), 1200);
  client.now = 1199;
  assert.deepEqual(client.advance(), []);
  client.now = 1200;
  assert.deepEqual(client.advance(), ['RDS +r']);
});

test('only the newest snapshot waits while one is in progress', () => {
  const client = Client.settled(snapshot('1', { a: '1' }, { r: 'a' }));
  client.push(snapshot('2', { a: '2' }, { r: 'a' }));
  assert.deepEqual(client.push(snapshot('3', { a: '3' }, { r: 'a' })), []);
  assert.deepEqual(client.push(snapshot('4', { a: '4' }, { r: 'a' })), []);
  for (const typeUrl of [cluster, endpoint]) client.answer(typeUrl);
  assert.deepEqual(client.answer(listener), ['CDS +a']);
  for (const typeUrl of [cluster, endpoint, listener]) client.answer(typeUrl);
  assert.deepEqual(client.followed(), ['1', '2', '4']);
});

test('after a refusal the other types go on, and the revision is not followed until it is put right', () => {
  const client = Client.settled(snapshot('1', { a: '1' }, { r: 'a' }));
  client.push(snapshot('2', { a: 'bad' }, { r: 'a' }));
  assert.deepEqual(client.answer(cluster, 'a: unreadable'), ['EDS +a']);
  assert.deepEqual(client.answer(endpoint), ['LDS +l']);
  client.answer(listener);
  assert.deepEqual(client.followed(), ['1']);
  assert.deepEqual(client.events.at(-1), { kind: 'settle', revision: '2', refused: [{ typeUrl: cluster, name: 'a' }] });
  const status = client.sequencer.status().find((type) => type.typeUrl === cluster);
  assert.deepEqual([status?.state, status?.lastNack?.message], ['STALE', 'a: unreadable']);
  client.push(snapshot('3', { a: 'good' }, { r: 'a' }));
  for (const typeUrl of [cluster, endpoint, listener]) client.answer(typeUrl);
  assert.deepEqual(client.followed(), ['1', '3']);
  assert.equal(client.sequencer.status().find((type) => type.typeUrl === cluster)?.state, 'SYNCED');
});

test('a silent client is reported after the deadline and the push goes on; a late ACK still counts', () => {
  const client = Client.settled(snapshot('1', { a: '1' }, { r: 'a' }), { stepDeadlineMs: 100 });
  client.push(snapshot('2', { a: '2' }, { r: 'a' }));
  assert.equal(client.sequencer.wakeAt(), 100);
  client.now = 100;
  assert.deepEqual(client.advance(), ['EDS +a']);
  assert.deepEqual(client.events.at(-1), { kind: 'lagging', typeUrl: cluster, revision: '2' });
  client.answer(endpoint);
  client.answer(listener);
  assert.equal(client.sequencer.status().find((type) => type.typeUrl === cluster)?.lagging, true);
  client.answer(cluster);
  assert.deepEqual(client.followed(), ['1', '2']);
});

test('a snapshot without differences is followed at once', () => {
  const client = Client.settled(snapshot('1', { a: '1' }, { r: 'a' }));
  const same = snapshot('1', { a: '1' }, { r: 'a' });
  assert.deepEqual(client.push({ ...same, revision: '2' }), []);
  assert.deepEqual(client.followed(), ['1', '2']);
});

test('without order everything goes at once, and the next push still waits for the answers', () => {
  const client = Client.settled(snapshot('1', { a: '1' }, { r: 'a' }), { ordered: false });
  assert.deepEqual(client.push(snapshot('2', { b: '1' }, { r: 'b' })), ['CDS +b -a', 'EDS -a', 'LDS +l', 'RDS +r']);
  assert.deepEqual(client.push(snapshot('3', { c: '1' }, { r: 'c' })), []);
});

test('secrets wait for nobody', () => {
  const client = Client.settled(snapshot('1', { a: '1' }, { r: 'a' }));
  client.ask(secret, ['default']);
  const next = snapshot('2', { a: '2' }, { r: 'a' });
  assert.deepEqual(client.push({ ...next, resources: new Map([...next.resources, [secret, testSet(secret, { default: 'key' })]]) }), ['SDS +default', 'CDS +a']);
});

test('a name that is still being made is answered by the next snapshot', () => {
  const client = new Client({ ordered: false });
  client.push(xdsSnapshot('1', [testSet(listener, {})]));
  client.receive({ typeUrl: listener, resourceNamesSubscribe: ['h:80'] });
  client.sequencer.holdMissing(listener);
  assert.deepEqual(client.advance(), []);
  assert.deepEqual(client.push(xdsSnapshot('2', [testSet(listener, { 'h:80': '1' })])), ['LDS +h:80']);
});

test('a client that comes back keeps its old clusters until its routes were looked at', () => {
  const client = new Client({ stepDeadlineMs: 100 });
  client.push(snapshot('2', { b: '1' }, { r: 'b' }));
  assert.deepEqual(client.ask(cluster, [], { initialResourceVersions: { a: 'old' } }), ['CDS +b']);
  assert.deepEqual(client.answer(cluster), []);
  assert.equal(client.sequencer.wakeAt(), 100);
  client.ask(listener, [], { initialResourceVersions: { l: 'old' } });
  client.answer(listener);
  assert.deepEqual(client.ask(route, ['r'], { initialResourceVersions: { r: 'old' } }), ['RDS +r']);
  assert.deepEqual(client.answer(route), ['CDS -a']);
});
