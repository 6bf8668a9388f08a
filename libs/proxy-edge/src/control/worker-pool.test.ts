import assert from 'node:assert/strict';
import { test } from 'node:test';
import { waitFor, withDeadline } from '@meltemi/base';
import { FlatStats, StatsRegistry } from '@meltemi/observe';
import { unknownNode } from '@meltemi/proxy';
import { emptyUpdate } from './worker-messages.ts';
import { WorkerPool } from './worker-pool.ts';

/** A worker that ends when told to drain its listeners. */
const script = new URL(`data:text/javascript,${encodeURIComponent(`
  import { parentPort } from 'node:worker_threads';
  parentPort.on('message', (message) => {
    if (message.kind === 'drain-listeners') process.exit(7);
    if (message.kind === 'apply') parentPort.postMessage({ kind: 'applied', id: message.id, refusals: [] });
    if (message.kind === 'drain') parentPort.postMessage({ kind: 'drained' });
  });
  parentPort.postMessage({ kind: 'ready', refusals: [] });
`)}`);

test('an update between the death of a worker and its successor is answered: the successor begins with it', async (t) => {
  const ended: object[] = [];
  let states = 0;
  const options = {
    script, concurrency: 1, node: unknownNode, drainTimeMs: 1000, drainStrategy: 'immediate' as const, fileFlushMs: 1000, metrics: new StatsRegistry(), flat: new FlatStats(), onReports: () => {},
    state: () => (++states, emptyUpdate), log: { info: () => {}, warn: () => {}, error: (fields: object) => void ended.push(fields) },
  };
  const pool = new WorkerPool(options);
  t.after(() => pool.stop());
  await pool.start();
  pool.tell({ kind: 'drain-listeners', request: { inboundOnly: false, graceful: false, skipExit: false }, startedMs: Date.now() });
  await waitFor('the death', () => ended.length > 0);
  assert.deepEqual(await withDeadline(pool.apply(emptyUpdate), 5000, 'the answer'), []);
  await waitFor('the successor', () => states === 2);
  assert.deepEqual(await withDeadline(pool.apply(emptyUpdate), 5000, 'the answer'), []);
});
