import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { OverloadActionConfig, OverloadConfig } from '@meltemi/snapshot';
import { OverloadState } from './overload-state.ts';

const none = { heap: 0, connections: 0, worker: 0 };
const config = (actions: readonly Partial<OverloadActionConfig>[]): OverloadConfig => ({ refreshMs: 1000, maxHeapBytes: 100, maxConnections: null, actions: actions.map((action) => ({ name: 'shrink_heap', triggers: [], timers: [], ...action })) });

test('a threshold is off or on, a scale grows between its ends', () => {
  const state = new OverloadState(config([
    { name: 'stop_accepting_requests', triggers: [{ monitor: 'heap', from: 0.9, to: 0.9 }] }, { name: 'reject_incoming_connections', triggers: [{ monitor: 'heap', from: 0.5, to: 0.9 }] },
  ]));
  for (const [heap, shed, reject] of [[0.4, 0, 0], [0.7, 0, 0.5], [0.89, 0, 0.975], [0.9, 1, 1], [1.2, 1, 1], [0.3, 0, 0]] as const) {
    state.update({ ...none, heap });
    assert.deepEqual([state.shedRequests, Math.round(state.rejectConnections * 1000) / 1000], [shed, reject], String(heap));
  }
});

test('timeouts shrink towards their least, and none stays none', () => {
  const state = new OverloadState(config([{ name: 'reduce_timeouts', triggers: [{ monitor: 'heap', from: 0, to: 1 }], timers: [{ timer: 'connection-idle', minMs: 200, minScale: null }, { timer: 'stream-idle', minMs: null, minScale: 0.1 }] }]));
  assert.equal(state.timeout('connection-idle', 1000), 1000);
  state.update({ ...none, heap: 0.5 });
  assert.deepEqual([state.timeout('connection-idle', 1000), state.timeout('stream-idle', 1000), state.timeout('transport-connect', 1000), state.timeout('connection-idle', 0), state.timeout('connection-idle', 100)], [600, 550, 1000, 0, 100]);
});

test('without any config a worker whose heap is nearly full sheds', () => {
  const state = new OverloadState(null);
  state.update({ ...none, worker: 0.88 });
  assert.deepEqual([state.shedRequests, state.closeConnections], [0, 1]);
  state.update({ ...none, worker: 0.95 });
  assert.deepEqual([state.shedRequests, state.rejectConnections], [1, 0]);
  state.update(none);
  assert.deepEqual([state.shedRequests, state.closeConnections], [0, 0]);
});
