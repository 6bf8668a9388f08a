import assert from 'node:assert/strict';
import { test } from 'node:test';
import { jsonToBinary } from '@meltemi/api';
import { ProxyLag_State } from '@meltemi/api/gen/meltemi/config/v1/config.ts';
import { waitFor } from '@meltemi/base';
import { resourceSet, xdsResource, xdsType } from '@meltemi/xds';
import { FakeMesh as Mesh } from './testing/fake-mesh.test-support.ts';
import { waitForRevision } from './wait.ts';

test('a wait ends when every proxy has answered the revision with the change', async () => {
  const mesh = new Mesh().settled();
  const [a, b] = [mesh.connect('a'), mesh.connect('b')];
  mesh.discovery.changed('a rule');
  const { seen, end } = mesh.wait();
  await mesh.pushed('b', '2');
  a.onSettle?.('2', []);
  await waitFor('the first to count', () => seen.at(-1)?.following === 1);
  assert.deepEqual(seen.at(-1)?.laggards, [{ proxyId: 'b.default', state: ProxyLag_State.LAGGING, detail: 'has not acknowledged RDS' }]);
  b.onSettle?.('2', []);
  assert.deepEqual(await end, { done: true, affected: 2, following: 2, laggards: [], timedOut: false, objects: [] });
});

test('an answer that comes while the reader is busy with a message is not slept through', async () => {
  const mesh = new Mesh().settled();
  const proxy = mesh.connect('a');
  mesh.discovery.changed('a rule');
  const messages = waitForRevision({ cache: { processed: () => Promise.resolve(), get: () => undefined }, discovery: mesh.discovery, clock: mesh.clock }, { storeVersion: 'w1' }, new AbortController().signal);
  assert.equal((await messages.next()).value?.done, false);
  await mesh.pushed('a', '2');
  proxy.onSettle?.('2', []);
  const last = (await messages.next()).value;
  assert.deepEqual([last?.done, last?.timedOut], [true, false]);
});

test('a refusal of what changed ends the wait with the proxy’s words; an old one does not hold up an unrelated change', async () => {
  const mesh = new Mesh().settled();
  const proxy = mesh.connect('a');
  const refused = [{ typeUrl: xdsType.listener, name: '0.0.0.0_80' }];
  proxy.onNack?.(xdsType.listener, { version: 'v', message: 'the port is taken', resources: ['0.0.0.0_80'] });
  proxy.onSettle?.('1', refused);

  mesh.discovery.changed('another rule');
  const unrelated = mesh.wait();
  await mesh.pushed('a', '2');
  proxy.onSettle?.('2', refused);
  assert.equal((await unrelated.end)?.done, true);

  mesh.discovery.changed('the listener');
  const related = mesh.wait();
  await mesh.pushed('a', '3');
  proxy.onNack?.(xdsType.listener, { version: 'w', message: 'still taken', resources: ['0.0.0.0_80'] });
  proxy.onSettle?.('3', refused);
  assert.deepEqual((await related.end)?.laggards, [{ proxyId: 'a.default', state: ProxyLag_State.REFUSED, detail: 'LDS 0.0.0.0_80: still taken' }]);
  assert.equal((await mesh.wait({ version: '' }).end)?.done, false, 'applying the same again still tells of the refusal');
});

test('a silent proxy is named when the time is over', async () => {
  const mesh = new Mesh().settled();
  mesh.connect('quiet');
  mesh.discovery.changed('a rule');
  const over = new AbortController();
  const { seen, end } = mesh.wait({ signal: over.signal });
  await waitFor('the first report', () => seen.length > 0);
  over.abort();
  const last = await end;
  assert.equal(last?.timedOut, true);
  assert.deepEqual(last?.laggards.map((lag) => lag.proxyId), ['quiet.default']);
});

test('a proxy that connects for the first time while others are waited for holds nobody up', async () => {
  const mesh = new Mesh().settled();
  const old = mesh.connect('old');
  mesh.discovery.changed('a rule');
  const { end } = mesh.wait();
  await mesh.pushed('old', '2');
  mesh.connect('new');
  old.onSettle?.('2', []);
  assert.equal((await end)?.done, true);
});

