import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { backend, type Backend } from './testing/backend.ts';
import { bootstrap, cluster, httpListener, route, tcpListener } from './testing/bootstrap.ts';
import { request } from './testing/client.ts';
import { startProxy, type RunningProxy } from './testing/proxy-process.ts';

let proxy: RunningProxy;
let apps: Backend[];

before(async () => {
  apps = await Promise.all(['one', 'two', 'three', 'four'].map((name) => backend(name)));
  const ports = apps.map(({ port }) => port);
  const by = (path: string, name: string, policy: object) => route({ path }, { cluster: name, hash_policy: [policy] });
  proxy = await startProxy(bootstrap([
    httpListener({ routes: [
      by('/ring', 'ring', { header: { header_name: 'x-user' } }), by('/maglev', 'maglev', { header: { header_name: 'x-user' } }),
      by('/cookie', 'ring', { cookie: { name: 'session', ttl: '60s', path: '/', attributes: [{ name: 'SameSite', value: 'Lax' }] } }),
    ] }),
    tcpListener('tcp', { cluster: 'maglev', hash_policy: [{ source_ip: {} }] }),
  ], [cluster('ring', ports, { lb_policy: 'RING_HASH' }), cluster('maglev', ports, { lb_policy: 'MAGLEV' })]));
});
after(async () => {
  await proxy?.[Symbol.asyncDispose]();
  await Promise.all(apps.map((app) => app.stop()));
});

const served = async (path: string, headers: Record<string, string> = {}, listener = 'web') => {
  const reply = await request(proxy.port(listener), { path, headers });
  assert.equal(reply.status, 200);
  return { name: String(reply.headers['x-backend']), cookie: reply.headers['set-cookie'] };
};

describe('consistent hashing', () => {
  for (const path of ['/ring', '/maglev']) {
    test(`${path}: a user comes to the same backend each time, users spread`, async () => {
      const names = new Set<string>();
      for (let user = 0; user < 24; user++) {
        const first = (await served(path, { 'x-user': `user-${user}` })).name;
        assert.equal((await served(path, { 'x-user': `user-${user}` })).name, first);
        names.add(first);
      }
      assert.ok(names.size >= 3, [...names].join());
    });
  }

  test('a client without the cookie gets one that brings it back to the same backend', async () => {
    const { name, cookie } = await served('/cookie');
    const [value = ''] = [cookie].flat().map(String);
    assert.match(value, /^session="[0-9a-f]{16}"; Max-Age=60; Path=\/; SameSite=Lax; HttpOnly$/);
    for (let i = 0; i < 5; i++) {
      const again = await served('/cookie', { cookie: value.slice(0, value.indexOf(';')) });
      assert.deepEqual([again.name, again.cookie], [name, undefined]);
    }
  });

  test('a TCP proxy sends one source address to one backend', async () => {
    const names = new Set<string>();
    for (let i = 0; i < 6; i++) names.add((await served('/', {}, 'tcp')).name);
    assert.equal(names.size, 1);
  });
});
