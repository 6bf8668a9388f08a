import { parseIssued, type IssuedRecord } from '@meltemi/citadel';
import type { ValueCodec } from '../sealing/sealer.ts';

/** Enough to be quick over thousands, and others ask the storage meanwhile. */
const readAtOnce = 16;

/** The batches of these names in order, and the names of those that `read` gives as undefined: damaged. */
export async function readBatches(names: readonly string[], read: (name: string) => Promise<readonly IssuedRecord[] | undefined>): Promise<{ readonly records: readonly IssuedRecord[]; readonly damaged: readonly string[] }> {
  const records: IssuedRecord[] = [];
  const damaged: string[] = [];
  for (let start = 0; start < names.length; start += readAtOnce) {
    const batches = await Promise.all(names.slice(start, start + readAtOnce).map(async (name) => ({ name, batch: await read(name) })));
    for (const { name, batch } of batches) {
      if (batch) records.push(...batch);
      else damaged.push(name);
    }
  }
  return { records, damaged };
}

/** A batch as it is stored; undefined when it was damaged or changed outside citadel: what the others say counts all the same. */
export function readIssued(values: ValueCodec, stored: string, name: string): readonly IssuedRecord[] | undefined {
  try {
    const parsed = parseIssued(values.decode(stored, name));
    return parsed.ok ? parsed.value : undefined;
  } catch {
    return undefined;
  }
}
