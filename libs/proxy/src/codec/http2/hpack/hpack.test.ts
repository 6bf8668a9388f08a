import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { HeaderMap } from '@meltemi/http';
import { encoded } from '../../../testing/http2-wire.ts';
import { HpackDecoder } from './decoder.ts';
import { HpackEncoder } from './encoder.ts';
import { decodeHuffman, encodeHuffman, huffmanLength } from './huffman.ts';

function decode(decoder: HpackDecoder, block: Buffer): string[] | null {
  const fields: string[] = [];
  return decoder.decode(block, 0, block.length, { onField: (field, value, valid) => fields.push(`${field.name}: ${value}${valid ? '' : ' (bad)'}`) }) ? fields : null;
}

const hex = (text: string) => Buffer.from(text.replaceAll(' ', ''), 'hex');

test('RFC 7541 C.1: integers with prefixes of 5 and 8 bits', () => {
  // 10 and 1337 in five bits, as sizes of the table.
  const decoder = new HpackDecoder();
  assert.deepEqual(decode(decoder, hex('2a')), []);
  assert.deepEqual(decode(decoder, hex('3f9a0a')), []);
});

test('RFC 7541 C.2: literals indexed, not indexed, never indexed, and an indexed field', () => {
  const decoder = new HpackDecoder();
  assert.deepEqual(decode(decoder, hex('400a 6375 7374 6f6d 2d6b 6579 0d63 7573 746f 6d2d 6865 6164 6572')), ['custom-key: custom-header']);
  assert.equal(decoder.size, 55);
  assert.deepEqual(decode(decoder, hex('040c 2f73 616d 706c 652f 7061 7468')), [':path: /sample/path']);
  assert.deepEqual(decode(decoder, hex('1008 7061 7373 776f 7264 0673 6563 7265 74')), ['password: secret']);
  assert.deepEqual(decode(decoder, hex('82')), [':method: GET']);
  assert.equal(decoder.size, 55);
});

test('RFC 7541 C.4: three requests with Huffman coding share the table', () => {
  const decoder = new HpackDecoder();
  const first = [':method: GET', ':scheme: http', ':path: /', ':authority: www.example.com'];
  assert.deepEqual(decode(decoder, hex('8286 8441 8cf1 e3c2 e5f2 3a6b a0ab 90f4 ff')), first);
  assert.deepEqual(decode(decoder, hex('8286 84be 5886 a8eb 1064 9cbf')), [...first, 'cache-control: no-cache']);
  assert.deepEqual(decode(decoder, hex('8287 85bf 4088 25a8 49e9 5ba9 7d7f 8925 a849 e95b b8e8 b4bf')), [
    ':method: GET', ':scheme: https', ':path: /index.html', ':authority: www.example.com', 'custom-key: custom-value',
  ]);
  assert.equal(decoder.size, 164);
});

test('RFC 7541 §4.4: an entry larger than the table empties it', () => {
  const decoder = new HpackDecoder();
  decode(decoder, hex('40 01 61 01 62'));
  assert.equal(decoder.size, 34);
  // Size 34, then an entry of 35.
  assert.deepEqual(decode(decoder, hex('3f03 40 01 61 02 6262')), ['a: bb']);
  assert.equal(decoder.size, 0);
});

for (const [what, block] of [
  ['§2.3.3: an index beyond the table', 'c0'], ['§6.1: index 0', '80'], ['§5.1: an integer without end', 'ffffffffffffff'], ['§5.2: a string longer than the block', '0005 61'],
  ['§5.2: EOS inside a Huffman string', '0084 ffff ffff 00'], ['§5.2: padding longer than seven bits', '0082 1fff 00'], ['§5.2: padding that is not ones', '0081 18 00'],
  ['§4.2: a size update after a field', '82 20'], ['§6.3: a size beyond the limit', '3fe2 1f'],
] as const) {
  test(`RFC 7541 ${what} cannot be read`, () => assert.equal(decode(new HpackDecoder(), hex(block)), null));
}

