import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import type { ITxnRequest, ITxnResponse } from 'etcd3';
import { systemClock, waitFor } from '@meltemi/base';
import type { LeasedValues } from '@meltemi/config';
import { startEtcdCluster, startTcpProxy, type EtcdCluster, type TcpProxy } from '../testing/index.ts';
import { EtcdClient } from './etcd-client.ts';
import { EtcdLeasedValues } from './etcd-leased-values.ts';
import { openEtcdStore, type EtcdConfigStore } from './etcd-store.ts';

let etcd: EtcdCluster;
const programs: Program[] = [];

/** What one program over the store holds, and what it sees. */
class Program {
  readonly values: LeasedValues;
  readonly seen = new Map<string, string>();
  /** Names that were missing at some time after they had been there. */
  readonly missed = new Set<string>();
  readonly #store: EtcdConfigStore;
  readonly #ended = new AbortController();

  constructor(endpoint = etcd.endpoints[0] ?? '') {
    const opened = openEtcdStore({ endpoints: [endpoint], silenceMs: 3000 });
    if (!opened.ok) throw new Error(opened.error);
    this.#store = opened.value;
    this.values = this.#store.leased('registered', { leaseMs: 3000, onFailure: () => undefined });
    void this.#read();
    programs.push(this);
  }

  sees(name: string, value: string | undefined, deadlineMs = 8000): Promise<boolean> {
    return waitFor(`${name} to be ${value}`, () => this.seen.get(name) === value, { deadlineMs });
  }

  /** As kill -9: nothing is let go of. */
  async die(): Promise<void> {
    this.#ended.abort();
    await this.values.close();
    await this.#store.close();
  }

  async #read(): Promise<void> {
    for await (const event of this.values.watch(this.#ended.signal)) {
      if (event.type === 'put') this.seen.set(event.name, event.value);
      else if (event.type === 'delete') {
        this.seen.delete(event.name);
        this.missed.add(event.name);
      }
    }
  }
}

before(async () => { etcd = await startEtcdCluster(); });
after(async () => {
  await Promise.all(programs.map((program) => program.die()));
  await etcd.stop();
});

test('what one program holds all see, for longer than a lease; released it goes when it was told to', async () => {
  const [a, b] = [new Program(), new Program()];
  a.values.hold('ns/one', '1');
  a.values.hold('ns/two', '1');
  await Promise.all([b.sees('ns/one', '1'), a.sees('ns/one', '1')]);
  a.values.hold('ns/one', '2');
  await b.sees('ns/one', '2');
  a.values.release('ns/two', 0);
  await b.sees('ns/two', undefined, 2000);
  const since = performance.now();
  a.values.release('ns/one', 2000);
  await b.sees('ns/one', undefined);
  assert.ok(performance.now() - since > 1900);
});

test('who comes later is told in the order of writing, so that the last word is the newest', async () => {
  const a = new Program();
  a.values.hold('order/b', '1');
  await a.sees('order/b', '1');
  a.values.hold('order/a', '1');
  await a.sees('order/a', '1');
  const late = new Program();
  await late.sees('order/a', '1');
  assert.deepEqual([...late.seen.keys()].filter((name) => name.startsWith('order/')), ['order/b', 'order/a']);
});

test('what moves to another program is never missing, whether the first lets go or dies; whoever held it last decides', async () => {
  const [a, b, c] = [new Program(), new Program(), new Program()];
  for (const name of ['ns/left', 'ns/died', 'ns/lost']) a.values.hold(name, 'a');
  await Promise.all(['ns/left', 'ns/died', 'ns/lost'].map((name) => c.sees(name, 'a')));
  b.values.hold('ns/left', 'b');
  await c.sees('ns/left', 'b');
  a.values.release('ns/left', 0);
  a.values.release('ns/died', 30_000);
  a.values.hold('ns/died', 'a');
  await a.die();
  b.values.hold('ns/died', 'b');
  await c.sees('ns/died', 'b');
  await c.sees('ns/lost', undefined);
  assert.deepEqual([c.seen.get('ns/left'), c.seen.get('ns/died'), [...c.missed]], ['b', 'b', ['ns/lost']]);
});

/** A client that does not hear of its next write. */
class Deaf extends EtcdClient {
  deaf = false;

  override async txn(request: ITxnRequest): Promise<ITxnResponse> {
    const answer = await super.txn(request);
    if (!this.deaf) return answer;
    throw new Error('the answer was lost');
  }
}

test('what was let go of goes, also when nobody said that it had been written', async () => {
  const reader = new Program();
  const client = new Deaf({ endpoints: etcd.endpoints });
  client.deaf = true;
  const values = new EtcdLeasedValues({ client, prefix: '/meltemi/registered/', clock: systemClock, leaseMs: 60_000, silenceMs: 3000, onFailure: () => undefined });
  values.hold('ns/unheard', '1');
  await reader.sees('ns/unheard', '1');
  values.release('ns/unheard', 0);
  client.deaf = false;
  await reader.sees('ns/unheard', undefined);
  await values.close();
  client.close();
});

test('a program that was cut off until its lease ran out puts everything back when it comes again', async () => {
  const wire: TcpProxy = await startTcpProxy(etcd.endpoints[0] ?? '');
  const [a, b] = [new Program(wire.endpoint), new Program()];
  a.values.hold('ns/cut', 'a');
  await b.sees('ns/cut', 'a');
  wire.cut();
  await b.sees('ns/cut', undefined);
  wire.heal();
  await b.sees('ns/cut', 'a', 15_000);
  await a.die();
  await wire.stop();
});
