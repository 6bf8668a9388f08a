import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ManualClock } from '@meltemi/base';
import { NameKeeper } from './name-keeper.ts';

function setUp(answers: Record<string, string[] | undefined>) {
  const clock = new ManualClock();
  const asked: string[] = [];
  let changes = 0;
  const warned: object[] = [];
  const keeper = new NameKeeper({
    clock, log: { warn: (fields) => warned.push(fields) }, onChange: () => changes++,
    resolve: (name) => {
      asked.push(name);
      const found = answers[name];
      return found === undefined ? Promise.reject(new Error('ENOTFOUND')) : Promise.resolve(found);
    },
  });
  const settle = () => new Promise((resolve) => setImmediate(resolve));
  const pass = async (ms: number): Promise<void> => {
    clock.advance(ms);
    await settle();
  };
  return { keeper, asked, warned, settle, pass, changes: () => changes, known: () => Object.fromEntries(keeper.addresses) };
}

test('names are looked up, again every 30 seconds, and told only when they are others', async () => {
  const answers: Record<string, string[]> = { 'a.test': ['10.0.0.2', '10.0.0.1'] };
  const { keeper, asked, settle, pass, changes, known } = setUp(answers);
  keeper.want(['a.test']);
  await settle();
  await pass(30_000);
  assert.deepEqual([known(), asked.length, changes()], [{ 'a.test': ['10.0.0.1', '10.0.0.2'] }, 2, 1]);
  answers['a.test'] = ['10.0.0.3'];
  await pass(30_000);
  assert.deepEqual([known(), changes()], [{ 'a.test': ['10.0.0.3'] }, 2]);
});

test('what was found stays when a name cannot be looked up any more', async () => {
  const answers: Record<string, string[] | undefined> = { 'a.test': ['10.0.0.1'] };
  const { keeper, settle, pass, known, warned } = setUp(answers);
  keeper.want(['a.test', 'gone.test']);
  await settle();
  answers['a.test'] = undefined;
  await pass(30_000);
  assert.deepEqual([known(), warned.length], [{ 'a.test': ['10.0.0.1'] }, 3]);
});

test('names that nobody wants any more are forgotten, and not asked for', async () => {
  const { keeper, asked, settle, pass, known } = setUp({ 'a.test': ['10.0.0.1'], 'b.test': ['10.0.0.2'] });
  keeper.want(['a.test', 'b.test']);
  await settle();
  keeper.want(['b.test']);
  assert.deepEqual(known(), { 'b.test': ['10.0.0.2'] });
  await pass(30_000);
  assert.deepEqual(asked, ['a.test', 'b.test', 'b.test']);
});
