import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { waitFor } from '@meltemi/base';
import { keyOf, must, Recorder, route, weight } from '@meltemi/config/testing';
import { startEtcdCluster, type EtcdCluster } from '../testing/etcd-cluster.ts';
import { startTcpProxy, type TcpProxy } from '../testing/tcp-proxy.ts';
import type { EtcdOptions } from './etcd-options.ts';
import { openEtcdStore, type EtcdConfigStore } from './etcd-store.ts';

void describe('through a connection that breaks, the etcd store', () => {
  let cluster: EtcdCluster;
  let proxy: TcpProxy;
  let direct: EtcdConfigStore;
  let proxied: EtcdConfigStore;
  let root = '';
  let turn = 0;
  const opened = (options: Partial<EtcdOptions>): EtcdConfigStore => {
    const result = openEtcdStore({ endpoints: cluster.endpoints, root, silenceMs: 900, ...options });
    if (!result.ok) assert.fail(result.error);
    return result.value;
  };
  const begin = (): void => {
    root = `/faults-${(turn += 1)}`;
    direct = opened({});
    proxied = opened({ endpoints: [proxy.endpoint] });
  };
  const end = async (watch: Recorder): Promise<void> => {
    await watch.stop();
    await direct.close();
    await proxied.close();
  };
  const put = async (name: string, n: number): Promise<string> => must(await direct.commit([{ type: 'put', object: route('n', name, n) }])).storeVersion;

  before(async () => {
    cluster = await startEtcdCluster();
    proxy = await startTcpProxy(cluster.endpoints[0] ?? '');
  });
  after(async () => {
    await proxy.stop();
    await cluster.stop();
  });

  void test('sees every event once, in order, while the connection is cut again and again', async () => {
    begin();
    const watch = new Recorder(proxied, {});
    await watch.until((each) => each.type === 'synced');
    for (let n = 1; n <= 60; n += 1) {
      await put('a', n);
      if (n % 12 === 4) proxy.cut();
      if (n % 12 === 8) proxy.heal();
    }
    proxy.heal();
    await watch.until((each) => each.type === 'put' && weight(each.object) === 60);
    assert.deepEqual(watch.events.flatMap((each) => (each.type === 'put' ? [weight(each.object)] : [])), Array.from({ length: 60 }, (_, index) => index + 1));
    assert.ok(watch.events.some((each) => each.type === 'interrupted'));
    await end(watch);
  });

  void test('a compaction during the cut leaves the difference: the newest of what changed, and what is gone', async () => {
    begin();
    await put('stays', 1);
    await put('goes', 1);
    await put('changes', 1);
    const watch = new Recorder(proxied, {});
    await watch.until((each) => each.type === 'synced');
    proxy.cut();
    await watch.until((each) => each.type === 'interrupted');
    for (let n = 2; n <= 5; n += 1) await put('changes', n);
    must(await direct.commit([{ type: 'delete', key: keyOf('n', 'goes') }]));
    await put('comes', 1);
    await direct.compact();
    proxy.heal();
    await waitFor('the watch to catch up', () => watch.events.filter((each) => each.type === 'synced').length === 2);
    await put('changes', 6);
    await watch.until((each) => each.type === 'put' && weight(each.object) === 6);
    assert.deepEqual(watch.story().slice(3), ['synced', 'interrupted', 'delete goes (was 1)', 'put changes 5 (was 1)', 'put comes 1', 'synced', 'put changes 6 (was 5)']);
    const difference = watch.events.slice(5, 8).map((each) => (each.type === 'put' || each.type === 'delete' ? each.lastOfCommit : undefined));
    assert.deepEqual(difference, [false, false, true]);
    await end(watch);
  });

  void test('notices a connection that is open but silent, and goes on over a new one', async () => {
    begin();
    const watch = new Recorder(proxied, {});
    await watch.until((each) => each.type === 'synced');
    proxy.freeze();
    await put('a', 1);
    await watch.until((each) => each.type === 'interrupted');
    proxy.heal();
    await watch.until((each) => each.type === 'put');
    await waitFor('the watch to catch up', () => watch.events.at(-1)?.type === 'synced');
    assert.deepEqual(watch.story(), ['synced', 'interrupted', 'put a 1', 'synced']);
    await end(watch);
  });
});
