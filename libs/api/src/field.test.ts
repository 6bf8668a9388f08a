import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Any } from './gen/google/protobuf/any.ts';
import { fieldHeader } from './field.ts';

test('a field put together from its header and its bytes is read as one, whatever its length', () => {
  for (const length of [0, 1, 127, 128, 16_383, 16_384, 300_000]) {
    const value = Buffer.alloc(length, 7);
    assert.deepEqual(Buffer.from(Any.decode(Buffer.concat([fieldHeader(2, length), value])).value), value);
  }
});
