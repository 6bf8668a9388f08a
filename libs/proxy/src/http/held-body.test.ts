import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { HeldBody } from './held-body.ts';

test('a body of one-byte chunks is held in few parts', () => {
  const held = new HeldBody();
  const byte = Buffer.from('x');
  for (let i = 0; i < 1024 * 1024; i++) held.add(byte, 0, 1);
  assert.equal(held.bytes, 1024 * 1024);
  assert.ok(held.parts.length <= 128, `${held.parts.length} parts`);
});

test('what comes in any pieces is held in order, and what was seen before does not change', () => {
  fc.assert(
    fc.property(fc.array(fc.integer({ min: 1, max: 20_000 }), { maxLength: 40 }), (sizes) => {
      const held = new HeldBody();
      const lent = Buffer.alloc(20_000);
      let whole = '';
      const seen: [Buffer, string][] = [];
      for (const [i, size] of sizes.entries()) {
        lent.fill(97 + (i % 26));
        whole += lent.toString('latin1', 0, size);
        assert.equal(held.add(lent, 0, size), whole.length);
        const last = held.parts.at(-1);
        if (last) seen.push([last, last.toString('latin1')]);
      }
      assert.equal(Buffer.concat(held.parts).toString('latin1'), whole);
      for (const [part, text] of seen) assert.equal(part.toString('latin1'), text);
    }),
  );
});
