import { readFileSync } from 'node:fs';
import type { Source } from '@meltemi/snapshot';

/** The bytes of a value, from wherever it is; throws when it cannot be read. */
export function readSource(source: Source): Buffer {
  if (source.kind === 'inline') return source.bytes;
  if (source.kind === 'file') return readFileSync(source.path);
  const value = process.env[source.name];
  if (value === undefined) throw new Error(`environment variable ${source.name} is not set`);
  return Buffer.from(value, 'utf8');
}
