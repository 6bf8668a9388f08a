import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ObjectDistribution_State, ProxyLag_State, type ObjectDistribution, type WaitProgress } from '@meltemi/api/gen/meltemi/config/v1/config.ts';
import { waitFor } from '@meltemi/base';
import { translate } from '@meltemi/pilot';
import { FakeMesh } from './testing/fake-mesh.test-support.ts';
import { fakeDirectory, FakePeer } from './testing/fake-peers.test-support.ts';
import { waitForRevision, type WaitAsk } from './wait.ts';

const entry = `apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: one, namespace: default}
spec: {hosts: [one.example.com], ports: [{number: 80, name: http, protocol: HTTP}], resolution: DNS}
`;
const inForce: Omit<ObjectDistribution, 'key'> = { state: ObjectDistribution_State.IN_FORCE, resourceVersion: '1', reasons: [], lastGoodInForce: false, proxies: 0, following: 0, notConcerned: 0, refusing: 0, lagging: 0, laggards: [], followers: [] };

/** A pilot of one proxy that follows everything, and another pilot. */
async function withPeer(ask: Partial<WaitAsk> = {}, record: object = {}) {
  const fake = fakeDirectory(5000);
  await fake.came('b', record);
  const mesh = new FakeMesh({ translate }).settled();
  const [key] = mesh.write(entry);
  assert.ok(key);
  mesh.clock.advance(1000);
  const proxy = mesh.connect('a');
  await mesh.pushed('a', '2');
  proxy.onSettle?.('2', []);
  const seen: WaitProgress[] = [];
  const over = new AbortController();
  const parts = { ...mesh.parts, cache: { ...mesh.parts.cache, writtenVersion: '7' }, pilots: fake.directory, node: 'own' };
  const end = (async () => {
    for await (const progress of waitForRevision(parts, { storeVersion: '', ...ask, ...(ask.objects ? { objects: [key] } : {}) }, over.signal)) seen.push(progress);
    return seen.at(-1);
  })();
  const peer = fake.dialed[0]?.peer ?? new FakePeer();
  return { peer, seen, end, key, over };
}

const says = async (seen: readonly WaitProgress[], what: RegExp) => waitFor(`${String(what)} to be said`, () => what.test(JSON.stringify(seen.at(-1)?.laggards ?? [])));
const asked = (peer: FakePeer) => peer.follows.at(-1)?.request.revision;

test('without a version the others are asked for what was written last, which they reach', async () => {
  const { peer, end } = await withPeer();
  assert.equal(asked(peer), '7');
  peer.look({ affected: 2, following: 2 });
  assert.deepEqual(await end, { done: true, affected: 3, following: 3, laggards: [], timedOut: false, objects: [] });
  const version = await withPeer({ storeVersion: '5' });
  assert.equal(asked(version.peer), '5');
  version.over.abort();
});

test('a pilot that says nothing of the objects asked for is no pilot whose proxies have them, and it is named', async () => {
  const { peer, seen, end, key } = await withPeer({ objects: [] });
  peer.look({ laggards: [{ proxyId: 'pilot', state: ProxyLag_State.LAGGING, detail: 'this pilot has not seen the write yet' }], refused: false });
  await says(seen, /"pilot b".*has not seen the write yet/);
  peer.look({});
  await says(seen, /"pilot b".*has not said how far these objects are/);
  assert.equal(seen.some(({ done }) => done), false);
  peer.look({ objects: [{ key, ...inForce }] });
  const last = await end;
  assert.deepEqual([last?.done, last?.laggards], [true, []]);
});

test('a pilot that cannot put its configuration together ends a wait with its words', async () => {
  const { peer, end } = await withPeer({ objects: [] });
  peer.look({ laggards: [{ proxyId: 'pilot', state: ProxyLag_State.REFUSED, detail: 'the configuration could not be put together' }] });
  peer.end(undefined);
  const last = await end;
  assert.deepEqual([last?.done, last?.laggards.map(({ proxyId, detail }) => `${proxyId}: ${detail}`)], [false, ['pilot b: the configuration could not be put together']]);
});

test('a pilot that has not read its configuration yet has proxies that follow nothing', async () => {
  const mesh = new FakeMesh({}, { started: false });
  const { seen, end } = mesh.wait({ version: '' });
  await says(seen, /has not put its configuration together yet/);
  assert.equal(seen.at(-1)?.done, false);
  mesh.discovery.start();
  mesh.settled();
  assert.equal((await end)?.done, true);
});

test('a wait does not go on for a pilot that cannot be asked: it is over when the others have said all, and says that it speaks for them alone', async () => {
  for (const ask of [{}, { objects: [] }]) {
    const { end } = await withPeer(ask, { address: '' });
    const last = await end;
    assert.deepEqual([last?.done, last?.timedOut, last?.following, last?.laggards.map(({ proxyId, detail }) => `${proxyId} ${detail}`)], [false, false, 1, ['pilot b cannot be asked, so that nothing is known of its proxies: it has no certificate of the mesh to be asked with (--citadel-address)']]);
  }
});
