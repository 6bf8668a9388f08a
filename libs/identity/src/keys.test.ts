import assert from 'node:assert/strict';
import { createPublicKey, ECDH, generateKeyPairSync } from 'node:crypto';
import { test } from 'node:test';
import { readPublicKey, spkiOf } from './keys.ts';

const curves = [['P-256', 'prime256v1', 33], ['P-384', 'secp384r1', 49]] as const;

test('a key is exported as OpenSSL does, whatever form it was read in', () => {
  const fresh = (spki: Buffer): Buffer => createPublicKey({ key: spki, format: 'der', type: 'spki' }).export({ type: 'spki', format: 'der' });
  for (const [namedCurve, curve, compressedBytes] of curves) {
    const { publicKey } = generateKeyPairSync('ec', { namedCurve });
    const spki = publicKey.export({ type: 'spki', format: 'der' });
    assert.deepEqual(spkiOf(publicKey), spki);
    assert.deepEqual(spkiOf(readPublicKey(spki)), fresh(spki));
    const point = spki.subarray(-(2 * compressedBytes - 1));
    const compressed = Buffer.concat([spki.subarray(0, -point.length), ECDH.convertKey(point, curve, undefined, undefined, 'compressed') as Buffer]);
    for (const at of [1, compressed.indexOf(0x03, 4 + (compressed[3] ?? 0)) + 1]) compressed[at] = (compressed[at] ?? 0) - (compressedBytes - 1);
    assert.deepEqual(spkiOf(readPublicKey(compressed)), fresh(compressed));
  }
  const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 }).publicKey.export({ type: 'spki', format: 'der' });
  assert.deepEqual(spkiOf(readPublicKey(rsa)), rsa);
});

test('a point that is not on the curve is refused, also in the plain form', () => {
  const spki = generateKeyPairSync('ec', { namedCurve: 'P-256' }).publicKey.export({ type: 'spki', format: 'der' });
  spki[spki.length - 1] = (spki.at(-1) ?? 0) ^ 1;
  assert.throws(() => readPublicKey(spki), /cannot be read/);
});
