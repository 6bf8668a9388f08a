import assert from 'node:assert/strict';
import { EventEmitter } from 'node:events';
import { test } from 'node:test';
import { systemClock, withDeadline } from '@meltemi/base';
import { peerService } from './peer-service.ts';

test('a follow call ends when there is no more to say, so that it is asked again', async () => {
  const ended = Promise.withResolvers<void>();
  const call = Object.assign(new EventEmitter(), {
    request: { revision: '7', objects: [], any: false, newcomers: false },
    written: [] as { laggards: { detail: string }[] }[],
    write(look: { laggards: { detail: string }[] }) { return this.written.push(look) > 0; },
    end: () => ended.resolve(),
  });
  // The configuration cannot be put together.
  const parts = { cache: { processed: async () => undefined, get: () => undefined }, discovery: { context: {}, settle: () => undefined }, clock: systemClock };
  (peerService(parts as never).follow as (call: unknown) => void)(call);
  await withDeadline(ended.promise, 10_000, 'the end of the call');
  assert.match(call.written[0]?.laggards[0]?.detail ?? '', /could not be put together/);
});
