import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { systemClock } from '@meltemi/base';
import type { ConfigStore } from '@meltemi/config';
import { keyOf, must, Recorder, route, storeContract, weight } from '@meltemi/config/testing';
import { Etcd3 } from 'etcd3';
import { startEtcdCluster, type EtcdCluster } from '../testing/etcd-cluster.ts';
import { parseEtcdUrl, type EtcdOptions } from './etcd-options.ts';
import { openEtcdStore, type EtcdConfigStore } from './etcd-store.ts';

let cluster: EtcdCluster;
let roots = 0;
before(async () => {
  cluster = await startEtcdCluster();
});
after(() => cluster.stop());

function opened(options: Partial<EtcdOptions> = {}): EtcdConfigStore {
  const result = openEtcdStore({ endpoints: cluster.endpoints, ...options }, systemClock);
  if (!result.ok) assert.fail(result.error);
  return result.value;
}

storeContract('etcd, one node', async () => {
  const root = `/contract-${(roots += 1)}`;
  const stores: ConfigStore[] = [];
  const store = opened({ root });
  return {
    store,
    compact: () => store.compact(),
    another: async () => {
      const another = opened({ root });
      stores.push(another);
      return another;
    },
    stop: async () => {
      for (const each of [store, ...stores]) await each.close();
    },
  };
});

void describe('the etcd store', () => {
  void test('reads what somebody wrote there with etcdctl, JSON or YAML, and reports what is no object without stopping', async () => {
    const root = '/by-hand';
    const store = opened({ root });
    const etcd = new Etcd3({ hosts: cluster.endpoints.map((endpoint) => `http://${endpoint}`) });
    const at = (name: string): string => `${root}/config/networking.istio.io/VirtualService/n/${name}`;
    const watch = new Recorder(store, {});
    await watch.until((each) => each.type === 'synced');
    await etcd.put(at('yaml')).value('apiVersion: networking.istio.io/v1beta1\nkind: VirtualService\nmetadata:\n  name: yaml\nspec:\n  weight: 5\n');
    await etcd.put(at('json')).value(JSON.stringify(route('n', 'json', 6).content));
    must(await store.commit([{ type: 'put', object: route('n', 'bad', 1) }]));
    await etcd.put(at('bad')).value('a: [unclosed');
    await etcd.put(at('other')).value(JSON.stringify(route('n', 'another', 1).content));
    await etcd.put(`${root}/config/nonsense`).value('x');
    await watch.until((each) => each.type === 'unreadable' && each.value.rawKey.endsWith('nonsense'));
    const list = must(await store.list());
    assert.deepEqual(list.objects.map((each) => `${each.object.key.name} ${weight(each)} ${each.creationTimestamp}`), ['json 6 ', 'yaml 5 ']);
    assert.deepEqual(list.unreadable.map((each) => each.key?.name), ['bad', 'other', undefined]);
    assert.match(list.unreadable[0]?.reason ?? '', /^line 1: /);
    assert.match(list.unreadable[1]?.reason ?? '', /name is "another", the key says "other"/);
    const bad = await store.get(keyOf('n', 'bad'));
    assert.equal(!bad.ok && bad.error.code, 'invalid');
    must(await store.commit([{ type: 'put', object: route('n', 'bad', 2) }, { type: 'delete', key: keyOf('n', 'other') }]));
    await etcd.delete().key(`${root}/config/nonsense`).exec();
    await watch.until((each) => each.type === 'unreadable-cleared' && each.rawKey.endsWith('nonsense'));
    assert.deepEqual(watch.story(), [
      'synced',
      'put yaml 5',
      'put json 6',
      'put bad 1',
      'unreadable',
      'unreadable',
      'unreadable',
      'unreadable-cleared',
      'put bad 2 (was 1)',
      'unreadable-cleared',
      'unreadable-cleared',
    ]);
    await watch.stop();
    etcd.close();
    await store.close();
  });

  void test('answers unavailable, in time, when no member can be reached', async () => {
    const store = opened({ endpoints: ['127.0.0.1:1'], timeoutMs: 300 });
    const result = await store.get(keyOf('n', 'a'));
    assert.equal(!result.ok && result.error.code, 'unavailable');
    const write = await store.commit([{ type: 'put', object: route('n', 'a', 1) }]);
    assert.equal(!write.ok && write.error.code === 'unavailable' && write.error.outcomeUnknown, false);
    const watch = new Recorder(store, {});
    await watch.until((each) => each.type === 'interrupted');
    await watch.stop();
    await store.close();
  });

  void test('refuses options that cannot work, by name', () => {
    const reason = (options: EtcdOptions): string => {
      const result = openEtcdStore(options);
      return result.ok ? 'fine' : result.error;
    };
    assert.match(reason({ endpoints: [] }), /no endpoint/);
    assert.match(reason({ endpoints: ['x:99999'] }), /"x:99999" is no host:port/);
    assert.match(reason({ endpoints: ['127.0.0.1:2379'], tls: { ca: Buffer.alloc(0) } }), /127.0.0.1:2379 is an address, TLS checks names/);
    assert.match(reason({ endpoints: ['x:1'], tls: { ca: Buffer.alloc(0), cert: Buffer.alloc(0) } }), /needs its key/);
    assert.match(reason({ endpoints: ['x:1'], root: 'x' }), /must look like/);
  });

  void test('reads its address from one word', () => {
    assert.deepEqual(parseEtcdUrl('etcd://a,b:2380/mesh'), { ok: true, value: { endpoints: ['a:2379', 'b:2380'], root: '/mesh', tls: false } });
    assert.deepEqual(parseEtcdUrl('etcds://[::1]:2379'), { ok: true, value: { endpoints: ['[::1]:2379'], root: '/meltemi', tls: true } });
    assert.equal(parseEtcdUrl('http://a').ok, false);
    assert.equal(parseEtcdUrl('etcd://a b').ok, false);
  });
});
