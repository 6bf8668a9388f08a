import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { test } from 'node:test';
import { waitFor } from '@meltemi/base';
import { MemoryWatch, steadyLoad } from './steady-load.ts';

test('a steady load counts what fails, by reason', async () => {
  let seen = 0;
  const server = createServer((_request, response) => {
    seen++;
    if (seen === 3) response.destroy();
    else response.writeHead(seen === 5 ? 503 : 200).end('hello');
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const load = steadyLoad(`http://127.0.0.1:${(server.address() as AddressInfo).port}/`, 200);
  await waitFor('ten requests', () => seen >= 10);
  const { requests, failures } = await load.stop();
  assert.ok(requests >= 10);
  assert.equal(failures.get('status 503'), 1);
  assert.equal([...failures.values()].reduce((sum, count) => sum + count, 0), 2);
  server.close();
});

test('growth is between the medians of the first and the last third, so one spike is none', () => {
  const memory = new MemoryWatch();
  for (const bytes of [10, 900, 11, 12, 12, 12, 11, 12, 10]) memory.add('flat', bytes);
  for (const bytes of [10, 20, 30, 40, 50, 60]) memory.add('leak', bytes);
  memory.add('short', 1);
  assert.deepEqual(memory.growth(), [{ name: 'flat', beforeBytes: 11, afterBytes: 11 }, { name: 'leak', beforeBytes: 20, afterBytes: 60 }]);
});

test('a process that has ended is left out of the samples', () => {
  const memory = new MemoryWatch();
  for (let i = 0; i < 3; i++) memory.sample([{ name: 'me', pid: process.pid }, { name: 'gone', pid: 2 ** 22 + 1 }]);
  assert.deepEqual(memory.growth().map((each) => each.name), ['me']);
});
