import assert from 'node:assert/strict';
import { test } from 'node:test';
import { MemoryValues } from '../shared/memory-values.ts';
import { SecretReportStore } from './secret-reports.ts';

test('reports are there after a restart, changed and removed ones too, in few values', async () => {
  const values = new MemoryValues();
  const store = new SecretReportStore(values);
  await store.writeReports(new Map(Array.from({ length: 200 }, (_, index) => [`proxy/a/${index}`, `{"n":${index}}`])));
  await store.writeReports(new Map([['proxy/a/7', undefined], ['proxy/a/8', '{}'], ['silent/a', '[]']]));
  const again = await new SecretReportStore(values).loadReports();
  assert.equal(again.size, 200);
  assert.deepEqual([again.get('proxy/a/7'), again.get('proxy/a/8'), again.get('silent/a')], [undefined, '{}', '[]']);
  assert.deepEqual(again, await store.loadReports());
  assert.ok(values.stored.size <= 16);
});

test('a damaged value costs its own reports alone', async () => {
  const values = new MemoryValues();
  await new SecretReportStore(values).writeReports(new Map([['a', '1'], ['b', '2'], ['c', '3'], ['d', '4']]));
  const [name] = [...values.stored.keys()];
  assert.ok(name);
  await values.put(name, 'damaged', { revision: values.stored.get(name)?.revision });
  const left = await new SecretReportStore(values).loadReports();
  assert.ok(left.size > 0 && left.size < 4);
});

test('a write over somebody else is refused, and the next one knows what is there', async () => {
  const values = new MemoryValues();
  const [one, two] = [new SecretReportStore(values), new SecretReportStore(values)];
  await one.writeReports(new Map([['a', '1']]));
  await two.writeReports(new Map([['a', '2']]));
  await assert.rejects(one.writeReports(new Map([['a', '3']])), /one citadel alone may use this keystore/);
  assert.equal((await one.loadReports()).get('a'), '2');
});
