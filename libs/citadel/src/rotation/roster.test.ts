import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ManualClock } from '@meltemi/base';
import type { ProxyReport } from './facts.ts';
import { MemoryReportStore } from './report-store.ts';
import { Roster } from './roster.ts';

const report: ProxyReport = {
  spiffeId: 'spiffe://td/ns/a/sa/b', name: 'p', run: '1', address: '10.0.0.1:9', trustedRoots: ['old'], certificateRoot: 'old', serial: '1', certificateNotAfter: 100_000, connected: true, heardAt: 10, since: 0, problem: '',
};
const rosterOf = (id: string, store: MemoryReportStore, clock: ManualClock): Roster => new Roster({ id, store, clock, onFailure: assert.fail });
const beat = { signingRoot: 'old', trustedRoots: ['old'] };

test('one citadel sees the proxies of another', async () => {
  const [store, clock] = [new MemoryReportStore(), new ManualClock(0)];
  const [one, two] = [rosterOf('1', store, clock), rosterOf('2', store, clock)];
  one.beat(beat);
  one.put(report);
  await one.flush();
  assert.deepEqual((await two.facts()).proxies, [report]);
  assert.deepEqual((await two.facts()).citadels.map(({ id }) => id), ['1']);
});

test('whoever was connected to a citadel that died is away, until it comes back or its certificate ends', async () => {
  const [store, clock] = [new MemoryReportStore(false), new ManualClock(0)];
  const dies = rosterOf('1', store, clock);
  dies.put(report);
  await dies.flush();
  const next = rosterOf('2', store, clock);
  assert.deepEqual((await next.facts()).proxies.map(({ connected }) => connected), [false]);
  next.put({ ...report, trustedRoots: ['old', 'new'], heardAt: 20 });
  assert.deepEqual((await next.facts()).proxies, [{ ...report, trustedRoots: ['old', 'new'], heardAt: 20 }]);
  next.remove(report);
  await next.flush();
  clock.advance(100_001);
  assert.deepEqual((await next.facts()).proxies, []);
});

test('a program that is killed and started again counts once', async () => {
  const roster = rosterOf('1', new MemoryReportStore(), new ManualClock(0));
  roster.put({ ...report, connected: false });
  assert.equal((await roster.facts()).proxies.length, 1);
  roster.put({ ...report, run: '2' });
  assert.deepEqual((await roster.facts()).proxies.map(({ run }) => run), ['2']);
});

test('a program that moved from one citadel to another is connected, whatever the first says later', async () => {
  const [store, clock] = [new MemoryReportStore(), new ManualClock(0)];
  const [one, two] = [rosterOf('1', store, clock), rosterOf('2', store, clock)];
  for (const roster of [one, two]) roster.beat(beat);
  two.put(report);
  one.put({ ...report, connected: false, heardAt: 99 });
  await Promise.all([one.flush(), two.flush()]);
  assert.deepEqual((await one.facts()).proxies, [report]);
});

test('a program has what it has since it changed, not since it last said so', async () => {
  const clock = new ManualClock(0);
  const roster = rosterOf('1', new MemoryReportStore(), clock);
  const sinceAfter = async (change: Partial<ProxyReport>): Promise<number | undefined> => {
    clock.advance(100);
    roster.put({ ...report, ...change });
    return (await roster.facts()).proxies[0]?.since;
  };
  assert.deepEqual([await sinceAfter({}), await sinceAfter({ heardAt: 99 }), await sinceAfter({ trustedRoots: ['new'] }), await sinceAfter({ trustedRoots: ['new'], certificateRoot: 'new' })], [100, 100, 300, 400]);
});

test('replicas of one identity are bounded', () => {
  const roster = rosterOf('1', new MemoryReportStore(), new ManualClock(0));
  const taken = Array.from({ length: 1001 }, (_, index) => roster.put({ ...report, name: `p${index}` }));
  assert.deepEqual([taken[999], taken[1000]], [true, false]);
  assert.ok(roster.put({ ...report, spiffeId: 'spiffe://td/ns/a/sa/c' }), 'others are not affected');
});

test('certificates of silent callers are bounded from above by few saves, and outlive the citadel that issued them', async () => {
  const clock = new ManualClock(0);
  let writes = 0;
  const store = new (class extends MemoryReportStore {
    override async writeReports(changes: ReadonlyMap<string, string | undefined>): Promise<void> {
      writes += 1;
      await super.writeReports(changes);
    }
  })();
  const roster = rosterOf('1', store, clock);
  for (let issued = 0; issued < 1000; issued += 1) {
    await roster.silent({ certificateRoot: 'old', trustedRoots: ['old'], notAfter: clock.now() + 10_000 });
    clock.advance(10);
  }
  assert.ok(writes <= 17, `${writes} writes`);
  const [seen, ...more] = (await rosterOf('2', store, clock).facts()).silent;
  assert.equal(more.length, 0);
  assert.ok(seen && seen.latestNotAfter >= clock.now() - 10 + 10_000);
});

test('a store that fails for a moment loses nothing', async () => {
  const clock = new ManualClock(0);
  let broken = true;
  const store = new (class extends MemoryReportStore {
    override async writeReports(changes: ReadonlyMap<string, string | undefined>): Promise<void> {
      if (broken) throw new Error('no disk');
      await super.writeReports(changes);
    }
  })();
  const roster = rosterOf('1', store, clock);
  roster.put(report);
  await assert.rejects(roster.facts(), /no disk/);
  broken = false;
  assert.equal((await roster.facts()).proxies.length, 1);
  assert.equal((await store.loadReports()).size, 1);
});