test('what repeats costs one byte, what changes does not push it out', () => {
  const encoder = new HpackEncoder();
  const request = (id: number) => HeaderMap.from([['user-agent', 'bench/1.0'], ['x-request-id', `id-${id}`], ['x-kept', 'always the same']]);
  const decoder = new HpackDecoder();
  for (let id = 0; id < 500; id++) {
    const block = encoded(encoder, request(id));
    assert.deepEqual(decode(decoder, block), ['user-agent: bench/1.0', `x-request-id: id-${id}`, 'x-kept: always the same']);
    if (id > 1) assert.ok(block.length <= 5 + `id-${id}`.length, `${block.length}`);
  }
});

test('secrets are never indexed, short cookies neither', () => {
  const encoder = new HpackEncoder();
  for (let i = 0; i < 3; i++) {
    for (const [name, value] of [['authorization', 'Bearer x'], ['set-cookie', 'a=b'], ['cookie', 'sid=1']] as const) {
      const block = encoded(encoder, new HeaderMap([name, value]));
      assert.equal((block[0] ?? 0) >> 4, 1, name);
      assert.ok(block.includes(value));
    }
  }
});

test('fields that belong to an HTTP/1 connection are left out', () => {
  assert.equal(encoded(new HpackEncoder(), new HeaderMap(['connection', 'close', 'transfer-encoding', 'chunked', 'keep-alive', '1', 'upgrade', 'x'])).length, 0);
});

test('a smaller table of the peer is announced and kept to', () => {
  const encoder = new HpackEncoder();
  const decoder = new HpackDecoder();
  const fields = HeaderMap.from([['x-a', 'one'], ['x-b', 'two']]);
  for (let i = 0; i < 3; i++) decode(decoder, encoded(encoder, fields));
  encoder.setPeerLimit(0);
  encoder.setPeerLimit(64);
  const block = encoded(encoder, fields);
  assert.deepEqual([...block.subarray(0, 3)], [0x20, 0x3f, 0x21]);
  assert.deepEqual(decode(decoder, block), ['x-a: one', 'x-b: two']);
  assert.ok(decoder.size <= 64);
});

test('characters beyond latin1 go out as UTF-8, so that none turns into another', () => {
  assert.deepEqual(decode(new HpackDecoder(), encoded(new HpackEncoder(), new HeaderMap(['x', 'Ċ']))), ['x: Ä\u008a']);
});

const value = fc.string({ unit: fc.nat(255).map((code) => String.fromCharCode(code)), maxLength: 60 });
const name = fc.oneof(fc.constantFrom(':path', ':status', 'accept-encoding', 'content-type', 'cookie', 'x-request-id', 'set-cookie'), fc.stringMatching(/^x-[a-z]{1,3}$/));

test('Huffman: what is encoded decodes to itself', () => {
  fc.assert(fc.property(value, (text) => {
    const out = Buffer.alloc(text.length * 4 + 4);
    const size = encodeHuffman(text, out, 0);
    assert.equal(size, huffmanLength(text));
    assert.equal(decodeHuffman(out, 0, size), text);
  }));
});

test('HPACK: any list of fields comes back, whatever the tables hold', () => {
  fc.assert(fc.property(fc.array(fc.array(fc.tuple(name, value), { maxLength: 20 }), { maxLength: 12 }), fc.array(fc.nat(5000), { maxLength: 12 }), (blocks, sizes) => {
    const encoder = new HpackEncoder();
    const decoder = new HpackDecoder();
    for (const [i, fields] of blocks.entries()) {
      const size = sizes[i];
      if (size !== undefined) encoder.setPeerLimit(Math.min(size, 4096));
      const seen: string[] = [];
      const block = encoded(encoder, new HeaderMap(fields.flat()));
      assert.ok(decoder.decode(block, 0, block.length, { onField: (field, text) => seen.push(field.name, text) }));
      assert.deepEqual(seen, fields.flat());
    }
  }));
});

test('HPACK: random bytes never throw and never grow the table beyond its limit', () => {
  fc.assert(fc.property(fc.array(fc.uint8Array({ maxLength: 200 }), { maxLength: 5 }), (blocks) => {
    const decoder = new HpackDecoder();
    for (const block of blocks) decode(decoder, Buffer.from(block));
    assert.ok(decoder.size >= 0 && decoder.size <= 4096);
  }));
});
