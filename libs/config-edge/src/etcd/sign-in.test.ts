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

  void test('needs no more than its own prefix, also to watch', async () => {
    const etcd = new Etcd3({ hosts: cluster.endpoints.map((endpoint) => `http://${endpoint}`), auth: { username: 'root', password: 'right' } });
    const role = etcd.role('pilot');
    await role.create();
    await role.grant({ permission: 'Readwrite', range: etcd.range({ prefix: '/meltemi/' }) });
    await etcd.user('pilot').create('sails');
    await etcd.user('pilot').addRole('pilot');
    etcd.close();
    const result = openEtcdStore({ endpoints: cluster.endpoints, auth: { username: 'pilot', password: 'sails' } });
    if (!result.ok) assert.fail(result.error);
    const watch = new Recorder(result.value, {});
    await watch.until((each) => each.type === 'synced');
    must(await result.value.commit([{ type: 'put', object: route('n', 'least', 1) }]));
    await watch.until((each) => each.type === 'put' && weight(each.object) === 1);
    await watch.stop();
    await result.value.close();
  });

  void test('is refused with a wrong password', async () => {
    const store = opened('wrong', 1000);
    const answer = await store.list();
    assert.match(answer.ok ? '' : answer.error.message, /authentication failed/);
    await store.close();
  });
});
