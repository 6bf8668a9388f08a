import assert from 'node:assert/strict';
import { once } from 'node:events';
import { describe, test } from 'node:test';
import { Worker } from 'node:worker_threads';
import { AtomicRows, sharedRowsBuffer } from './atomic-rows.ts';
import { LocalRows, type SharedRows } from './shared-rows.ts';

/** Two workers over one memory, and what the control thread sees. */
function process() {
  const buffer = sharedRowsBuffer(2);
  const view = (worker: number, offsetMs = 0) => new AtomicRows(buffer, { workers: 2, worker, offsetMs });
  return { buffer, one: view(0), two: view(1), control: view(2), view };
}

for (const [kind, make] of [['of one thread', () => new LocalRows()], ['of several', () => process().one]] as const)
  describe(`rows ${kind}`, () => {
    const rows: SharedRows & { readonly size: number } = make();

    test('a name is one row as long as it is held, and begins anew afterwards', () => {
      const [row, again] = [rows.hold('a'), rows.hold('a')];
      row.set(3, 7);
      row.take(1, 2);
      assert.deepEqual([again.get(3), again.used(1), again.add(3, -2), again.swap(3, 7, 9), again.swap(3, 5, 9), row.get(3), rows.size], [7, 2, 5, false, true, 9, 1]);
      row.release();
      assert.equal(again.get(3), 9);
      again.release();
      assert.equal(rows.size, 0);
      const fresh = rows.hold('a');
      assert.deepEqual([fresh.get(3), fresh.used(1)], [0, 0]);
      fresh.release();
    });

    test('names do not disturb each other, however they come and go', () => {
      const held = new Map(Array.from({ length: 300 }, (_, i) => [i, rows.hold(`row ${i}`)]));
      for (const [i, row] of held) row.set(0, i);
      for (const [i, row] of held) if (i % 3 === 0) row.release();
      for (let i = 0; i < 300; i += 3) held.set(i, rows.hold(`later ${i}`));
      for (const [i, row] of held) assert.equal(row.get(0), i % 3 === 0 ? 0 : i);
      assert.equal(rows.size, 300);
      for (const row of held.values()) row.release();
      assert.equal(rows.size, 0);
    });

    test('two words can be one number with a fraction', () => {
      const row = rows.hold('cell');
      assert.equal(row.cell(2).swap(0, 1.5), true);
      assert.deepEqual([row.cell(2).load(), row.cell(4).load(), row.get(0)], [1.5, 0, 0]);
      row.release();
    });

    test('a version changes when somebody says so; the only worker leads and reports', () => {
      const row = rows.hold('b');
      const before = row.version;
      row.changed();
      assert.notEqual(row.version, before);
      assert.deepEqual([row.lead(), row.reports], [true, true]);
      row.release();
    });
  });

describe('two workers', () => {
  test('each takes and gives back its own; what is in use is the sum', () => {
    const { one, two } = process();
    const [a, b] = [one.hold('limits'), two.hold('limits')];
    a.take(0, 2);
    b.take(0, 3);
    b.take(1, 1);
    assert.deepEqual([a.used(0), b.used(0), a.used(1)], [5, 5, 1]);
    a.take(0, -2);
    assert.equal(b.used(0), 3);
  });

  test('the first that holds a row tells of it; one leads', () => {
    const { one, two } = process();
    const b = two.hold('row');
    assert.deepEqual([b.reports, b.lead()], [true, true]);
    const a = one.hold('row');
    assert.deepEqual([a.reports, b.reports, a.lead(), b.lead()], [true, false, false, true]);
    const { version, losses } = a;
    b.release();
    assert.notEqual(a.version, version, 'who still holds it hears that somebody left');
    assert.equal(a.losses, losses + 1);
    assert.equal(a.lead(), true);
  });

  test('a dead worker gives back what it held: counts, lead, rows and the lock', () => {
    const { one, two, control } = process();
    const [shared, kept] = [one.hold('shared'), two.hold('shared')];
    one.hold('own').take(0, 1);
    shared.take(0, 4);
    kept.take(0, 1);
    assert.equal(shared.lead(), true);
    const { version } = kept;
    one.exclusively(() => control.forget(0));
    assert.deepEqual([kept.used(0), kept.reports, kept.lead(), control.size], [1, true, true, 1]);
    assert.notEqual(kept.version, version);
    assert.deepEqual([one.hold('shared').used(0), one.hold('own').used(0)], [1, 0], 'its successor begins with nothing');
  });

  test('their times are one', () => {
    const { view } = process();
    assert.equal(view(0, 1000).timeOf(500.7), view(1, 1400).timeOf(100.7));
  });

  test('a full table leaves each worker rows of its own', () => {
    const buffer = new SharedArrayBuffer(sharedRowsBuffer(2).byteLength - 32_760 * 128);
    const [one, two] = [0, 1].map((worker) => new AtomicRows(buffer, { workers: 2, worker, offsetMs: 0 })) as [AtomicRows, AtomicRows];
    const fits = Array.from({ length: 8 }, (_, i) => one.hold(`fits ${i}`));
    assert.equal(one.size, 8);
    const [a, b] = [one.hold('late'), two.hold('late')];
    a.take(0, 1);
    assert.deepEqual([a.used(0), b.used(0)], [1, 0]);
    fits[3]?.release();
    one.hold('in its place').take(0, 1);
    assert.equal(two.hold('in its place').used(0), 1);
  });

  test('threads that hold, count and let go of the same rows at once lose nothing and leave nothing', async () => {
    const { buffer, control } = process();
    const code = `
      const { workerData } = require('node:worker_threads');
      import(workerData.module).then(({ AtomicRows }) => {
        const rows = new AtomicRows(workerData.buffer, { workers: 2, worker: workerData.worker, offsetMs: 0 });
        const total = rows.hold('total');
        for (let i = 0; i < 5000; i++) {
          const row = rows.hold('row ' + (i % 5));
          row.take(0, 1);
          total.add(0, 1);
          if (row.used(0) < 1 || row.used(0) > 2) total.add(1, 1);
          row.take(0, -1);
          row.release();
        }
        total.take(0, 1);
      });`;
    const module = new URL('./atomic-rows.ts', import.meta.url).href;
    const watch = new AtomicRows(buffer, { workers: 2, worker: 0, offsetMs: 0 }).hold('total');
    await Promise.all([0, 1].map((worker) => once(new Worker(code, { eval: true, workerData: { buffer, module, worker } }), 'exit')));
    assert.deepEqual([watch.get(0), watch.get(1), watch.used(0)], [10_000, 0, 2]);
    assert.equal(control.size, 1);
  });
});
