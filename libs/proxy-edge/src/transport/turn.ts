import { performance } from 'node:perf_hooks';

/** Something with writes waiting for the end of the turn. */
export interface Flushable {
  flush(): void;
}

/**
 * While one turn follows the other, writes wait until the loop has been through all events it has: one write after the other wakes a client or upstream
 * that sleeps on another core far less often than writes with work in between do, which is 15 to 20 % of CPU per small request. A turn that comes
 * alone, and after no crowd, sends at its own end: there is nobody to wait for.
 */
const busyWithinMs = 0.1;
/** So many connections, or bytes read for them, do not wait for the end of the round: writes find their bytes in the caches, and the first is not sent too late. */
const mostWaiting = 32;
const mostBytes = 64 * 1024;

let depth = 0;
let startedMs = 0;
let alone = true;
/** After a round of several turns so many more are waited for: who shares the core with others finds long gaps between its turns, and a lone one now and then. */
const crowdedRounds = 8;
/** Turns of this round whose writes wait or waited, and how many rounds are still taken for crowded. */
let waitingTurns = 0;
let crowded = 0;
let scheduled = false;
let roundEnds = false;
let readBytes = 0;
let dirty: Flushable[] = [];
let spare: Flushable[] = [];

/** Begins a turn: one event of the loop, during which writes collect. `bytes` were read. Every `enter` has a `leave`. @hot */
export function enterTurn(bytes = 0): void {
  readBytes += bytes;
  if (depth++ > 0) return;
  const now = performance.now();
  alone = crowded === 0 && now - startedMs > busyWithinMs;
  startedMs = now;
}

/** Monotonic milliseconds; within a turn always those of its beginning, which saves most of the clock's price. */
export function turnTime(): number {
  return depth > 0 ? startedMs : performance.now();
}

/** Ends a turn; the outermost one sends everything collected, at the end of a busy round at the latest. */
export function leaveTurn(): void {
  if (--depth > 0 || dirty.length === 0) return;
  if (alone) return flushAll();
  waitingTurns++;
  if (dirty.length >= mostWaiting || readBytes >= mostBytes) flushAll();
  else if (!roundEnds) {
    roundEnds = true;
    setImmediate(endRound);
  }
}

/** Registers a connection that has something to send. Outside a turn it is sent in the next microtask. */
export function flushLater(connection: Flushable): void {
  dirty.push(connection);
  if (depth === 0 && !scheduled) {
    scheduled = true;
    queueMicrotask(flushScheduled);
  }
}

function flushScheduled(): void {
  scheduled = false;
  flushAll();
}

function endRound(): void {
  roundEnds = false;
  crowded = waitingTurns > 1 ? crowdedRounds : Math.max(0, crowded - 1);
  waitingTurns = 0;
  flushAll();
}

function flushAll(): void {
  readBytes = 0;
  const now = dirty;
  dirty = spare;
  for (let i = 0; i < now.length; i++) now[i]?.flush();
  now.length = 0;
  spare = now;
}
