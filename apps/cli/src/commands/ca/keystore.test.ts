import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { claimDirectory } from '@meltemi/citadel-edge';
import { runMeltemi } from '../../testing/run-meltemi.ts';

// What is copied, and etcd, is tested with the real one: libs/citadel-edge/src/moving/copy-keystore.test.ts.

const dir = mkdtempSync(join(tmpdir(), 'meltemi-keystore-'));
after(() => rmSync(dir, { recursive: true, force: true }));
const meltemi = (...args: string[]) => runMeltemi(dir, ['ca', 'keystore', ...args]);
const [plain, sealed, key] = [join(dir, 'plain'), join(dir, 'sealed'), join(dir, 'key')];
writeFileSync(key, randomBytes(32), { mode: 0o600 });
mkdirSync(plain, { mode: 0o700 });
writeFileSync(join(plain, 'issuers.json'), JSON.stringify({ issuers: ['PEM'] }), { mode: 0o600 });

test('a keystore that a citadel uses is refused, by name of its process', async () => {
  const release = await claimDirectory(plain);
  const refused = await meltemi('move', '--from', `dir:${plain}`, '--to', `dir:${sealed}`, '--to-key-file', key);
  await release();
  assert.equal(refused.code, 1);
  assert.match(refused.err, new RegExp(`a citadel runs on the keystore in ${plain} as process ${process.pid}: stop it first`));
  assert.equal(existsSync(sealed), false);
});

test('move seals, compares, says what there was, and leaves a mark; copy finds it', async () => {
  const moved = await meltemi('move', '--from', `dir:${plain}`, '--to', `dir:${sealed}`, '--to-key-file', key);
  assert.equal(moved.code, 0, moved.err);
  assert.match(moved.out, /^Copied and compared, dir:.*: no authority, 1 plugged-in issuing CAs, 0 JWT keys, .*, 0 join tokens\.\nNo citadel starts on dir:/);
  assert.match(readFileSync(join(sealed, 'issuers.json'), 'utf8'), /^\{"sealed":1/);
  const again = await meltemi('copy', '--from', `dir:${plain}`, '--to', `dir:${join(dir, 'third')}`);
  assert.equal(again.code, 1);
  assert.match(again.err, /was moved away: to dir:.*sealed, at 20/);
  const wrong = await meltemi('copy', '--from', `dir:${sealed}`, '--to', `dir:${join(dir, 'fourth')}`);
  assert.match(wrong.err, /the keystore is sealed: give what it was sealed with/);
});

test('what cannot be meant is refused before anything is opened', async () => {
  for (const [args, code, reason] of [
    [['move', '--from', 'etcd://127.0.0.1:1', '--to', `dir:${join(dir, 'x')}`], 64, /--from must be a folder/],
    [['copy', '--from', `dir:${join(dir, 'nothing')}`, '--to', `dir:${join(dir, 'x')}`], 1, /is no folder: there is no keystore to copy/],
    [['copy', '--from', `dir:${sealed}`, '--from-key-file', key, '--to', 'etcd://127.0.0.1:1'], 1, /etcd must not hold keys/],
    [['copy', '--from', `dir:${sealed}`, '--from-key-file', key, '--from-passphrase-file', key, '--to', `dir:${join(dir, 'x')}`], 1, /not both/],
    [['copy', '--from', 'etcd://10.0.0.1:1', '--from-key-file', key, '--to', `dir:${join(dir, 'x')}`], 1, /give --etcd-cacert, or --etcd-plaintext/],
    [['copy', '--from', 'etcds://127.0.0.1:1', '--from-key-file', key, '--to', `dir:${join(dir, 'x')}`, '--etcd-cacert', join(dir, 'none')], 1, /--etcd-cacert .*none: ENOENT/],
    [['copy', '--from', 'etcd://127.0.0.1:1', '--from-key-file', key, '--to', `dir:${join(dir, 'x')}`, '--etcd-username', 'me'], 1, /--etcd-username and --etcd-password-file/],
  ] as const) {
    const said = await meltemi(...args);
    assert.equal(said.code, code, said.err);
    assert.match(said.err, reason);
  }
  assert.equal(existsSync(join(dir, 'x')), false);
});
