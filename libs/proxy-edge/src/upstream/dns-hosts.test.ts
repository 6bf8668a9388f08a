import assert from 'node:assert/strict';
import { test } from 'node:test';
import { FlatStats } from '@meltemi/observe';
import type { Host } from '@meltemi/proxy';
import type { DynamicHostsConfig } from '@meltemi/snapshot';
import { DnsHosts } from './dns-hosts.ts';

const config: DynamicHostsConfig = { cacheName: 'names', lookup: 'v4', refreshMs: 60_000, failureBaseMs: 1000, failureMaxMs: 4000, hostTtlMs: 300_000, maxHosts: 2, maxPending: 2, queryTimeoutMs: 5000 };

function cache() {
  let nowMs = 1000;
  let address: string | null = '10.0.0.1';
  const asked: string[] = [];
  const gone: string[] = [];
  const resolver = { resolve: (name: string) => (asked.push(name), address === null ? Promise.reject(new Error('no')) : Promise.resolve([address])) };
  const hosts = new DnsHosts(config, { resolver, stats: new FlatStats(), defaultPort: 80, now: () => nowMs, onGone: (host: Host) => gone.push(host.key) });
  const pass = async (ms: number): Promise<void> => {
    nowMs += ms;
    hosts.tick(nowMs);
    await new Promise((resolve) => setImmediate(resolve));
  };
  const lookUp = (authority: string) => new Promise<string>((resolve) => {
    const found = hosts.lookUp(authority, resolve);
    if (typeof found === 'string') resolve(found);
  });
  return { hosts, asked, gone, pass, lookUp, answer: (next: string | null) => (address = next) };
}

test('a name is looked up again after a while; a new address takes its place, a failure leaves the old one', async () => {
  const { hosts, gone, pass, lookUp, answer } = cache();
  assert.equal(await lookUp('a.test'), 'ready');
  answer('10.0.0.2');
  await pass(60_000);
  assert.deepEqual([hosts.find('a.test')?.key, gone], ['10.0.0.2:80', ['10.0.0.1:80']]);
  answer(null);
  await pass(60_000);
  assert.equal(hosts.find('a.test:80')?.key, '10.0.0.2:80');
});

test('a name that fails is asked again, less and less often', async () => {
  const { asked, pass, lookUp, answer } = cache();
  answer(null);
  assert.equal(await lookUp('a.test'), 'failed');
  for (let i = 0; i < 16; i++) await pass(500);
  assert.equal(asked.length, 4); // at 0, 1, 3 and 7 seconds
});

test('a name that nobody uses is forgotten and makes room', async () => {
  const { hosts, gone, pass, lookUp } = cache();
  await lookUp('a.test');
  await lookUp('b.test');
  assert.equal(await lookUp('c.test'), 'full');
  await pass(200_000);
  hosts.find('b.test');
  await pass(200_000);
  assert.deepEqual([gone, await lookUp('c.test')], [['10.0.0.1:80'], 'ready']);
});

test('names are alike in any case, ports and addresses with brackets are read', async () => {
  const { hosts, asked, lookUp } = cache();
  await lookUp('A.test:8080');
  assert.equal(hosts.find('a.TEST:8080')?.key, '10.0.0.1:8080');
  assert.equal(await lookUp('[2001:db8::1]:81'), 'ready');
  assert.deepEqual([hosts.find('[2001:db8::1]:81')?.key, asked], ['[2001:db8::1]:81', ['a.test']]);
});

test('who waits is told that the cluster is gone, and who gave up is not', async () => {
  const { hosts } = cache();
  const told: string[] = [];
  hosts.lookUp('a.test', (outcome) => told.push(`first ${outcome}`));
  const second = hosts.lookUp('a.test', (outcome) => told.push(`second ${outcome}`));
  assert.equal(hosts.lookUp('a.test', () => {}), 'busy');
  if (typeof second !== 'string') second.cancel();
  hosts.stop();
  assert.deepEqual(told, ['first failed']);
});