test('a proxy that left is expected back for a while, then given up', async () => {
  const mesh = new Mesh({ reconnectGraceMs: 5000 }).settled();
  mesh.connect('a').onClose?.('the connection was lost');
  mesh.discovery.changed('a rule');
  const back = mesh.wait();
  await waitFor('the first report', () => back.seen.length > 0);
  assert.match(back.seen[0]?.laggards[0]?.detail ?? '', /may come back/);
  const again = mesh.connect('a');
  await mesh.pushed('a', '2');
  again.onSettle?.('2', []);
  assert.equal((await back.end)?.affected, 1);

  again.onClose?.('gone for good');
  const given = mesh.wait();
  await waitFor('the first report', () => given.seen.length > 0);
  mesh.clock.advance(5001);
  assert.deepEqual(await given.end, { done: true, affected: 0, following: 0, laggards: [], timedOut: false, objects: [] });
});

test('right after its own start pilot waits for proxies on their way back', async () => {
  const mesh = new Mesh({ reconnectGraceMs: 5000 });
  const { seen, end } = mesh.wait();
  await waitFor('the first report', () => seen.length > 0);
  assert.equal(seen[0]?.laggards[0]?.proxyId, 'pilot');
  const returned = mesh.connect('a');
  await waitFor('the proxy to count', () => seen.at(-1)?.laggards[0]?.proxyId === 'a.default');
  mesh.clock.advance(5001);
  assert.equal(seen.at(-1)?.done, false);
  returned.onSettle?.('1', []);
  assert.equal((await end)?.done, true);
});

test('a context that cannot be built keeps the last one, and the wait says so at once', async () => {
  const mesh = new Mesh().settled();
  const before = mesh.discovery.context;
  mesh.contextFails = true;
  mesh.discovery.changed('a quarrel');
  const last = await mesh.wait().end;
  assert.equal(last?.done, false);
  assert.match(last?.laggards[0]?.detail ?? '', /could not be put together/);
  assert.equal(mesh.discovery.context, before);
  mesh.contextFails = false;
  assert.equal((await mesh.wait().end)?.done, true);
});

test('a proxy whose translation fails keeps what it has and is named; the others are served', async () => {
  const mesh = new Mesh().settled();
  mesh.connect('odd');
  const fine = mesh.connect('fine');
  await mesh.pushed('odd', '1');
  mesh.translationFailsFor = 'odd.default';
  mesh.discovery.changed('a rule');
  const { end } = mesh.wait();
  await mesh.pushed('fine', '2');
  fine.onSettle?.('2', []);
  assert.deepEqual((await end)?.laggards, [{ proxyId: 'odd.default', state: ProxyLag_State.REFUSED, detail: 'pilot could not translate the configuration for it: no such thing' }]);
  assert.equal(mesh.pushes.some(([name, revision]) => name === 'odd' && revision === '2'), false);
});

test('a burst of changes is one push per proxy', async () => {
  const mesh = new Mesh({ debounceQuietMs: 100 }).settled();
  mesh.connect('a');
  await mesh.pushed('a', '1');
  for (let n = 0; n < 50; n += 1) {
    mesh.discovery.changed(`rule ${n}`);
    mesh.clock.advance(10);
  }
  mesh.clock.advance(100);
  await mesh.pushed('a', '2');
  assert.deepEqual(mesh.pushes, [['a', '1'], ['a', '2']]);
});

test('what did not change is handed on as the same object, whatever translation made of it', async () => {
  let altStatName = 'a';
  // Pilot looks at what it sends: a cluster that a proxy takes.
  const cluster = () => xdsResource('one', { typeUrl: xdsType.cluster, value: Buffer.from(jsonToBinary('envoy.config.cluster.v3.Cluster', { name: 'one', altStatName, loadAssignment: { clusterName: 'one' } })) });
  const mesh = new Mesh({ translate: (_push, _proxy, { typeUrl }) => resourceSet(typeUrl, typeUrl === xdsType.cluster ? [cluster()] : []) }).settled();
  mesh.connect('a');
  await mesh.pushed('a', '1');
  altStatName = 'b';
  mesh.discovery.changed('a cluster');
  mesh.clock.advance(1000);
  await mesh.pushed('a', '2');
  const [first, second] = mesh.handed;
  for (const type of [xdsType.listener, xdsType.route, xdsType.endpoint]) assert.equal(second?.resources.get(type), first?.resources.get(type));
  assert.notEqual(second?.resources.get(xdsType.cluster), first?.resources.get(xdsType.cluster));
});
