import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { Base64Decoder, FrameEncoder } from './base64.ts';

/** Cuts bytes at these places, in shares of their length. */
function cut(bytes: Buffer, places: readonly number[]): Buffer[] {
  const at = [0, ...places.map((place) => Math.floor(place * bytes.length)).sort((a, b) => a - b), bytes.length];
  return at.slice(1).map((end, i) => bytes.subarray(at[i] ?? 0, end));
}

const places = fc.array(fc.double({ min: 0, max: 1, noNaN: true }), { maxLength: 6 });
const frame = (payload: Uint8Array, flags = 0) => Buffer.concat([Buffer.from([flags, 0, 0, payload.length >> 8, payload.length & 255]), payload]);

test('base64 in parts, with padding between messages, decodes to the messages one after the other', () => {
  fc.assert(fc.property(fc.array(fc.uint8Array({ minLength: 1, maxLength: 40 }), { maxLength: 5 }), places, (messages, cuts) => {
    const decoder = new Base64Decoder();
    const text = Buffer.from(messages.map((message) => Buffer.from(message).toString('base64')).join(''));
    const decoded = cut(text, cuts).map((part) => decoder.decode(part, 0, part.length) ?? assert.fail('is base64'));
    assert.deepEqual(Buffer.concat(decoded), Buffer.concat(messages));
    assert.equal(decoder.complete, true);
  }));
});

test('no bytes throw, and what is taken for base64 is base64', () => {
  fc.assert(fc.property(fc.oneof(fc.uint8Array({ maxLength: 32 }), fc.string({ unit: fc.constantFrom('A', 'z', '9', '+', '/', '=', '-', '\n', ' ') }).map((text) => Buffer.from(text))), places, (bytes, cuts) => {
    const decoder = new Base64Decoder();
    const parts = cut(Buffer.from(bytes), cuts).map((part) => decoder.decode(part, 0, part.length));
    if (parts.includes(null) || !decoder.complete) return;
    assert.match(Buffer.from(bytes).toString('latin1'), /^(?:[A-Za-z0-9+/]{2}(?:[A-Za-z0-9+/]{2}|[A-Za-z0-9+/]=|==))*$/);
  }));
});

test('frames in parts become one base64 text each', () => {
  fc.assert(fc.property(fc.array(fc.uint8Array({ maxLength: 300 }), { maxLength: 5 }), places, (payloads, cuts) => {
    const frames = payloads.map((payload) => frame(payload));
    const encoder = new FrameEncoder();
    const encoded = cut(Buffer.concat(frames), cuts).map((part) => encoder.encode(part, 0, part.length));
    assert.equal(Buffer.concat(encoded).toString(), frames.map((bytes) => bytes.toString('base64')).join(''));
  }));
});
