import { writeSync } from 'node:fs';
import { route } from '@meltemi/config/testing';
import { openStateDir } from './open-state-dir.ts';

/** Run by state-dir.test.ts under a file size limit: writes large objects until two are refused, then a small one, and says how it went. */
const opened = await openStateDir({ directory: process.argv[2] ?? '' });
if (!opened.ok) throw new Error(opened.error);
const { store } = opened.value;
let acknowledged = 0;
const refusals: string[] = [];
while (refusals.length < 2) {
  const done = await store.commit([{ type: 'put', object: route('n', 'large', acknowledged + 1, 'x'.repeat(3000)) }]);
  if (done.ok) acknowledged += 1;
  else refusals.push(done.error.message);
}
const small = await store.commit([{ type: 'put', object: route('n', 'small', 1) }]);
await store.close();
writeSync(1, JSON.stringify({ acknowledged, refusals, after: small.ok }));
