import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ResponseFlag, StreamInfo, unknownConnection } from '@meltemi/http';
import { FilterStatus, NetworkStreamFilter, type ConnectionControls } from '../../filter.ts';
import { Wire } from '../../testing/wire.ts';
import { GuardedConnection } from './guarded-connection.ts';

class Told extends NetworkStreamFilter {
  readonly #name: string;
  readonly #events: string[];
  readonly #decide: (controls: ConnectionControls) => number;

  constructor(name: string, events: string[], decide: (controls: ConnectionControls) => number) {
    super();
    this.#name = name;
    this.#events = events;
    this.#decide = decide;
  }

  override onNewConnection(controls: ConnectionControls): number {
    this.#events.push(`${this.#name} new`);
    return this.#decide(controls);
  }

  override onRead(_controls: ConnectionControls, bytes: number): void {
    this.#events.push(`${this.#name} read ${bytes}`);
  }

  override onClose(): void {
    this.#events.push(`${this.#name} close`);
  }
}

const pass = () => FilterStatus.continue;
const hold = () => FilterStatus.stopIteration;

function guard(...decisions: ((controls: ConnectionControls) => number)[]) {
  const events: string[] = [];
  const wire = new Wire();
  const info = new StreamInfo(unknownConnection, 0, 0);
  const guarded = new GuardedConnection(wire, {
    info,
    filters: decisions.map((decide, i) => ({ create: () => new Told(`f${i}`, events, decide) })),
    monotonic: () => 7,
    begin: () => events.push('begin'),
    onClose: () => events.push('over'),
  });
  guarded.start();
  return { events, wire, info, guarded };
}

test('filters are asked in order, then the connection begins; they hear its bytes and its end', () => {
  const { events, wire, info } = guard(pass, pass);
  wire.receive('abc');
  wire.destroy();
  assert.deepEqual(events, ['f0 new', 'f1 new', 'begin', 'f0 read 3', 'f1 read 3', 'f0 close', 'f1 close', 'over']);
  assert.deepEqual([info.bytesReceived, info.endMonoMs], [3, 7]);
});

test('a filter that holds keeps the ones behind it waiting until it lets go, and no longer', () => {
  const { events, guarded } = guard(pass, hold, pass);
  assert.deepEqual(events, ['f0 new', 'f1 new']);
  guarded.continueReading();
  guarded.continueReading();
  assert.deepEqual(events, ['f0 new', 'f1 new', 'f2 new', 'begin']);
});

test('a filter may let go before it says that it holds', () => {
  const { events } = guard((controls) => {
    controls.continueReading();
    return FilterStatus.stopIteration;
  }, pass);
  assert.deepEqual(events, ['f0 new', 'f1 new', 'begin']);
});

test('a filter that closes ends it: nobody behind hears of it, and the reason stays', () => {
  const { events, wire, info, guarded } = guard((controls) => {
    controls.close('refused', ResponseFlag.URX);
    return FilterStatus.stopIteration;
  }, pass);
  guarded.continueReading();
  assert.deepEqual(events, ['f0 new', 'f0 close', 'f1 close', 'over']);
  assert.deepEqual([wire.closed, info.connectionTerminationDetails, info.responseFlags], [true, 'refused', ResponseFlag.URX]);
});

test('a client that leaves while it is held is not served later', () => {
  const { events, wire, guarded } = guard(hold);
  wire.destroy();
  guarded.continueReading();
  assert.deepEqual(events, ['f0 new', 'f0 close', 'over']);
});
