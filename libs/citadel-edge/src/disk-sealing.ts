import { join } from 'node:path';
import { replaceFile } from '@meltemi/identity-edge';
import { replaceExpected, revisionOf, whileLocked } from './disk-files.ts';
import { layoutOf, valueFilesOf, type ValueFile } from './disk-layout.ts';
import { readBounded } from './read-bounded.ts';
import { openSealing, type Sealing } from './sealing/open-sealing.ts';
import { isSealed, plainValues, Sealer, type ValueCodec } from './sealing/sealer.ts';
import { unwrapDataKey, wrapDataKey } from './sealing/sealing-record.ts';

const maxRecordBytes = 8192;

/**
 * How the values of the keystore in `dir` look. With `sealing`, a keystore that was plain is sealed first: the record says that this is unfinished until every
 * file was replaced, so a crash in between is made good by the next start, and never by one without the secret. Rejects, having changed nothing, when the
 * secret is wrong, or missing.
 */
export async function openDiskValues(dir: string, sealing: Sealing | undefined): Promise<ValueCodec> {
  if (!sealing) return openPlain(dir);
  const file = recordOf(dir);
  const slot = {
    load: async () => {
      const text = await readBounded(file.path, file.maxBytes);
      return text === undefined ? undefined : { value: text, revision: revisionOf(text) };
    },
    save: (record: string, expected: string | undefined) => replaceExpected(file, record, expected),
  };
  return whileLocked(dir, async () => {
    const { key, unfinished } = await openSealing(slot, sealing, () => holdsPlainValues(dir));
    const values = new Sealer(key);
    if (!unfinished) return values;
    await sealFiles(dir, values);
    await replaceFile(file.path, await wrapDataKey({ key, unfinished: false }, sealing.secret));
    return values;
  });
}

/** The same to be read alone, and nothing is changed: rejects where opening it would seal something first. */
export async function readDiskValues(dir: string, sealing: Sealing | undefined): Promise<ValueCodec> {
  if (!sealing) return openPlain(dir);
  const file = recordOf(dir);
  const record = await readBounded(file.path, file.maxBytes);
  if (record === undefined) throw new Error((await holdsPlainValues(dir)) ? `the keystore in ${dir} is not sealed: leave out what would open it` : `there is no keystore in ${dir}`);
  const opened = await unwrapDataKey(record, sealing.secret);
  if (!opened.ok) throw new Error(`${opened.error}. Nothing was changed`);
  if (opened.value.unfinished) throw new Error(`the sealing of the keystore in ${dir} was not finished: start a citadel on it once`);
  return new Sealer(opened.value.key);
}

async function openPlain(dir: string): Promise<ValueCodec> {
  const { path, maxBytes } = recordOf(dir);
  if ((await readBounded(path, maxBytes)) !== undefined) throw new Error('the keystore is sealed: give what it was sealed with, --keystore-passphrase-file or --keystore-key-file');
  return plainValues;
}

function recordOf(dir: string): { readonly path: string; readonly maxBytes: number } {
  return { path: join(dir, 'sealing.json'), maxBytes: maxRecordBytes };
}

async function holdsPlainValues(dir: string): Promise<boolean> {
  const values = await valuesIn(dir);
  if (values.some(({ text }) => isSealed(text))) throw new Error(`${recordOf(dir).path} is missing, and without it nobody can open what is sealed: restore it from a backup`);
  return values.length > 0;
}

async function sealFiles(dir: string, values: ValueCodec): Promise<void> {
  for (const { path, name, text } of await valuesIn(dir)) if (!isSealed(text)) await replaceFile(path, values.encode(text, name));
}

async function valuesIn(dir: string): Promise<(ValueFile & { readonly text: string })[]> {
  const values = [];
  for (const file of await valueFilesOf(layoutOf(dir))) {
    const text = await readBounded(file.path, file.maxBytes);
    if (text !== undefined) values.push({ ...file, text });
  }
  return values;
}
