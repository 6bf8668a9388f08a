import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fakeDirectory, type FakePeer } from '../testing/fake-peers.test-support.ts';
import { PeerFollow } from './peer-follow.ts';

/** A wait with the other pilots that are there. */
async function following(...ids: string[]) {
  const fake = fakeDirectory(5000);
  for (const id of ids) await fake.came(id, {});
  let changes = 0;
  const follow = new PeerFollow({ directory: fake.directory, clock: fake.clock, onChange: () => { changes += 1; }, request: { revision: '7', objects: [], any: true } });
  const peer = (at: number): FakePeer => {
    const found = fake.dialed[at]?.peer;
    assert.ok(found);
    return found;
  };
  return { ...fake, follow, peer, changes: () => changes };
}

const newcomers = (peer: FakePeer) => peer.follows.map(({ request }) => request.newcomers);

test('each pilot is asked once, and its last word counts', async () => {
  const { follow, peer, changes } = await following('a', 'b');
  assert.deepEqual([follow.pending, follow.looks(), follow.newcomers], [true, [], false]);
  assert.deepEqual(follow.lags().map(({ proxyId, detail }) => `${proxyId} ${detail}`), ['pilot a has not said yet how far its proxies are', 'pilot b has not said yet how far its proxies are']);
  peer(0).look({ affected: 1 });
  peer(0).look({ affected: 2 });
  peer(1).look({ affected: 3 });
  assert.deepEqual([follow.pending, follow.lags(), follow.looks().map(({ pilot, look }) => [pilot, look.affected]), changes()], [false, [], [['a', 2], ['b', 3]], 4]);
  assert.deepEqual([peer(0).follows.length, peer(0).follows[0]?.request.revision], [1, '7']);
  follow.stop();
  assert.deepEqual([peer(0).follows[0]?.stopped, peer(1).follows[0]?.stopped], [true, true]);
});

test('a pilot that does not answer is named with the reason, and asked again until it does', async () => {
  const { follow, peer, clock } = await following('a');
  peer(0).end('it is away');
  assert.deepEqual([follow.pending, follow.lags()[0]?.detail], [false, 'does not answer at a:1: it is away']);
  clock.advance(500);
  assert.equal(peer(0).follows.length, 2);
  assert.deepEqual([follow.pending, follow.lags()[0]?.detail], [false, 'does not answer at a:1: it is away'], 'until it has said something');
  peer(0).look({});
  assert.deepEqual(follow.lags(), []);
});

test('what a pilot said last counts when it has no more to say; it is asked again', async () => {
  const { follow, peer, clock } = await following('a');
  peer(0).look({ affected: 1 });
  peer(0).end(undefined);
  assert.deepEqual([follow.looks().length, follow.lags(), follow.newcomers], [1, [], false]);
  clock.advance(500);
  assert.deepEqual([peer(0).follows.length, follow.looks().length, follow.pending], [2, 1, false]);
  peer(0).look({ affected: 2 });
  assert.equal(follow.looks()[0]?.look.affected, 2);
});

test('while a pilot is away, newcomers count at all the others: at who answered, and at who has not yet', async () => {
  const { follow, peer, clock } = await following('answers', 'away', 'pending');
  peer(0).look({});
  peer(1).end('it is away');
  assert.equal(follow.newcomers, true);
  assert.deepEqual([newcomers(peer(0)), newcomers(peer(2))], [[false, true], [false, true]]);
  assert.deepEqual([peer(0).follows[0]?.stopped, peer(2).follows[0]?.stopped], [true, true]);
  clock.advance(500);
  assert.deepEqual(newcomers(peer(1)), [false, true]);
  assert.equal(peer(0).follows.length, 2, 'once is enough');
});

test('a word that comes late of a call that was given up does not count', async () => {
  const { follow, peer } = await following('a', 'b');
  peer(1).end('it is away');
  peer(0).follows[0]?.onLook({ affected: 9, following: 9, laggards: [], objects: [], judging: false, started: false, refused: true });
  assert.deepEqual(follow.looks(), []);
  peer(0).follows[0]?.onEnd('cancelled');
  assert.equal(peer(0).follows.length, 2);
});

test('a pilot that goes holds the wait up until its proxies have had time to come elsewhere', async () => {
  const { follow, peer, left, clock, changes } = await following('a', 'b');
  peer(0).look({});
  peer(1).look({});
  await left('b');
  peer(0).look({});
  assert.deepEqual([follow.newcomers, newcomers(peer(0)), follow.lags().map(({ detail }) => detail)], [true, [false, true], ['another pilot is gone: its proxies may be on their way to others']]);
  const before = changes();
  clock.advance(5001);
  assert.deepEqual([follow.lags(), changes() > before], [[], true]);
});

test('a pilot that comes is asked, too; after the stop nothing is', async () => {
  const { follow, peer, came, clock } = await following();
  assert.deepEqual([follow.pending, follow.lags()], [false, []]);
  await came('a', {});
  assert.equal(follow.pending, true);
  await came('b', { address: '' });
  assert.deepEqual([follow.lags().length, follow.mute().map(({ proxyId }) => proxyId)], [1, ['pilot b']]);
  peer(0).end('it is away');
  follow.stop();
  clock.advance(60_000);
  await came('c', {});
  assert.deepEqual([peer(0).follows.length, peer(1).follows.length], [1, 0]);
});
