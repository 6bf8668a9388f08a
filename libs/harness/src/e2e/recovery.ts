import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { waitFor } from '@meltemi/base';
import { joinTokenText, startIdentityAgent, mintJoinToken } from '@meltemi/identity-edge';
import type { GraphView } from '@meltemi/mixer';
import { get, meltemi, Traffic } from '../index.ts';
import { isWhole, type BookinfoMesh } from './bookinfo-mesh.ts';

/** How long after its restart a program may take until everything is as before. */
const recoveryMs = 5000;

/** Declares the tests in which each program dies by SIGKILL while 50 requests a second flow, and comes back. */
export function recovers(bookOf: () => BookinfoMesh): void {
  let book: BookinfoMesh;
  let traffic: Traffic;
  before(async () => {
    book = bookOf();
    await book.apply('virtual-service-all-v1');
    traffic = new Traffic({ url: book.url(), perSecond: 50, accept: isWhole }).start();
  });
  after(() => traffic?.stop());

  /** What happens in `work`, and the second after it, costs no request. */
  async function losesNothing(work: () => Promise<void>): Promise<void> {
    const flows = (count: number) => waitFor('traffic to flow', () => traffic.report().sent >= count, { deadlineMs: 20_000 });
    await flows(traffic.report().sent + 25);
    await work();
    await flows(traffic.report().sent + 50);
    assert.deepEqual(traffic.report().failures, []);
  }

  async function allSynced(): Promise<boolean> {
    const status = await meltemi(book.mesh, ['proxy-status', '-o', 'json']);
    const proxies = status.code === 0 ? (JSON.parse(status.stdout) as { types: { state: string }[] }[]) : [];
    return proxies.length === book.mesh.workloads.length && proxies.every(({ types }) => types.length >= 4 && types.every(({ state }) => state === 'SYNCED'));
  }

  test('pilot: proxies come back by themselves, and what was applied stays', () => losesNothing(async () => {
    await book.mesh.pilot.kill();
    assert.ok(isWhole(await book.page()), 'the data plane goes on without pilot');
    await book.mesh.pilot.start();
    await waitFor('every proxy to be SYNCED', allSynced, { deadlineMs: recoveryMs });
    assert.equal(await book.reviewsVersion(), 'v1');
    await book.apply('virtual-service-reviews-v3');
    assert.equal(await book.reviewsVersion(), 'v3');
  }));

  test('citadel: a new workload can join', () => losesNothing(async () => {
    await book.mesh.citadel.kill();
    await book.mesh.citadel.start();
    const identity = 'spiffe://cluster.local/ns/default/sa/newcomer';
    const joinToken = joinTokenText(await mintJoinToken(book.mesh.citadelSocket, identity));
    const agent = startIdentityAgent({ citadelAddress: `${book.mesh.control}:15022`, identity, joinToken, log: { info: () => undefined, warn: () => undefined } });
    try {
      assert.equal((await agent.ready(recoveryMs)).spiffeId, identity);
    } finally {
      agent.stop();
    }
  }));

  test('telemetry: the graph grows again', () => losesNothing(async () => {
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
    assert.ok(report.sent > 300, `${report.sent} requests were sent`);
  });

  test('a proxy keeps its identity: its join token is spent', async () => {
    const { proxy, address } = book.mesh.workload('details-v1');
    const serial = async () => /"serial_number":\s*"([^"]+)"/.exec((await get(`http://${address}:15000/certs`)).body)?.[1];
    const before = await serial();
    assert.ok(before);
    await proxy.kill();
    await proxy.start();
    await waitFor('the page to be whole again', async () => isWhole(await book.page()), { deadlineMs: recoveryMs });
    assert.equal(await serial(), before);
  });
}
