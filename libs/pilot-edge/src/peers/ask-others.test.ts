import assert from 'node:assert/strict';
import { test } from 'node:test';
import { FakePeer } from '../testing/fake-peers.test-support.ts';
import { askOthers } from './ask-others.ts';
import type { OtherPilot } from './pilot-directory.ts';

const other = (id: string, api: OtherPilot['api']): OtherPilot => ({ id, pilot: id, address: `${id}:1`, version: '1', api });

test('every other pilot is asked; one that cannot be asked or does not answer is told of with the reason', async () => {
  const [answers, fails] = [new FakePeer(), new FakePeer()];
  const pilots = { others: () => [other('a', answers), other('b', fails), other('c', 'it has no certificate')] };
  const asked = await askOthers(pilots, (api) => (api === answers ? Promise.resolve(7) : Promise.reject(new Error('it is away'))));
  assert.deepEqual(asked.map(({ pilot, answer, error }) => [pilot.pilot, answer, error]), [['a', 7, ''], ['b', undefined, 'it is away'], ['c', undefined, 'it has no certificate']]);
});

test('without others nobody is asked', async () => {
  assert.deepEqual(await askOthers(undefined, () => assert.fail()), []);
  assert.deepEqual(await askOthers({ others: () => [] }, () => assert.fail()), []);
});

test('one that throws at once is told of like one that does not answer', async () => {
  const [asked] = await askOthers({ others: () => [other('a', new FakePeer())] }, () => { throw new Error('closed'); });
  assert.equal(asked?.error, 'closed');
});
