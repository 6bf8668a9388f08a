import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { startEtcdCluster, type EtcdCluster, type EtcdMember } from '@meltemi/config-edge/testing';
import { meltemi, Traffic } from '../index.ts';
import { BookinfoMesh, isWhole } from './bookinfo-mesh.ts';
import { recovers } from './recovery.ts';
import { standardTasks, taskManifests } from './standard-tasks.ts';

describe('on a three-node etcd', () => {
  let etcd: EtcdCluster;
  let book: BookinfoMesh;
  const cleanUp: (() => Promise<unknown>)[] = [];
  before(async () => {
    etcd = await startEtcdCluster({ members: 3 });
    cleanUp.unshift(() => etcd.stop());
    book = await BookinfoMesh.start(83, taskManifests, { store: `etcd://${etcd.endpoints.join(',')}` });
    cleanUp.unshift(() => book.stop());
  });
  after(async () => {
    for (const step of cleanUp) await step();
  });

  // The leader dies while the third task is being applied, and comes back three tasks later; then the next leader dies.
  const killed: EtcdMember[] = [];
  describe('with leaders killed in the middle of the sample’s tasks', () => standardTasks({
    book: () => book,
    beside: async (number) => {
      if (number === 3 || number === 9) {
        const leader = await etcd.leader();
        killed.push(leader);
        await leader.kill();
      }
      if (number === 6) await killed[0]?.restart();
    },
  }));

  test('two leaders were killed', () => assert.deepEqual(new Set(killed).size, 2));

  test('many applies around a leader’s death each succeed, and no request fails', async () => {
    await killed[1]?.restart();
    const leader = await etcd.leader();
    const traffic = new Traffic({ url: book.url(), perSecond: 50, accept: isWhole }).start();
    for (const [i, version] of ['v3', 'v2', 'v3', 'v2', 'v3'].entries()) {
      const death = i === 1 ? leader.kill() : undefined;
      await book.apply(`virtual-service-reviews-${version}`);
      await death;
      assert.equal(await book.reviewsVersion(), version);
    }
    await leader.restart();
    const report = await traffic.stop();
    assert.deepEqual(report.failures, []);
  });

  test('the store holds what was applied: nothing was lost or came twice', async () => {
    const listed = await meltemi(book.mesh, ['get', 'virtualservice', '-o', 'json']);
    assert.equal(listed.code, 0, listed.stderr);
    const names = (JSON.parse(listed.stdout) as { metadata: { name: string } }[]).map(({ metadata }) => metadata.name).sort();
    assert.deepEqual(names, ['bookinfo', 'details', 'echo', 'echo-outside', 'productpage', 'ratings', 'reviews', 'tcp-echo']);
  });

  describe('killed in turn', () => recovers(() => book));
});

describe('on the embedded store', () => {
  let book: BookinfoMesh;
  before(async () => {
    book = await BookinfoMesh.start(86);
  });
  after(() => book?.stop());
  describe('killed in turn', () => recovers(() => book));
});
