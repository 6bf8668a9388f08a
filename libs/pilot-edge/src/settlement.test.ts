import assert from 'node:assert/strict';
import { test } from 'node:test';
import { xdsType } from '@meltemi/xds';
import { Settlement } from './settlement.ts';

const listener = { typeUrl: xdsType.listener, name: '0.0.0.0_80' };
const route = { typeUrl: xdsType.route, name: '9080' };
const refusal = (name: string, message: string) => ({ version: 'v', message, resources: [name] });

test('a client is behind until it has answered the revision or a newer one', () => {
  const client = new Settlement();
  assert.deepEqual(client.verdict(1), { state: 'behind' });
  client.settle(3, []);
  assert.deepEqual(client.verdict(3), { state: 'follows' });
  assert.deepEqual(client.verdict(4), { state: 'behind' });
});

test('a refusal counts against the revisions that may have brought it, and against none before or after', () => {
  const client = new Settlement();
  client.settle(2, []);
  client.refuse(listener.typeUrl, refusal(listener.name, 'port 80 is taken'));
  client.settle(5, [listener]);
  client.settle(9, [listener]);
  for (const revision of [1, 2, 6, 9]) assert.deepEqual(client.verdict(revision), { state: 'follows' }, `revision ${revision}`);
  for (const revision of [3, 4, 5]) assert.deepEqual(client.verdict(revision), { state: 'refuses', reason: 'LDS 0.0.0.0_80: port 80 is taken' }, `revision ${revision}`);
});

test('an old refusal counts when everything in force is asked about, until it is settled', () => {
  const client = new Settlement();
  client.refuse(listener.typeUrl, refusal(listener.name, 'port 80 is taken'));
  client.settle(1, [listener]);
  client.settle(2, [listener]);
  assert.equal(client.verdict(2, { any: true }).state, 'refuses');
  client.settle(3, []);
  assert.equal(client.verdict(3, { any: true }).state, 'follows');
});

test('the same resource refused again in a new form belongs to the new revision', () => {
  const client = new Settlement();
  client.refuse(route.typeUrl, refusal(route.name, 'bad regex'));
  client.settle(1, [route]);
  client.refuse(route.typeUrl, refusal(route.name, 'worse regex'));
  client.settle(2, [route]);
  assert.deepEqual(client.verdict(2), { state: 'refuses', reason: 'RDS 9080: worse regex' });
});
