import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { generateKeyPairSync, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { cpSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { keystoreContract } from '@meltemi/citadel/keystore-contract';
import { DiskKeystore } from './disk-keystore.ts';
import type { Sealing } from './sealing/open-sealing.ts';
import type { SealingSecret } from './sealing/sealing-secret.ts';

const material = { rootCertificatePem: 'root', rootKeyPem: 'TOP-SECRET', issuingCertificatePem: 'issuing', issuingKeyPem: 'TOP-SECRET', retiredIssuingPem: [] };
const revocations = { number: 1, certificates: [], identities: [{ spiffeId: 'spiffe://cluster.local/ns/a/sa/b', before: 1000 }], lists: [] };
const jwtKeys = { keys: [{ id: 'TOP-SECRET', privateKeyPem: generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(), signsFrom: 1, signsUntil: 2, publishedUntil: 3 }] };
const issued = [{ serial: 'ab', spiffeId: 'spiffe://cluster.local/ns/a/sa/b', notAfter: 2000 }];
const token = { hash: 'ab'.repeat(32), spiffeId: 'spiffe://cluster.local/ns/a/sa/b', expiresAt: 1000 };
const keyFile = (): SealingSecret => ({ kind: 'key file', bytes: randomBytes(32) });
const passphrase = (text: string): SealingSecret => ({ kind: 'passphrase', bytes: Buffer.from(text) });

async function inDirectory(run: (dir: string) => Promise<void>): Promise<void> {
  const parent = mkdtempSync(join(tmpdir(), 'meltemi-sealed-'));
  try {
    await run(join(parent, 'state'));
  } finally {
    rmSync(parent, { recursive: true, force: true });
  }
}

/** Every file's text; the lock and its drafts come and go. */
function textsIn(dir: string): Record<string, string> {
  const names = readdirSync(dir, { recursive: true, encoding: 'utf8' }).filter((name) => !name.startsWith('lock'));
  return Object.fromEntries(names.sort().flatMap((name) => (statSync(join(dir, name)).isFile() ? [[name, readFileSync(join(dir, name), 'utf8')]] : [])));
}

async function fill(store: DiskKeystore): Promise<void> {
  assert.equal(await store.saveAuthority(material, undefined), 'saved');
  assert.equal(await store.saveIssuers(['TOP-SECRET'], undefined), 'saved');
  assert.equal(await store.saveRevocations(revocations, undefined), 'saved');
  assert.equal(await store.saveJwtKeys(jwtKeys, undefined), 'saved');
  await store.addIssued('00000000002n1r0a', issued);
  await store.addToken(token);
}

async function holdsAll(store: DiskKeystore): Promise<void> {
  assert.deepEqual((await store.loadAuthority())?.value, material);
  assert.deepEqual((await store.loadIssuers())?.value, ['TOP-SECRET']);
  assert.deepEqual((await store.loadRevocations())?.value, revocations);
  assert.deepEqual((await store.loadJwtKeys())?.value, jwtKeys);
  assert.deepEqual((await store.loadIssued(['00000000002n1r0a'])).records, issued);
  assert.deepEqual(await store.findToken(token.hash), { ...token, used: false });
}

const sealing = { secret: keyFile() };
for (const [name, run] of Object.entries(keystoreContract)) {
  test(`sealed disk keystore: ${name}`, () => inDirectory((dir) => run({ open: () => new DiskKeystore(dir, sealing), reopen: () => new DiskKeystore(dir, sealing) })));
}

for (const [kind, secret] of [['passphrase', passphrase('correct horse battery')], ['key file', keyFile()]] as const) {
  test(`a plain keystore is sealed by the first start with a ${kind}, and opens with nothing else`, () =>
    inDirectory(async (dir) => {
      await fill(new DiskKeystore(dir));
      await holdsAll(new DiskKeystore(dir, { secret }));
      const sealed = textsIn(dir);
      assert.deepEqual(Object.keys(sealed), ['authority.json', 'issued/00000000002n1r0a.json', 'issuers.json', 'jwt-keys.json', 'revocations.json', 'sealing.json', `tokens/${token.hash}.json`]);
      for (const [file, text] of Object.entries(sealed)) assert.doesNotMatch(text, /TOP-SECRET|spiffe|root/, file);
      await holdsAll(new DiskKeystore(dir, { secret }));
      const other = { ...secret, bytes: Buffer.from(secret.bytes.map((byte) => byte ^ 1)) };
      const wrongKind = kind === 'passphrase' ? keyFile() : passphrase('correct horse battery');
      for (const [attempt, reason] of [[undefined, /is sealed: give what it was sealed with/], [{ secret: other }, /does not open the keystore.*Nothing was changed/], [{ secret: wrongKind }, /sealed with a (passphrase|key file), not with a/]] as const) {
        await assert.rejects(new DiskKeystore(dir, attempt).loadAuthority(), reason);
        await assert.rejects(new DiskKeystore(dir, attempt).saveAuthority(material, undefined), reason);
      }
      assert.deepEqual(textsIn(dir), sealed);
    }));
}

test('another secret opens it after one start with both, and the old one no more', () =>
  inDirectory(async (dir) => {
    const [first, second] = [passphrase('the first passphrase'), keyFile()];
    await fill(new DiskKeystore(dir, { secret: first }));
    const before = textsIn(dir);
    await assert.rejects(new DiskKeystore(dir, { secret: second, previous: keyFile() }).loadAuthority(), /neither the new secret nor the previous one/);
    assert.deepEqual(textsIn(dir), before);
    await holdsAll(new DiskKeystore(dir, { secret: second, previous: first }));
    // Left in place by the operator: harmless.
    await holdsAll(new DiskKeystore(dir, { secret: second, previous: first }));
    await holdsAll(new DiskKeystore(dir, { secret: second }));
    await assert.rejects(new DiskKeystore(dir, { secret: first }).loadAuthority(), /sealed with a key file, not with a passphrase/);
  }));

test('a value that was changed, moved, made by somebody else or left plain is refused', () =>
  inDirectory(async (dir) => {
    const secret = keyFile();
    const store = new DiskKeystore(dir, { secret });
    await fill(store);
    const other = { ...token, hash: 'cd'.repeat(32), spiffeId: 'spiffe://cluster.local/ns/a/sa/admin' };
    await store.addToken(other);
    const tokenFile = join(dir, 'tokens', `${token.hash}.json`);
    const [authority, sealing, good] = ['authority.json', 'sealing.json', `tokens/${token.hash}.json`].map((name) => readFileSync(join(dir, name), 'utf8'));
    assert.ok(authority && sealing && good);
    const opened = (): Promise<unknown> => new DiskKeystore(dir, { secret }).loadAuthority();
    for (const [file, text, reason] of [
      [tokenFile, readFileSync(join(dir, 'tokens', `${other.hash}.json`), 'utf8'), /was changed outside citadel/],
      [tokenFile, JSON.stringify({ spiffeId: other.spiffeId, expiresAt: 9e15 }), /is not sealed, and this keystore is/],
      [join(dir, 'authority.json'), JSON.stringify(material), /authority is not sealed/],
      [join(dir, 'authority.json'), authority.replace(/"data":"(.)/, (_, first: string) => `"data":"${first === 'A' ? 'B' : 'A'}`), /authority was changed outside citadel/],
      [join(dir, 'sealing.json'), sealing.replace('"unfinished": false', '"unfinished": true'), /does not open/],
      [join(dir, 'sealing.json'), sealing.slice(0, -9), /damaged/],
    ] as const) {
      const kept = readFileSync(file, 'utf8');
      writeFileSync(file, text);
      await assert.rejects(opened(), reason);
      writeFileSync(file, kept);
    }
    rmSync(join(dir, 'sealing.json'));
    await assert.rejects(opened(), /sealing\.json is missing/);
    await assert.rejects(new DiskKeystore(dir).loadAuthority(), /is sealed, and what it was sealed with is not at hand/);
    writeFileSync(join(dir, 'sealing.json'), sealing);
    assert.ok(await opened());
  }));

test('killed at any point of the first sealing, the next start finishes it, and none without the secret opens it', () =>
  inDirectory(async (dir) => {
    const secret = keyFile();
    const plain = new DiskKeystore(dir);
    await fill(plain);
    const hashes = Array.from({ length: 30 }, (_, index) => index.toString(16).padStart(64, '0'));
    for (const hash of hashes) await plain.addToken({ ...token, hash });
    const backup = `${dir}-plain`;
    cpSync(dir, backup, { recursive: true });
    let interrupted = 0;
    for (const progress of [0, 1, 5, 15, 25]) {
      rmSync(dir, { recursive: true });
      cpSync(backup, dir, { recursive: true });
      const child = spawn(process.execPath, [join(import.meta.dirname, 'testing', 'keystore-sealer.ts'), dir, secret.bytes.toString('base64')], { stdio: ['ignore', 'pipe', 'inherit'] });
      await new Promise<void>((resolve) => {
        let said = '';
        child.stdout.on('data', (data: Buffer) => {
          said += data.toString();
          if (said.split('\n').length > progress + 1) resolve();
        });
        child.once('exit', () => resolve());
      });
      child.kill('SIGKILL');
      await once(child, 'close');
      const texts = textsIn(dir);
      if (texts['sealing.json']?.includes('"unfinished": true') === true) {
        interrupted += 1;
        await assert.rejects(new DiskKeystore(dir).loadAuthority(), /is sealed/);
        await assert.rejects(new DiskKeystore(dir, { secret: keyFile() }).loadAuthority(), /does not open/);
        assert.deepEqual(textsIn(dir), texts);
      }
      const store = new DiskKeystore(dir, { secret });
      await holdsAll(store);
      for (const hash of hashes) assert.equal(await store.takeToken(hash), true);
      assert.doesNotMatch(Object.values(textsIn(dir)).join(), /TOP-SECRET|spiffe/);
    }
    assert.ok(interrupted > 0);
  }));

test('files that a restore left open to others are closed', () =>
  inDirectory(async (dir) => {
    const secret = keyFile();
    await fill(new DiskKeystore(dir, { secret }));
    const file = join(dir, 'authority.json');
    const text = readFileSync(file);
    rmSync(file);
    writeFileSync(file, text, { mode: 0o644 });
    await holdsAll(new DiskKeystore(dir, { secret } satisfies Sealing));
    assert.equal(statSync(file).mode & 0o777, 0o600);
  }));
