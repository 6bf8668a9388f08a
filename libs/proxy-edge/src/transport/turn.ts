/** Something with writes waiting for the end of the turn. */
export interface Flushable {
  flush(): void;
}

let depth = 0;
let startedMs = 0;
let scheduled = false;
let dirty: Flushable[] = [];
let spare: Flushable[] = [];

/** Begins a turn: one event of the loop, during which writes collect. Every `enter` has a `leave`. @hot */
export function enterTurn(): void {
  if (depth++ === 0) startedMs = performance.now();
}

/** Monotonic milliseconds; within a turn always those of its beginning, which saves most of the clock's price. */
export function turnTime(): number {
  return depth > 0 ? startedMs : performance.now();
}

/** Ends a turn; the outermost one sends everything collected. */
export function leaveTurn(): void {
  if (--depth === 0 && dirty.length > 0) flushAll();
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

function flushAll(): void {
  const now = dirty;
  dirty = spare;
  for (let i = 0; i < now.length; i++) now[i]?.flush();
  now.length = 0;
  spare = now;
}
