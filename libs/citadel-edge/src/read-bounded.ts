import { readFile, stat } from 'node:fs/promises';
import { isCode } from '@meltemi/identity-edge';

/** The text of a file; undefined when there is none. Rejects when it is larger than `maxBytes`. */
export async function readBounded(path: string, maxBytes: number): Promise<string | undefined> {
  try {
    const { size } = await stat(path);
    if (size > maxBytes) throw new Error(`${path} has ${size} bytes; the limit is ${maxBytes}`);
    return await readFile(path, 'utf8');
  } catch (cause) {
    if (isCode(cause, 'ENOENT')) return undefined;
    throw cause;
  }
}
