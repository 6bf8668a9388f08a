import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { chooseEncoding } from './accept-encoding.ts';

const offer = (encoding: string, chooseFirst = false) => ({ encoding, chooseFirst });
const both = [offer('gzip'), offer('br')];
const choose = (header: string | null, offers = both) => chooseEncoding(header, offers);

test('the encoding with the highest weight wins, the earlier named among equals', () => {
  const rows = [
    ['gzip, br', 'gzip'], ['br, gzip', 'br'], ['gzip;q=0.5, br;q=0.6', 'br'], ['deflate, GZIP', 'gzip'], ['x-gzip', 'gzip'], ['br;q=0, gzip;q=0.001', 'gzip'],
    ['*', 'gzip'], ['*;q=0.5, gzip;q=0', 'br'], ['gzip;q=1.0;x=y', 'gzip'], ['identity;q=0.4, gzip;q=0.5', 'gzip'],
  ] as const;
  for (const [header, encoding] of rows) assert.equal(choose(header).encoding, encoding, header);
});

test('nothing is chosen when the client takes none of them, or would rather have it plain', () => {
  const rows = [[null, 'no_accept_header'], ['', 'header_not_valid'], ['deflate', 'header_not_valid'], ['gzip;q=0', 'header_not_valid'], ['gzip;q=2', 'header_not_valid'], ['identity, gzip;q=0.5', 'header_identity'], ['identity', 'header_identity']] as const;
  for (const [header, reason] of rows) assert.deepEqual(choose(header), { encoding: null, reason }, String(header));
});

test('among equals the one that wants to be first is', () => {
  assert.equal(choose('gzip, br', [offer('gzip'), offer('br', true)]).encoding, 'br');
  assert.equal(choose('gzip, br;q=0.9', [offer('gzip'), offer('br', true)]).encoding, 'gzip');
  assert.equal(choose('gzip, br', [offer('gzip', true), offer('br', true)]).encoding, 'br');
});

test('whatever the header says, only an encoding on offer that it does not exclude is chosen', () => {
  const token = fc.constantFrom('gzip', 'br', 'zstd', 'identity', '*', 'deflate', '', 'q=1', '\u00e9');
  const weight = fc.constantFrom('', ';q=0', ';q=1', ';q=0.5', ';q=', ';q=1.1', '; q=0.000', ';;', ';q=0.3;q=0');
  fc.assert(fc.property(fc.oneof(fc.array(fc.tuple(token, weight)).map((items) => items.map((item) => item.join('')).join(',')), fc.string()), (header) => {
    const { encoding } = choose(header);
    if (encoding === null) return;
    assert.ok(encoding === 'gzip' || encoding === 'br');
    assert.ok(header.toLowerCase().includes(encoding) || header.includes('*'), header);
  }));
});
