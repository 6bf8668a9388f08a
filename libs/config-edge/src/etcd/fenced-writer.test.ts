import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { GRPCUnavailableError, type IRequestOp, type ITxnRequest, type ITxnResponse } from 'etcd3';
import { startEtcdCluster, type EtcdCluster } from '../testing/etcd-cluster.ts';
import { EtcdClient } from './etcd-client.ts';
import { FencedWriter } from './fenced-writer.ts';

/** Loses the answers of transactions that etcd applied, or holds requests back to deliver them late. */
class LossyClient extends EtcdClient {
  loseAnswers = 0;
  holdRequests = 0;
  readonly held: ITxnRequest[] = [];

  override async txn(request: ITxnRequest): Promise<ITxnResponse> {
    if (this.holdRequests > 0) {
      this.holdRequests -= 1;
      this.held.push(request);
      throw new GRPCUnavailableError('held');
    }
    const response = await super.txn(request);
    if (this.loseAnswers > 0) {
      this.loseAnswers -= 1;
      throw new GRPCUnavailableError('lost');
    }
    return response;
  }
}

void describe('a fenced writer', () => {
  let cluster: EtcdCluster;
  let client: LossyClient;
  let turn = 0;
  before(async () => {
    cluster = await startEtcdCluster();
    client = new LossyClient({ endpoints: cluster.endpoints });
  });
  after(async () => {
    client.close();
    await cluster.stop();
  });
  const soon = (): number => Date.now() + 10_000;
  const fresh = (): { key: string; put: (value: string) => IRequestOp[]; absent: { key: Buffer; target: 'Mod'; result: 'Equal'; mod_revision: string } } => {
    const key = `/fenced/${(turn += 1)}`;
    return {
      key,
      put: (value) => [{ request_put: { key: Buffer.from(key), value: Buffer.from(value) } }],
      absent: { key: Buffer.from(key), target: 'Mod', result: 'Equal', mod_revision: '0' },
    };
  };
  const read = async (key: string): Promise<{ value: string; version: number; revision: number }> => {
    const [kv] = (await client.getMany([key])).kvs;
    return { value: kv?.value.toString() ?? '', version: Number(kv?.version ?? 0), revision: Number(kv?.mod_revision ?? 0) };
  };

  void test('applies a write once although its answers were lost, and knows its revision', async () => {
    const writer = new FencedWriter(client, '/fenced');
    for (const losses of [0, 1, 3]) {
      const { key, put, absent } = fresh();
      client.loseAnswers = losses;
      const outcome = await writer.write([absent], put('x'), soon());
      const { version, revision } = await read(key);
      assert.deepEqual(outcome, { type: 'applied', revision });
      assert.equal(version, 1);
    }
  });

  void test('refuses what its comparisons refuse, also after a lost answer of the write before', async () => {
    const writer = new FencedWriter(client, '/fenced');
    const { key, put, absent } = fresh();
    client.loseAnswers = 1;
    assert.equal((await writer.write([absent], put('first'), soon())).type, 'applied');
    assert.deepEqual(await writer.write([absent], put('second'), soon()), { type: 'refused' });
    assert.equal((await read(key)).value, 'first');
  });

  void test('says when nobody can tell, and what was given up cannot happen after a later write', async () => {
    const writer = new FencedWriter(client, '/fenced');
    const { key, put } = fresh();
    client.holdRequests = 1;
    const unknown = await writer.write([], put('late'), Date.now() - 1);
    assert.equal(unknown.type === 'failed' && unknown.outcomeUnknown, true);
    assert.equal((await writer.write([], put('later'), soon())).type, 'applied');
    const [late] = client.held;
    assert.ok(late);
    assert.equal((await client.txn(late)).succeeded, false);
    assert.equal((await read(key)).value, 'later');
  });

  void test('a given-up write that did happen does not confuse the next', async () => {
    const writer = new FencedWriter(client, '/fenced');
    const { key, put } = fresh();
    client.loseAnswers = 1;
    const unknown = await writer.write([], put('one'), Date.now() - 1);
    assert.equal(unknown.type === 'failed' && unknown.outcomeUnknown, true);
    assert.equal((await writer.write([], put('two'), soon())).type, 'applied');
    assert.deepEqual((({ value, version }) => ({ value, version }))(await read(key)), { value: 'two', version: 2 });
  });

  void test('goes on when its fence vanished with its lease', async () => {
    const writer = new FencedWriter(client, '/vanishing');
    const { key, put } = fresh();
    assert.equal((await writer.write([], put('one'), soon())).type, 'applied');
    const { kvs } = await client.list('/vanishing/');
    for (const kv of kvs) await client.txn({ success: [{ request_delete_range: { key: kv.key } }] });
    assert.equal(kvs.length, 1);
    assert.equal((await writer.write([], put('two'), soon())).type, 'applied');
    assert.equal((await read(key)).value, 'two');
  });

  void test('an error that another attempt would meet again ends it at once', async () => {
    const writer = new FencedWriter(client, '/fenced');
    const { put } = fresh();
    const twice = await writer.write([], [...put('a'), ...put('b')], soon());
    assert.equal(twice.type === 'failed' && twice.outcomeUnknown, false);
    assert.match(twice.type === 'failed' ? twice.reason : '', /duplicate key/);
  });
});
