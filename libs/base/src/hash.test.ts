import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { hash64, hashModulo, murmurHash2, xxHash64 } from './index.ts';

const hash = hash64();
const hex = () => hash.hi.toString(16).padStart(8, '0') + hash.lo.toString(16).padStart(8, '0');
const value = () => (BigInt(hash.hi) << 32n) | BigInt(hash.lo);

test('XXH64 gives the values that others publish for it', () => {
  const known: readonly (readonly [string, string])[] = [
    ['', 'ef46db3751d8e999'], ['a', 'd24ec4f1a98c6e5b'], ['abc', '44bc2cf5ad770999'], ['foo', '33bf00a859c4ba3f'], ['Nobody inspects the spammish repetition', 'fbcea83c8a378bf1'],
  ];
  for (const [text, expected] of known) {
    xxHash64(text, hash);
    assert.equal(hex(), expected, text);
  }
});

test('MurmurHash2 gives what std::hash gives', () => {
  murmurHash2('foo', hash);
  assert.equal(hex(), '85a8e535edf11e5a');
});

const mask = (1n << 64n) - 1n;
const little = (bytes: Buffer, at: number, length: number) => bytes.subarray(at, at + length).reduceRight((sum, byte) => (sum << 8n) | BigInt(byte), 0n);
const bytes = fc.uint8Array({ maxLength: 150 }).map((array) => Buffer.from(array));

test('halves reckon as one 64-bit number does: XXH64 against its specification in BigInt', () => {
  const p = [11400714785074694791n, 14029467366897019727n, 1609587929392839161n, 9650029242287828579n, 2870177450012600261n] as const;
  const rotate = (x: bigint, by: bigint) => ((x << by) | (x >> (64n - by))) & mask;
  const round = (acc: bigint, input: bigint) => (rotate((acc + input * p[1]) & mask, 31n) * p[0]) & mask;
  const reference = (data: Buffer, seed: bigint) => {
    let at = 0;
    let acc = (seed + p[4]) & mask;
    if (data.length >= 32) {
      const lanes = [(seed + p[0] + p[1]) & mask, (seed + p[1]) & mask, seed, (seed - p[0]) & mask];
      for (; at + 32 <= data.length; at += 32) for (let i = 0; i < 4; i++) lanes[i] = round(lanes[i] ?? 0n, little(data, at + 8 * i, 8));
      acc = lanes.reduce((sum, lane, i) => (sum + rotate(lane, [1n, 7n, 12n, 18n][i] ?? 0n)) & mask, 0n);
      for (const lane of lanes) acc = ((acc ^ round(0n, lane)) * p[0] + p[3]) & mask;
    }
    acc = (acc + BigInt(data.length)) & mask;
    for (; at + 8 <= data.length; at += 8) acc = (rotate(acc ^ round(0n, little(data, at, 8)), 27n) * p[0] + p[3]) & mask;
    if (at + 4 <= data.length) {
      acc = (rotate(acc ^ ((little(data, at, 4) * p[0]) & mask), 23n) * p[1] + p[2]) & mask;
      at += 4;
    }
    for (; at < data.length; at++) acc = (rotate(acc ^ ((BigInt(data[at] ?? 0) * p[4]) & mask), 11n) * p[0]) & mask;
    acc = ((acc ^ (acc >> 33n)) * p[1]) & mask;
    acc = ((acc ^ (acc >> 29n)) * p[2]) & mask;
    return acc ^ (acc >> 32n);
  };
  fc.assert(fc.property(bytes, fc.nat(3), (data, seed) => {
    xxHash64(data.toString('latin1'), hash, seed);
    assert.equal(value(), reference(data, BigInt(seed)));
  }), { numRuns: 300 });
});

test('halves reckon as one 64-bit number does: MurmurHash2 and remainders', () => {
  const m = 0xc6a4a7935bd1e995n;
  const mix = (x: bigint) => x ^ (x >> 47n);
  const reference = (data: Buffer) => {
    let acc = 0xc70f6907n ^ ((BigInt(data.length) * m) & mask);
    const whole = data.length & ~7;
    for (let at = 0; at < whole; at += 8) acc = ((acc ^ ((mix((little(data, at, 8) * m) & mask) * m) & mask)) * m) & mask;
    if (whole < data.length) acc = ((acc ^ little(data, whole, data.length - whole)) * m) & mask;
    return mix((mix(acc) * m) & mask);
  };
  fc.assert(fc.property(bytes, fc.integer({ min: 1, max: 8_388_608 }), (data, modulus) => {
    murmurHash2(data.toString('latin1'), hash);
    assert.equal(value(), reference(data));
    assert.equal(hashModulo(hash, modulus), Number(value() % BigInt(modulus)));
  }), { numRuns: 300 });
});
