import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { ResponseHead } from '@meltemi/http';
import { clientSide, serverSide } from '../../testing/http2-sides.ts';
import { frame, getFields, headers, literals, settings, testOptions, word } from '../../testing/http2-wire.ts';
import { preface } from './frames.ts';

const id = fc.constantFrom(1, 3, 5, 7);
const piece = fc.oneof(
  fc.tuple(id, fc.constantFrom(4, 5)).map(([stream, flags]) => headers(stream, getFields.with(1, 'POST'), flags)),
  fc.tuple(id, fc.string({ maxLength: 40 }), fc.boolean()).map(([stream, text, end]) => frame(0, end ? 1 : 0, stream, Buffer.from(text))),
  fc.tuple(id, fc.nat(20), fc.nat(9)).map(([stream, size, pad]) => frame(0, 8, stream, String.fromCharCode(pad) + 'p'.repeat(size + pad))),
  id.map((stream) => frame(1, 1, stream, literals(...getFields)) + frame(9, 4, stream)),
  id.map((stream) => headers(stream, ['x-trailer', 'y'])),
  fc.tuple(id, fc.nat(13)).map(([stream, code]) => frame(3, 0, stream, word(code))),
  fc.tuple(fc.constantFrom(0, 1, 3), fc.nat(1000)).map(([stream, more]) => frame(8, 0, stream, word(more))),
  fc.constantFrom(settings(), settings(4, 100), settings(1, 0), frame(4, 1, 0), frame(6, 0, 0, '12345678'), frame(2, 0, 9, [0, 0, 0, 0, 1]), frame(99, 3, 0, 'unknown')),
);

/** A server that answers everything at once; what it told and what it sent. */
function serve(parts: readonly string[]) {
  const { wire, seen, streams, sent } = serverSide(testOptions({ maxConcurrentStreams: 3 }));
  let answered = 0;
  for (const part of parts) {
    wire.receive(part);
    for (; answered < streams.length; answered++) if (answered % 2 === 0) streams[answered]?.head(new ResponseHead(204), true);
  }
  return { seen, sent: sent() };
}

/** Cuts text at these places. */
function split(text: string, cuts: readonly number[]): string[] {
  const places = [...new Set(cuts.map((cut) => cut % (text.length + 1)))].sort((a, b) => a - b);
  return [0, ...places].map((place, i) => text.slice(place, places[i] ?? text.length));
}

/** Events that do not depend on when our answers come between the bytes. */
function read(parts: readonly string[]): string[] {
  const { wire, seen } = serverSide();
  for (const part of parts) if (part !== '') wire.receive(part);
  return seen;
}

test('any split of the same bytes tells the same', () => {
  fc.assert(fc.property(fc.array(piece, { maxLength: 15 }), fc.array(fc.nat(3000), { maxLength: 30 }), (frames, cuts) => {
    const bytes = preface + settings() + frames.join('');
    const whole = read([bytes]);
    assert.deepEqual(read(split(bytes, cuts)), whole);
    assert.deepEqual(read(Array.from(bytes)), whole);
  }), { numRuns: 150 });
});

test('frames in any order never throw, and a stream is told nothing after its end', () => {
  fc.assert(fc.property(fc.array(piece, { maxLength: 30 }), (frames) => {
    const { seen } = serve([preface + settings(), ...frames]);
    for (const stream of ['1', '3', '5', '7']) {
      const told = seen.filter((each) => each.startsWith(`${stream} `));
      const last = told.findIndex((each) => each === `${stream} end` || each.startsWith(`${stream} end [`) || each.startsWith(`${stream} reset`));
      if (last >= 0) assert.ok(told.slice(last + 1).every((each) => each.startsWith(`${stream} reset`)), told.join('\n'));
    }
  }));
});

test('random bytes never throw, on either side', () => {
  fc.assert(fc.property(fc.uint8Array({ maxLength: 300 }), fc.boolean(), (bytes, begun) => {
    const text = Buffer.from(bytes).toString('latin1');
    serve([begun ? preface + settings() + text : text]);
    const client = clientSide();
    client.wire.receive(begun ? settings() + text : text);
  }));
});

test('random payloads of every frame never throw, on either side', () => {
  fc.assert(fc.property(fc.array(fc.tuple(fc.nat(10), fc.nat(255), fc.nat(5), fc.uint8Array({ maxLength: 60 })), { maxLength: 6 }), (frames) => {
    const bytes = frames.map(([type, flags, stream, payload]) => frame(type, flags, stream, Buffer.from(payload))).join('');
    serve([preface + settings() + bytes]);
    const client = clientSide();
    client.open();
    for (let i = 0; i < 3; i++) client.stream().reset();
    client.wire.receive(bytes);
  }));
});
