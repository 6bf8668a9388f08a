import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { JournalRecord } from '@meltemi/config';
import { encodeLine, readJournal, readSnapshot } from './journal-format.ts';

const key = fc.record({ group: fc.string(), kind: fc.string(), namespace: fc.string(), name: fc.string() });
const record: fc.Arbitrary<JournalRecord> = fc.oneof(
  fc.record({ type: fc.constant('commit' as const), version: fc.nat(), changes: fc.array(fc.record({ key }), { maxLength: 3 }) }),
  fc.record({ type: fc.constant('status' as const), changes: fc.array(fc.record({ key, record: fc.record({ status: fc.dictionary(fc.string(), fc.string()) }) }), { maxLength: 3 }) }),
);
const runs = { numRuns: Number(process.env['FUZZ_RUNS'] ?? 300) };

void test('what was written is read back, whatever garbage follows', () => {
  fc.assert(
    fc.property(fc.array(record, { maxLength: 6 }), fc.uint8Array({ maxLength: 200 }), (records, garbage) => {
      const valid = Buffer.concat(records.map(encodeLine));
      const reading = readJournal(Buffer.concat([valid, garbage]));
      assert.deepEqual(JSON.stringify(reading.records), JSON.stringify(records));
      assert.equal(reading.validBytes, valid.length);
    }),
    runs,
  );
});

void test('a journal cut anywhere gives the records that were whole', () => {
  fc.assert(
    fc.property(fc.array(record, { minLength: 1, maxLength: 6 }), fc.nat(), (records, at) => {
      const lines = records.map(encodeLine);
      const valid = Buffer.concat(lines);
      const cut = at % (valid.length + 1);
      let whole = 0;
      let bytes = 0;
      while (bytes + (lines[whole]?.length ?? Infinity) <= cut) bytes += lines[whole++]?.length ?? 0;
      const reading = readJournal(valid.subarray(0, cut));
      assert.equal(reading.records.length, whole);
      assert.equal(reading.validBytes, bytes);
    }),
    runs,
  );
});

void test('a flipped bit ends the reading at its record, never inside or beyond', () => {
  fc.assert(
    fc.property(fc.array(record, { minLength: 1, maxLength: 6 }), fc.nat(), fc.integer({ min: 0, max: 7 }), (records, at, bit) => {
      const lines = records.map(encodeLine);
      const bytes = Buffer.concat(lines);
      const place = at % bytes.length;
      bytes[place] = (bytes[place] ?? 0) ^ (1 << bit);
      let before = 0;
      for (let end = 0; before < lines.length && end + (lines[before]?.length ?? 0) <= place; before += 1) end += lines[before]?.length ?? 0;
      assert.deepEqual(JSON.stringify(readJournal(bytes).records), JSON.stringify(records.slice(0, before)));
    }),
    runs,
  );
});

void test('arbitrary bytes are read without a throw', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 400 }), (bytes) => {
      const reading = readJournal(Buffer.from(bytes));
      assert.ok(reading.validBytes <= bytes.length);
      readSnapshot(Buffer.from(bytes));
    }),
    runs,
  );
});

void test('a line that adds up but is no record is the end too', () => {
  for (const value of [null, 1, {}, { type: 'commit', version: -1, changes: [] }, { type: 'commit', version: 1, changes: [null] }, { type: 'other', changes: [] }]) {
    assert.equal(readJournal(encodeLine(value as unknown as JournalRecord)).validBytes, 0);
  }
});
