import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { after, before, describe, test } from 'node:test';
import { EtcdClient } from '@meltemi/config-edge/etcd';
import { startEtcdCluster, type EtcdCluster } from '@meltemi/config-edge/testing';
import { keystoreContract } from '@meltemi/citadel/keystore-contract';
import { SealedKeystore } from '../shared/sealed-keystore.ts';
import { sharedValuesContract } from '../shared/shared-values-contract.ts';
import { EtcdReportStore } from './etcd-reports.ts';
import { EtcdValues } from './etcd-values.ts';

const material = { rootCertificatePem: 'root', rootKeyPem: 'TOP-SECRET', issuingCertificatePem: 'issuing', issuingKeyPem: 'TOP-SECRET', retiredIssuingPem: [] };
const token = { hash: 'ab'.repeat(32), spiffeId: 'spiffe://cluster.local/ns/a/sa/b', expiresAt: 1000 };

void describe('a keystore in etcd, which knows citadel by name and lets it at its own keys only', () => {
  let cluster: EtcdCluster;
  const clients: EtcdClient[] = [];
  let roots = 0;
  const secret = { kind: 'key file', bytes: randomBytes(32) } as const;
  const etcdctl = (user: string, ...args: string[]): string =>
    execFileSync('etcdctl', [`--endpoints=${cluster.endpoints.join(',')}`, ...(user === '' ? [] : [`--user=${user}:${user}`]), ...args], { encoding: 'utf8', env: { PATH: process.env['PATH'], ETCDCTL_API: '3' }, stdio: ['ignore', 'pipe', 'pipe'] });
  const clientOf = (username: string): EtcdClient => {
    const client = new EtcdClient({ endpoints: cluster.endpoints, auth: { username, password: username }, timeoutMs: 8000 });
    clients.push(client);
    return client;
  };
  const nextRoot = (): string => `/meltemi-citadel/test-${(roots += 1)}`;

  before(async () => {
    cluster = await startEtcdCluster();
    // As the guide has it.
    etcdctl('', 'user', 'add', 'root:root');
    etcdctl('', 'user', 'grant-role', 'root', 'root');
    for (const [name, prefix] of [['citadel', '/meltemi-citadel/'], ['pilot', '/meltemi/']] as const) {
      etcdctl('', 'role', 'add', name);
      etcdctl('', 'role', 'grant-permission', name, '--prefix=true', 'readwrite', prefix);
      etcdctl('', 'user', 'add', `${name}:${name}`);
      etcdctl('', 'user', 'grant-role', name, name);
    }
    etcdctl('', 'auth', 'enable');
  });
  after(async () => {
    for (const client of clients) client.close();
    await cluster.stop();
  });

  void test('does what a storage of shared values must', async (t) => {
    const [one, two] = [clientOf('citadel'), clientOf('citadel')];
    for (const [name, run] of Object.entries(sharedValuesContract)) {
      const root = nextRoot();
      await t.test(name, () => run(new EtcdValues(one, root), new EtcdValues(two, root)));
    }
  });

  void test('does what a keystore must', async (t) => {
    const client = clientOf('citadel');
    for (const [name, run] of Object.entries(keystoreContract)) {
      const values = new EtcdValues(client, nextRoot());
      await t.test(name, () => run({ open: () => new SealedKeystore(values, { secret }), reopen: () => new SealedKeystore(values, { secret }) }));
    }
  });

  void test('who follows the roots is told to other citadels, more at once than etcd takes in one transaction', async () => {
    const root = nextRoot();
    const [mine, other] = [new EtcdReportStore(clientOf('citadel'), root), new EtcdReportStore(clientOf('citadel'), root)];
    const reports = new Map(Array.from({ length: 250 }, (_, index) => [`proxy/a/${index}`, `report ${index}`]));
    await mine.writeReports(reports);
    await other.writeReports(new Map([['citadel/b', 'beat']]));
    assert.deepEqual(await other.loadReports(), new Map([...reports, ['citadel/b', 'beat']].toSorted(([a = ''], [b = '']) => (a < b ? -1 : 1)) as [string, string][]));
    await mine.writeReports(new Map([...reports.keys()].map((key) => [key, undefined])));
    assert.deepEqual(await mine.loadReports(), new Map([['citadel/b', 'beat']]));
  });

  void test('shows nothing to who reads etcd, and nothing at all to pilot', async () => {
    const root = nextRoot();
    const store = new SealedKeystore(new EtcdValues(clientOf('citadel'), root), { secret });
    await store.saveAuthority(material, undefined);
    await store.saveIssuers(['TOP-SECRET'], undefined);
    await store.addToken(token);
    const all = etcdctl('root', 'get', '--prefix', root);
    assert.match(all, /\/authority\n\{"sealed":1/);
    assert.doesNotMatch(all, /TOP-SECRET|spiffe|"root"/);
    assert.throws(() => etcdctl('pilot', 'get', '--prefix', root), /permission denied/);
    assert.throws(() => etcdctl('citadel', 'get', '/meltemi/config/x'), /permission denied/);
    const pilot = new SealedKeystore(new EtcdValues(clientOf('pilot'), root), { secret });
    await assert.rejects(pilot.loadAuthority(), /permission denied/);
  });

  void test('a token whose taking was not answered is taken once: by who took it', async () => {
    const root = nextRoot();
    const lossy = new LossyClient({ endpoints: cluster.endpoints, auth: { username: 'citadel', password: 'citadel' } });
    clients.push(lossy);
    const [store, other] = [lossy, clientOf('citadel')].map((client) => new SealedKeystore(new EtcdValues(client, root), { secret }));
    assert.ok(store && other);
    await store.addToken(token);
    lossy.loseAnswers = 2;
    assert.equal(await store.takeToken(token.hash), true);
    assert.equal(lossy.loseAnswers, 0);
    assert.equal(await other.takeToken(token.hash), false);
  });
});

/** Loses the answers to transactions that etcd has applied, or refused. */
class LossyClient extends EtcdClient {
  loseAnswers = 0;

  override async txn(...args: Parameters<EtcdClient['txn']>): ReturnType<EtcdClient['txn']> {
    const response = await super.txn(...args);
    if (this.loseAnswers === 0) return response;
    this.loseAnswers -= 1;
    throw new Error('etcdserver: request timed out');
  }
}
