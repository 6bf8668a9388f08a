import assert from 'node:assert/strict';
import { beforeEach, test, type TestContext } from 'node:test';
import { enterTurn, flushLater, leaveTurn, turnTime } from './turn.ts';

let nowMs = 1000;
let sent: string[] = [];

/** Something with writes that says when it sent them. */
const writer = (name: string) => ({ flush: () => void sent.push(name) });

/** One event of the loop, `afterMs` after the last one began, that writes to these. */
function turn(afterMs: number, names: readonly string[], bytes = 0): void {
  nowMs += afterMs;
  enterTurn(bytes);
  for (const name of names) flushLater(writer(name));
  leaveTurn();
}

const roundEnd = () => new Promise((resolve) => setImmediate(resolve));

function atSteadyTime(t: TestContext): void {
  t.mock.method(performance, 'now', () => nowMs);
  turn(1000, []);
}

/** So many rounds of one turn each that a crowd is forgotten. */
async function quietRounds(): Promise<void> {
  for (let i = 0; i < 9; i++) {
    turn(0.01, ['a lone turn']);
    await roundEnd();
  }
  sent = [];
}

beforeEach(quietRounds);

test('what a turn writes that comes alone is sent at its end', (t) => {
  atSteadyTime(t);
  turn(5, ['upstream']);
  assert.deepEqual(sent, ['upstream']);
});

test('what turns write that follow each other closely is sent together, after all events the loop had', async (t) => {
  atSteadyTime(t);
  turn(0.01, ['a']);
  turn(0.01, ['b', 'c']);
  assert.deepEqual(sent, []);
  await roundEnd();
  assert.deepEqual(sent, ['a', 'b', 'c']);
});

test('after a crowded round a turn waits for the others of its round, however long ago the last one was', async (t) => {
  atSteadyTime(t);
  for (const name of ['a', 'b']) turn(0.01, [name]);
  await roundEnd();
  turn(5, ['c']);
  turn(5, ['d']);
  assert.deepEqual(sent, ['a', 'b']);
  await roundEnd();
  assert.deepEqual(sent, ['a', 'b', 'c', 'd']);
  await quietRounds();
  turn(5, ['alone']);
  assert.deepEqual(sent, ['alone']);
});

test('a turn within a turn sends nothing by itself', (t) => {
  atSteadyTime(t);
  nowMs += 5;
  enterTurn();
  turn(5, ['inner']);
  assert.deepEqual(sent, []);
  leaveTurn();
  assert.deepEqual(sent, ['inner']);
});

test('a busy round does not keep more than 32 connections waiting', (t) => {
  atSteadyTime(t);
  for (let i = 1; i < 32; i++) turn(0.01, [String(i)]);
  assert.equal(sent.length, 0);
  turn(0.01, ['32']);
  assert.equal(sent.length, 32);
});

test('large bodies do not wait for the end of a busy round', async (t) => {
  atSteadyTime(t);
  turn(0.01, ['head'], 1000);
  turn(0.01, ['body'], 64 * 1024);
  assert.deepEqual(sent, ['head', 'body']);
  turn(0.01, ['next'], 1000);
  assert.deepEqual(sent, ['head', 'body']);
  await roundEnd();
  assert.deepEqual(sent, ['head', 'body', 'next']);
});

test('a lone turn takes along what still waits', (t) => {
  atSteadyTime(t);
  turn(0.01, ['busy']);
  turn(5, ['alone']);
  assert.deepEqual(sent, ['busy', 'alone']);
});

test('writes outside of any turn are sent without waiting for the loop', async () => {
  flushLater(writer('a'));
  assert.deepEqual(sent, []);
  await Promise.resolve();
  assert.deepEqual(sent, ['a']);
});

test('time stands still within a turn', (t) => {
  atSteadyTime(t);
  enterTurn();
  const began = turnTime();
  nowMs += 3;
  assert.equal(turnTime(), began);
  leaveTurn();
  assert.equal(turnTime(), began + 3);
});
