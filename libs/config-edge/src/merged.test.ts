import assert from 'node:assert/strict';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { waitFor, withDeadline } from '@meltemi/base';
import { mergeSources, problemText, type MergedEvent } from '@meltemi/config';
import { keyOf, must, route, weight } from '@meltemi/config/testing';
import { directorySource } from './directory/directory-source.ts';
import { openStateDir } from './state-dir/open-state-dir.ts';

void test('embedded mode: the store wins over the watched directory and gives way again, and all ends with one signal', async () => {
  const root = await mkdtemp(join(tmpdir(), 'meltemi-merged-'));
  const opened = await openStateDir({ directory: join(root, 'state') });
  if (!opened.ok) assert.fail(opened.error);
  const { store } = opened.value;
  const directory = join(root, 'config');
  await mkdir(directory);
  await writeFile(join(directory, 'a.json'), JSON.stringify(route('default', 'a', 1).content));
  const abort = new AbortController();
  const events: MergedEvent[] = [];
  const pump = (async () => {
    const source = directorySource({ directory, debounceMs: 5, settleMs: 20 });
    for await (const event of mergeSources({ store, sources: [source], storeName: 'store' }, abort.signal)) events.push(event);
  })();
  const told = (): string[] =>
    events.map((event) => {
      if (event.type === 'put') return `put ${weight(event)} from ${event.origin.source.replace(/ .*/, '')}`;
      return event.type === 'problem' || event.type === 'problem-cleared' ? `${event.type} ${problemText(event.problem).replace(`${directory}/`, '')}` : event.type;
    });
  try {
    await waitFor('sync', () => told().includes('synced'));
    must(await store.commit([{ type: 'put', object: route('default', 'a', 2) }]));
    await waitFor('the store', () => told().includes('put 2 from store'));
    must(await store.commit([{ type: 'delete', key: keyOf('default', 'a') }]));
    const shadow = 'a.json:1: networking.istio.io/VirtualService/default/a is also in store, which wins: delete one of the two';
    const expected = ['put 1 from directory', 'synced', `problem ${shadow}`, 'put 2 from store', `problem-cleared ${shadow}`, 'put 1 from directory'];
    await waitFor('the directory again', () => told().length === expected.length);
    assert.deepEqual(told(), expected);
  } finally {
    abort.abort();
    await withDeadline(pump, 5000, 'the merged watch');
    await store.close();
    await rm(root, { recursive: true, force: true });
  }
});
