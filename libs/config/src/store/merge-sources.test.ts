import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ManualClock, waitFor } from '@meltemi/base';
import { problemText, type ConfigSource, type SourceEvent } from './config-source.ts';
import type { ConfigStore, StoreEvent } from './config-store.ts';
import { interleave } from './interleave.ts';
import { memoryConfigStore } from './memory-store.ts';
import { mergeSources, type MergedEvent } from './merge-sources.ts';
import { keyOf, must, route, weight } from './store-contract.ts';

/** A source that says what the test tells it to. */
class ScriptedSource<E = SourceEvent> {
  readonly name: string;
  #said: E[] = [];
  #wake = (): void => undefined;

  constructor(name: string) {
    this.name = name;
  }

  say(...events: E[]): void {
    this.#said.push(...events);
    this.#wake();
  }

  async *watch(signal: AbortSignal): AsyncGenerator<E> {
    signal.addEventListener('abort', () => this.#wake());
    while (!signal.aborted) {
      const next = this.#said.shift();
      if (next !== undefined) yield next;
      else
        await new Promise<void>((resolve) => {
          this.#wake = resolve;
        });
    }
  }
}

function told(events: readonly MergedEvent[]): string[] {
  return events.map((event) => {
    if (event.type === 'put') return `put ${event.object.key.name} ${weight(event)} from ${event.origin.source}${event.more ? ' …' : ''}`;
    if (event.type === 'delete') return `delete ${event.key.name}`;
    if (event.type === 'problem' || event.type === 'problem-cleared') return `${event.type} ${event.source}: ${problemText(event.problem)}`;
    return event.type;
  });
}

function merge(store: Pick<ConfigStore, 'watch'>, sources: readonly ConfigSource[]): { events: MergedEvent[]; stop(): Promise<void> } {
  const abort = new AbortController();
  const events: MergedEvent[] = [];
  const pump = (async () => {
    for await (const event of mergeSources({ store, sources, storeName: 'store' }, abort.signal)) events.push(event);
  })();
  return {
    events,
    stop: async () => {
      abort.abort();
      await pump;
    },
  };
}

const at = (file: string, line: number): { file: string; line: number } => ({ file, line });

test('the store wins over sources, the first source over the second, and shadows are reported until they end', async () => {
  const store = memoryConfigStore({ clock: new ManualClock() });
  const [first, second] = [new ScriptedSource('first'), new ScriptedSource('second')];
  const merged = merge(store, [first, second]);
  second.say({ type: 'put', object: route('n', 'a', 3), location: at('two.yaml', 9) }, { type: 'synced' });
  await waitFor('the second', () => merged.events.length === 1);
  first.say({ type: 'put', object: route('n', 'a', 2), location: at('one.yaml', 1) }, { type: 'synced' });
  await waitFor('the first', () => merged.events.some((event) => event.type === 'synced'));
  must(await store.commit([{ type: 'put', object: route('n', 'a', 1) }]));
  await waitFor('the store', () => merged.events.filter((event) => event.type === 'put').length === 3);
  must(await store.commit([{ type: 'delete', key: keyOf('n', 'a') }]));
  await waitFor('the first again', () => merged.events.filter((event) => event.type === 'put').length === 4);
  first.say({ type: 'delete', key: keyOf('n', 'a') });
  await waitFor('the second again', () => merged.events.filter((event) => event.type === 'put').length === 5);
  second.say({ type: 'delete', key: keyOf('n', 'a') });
  await waitFor('the end', () => merged.events.at(-1)?.type === 'delete');
  const inOther = (winner: string): string => `networking.istio.io/VirtualService/n/a is also in ${winner}, which wins: delete one of the two`;
  assert.deepEqual(told(merged.events), [
    'put a 3 from second',
    `problem second: two.yaml:9: ${inOther('first')}`,
    'put a 2 from first',
    'synced',
    `problem-cleared second: two.yaml:9: ${inOther('first')}`,
    `problem first: one.yaml:1: ${inOther('store')}`,
    `problem second: two.yaml:9: ${inOther('store')}`,
    'put a 1 from store',
    `problem-cleared first: one.yaml:1: ${inOther('store')}`,
    `problem-cleared second: two.yaml:9: ${inOther('store')}`,
    `problem second: two.yaml:9: ${inOther('first')}`,
    'put a 2 from first',
    `problem-cleared second: two.yaml:9: ${inOther('first')}`,
    'put a 3 from second',
    'delete a',
  ]);
  await merged.stop();
});

test('the events of one commit say that more follow', async () => {
  const store = memoryConfigStore({ clock: new ManualClock() });
  must(await store.commit(['a', 'b'].map((name) => ({ type: 'put', object: route('n', name, 1) }))));
  const merged = merge(store, []);
  await waitFor('all', () => merged.events.length === 3);
  assert.deepEqual(told(merged.events), ['put a 1 from store …', 'put b 1 from store', 'synced']);
  await merged.stop();
});

test('a store that resyncs, is unreadable in places or out of reach is told as difference, problem and interruption', async () => {
  const events = new ScriptedSource<StoreEvent>('store');
  const merged = merge({ watch: (_, signal) => events.watch(signal) }, []);
  const stored = (name: string, n: number, resourceVersion: string) => ({ object: route('n', name, n), resourceVersion, creationTimestamp: '' });
  events.say(
    { type: 'put', object: stored('a', 1, '1'), version: '1', lastOfCommit: true },
    { type: 'put', object: stored('b', 1, '2'), version: '2', lastOfCommit: true },
    { type: 'synced', version: '2' },
    { type: 'interrupted', reason: 'gone' },
    { type: 'resync', objects: [stored('a', 1, '1'), stored('c', 1, '3')], unreadable: [{ rawKey: '/x', reason: 'no object' }], version: '4' },
    { type: 'synced', version: '4' },
    { type: 'unreadable-cleared', rawKey: '/x', version: '5' },
  );
  await waitFor('all', () => merged.events.length === 9);
  assert.deepEqual(told(merged.events), ['put a 1 from store', 'put b 1 from store', 'synced', 'interrupted', 'delete b', 'put c 1 from store', 'problem store: /x: no object', 'restored', 'problem-cleared store: /x: no object']);
  await merged.stop();
});

test('interleaving ends with its inputs and passes on their errors', async () => {
  async function* two(): AsyncGenerator<number> {
    yield 1;
    yield 2;
  }
  const seen: number[] = [];
  for await (const { event } of interleave([two(), two()])) seen.push(event);
  assert.deepEqual(seen.sort((a, b) => a - b), [1, 1, 2, 2]);
  const broken: AsyncIterable<number> = { [Symbol.asyncIterator]: () => ({ next: () => Promise.reject(new Error('broken')) }) };
  await assert.rejects(async () => {
    for await (const { event } of interleave([two(), broken])) seen.push(event);
  }, /broken/);
});
