import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Duration } from './gen/google/protobuf/duration.ts';
import { BytesValue } from './gen/google/protobuf/wrappers.ts';
import { packAny } from './any.ts';

const pack = (nanos: number) => packAny('google.protobuf.Duration', Duration, { seconds: 1n, nanos });
const nanosOf = (value: Uint8Array) => Duration.decode(value).nanos;

test('packed messages are their own, also after one that cannot be written and after a large one', () => {
  const first = pack(1);
  assert.throws(() => packAny('google.protobuf.Duration', Duration, { seconds: 1n, nanos: 2 ** 40 }));
  const large = packAny('google.protobuf.BytesValue', BytesValue, { value: Buffer.alloc(1_000_000, 7) });
  const last = pack(3);
  assert.deepEqual([nanosOf(first.value), nanosOf(last.value)], [1, 3]);
  assert.ok(BytesValue.decode(large.value).value.every((byte) => byte === 7));
  assert.equal(first.typeUrl, 'type.googleapis.com/google.protobuf.Duration');
});
