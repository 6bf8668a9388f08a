import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { test } from 'node:test';
import { ManualClock } from '@meltemi/base';
import { MemoryKeystore } from '../memory-keystore.ts';
import { IssuedLog } from './issued-log.ts';
import type { IssuedRecord } from './issued-record.ts';

const hour = 3_600_000;
const cart = 'spiffe://cluster.local/ns/shop/sa/cart';

class Store extends MemoryKeystore {
  writes = 0;
  away = false;
  /** Runs between a listing and the reading that follows it, once. */
  meanwhile: (() => Promise<void>) | undefined;

  override async addIssued(name: string, records: readonly IssuedRecord[]): Promise<void> {
    if (this.away) throw new Error('the disk is full');
    this.writes += 1;
    await super.addIssued(name, records);
  }

  override async loadIssued(names: readonly string[]): ReturnType<MemoryKeystore['loadIssued']> {
    const { meanwhile } = this;
    this.meanwhile = undefined;
    await meanwhile?.();
    return super.loadIssued(names);
  }
}

function world() {
  const clock = new ManualClock(Date.UTC(2026, 0, 1));
  const store = new Store();
  const problems: string[] = [];
  const open = (): IssuedLog => new IssuedLog({ store, clock, entropy: { bytes: randomBytes }, onProblem: (reason) => problems.push(reason) });
  const serials = async (log: IssuedLog): Promise<string[]> => [...(await log.known(clock.now())).bySerial.keys()].sort();
  let count = 0;
  const record = (lifetimeMs = 24 * hour): IssuedRecord => ({ serial: (0x1000 + (count += 1)).toString(16), spiffeId: cart, notAfter: clock.now() + lifetimeMs });
  return { clock, store, problems, open, serials, record };
}

test('what is issued within a second is written together, and another citadel finds it', async () => {
  const { clock, store, open, serials, record } = world();
  const log = open();
  for (let count = 0; count < 50; count += 1) log.add(record());
  assert.equal(store.writes, 0);
  assert.equal((await serials(log)).length, 50);
  clock.advance(1000);
  await log.flush();
  assert.equal(store.writes, 1);
  assert.equal((await serials(open())).length, 50);
});

test('nothing is missed when another citadel merges what was just listed, or writes more', async () => {
  const { store, open, serials, record } = world();
  const [reader, writer] = [open(), open()];
  for (let count = 0; count < 63; count += 1) {
    writer.add(record());
    await writer.flush();
  }
  const before = await store.issuedNames();
  store.meanwhile = async () => {
    writer.add(record());
    await writer.flush();
    const after = await store.issuedNames();
    assert.ok(before.every((name) => !after.includes(name)), 'nothing was merged');
  };
  assert.equal((await serials(reader)).length, 64);
});

test('a store in which others write without pause is not listed for ever: what may be missing is said', async () => {
  const { clock, store, open, record } = world();
  const [reader, writer] = [open(), open()];
  const more = async (): Promise<void> => {
    store.meanwhile = more;
    writer.add(record());
    await writer.flush();
  };
  await more();
  const known = await reader.known(clock.now());
  assert.ok(known.bySerial.size >= 5, `${known.bySerial.size}`);
  assert.match(known.missing, /others wrote .* all the while/);
});

test('small batches become few, none of what they hold is lost, and what has ended goes by its name', async () => {
  const { clock, store, open, serials, record } = world();
  const log = open();
  for (let count = 0; count < 200; count += 1) {
    log.add(record());
    await log.flush();
  }
  assert.ok((await store.issuedNames()).length < 64, `${(await store.issuedNames()).length} values`);
  assert.equal((await serials(open())).length, 200);
  log.add(record(90 * 24 * hour));
  await log.flush();
  clock.advance(25 * hour);
  assert.deepEqual((await serials(open())).length, 1);
  await log.prune(clock.now());
  assert.equal((await store.issuedNames()).length, 1);
});

test('while the keystore is away nothing waits and nothing is lost; it is said once', async () => {
  const { clock, store, problems, open, serials, record } = world();
  const log = open();
  store.away = true;
  log.add(record());
  await log.flush();
  log.add(record());
  await log.flush();
  assert.deepEqual(problems, ['which certificates were issued cannot be kept: the disk is full']);
  assert.equal((await serials(log)).length, 2);
  store.away = false;
  clock.advance(10_000);
  await log.stop();
  assert.equal((await serials(open())).length, 2);
});

test('a keystore that is away for long costs no more than a limit, and so do certificates that live', async () => {
  const { clock, store, problems, open, serials, record } = world();
  const log = open();
  store.away = true;
  for (let count = 0; count < 20_001; count += 1) log.add(record());
  assert.match(problems.join(), /more than 20000 issued certificates wait/);
  store.away = false;
  await log.flush();
  assert.ok((await serials(log)).length >= 10_000);
  for (let count = 0; count < 110_000; count += 1) {
    log.add(record(count < 20_000 ? 48 * hour : 24 * hour));
    if (count % 10_000 === 0) await log.flush();
  }
  await log.flush();
  await log.prune(clock.now());
  const left = [...(await open().known(clock.now())).bySerial.values()];
  assert.ok(left.length <= 100_000 && left.length > 98_000, `${left.length}`);
  assert.equal(left.filter(({ notAfter }) => notAfter > clock.now() + 25 * hour).length, 20_000);
  assert.match(problems.join(), /those that end first are forgotten/);
});
