import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ResourceStore, type HeldResource } from './resource-store.ts';

const held = (version: string, origin: HeldResource['origin'] = 'dynamic'): HeldResource => ({ name: 'a', bytes: Buffer.from(version), version, lastUpdatedMs: Number(version), origin });
const refusal = { version: '2', atMs: 2, message: 'address in use' };

test('what a worker refused gives way to the version before it, and the reason is kept', () => {
  const store = new ResourceStore();
  store.put('listeners', held('1'));
  const before = store.get('listeners', 'a');
  store.put('listeners', held('2'));
  store.restore('listeners', 'a', before, refusal);
  assert.equal(store.get('listeners', 'a')?.version, '1');
  assert.equal(store.refused('listeners').get('a')?.message, 'address in use');
  assert.deepEqual(store.state().listeners.set.map((resource) => resource.bytes.toString()), ['1']);
});

test('a first version that is refused leaves nothing', () => {
  const store = new ResourceStore();
  store.put('listeners', held('2'));
  store.restore('listeners', 'a', undefined, refusal);
  assert.equal(store.get('listeners', 'a'), undefined);
});

test('static resources are the operator\'s: nothing from the control plane replaces or removes them', () => {
  const store = new ResourceStore();
  store.put('clusters', held('1', 'static'));
  assert.equal(store.put('clusters', held('2')), false);
  assert.equal(store.remove('clusters', 'a'), false);
  assert.equal(store.get('clusters', 'a')?.version, '1');
});
