import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { after, afterEach, before, describe, test } from 'node:test';
import { systemClock, waitFor } from '@meltemi/base';
import { EtcdClient } from '@meltemi/config-edge/etcd';
import { startEtcdCluster, startTcpProxy, type EtcdCluster, type TcpProxy } from '@meltemi/config-edge/testing';
import { SealedKeystore } from '../shared/sealed-keystore.ts';
import { EtcdLeadership } from './etcd-leadership.ts';
import { EtcdValues } from './etcd-values.ts';

const material = { rootCertificatePem: 'root', rootKeyPem: 'key', issuingCertificatePem: 'issuing', issuingKeyPem: 'key', retiredIssuingPem: [] };
const leaseSeconds = 2;

void describe('who leads, by an election in etcd', () => {
  let cluster: EtcdCluster;
  let proxy: TcpProxy;
  let root = '';
  let elections = 0;
  const clients: EtcdClient[] = [];
  const candidates: EtcdLeadership[] = [];

  interface Candidate {
    readonly client: EtcdClient;
    readonly leadership: EtcdLeadership;
    readonly changes: string[];
  }
  const candidate = (endpoints = cluster.endpoints): Candidate => {
    const client = new EtcdClient({ endpoints, timeoutMs: 2000 });
    const changes: string[] = [];
    const leadership = new EtcdLeadership({ client, root, clock: systemClock, leaseSeconds, onChange: (leads, reason) => changes.push(`${leads ? 'leads' : 'no more'}: ${reason}`) });
    clients.push(client);
    candidates.push(leadership);
    return { client, leadership, changes };
  };
  const soon = (): AbortSignal => AbortSignal.timeout(10_000);

  before(async () => {
    cluster = await startEtcdCluster();
    proxy = await startTcpProxy(cluster.endpoints[0] ?? '');
    root = `/leaders/${(elections += 1)}`;
  });
  afterEach(async () => {
    proxy.heal();
    await Promise.all(candidates.splice(0).map((each) => each.stop()));
    for (const client of clients.splice(0)) client.close();
    root = `/leaders/${(elections += 1)}`;
  });
  after(async () => {
    await proxy.stop();
    await cluster.stop();
  });

  void test('of several one leads, for longer than a lease, and another as soon as it stops', async () => {
    const all = [candidate(), candidate(), candidate()];
    const term = await Promise.any(all.map(({ leadership }) => leadership.acquire(soon())));
    const leader = all.find(({ leadership }) => leadership.term() === term);
    assert.ok(leader);
    const until = performance.now() + leaseSeconds * 1500;
    await waitFor('a lease and a half to pass', () => {
      assert.deepEqual(all.filter(({ leadership }) => leadership.term() !== undefined), [leader]);
      return performance.now() >= until;
    });
    assert.deepEqual(leader.changes, ['leads: elected']);
    const next = Promise.any(all.filter((each) => each !== leader).map(({ leadership }) => leadership.acquire(soon())));
    const stoppedAt = performance.now();
    await leader.leadership.stop();
    assert.equal(term.lost.aborted, true);
    const after = await next;
    assert.notEqual(after.fence, term.fence);
    assert.ok(performance.now() - stoppedAt < leaseSeconds * 1000, 'it was not the lease that ran out');
  });

  void test('a leader that is cut off stops before another starts, and leads no more when it comes back', async () => {
    const cutOff = candidate([proxy.endpoint]);
    const term = await cutOff.leadership.acquire(soon());
    const other = candidate();
    let lostFirst: boolean | undefined;
    const next = other.leadership.acquire(soon()).then((each) => {
      lostFirst = term.lost.aborted && cutOff.leadership.term() === undefined;
      return each;
    });
    proxy.freeze();
    await next;
    assert.equal(lostFirst, true);
    assert.match(cutOff.changes.join(), /^leads: elected,no more: etcd did not renew the lease in time$/);
    proxy.heal();
    await waitFor('the first to hear of etcd again', () => cutOff.client.getMany([root]).catch(() => undefined));
    assert.equal(cutOff.leadership.term(), undefined);
    assert.ok(other.leadership.term());
  });

  void test('a leader that does not know yet that its term is over writes nothing', async () => {
    const first = candidate();
    const term = await first.leadership.acquire(soon());
    const store = new SealedKeystore(new EtcdValues(first.client, root), { secret: { kind: 'key file', bytes: randomBytes(32) } });
    assert.equal(await store.saveAuthority(material, undefined, term), 'saved');
    // As after a long sleep: it believes in its term, etcd knows another.
    const asleep = { lost: new AbortController().signal, fence: term.fence };
    await first.leadership.stop();
    const other = candidate();
    const next = await other.leadership.acquire(soon());
    const revision = await store.authorityRevision();
    assert.equal(await store.saveAuthority({ ...material, rootCertificatePem: 'stale' }, revision, asleep), 'conflict');
    assert.equal(await store.saveAuthority({ ...material, rootCertificatePem: 'fresh' }, revision, next), 'saved');
  });

  void test('whoever waits to lead can give up', async () => {
    await candidate().leadership.acquire(soon());
    const giveUp = new AbortController();
    const waiting = candidate().leadership.acquire(giveUp.signal);
    giveUp.abort(new Error('enough'));
    await assert.rejects(waiting, /enough/);
  });
});
