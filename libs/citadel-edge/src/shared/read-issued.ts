import { parseIssued, type IssuedRecord } from '@meltemi/citadel';
import type { ValueCodec } from '../sealing/sealer.ts';

/** A batch as it is stored; undefined when it was damaged or changed outside citadel: what the others say counts all the same. */
export function readIssued(values: ValueCodec, stored: string, name: string): readonly IssuedRecord[] | undefined {
  try {
    const parsed = parseIssued(values.decode(stored, name));
    return parsed.ok ? parsed.value : undefined;
  } catch {
    return undefined;
  }
}
