import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { readKeyFile, readPassphraseFile } from './sealing-secret.ts';

const dir = mkdtempSync(join(tmpdir(), 'meltemi-secret-'));
after(() => rmSync(dir, { recursive: true, force: true }));

function file(contents: string | Buffer, mode = 0o600): string {
  const path = join(dir, randomBytes(4).toString('hex'));
  writeFileSync(path, contents);
  chmodSync(path, mode);
  return path;
}

test('a passphrase is the first line of its file', async () => {
  assert.deepEqual(await readPassphraseFile(file('correct horse battery\n')), { kind: 'passphrase', bytes: Buffer.from('correct horse battery') });
  assert.deepEqual((await readPassphraseFile(file('correct horse battery\r\nsecond'))).bytes, Buffer.from('correct horse battery'));
  await assert.rejects(readPassphraseFile(file('short\n')), /at least 12 bytes/);
  await assert.rejects(readPassphraseFile(file('x'.repeat(2000))), /longer than 1024 bytes/);
});

test('a key file holds 32 bytes, as they are or in base64', async () => {
  const key = randomBytes(32);
  assert.deepEqual(await readKeyFile(file(key)), { kind: 'key file', bytes: key });
  assert.deepEqual((await readKeyFile(file(`${key.toString('base64')}\n`))).bytes, key);
  for (const wrong of [randomBytes(31), randomBytes(33), Buffer.alloc(0), randomBytes(16).toString('base64')]) await assert.rejects(readKeyFile(file(wrong)), /32 random bytes/);
});

test('a file that others can read, or that is none, is refused with what to do', async () => {
  for (const mode of [0o644, 0o640, 0o604, 0o620]) await assert.rejects(readKeyFile(file(randomBytes(32), mode)), /has mode 06\d\d: others can read or change it\. "chmod 600/);
  await assert.rejects(readPassphraseFile(dir), /no regular file/);
  await assert.rejects(readPassphraseFile(join(dir, 'nothing')), /nothing cannot be read: ENOENT/);
});
