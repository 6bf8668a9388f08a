import { writeSync } from 'node:fs';
import { route } from '@meltemi/config/testing';
import { openStateDir } from './open-state-dir.ts';

/** Run by crash.test.ts as a process of its own, to be killed: commits pairs that must agree, and says each acknowledged number on standard output. */
const [directory = '', first = '1'] = process.argv.slice(2);
const opened = await openStateDir({ directory, maxJournalBytes: 20_000 });
if (!opened.ok) {
  writeSync(2, `${opened.error}\n`);
  process.exit(1);
}
for (let n = Number(first); ; n += 1) {
  const pair = ['left', 'right'].map((name) => ({ type: 'put', object: route('crash', name, n, 'x'.repeat(500)) }) as const);
  const done = await opened.value.store.commit([...pair, { type: 'put', object: route('crash', `n${n % 50}`, n) }]);
  if (!done.ok) process.exit(1);
  writeSync(1, `${n}\n`);
}
