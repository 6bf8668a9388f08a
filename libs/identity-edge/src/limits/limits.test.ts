import assert from 'node:assert/strict';
import { once } from 'node:events';
import { test } from 'node:test';
import { status } from '@grpc/grpc-js';
import { waitFor } from '@meltemi/base';
import { callEcho, LimitedServer } from '../testing/limited-server.ts';

test('a client that begins too many calls is told when to try again; others are served meanwhile', async (t) => {
  const server = await new LimitedServer({ ratePerClient: { perSecond: 5, burst: 10 } }).start();
  t.after(() => server.stop());
  const [greedy, honest] = [server.client('greedy'), server.client('honest')];
  const flood = await Promise.all(Array.from({ length: 60 }, () => callEcho(greedy)));
  assert.equal((await callEcho(honest)).code, status.OK);
  assert.ok(flood.filter(({ code }) => code === status.OK).length <= 15);
  const refused = flood.find(({ code }) => code === status.RESOURCE_EXHAUSTED);
  assert.match(refused?.details ?? '', /^spiffe:\/\/cluster\.local\/ns\/default\/sa\/greedy calls more than 5 times a second: try again in \d+ ms$/);
  assert.match(refused?.pushback ?? '', /^\d+$/);
  await waitFor('the greedy client to be served again', async () => (await callEcho(greedy)).code === status.OK);
});

test('open calls are counted per identity over all its connections, and freed when they end or are given up', async (t) => {
  const server = await new LimitedServer({ maxOpenPerClient: 3 }).start();
  t.after(() => server.stop());
  const [one, two, honest] = [server.client('greedy'), server.client('greedy'), server.client('honest')];
  const slow = [callEcho(one, 'slow'), callEcho(two, 'slow'), callEcho(two, 'slow')];
  await waitFor('three open', () => server.waiting === 3);
  assert.match((await callEcho(one)).details, /has 3 calls open here already/);
  assert.equal((await callEcho(honest)).code, status.OK);
  server.finish();
  assert.deepEqual((await Promise.all(slow)).map(({ code }) => code), [0, 0, 0]);
  assert.equal((await callEcho(one)).code, status.OK);
  const lost = [1, 2, 3].map(() => callEcho(two, 'slow', 1000));
  await waitFor('three open again', () => server.waiting === 3);
  await waitFor('the places to be free', async () => (await callEcho(one)).code === status.OK);
  server.finish();
  await Promise.all(lost);
});

test('who connects and never finishes TLS is dropped in time, and keeps nobody of its own address out', async (t) => {
  const server = await new LimitedServer().start({ maxPendingPerAddress: 8, handshakeMs: 500 });
  t.after(() => server.stop());
  const flood = Array.from({ length: 40 }, () => server.silent());
  await waitFor('the oldest to be dropped', () => flood.filter(({ destroyed }) => destroyed).length >= 32);
  assert.equal((await callEcho(server.client('honest'))).code, status.OK);
  await Promise.all(flood.filter(({ destroyed }) => !destroyed).map((socket) => once(socket, 'close')));
  assert.deepEqual([...new Set(server.refused)].sort(), ['handshake 127.0.0.1', 'pending 127.0.0.1']);
  assert.ok(server.refused.filter((each) => each.startsWith('handshake')).length >= 7);
});

test('one address cannot take every connection, nor one identity', async (t) => {
  const server = await new LimitedServer().start({ maxPerAddress: 20, maxPerIdentity: 3, maxConnections: 40 });
  t.after(() => server.stop());
  const flood = Array.from({ length: 60 }, () => server.silent('127.0.0.9'));
  await waitFor('those beyond the limit to be dropped', () => flood.filter(({ destroyed }) => destroyed).length === 40);
  assert.equal((await callEcho(server.client('honest'))).code, status.OK);
  const greedy = Array.from({ length: 6 }, () => server.client('greedy'));
  const answers = await Promise.all(greedy.map((client) => callEcho(client)));
  assert.equal(answers.filter(({ code }) => code === status.OK).length, 3);
  assert.equal((await callEcho(server.client('honest'))).code, status.OK);
  assert.ok(server.refused.includes('identity spiffe://cluster.local/ns/default/sa/greedy'));
});

test('an address that connects too often waits; another does not', async (t) => {
  const server = await new LimitedServer().start({ ratePerAddress: { perSecond: 5, burst: 10 } });
  t.after(() => server.stop());
  const flood = Array.from({ length: 50 }, () => server.silent('127.0.0.9'));
  await waitFor('the refusals', () => flood.filter(({ destroyed }) => destroyed).length >= 38);
  assert.equal((await callEcho(server.client('honest'))).code, status.OK);
  assert.ok(server.refused.every((each) => each === 'rate 127.0.0.9'));
});
