import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { Etcd3 } from 'etcd3';
import { waitFor } from '@meltemi/base';
import { must, Recorder, route, weight } from '@meltemi/config/testing';
import { startEtcdCluster, type EtcdCluster } from '../testing/etcd-cluster.ts';
import { openEtcdStore, type EtcdConfigStore } from './etcd-store.ts';

void describe('with a user name and a password', () => {
  let cluster: EtcdCluster;
  const opened = (password: string, timeoutMs = 15_000): EtcdConfigStore => {
    const result = openEtcdStore({ endpoints: cluster.endpoints, timeoutMs, auth: { username: 'root', password } });
    if (!result.ok) assert.fail(result.error);
    return result.value;
  };
  before(async () => {
    cluster = await startEtcdCluster();
    const etcd = new Etcd3({ hosts: cluster.endpoints.map((endpoint) => `http://${endpoint}`) });
    await etcd.role('root').create();
    await etcd.user('root').create('right');
    await etcd.user('root').addRole('root');
    await etcd.auth.authEnable();
    etcd.close();
  });
  after(() => cluster.stop());

  void test('reads, writes and watches, also after etcd forgot the login', async () => {
    const store = opened('right');
    const watch = new Recorder(store, {});
    await watch.until((each) => each.type === 'synced');
    must(await store.commit([{ type: 'put', object: route('n', 'a', 1) }]));
    await watch.until((each) => each.type === 'put' && weight(each.object) === 1);
    // Logins live in the memory of etcd.
    await cluster.members[0]?.kill();
    await cluster.members[0]?.restart();
    await waitFor('the watch to catch up', () => watch.events.filter((each) => each.type === 'synced').length === 2, { deadlineMs: 20_000 });
    must(await store.commit([{ type: 'put', object: route('n', 'a', 2) }]));
    await watch.until((each) => each.type === 'put' && weight(each.object) === 2);
    await watch.stop();
    await store.close();
  });

  void test('is refused with a wrong password', async () => {
    const store = opened('wrong', 1000);
    const answer = await store.list();
    assert.match(answer.ok ? '' : answer.error.message, /authentication failed/);
    await store.close();
  });
});
