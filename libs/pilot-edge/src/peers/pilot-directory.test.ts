import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fakeDirectory } from '../testing/fake-peers.test-support.ts';

test('the others are known by their records, sorted by name; this pilot is none of them', async () => {
  const { directory, came, tell } = fakeDirectory();
  await came('own', {});
  await came('2', { pilot: 'b' });
  await came('1', { pilot: 'c' });
  await came('3', { pilot: 'a', address: '' });
  await tell({ type: 'put', name: '4', value: 'no record' });
  await tell({ type: 'put', name: '5', value: JSON.stringify({ pilot: 'x'.repeat(300), address: '', version: '' }) });
  assert.deepEqual(directory.others().map(({ pilot, address }) => `${pilot} ${address}`), ['a ', 'b 2:1', 'c 1:1']);
  assert.match(JSON.stringify(directory.others()[0]?.api), /no certificate of the mesh/);
});

test('a pilot is known to others only from when it says so, and not any more when it stops', async () => {
  const { directory, values } = fakeDirectory();
  assert.deepEqual([...values.held], []);
  directory.announce({ pilot: 'me', address: 'me:1', version: '1' });
  assert.deepEqual([...values.held.keys()], ['own']);
  assert.equal(directory.own.address, 'me:1');
  await directory.stop();
  assert.deepEqual([...values.held], []);
});

test('a pilot that goes is gone for as long as its proxies may be on their way', async () => {
  const { directory, clock, came, left, dialed } = fakeDirectory(5000);
  let changes = 0;
  const stop = directory.onChange(() => { changes += 1; });
  await came('1', {});
  await left('1');
  assert.deepEqual([directory.others(), dialed[0]?.peer.closed, directory.goneUntil()], [[], true, clock.monotonic() + 5000]);
  clock.advance(5000);
  assert.deepEqual([directory.goneUntil(), changes], [undefined, 2]);
  await left('never seen');
  assert.equal(directory.goneUntil(), undefined);
  stop();
  await came('1', {});
  assert.equal(changes, 3);
});

test('the same record again changes nothing; another address is dialed anew, another name or version is taken', async () => {
  const { directory, came, dialed } = fakeDirectory();
  await came('1', {});
  const [before] = directory.others();
  await came('1', {});
  assert.equal(directory.others()[0], before);
  await came('1', { version: '2' });
  assert.deepEqual([directory.others()[0]?.version, directory.others()[0]?.api, dialed.length], ['2', before?.api, 1]);
  await came('1', { address: 'elsewhere:1' });
  assert.deepEqual(dialed.map(({ address, peer }) => [address, peer.closed]), [['1:1', true], ['elsewhere:1', false]]);
});

test('of two records of one address the newer counts: the pilot has started again as another', async () => {
  const { directory, came, left, clock } = fakeDirectory(5000);
  await came('before', { address: 'host:1' });
  await came('after', { address: 'host:1' });
  assert.deepEqual(directory.others().map(({ id }) => id), ['after']);
  assert.equal(directory.goneUntil(), clock.monotonic() + 5000, 'proxies of the one that it was may go anywhere');
  await left('before');
  assert.deepEqual(directory.others().map(({ id }) => id), ['after']);
  await came('nowhere', { address: '' });
  await came('nowhere either', { address: '' });
  assert.equal(directory.others().length, 3, 'none has the address of another that has none');
});

test('a record of this pilot’s own address is what it was before it started again', async () => {
  const { directory, came } = fakeDirectory();
  await came('before', { address: 'me:1' });
  directory.announce({ pilot: 'me', address: 'me:1', version: '1' });
  assert.deepEqual(directory.others(), []);
  await came('before', { address: 'me:1' });
  assert.deepEqual(directory.others(), []);
});
