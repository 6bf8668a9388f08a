import { crc32 } from 'node:zlib';
import type { JournalRecord, StoreContents } from '@meltemi/config';

/*
 * The journal is text, one record a line: eight hex digits of CRC-32 over the JSON, a space, the JSON, a newline. A crash in the middle of a write leaves
 * a last line that is short or does not add up; reading stops there. The snapshot is one such line.
 */

/** What a journal's bytes hold: every record before the first byte that makes no sense, and where that is. */
export interface JournalReading {
  readonly records: readonly JournalRecord[];
  /** Length of the valid prefix, bytes. */
  readonly validBytes: number;
}

export function encodeLine(value: JournalRecord | StoreContents): Buffer {
  const json = JSON.stringify(value);
  return Buffer.from(`${checksum(Buffer.from(json))} ${json}\n`);
}

/** Reads any bytes; never throws. */
export function readJournal(bytes: Buffer): JournalReading {
  const records: JournalRecord[] = [];
  let validBytes = 0;
  while (validBytes < bytes.length) {
    const end = bytes.indexOf(0x0a, validBytes);
    const record = end < 0 ? undefined : decodeLine(bytes.subarray(validBytes, end));
    if (!isJournalRecord(record)) break;
    records.push(record);
    validBytes = end + 1;
  }
  return { records, validBytes };
}

/** The snapshot in `bytes`, or undefined when they are no whole snapshot. Never throws. */
export function readSnapshot(bytes: Buffer): StoreContents | undefined {
  const end = bytes.indexOf(0x0a);
  const value = end < 0 ? undefined : decodeLine(bytes.subarray(0, end));
  return isRecord(value) && isCount(value['version']) && everyHas(value['objects'], 'object') && everyHas(value['statuses'], 'key') ? (value as unknown as StoreContents) : undefined;
}

function decodeLine(line: Buffer): unknown {
  if (line.length < 10 || line[8] !== 0x20) return undefined;
  const json = line.subarray(9);
  if (line.toString('latin1', 0, 8) !== checksum(json)) return undefined;
  try {
    return JSON.parse(json.toString('utf8'));
  } catch {
    return undefined;
  }
}

function isJournalRecord(value: unknown): value is JournalRecord {
  if (!isRecord(value) || !everyHas(value['changes'], 'key')) return false;
  return value['type'] === 'status' || (value['type'] === 'commit' && isCount(value['version']));
}

function everyHas(list: unknown, field: string): boolean {
  return Array.isArray(list) && list.every((each) => isRecord(each) && isRecord(each[field]));
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function isCount(value: unknown): boolean {
  return Number.isSafeInteger(value) && Number(value) >= 0;
}

function checksum(bytes: Buffer): string {
  return crc32(bytes).toString(16).padStart(8, '0');
}
