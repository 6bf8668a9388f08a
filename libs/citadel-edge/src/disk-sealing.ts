import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { replaceFile } from '@meltemi/identity-edge';
import { replaceExpected, revisionOf, whileLocked } from './disk-files.ts';
import { readBounded } from './read-bounded.ts';
import { openSealing, type Sealing } from './sealing/open-sealing.ts';
import { isSealed, plainValues, Sealer, type ValueCodec } from './sealing/sealer.ts';
import { wrapDataKey } from './sealing/sealing-record.ts';

const maxRecordBytes = 8192;
const maxValueBytes = 1_048_576;

/**
 * How the values of the keystore in `dir` look. With `sealing`, a keystore that was plain is sealed first: the record says that this is unfinished until every
 * file was replaced, so a crash in between is made good by the next start, and never by one without the secret. Rejects, having changed nothing, when the
 * secret is wrong, or missing.
 */
export async function openDiskValues(dir: string, sealing: Sealing | undefined): Promise<ValueCodec> {
  const file = { path: join(dir, 'sealing.json'), maxBytes: maxRecordBytes };
  const read = (): Promise<string | undefined> => readBounded(file.path, file.maxBytes);
  if (!sealing) {
    if ((await read()) !== undefined) throw new Error('the keystore is sealed: give what it was sealed with, --keystore-passphrase-file or --keystore-key-file');
    return plainValues;
  }
  const slot = {
    load: async () => {
      const text = await read();
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

async function holdsPlainValues(dir: string): Promise<boolean> {
  const values = await valueFiles(dir);
  if (values.some(({ text }) => isSealed(text))) throw new Error(`${join(dir, 'sealing.json')} is missing, and without it nobody can open what is sealed: restore it from a backup`);
  return values.length > 0;
}

async function sealFiles(dir: string, values: ValueCodec): Promise<void> {
  for (const { path, name, text } of await valueFiles(dir)) if (!isSealed(text)) await replaceFile(path, values.encode(text, name));
}

async function valueFiles(dir: string): Promise<{ readonly path: string; readonly name: string; readonly text: string }[]> {
  const tokens = (await readdir(join(dir, 'tokens'))).filter((name) => /^[0-9a-f]{64}\.json$/.test(name)).map((name) => `tokens/${name}`);
  const issued = (await readdir(join(dir, 'issued'))).filter((name) => /^[0-9a-z]+\.json$/.test(name)).map((name) => `issued/${name}`);
  const values = [];
  for (const file of ['authority.json', 'issuers.json', 'jwt-keys.json', 'revocations.json', ...issued, ...tokens]) {
    const path = join(dir, file);
    const text = await readBounded(path, maxValueBytes);
    if (text !== undefined) values.push({ path, name: file === 'jwt-keys.json' ? 'jwtkeys' : file.replace(/\.json$/, ''), text });
  }
  return values;
}
