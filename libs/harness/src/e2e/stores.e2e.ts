import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { waitFor } from '@meltemi/base';
import { startEtcdCluster, type EtcdCluster } from '@meltemi/config-edge/testing';
import { joinTokenText, startIdentityAgent } from '@meltemi/identity-edge';
import type { GraphView } from '@meltemi/mixer';
import { createJoinToken, get, meltemi, Traffic } from '../index.ts';
import { BookinfoMesh, isWhole } from './bookinfo-mesh.ts';

/** How long after its restart a program may take until everything is as before. */
const recoveryMs = 5000;

describe('on a three-node etcd', () => {
  let etcd: EtcdCluster;
  let book: BookinfoMesh;
  let traffic: Traffic;
  const cleanUp: (() => Promise<unknown>)[] = [];
  before(async () => {
    etcd = await startEtcdCluster({ members: 3 });
    cleanUp.unshift(() => etcd.stop());
    book = await BookinfoMesh.start(83, [], { store: `etcd://${etcd.endpoints.join(',')}` });
    cleanUp.unshift(() => book.stop());
    traffic = new Traffic({ url: book.url(), perSecond: 50, accept: isWhole }).start();
    cleanUp.unshift(() => traffic.stop());
  });
  after(async () => {
    for (const step of cleanUp) await step();
  });

  /** What happens in `work`, and the second after it, costs no request. */
  async function losesNothing(work: () => Promise<void>): Promise<void> {
    const flows = (count: number) => waitFor('traffic to flow', () => traffic.report().sent >= count, { deadlineMs: 20_000 });
    await flows(traffic.report().sent + 25);
    await work();
    await flows(traffic.report().sent + 50);
    assert.deepEqual(traffic.report().failures, []);
  }

  const switches: readonly (readonly [file: string, user: string, version: string])[] = [
    ['virtual-service-all-v1', 'anna', 'v1'], ['virtual-service-reviews-v3', 'anna', 'v3'], ['virtual-service-reviews-test-v2', 'jason', 'v2'], ['virtual-service-reviews-v2', 'anna', 'v2'],
  ];
  for (const [file, user, version] of switches)
    test(`${file} is in effect when apply returns`, () => losesNothing(async () => {
      await book.apply(file);
      assert.deepEqual(await Promise.all(Array.from({ length: 20 }, () => book.reviewsVersion(user))), Array.from({ length: 20 }, () => version));
    }));

  test('with the leader killed in the middle, applies succeed and no request fails', () => losesNothing(async () => {
    const leader = await etcd.leader();
    const files = ['virtual-service-reviews-v3', 'virtual-service-reviews-v2', 'virtual-service-reviews-v3', 'virtual-service-all-v1', 'virtual-service-reviews-v3'];
    for (const [i, file] of files.entries()) {
      const killed = i === 1 ? leader.kill() : undefined;
      await book.apply(file);
      await killed;
      assert.equal(await book.reviewsVersion(), file.endsWith('all-v1') ? 'v1' : file.slice(-2));
    }
    assert.equal(leader.running, false);
    await leader.restart();
    await book.apply('virtual-service-all-v1');
    assert.equal(await book.reviewsVersion(), 'v1');
  }));

  /** Everything applied so far is what the store holds: nothing was lost or came twice. */
  test('the store holds what was applied', async () => {
    const listed = await meltemi(book.mesh, ['get', 'virtualservice', '-o', 'json']);
    assert.equal(listed.code, 0, listed.stderr);
    const names = (JSON.parse(listed.stdout) as { metadata: { name: string } }[]).map(({ metadata }) => metadata.name).sort();
    assert.deepEqual(names, ['bookinfo', 'details', 'productpage', 'ratings', 'reviews']);
  });

  async function allSynced(): Promise<boolean> {
    const status = await meltemi(book.mesh, ['proxy-status', '-o', 'json']);
    const proxies = status.code === 0 ? (JSON.parse(status.stdout) as { types: { state: string }[] }[]) : [];
    return proxies.length === book.mesh.workloads.length && proxies.every(({ types }) => types.length >= 4 && types.every(({ state }) => state === 'SYNCED'));
  }

  test('pilot killed and restarted: proxies come back by themselves, and what was applied stays', () => losesNothing(async () => {
    await book.mesh.pilot.kill();
    assert.ok(isWhole(await book.page()), 'the data plane goes on without pilot');
    await book.mesh.pilot.start();
    await waitFor('every proxy to be SYNCED', allSynced, { deadlineMs: recoveryMs });
    assert.equal(await book.reviewsVersion(), 'v1');
    await book.apply('virtual-service-reviews-v3');
    assert.equal(await book.reviewsVersion(), 'v3');
  }));

  test('citadel killed and restarted: a new workload can join', () => losesNothing(async () => {
    await book.mesh.citadel.kill();
    await book.mesh.citadel.start();
    const identity = 'spiffe://cluster.local/ns/default/sa/newcomer';
    const agent = startIdentityAgent({ citadelAddress: `${book.mesh.control}:15022`, identity, joinToken: joinTokenText(await createJoinToken(book.mesh.citadelSocket, identity)), log: { info: () => undefined, warn: () => undefined } });
    try {
      assert.equal((await agent.ready(recoveryMs)).spiffeId, identity);
    } finally {
      agent.stop();
    }
  }));

  test('telemetry killed and restarted: the graph grows again', () => losesNothing(async () => {
    await book.mesh.telemetry.kill();
    await book.mesh.telemetry.start();
    await waitFor('edges in the graph', async () => {
      const { edges } = JSON.parse((await get(`http://${book.mesh.control}:15031/graph?namespace=default`)).body) as GraphView;
      return edges.some(({ service, total }) => service.name === 'details' && total.requests > 0);
    }, { deadlineMs: recoveryMs });
  }));

  test('no request failed in all this time', async () => {
    const report = await traffic.stop();
    assert.deepEqual(report.failures, []);
    assert.equal(report.succeeded, report.sent);
    assert.ok(report.sent > 500, `${report.sent} requests were sent`);
  });

  test('a restarted proxy keeps its identity: its join token is spent', async () => {
    const { proxy, address } = book.mesh.workload('details-v1');
    const serial = async () => /"serial_number":\s*"([^"]+)"/.exec((await get(`http://${address}:15000/certs`)).body)?.[1];
    const before = await serial();
    assert.ok(before);
    await proxy.kill();
    await proxy.start();
    await waitFor('the page to be whole again', async () => isWhole(await book.page()), { deadlineMs: recoveryMs });
    assert.equal(await serial(), before);
  });
});
