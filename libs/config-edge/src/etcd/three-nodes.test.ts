import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { waitFor } from '@meltemi/base';
import { must, Recorder, route, weight } from '@meltemi/config/testing';
import { startEtcdCluster, type EtcdCluster } from '../testing/etcd-cluster.ts';
import { openEtcdStore, type EtcdConfigStore } from './etcd-store.ts';

void describe('on three etcd nodes', () => {
  let cluster: EtcdCluster;
  const stores: EtcdConfigStore[] = [];
  const opened = (): EtcdConfigStore => {
    const result = openEtcdStore({ endpoints: cluster.endpoints, timeoutMs: 30_000, silenceMs: 3000 });
    if (!result.ok) assert.fail(result.error);
    stores.push(result.value);
    return result.value;
  };
  before(async () => {
    cluster = await startEtcdCluster({ members: 3 });
  });
  after(async () => {
    for (const store of stores) await store.close();
    await cluster.stop();
  });

  void test('with the leader killed in the middle of writes and watches, nothing is lost and nothing repeated', async () => {
    const writers = [opened(), opened()];
    const watches = [new Recorder(opened(), {}), new Recorder(opened(), {}), new Recorder(opened(), {})];
    for (const watch of watches) await watch.until((each) => each.type === 'synced');
    const perWriter = 60;
    let written = 0;
    const writing = writers.map(async (store, writer) => {
      for (let n = 1; n <= perWriter; n += 1) {
        const pair = ['left', 'right'].map((side) => ({ type: 'put', object: route('n', `w${writer}-${side}`, n) }) as const);
        must(await store.commit(pair));
        written += 1;
      }
    });
    const killing = (async () => {
      await waitFor('a third of the writes', () => written >= (perWriter * 2) / 3, { deadlineMs: 30_000 });
      const leader = await cluster.leader();
      await leader.kill('SIGKILL');
      await waitFor('two thirds of the writes', () => written >= (perWriter * 4) / 3, { deadlineMs: 60_000 });
      await leader.restart();
    })();
    await Promise.all([...writing, killing]);
    for (const watch of watches) {
      for (const writer of writers.keys()) {
        await watch.until((each) => each.type === 'put' && each.object.object.key.name === `w${writer}-right` && weight(each.object) === perWriter, 30_000);
        const told = watch.events.flatMap((each) => (each.type === 'put' && each.object.object.key.name === `w${writer}-right` ? [weight(each.object)] : []));
        assert.deepEqual(told, Array.from({ length: perWriter }, (_, index) => index + 1));
      }
      const halves = watch.events.filter((each) => each.type === 'put' && !each.lastOfCommit).length;
      assert.equal(halves, perWriter * 2);
      await watch.stop();
    }
  });

  void test('each client finds its way when the member it talks to dies', async () => {
    const store = opened();
    const watch = new Recorder(store, { filter: { namespace: 'roam' } });
    await watch.until((each) => each.type === 'synced');
    for (const [turn, member] of cluster.members.entries()) {
      await member.kill('SIGKILL');
      must(await store.commit([{ type: 'put', object: route('roam', 'a', turn) }]));
      await watch.until((each) => each.type === 'put' && weight(each.object) === turn, 30_000);
      await member.restart();
    }
    assert.deepEqual(watch.events.flatMap((each) => (each.type === 'put' ? [weight(each.object)] : [])), [0, 1, 2]);
    await watch.stop();
  });
});
