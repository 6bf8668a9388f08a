import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { fromWire, toWire } from './wire-text.ts';

test('a text becomes the bytes of its UTF-8, and the same text again', () => {
  assert.equal(toWire('café 日本'), 'caf\xc3\xa9 \xe6\x97\xa5\xe6\x9c\xac');
  fc.assert(fc.property(fc.string({ unit: 'grapheme' }), (text) => assert.equal(fromWire(toWire(text)), text)));
});

test('bytes that are no UTF-8 stay as they are', () => {
  fc.assert(fc.property(fc.uint8Array({ maxLength: 20 }), (bytes) => {
    const value = Buffer.from(bytes).toString('latin1');
    const whole = Buffer.from(bytes).toString();
    if (!whole.includes('\ufffd')) assert.equal(fromWire(value), whole);
  }));
  for (const value of ['caf\xe9', '\xc0\xaf', '\xed\xa0\x80', '\xf4\x90\x80\x80', '\xe6\x97']) assert.equal(fromWire(value), value);
});
