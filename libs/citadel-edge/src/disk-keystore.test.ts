import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { keystoreContract } from '@meltemi/citadel/keystore-contract';
import { DiskKeystore } from './disk-keystore.ts';

async function inDirectory(run: (dir: string) => Promise<void>): Promise<void> {
  const parent = mkdtempSync(join(tmpdir(), 'meltemi-keystore-'));
  try {
    await run(join(parent, 'state'));
  } finally {
    rmSync(parent, { recursive: true, force: true });
  }
}

const material = { rootCertificatePem: 'a', rootKeyPem: 'b', issuingCertificatePem: 'c', issuingKeyPem: 'd', retiredIssuingPem: [] };
const token = { hash: 'ab'.repeat(32), spiffeId: 'spiffe://cluster.local/ns/a/sa/b', expiresAt: 1000 };

for (const [name, run] of Object.entries(keystoreContract)) {
  test(`disk keystore: ${name}`, () => inDirectory((dir) => run({ open: () => new DiskKeystore(dir), reopen: () => new DiskKeystore(dir) })));
}

test('nobody else can read what it keeps, even when the directory was open before', () =>
  inDirectory(async (dir) => {
    mkdirSync(dir, { mode: 0o755 });
    const store = new DiskKeystore(dir);
    await store.saveAuthority(material, undefined);
    await store.addToken(token);
    await store.takeToken(token.hash);
    const mode = (path: string): string => (statSync(join(dir, path)).mode & 0o777).toString(8);
    assert.deepEqual([mode('.'), mode('tokens'), mode('authority.json'), mode(`tokens/${token.hash}.json`), mode(`tokens/${token.hash}.used`)], ['700', '700', '600', '600', '600']);
  }));

test('a crash at any point of a write leaves the old state, and its litter is swept', () =>
  inDirectory(async (dir) => {
    const store = new DiskKeystore(dir);
    await store.saveAuthority(material, undefined);
    // What a crash leaves: a temporary file with half of the contents, a mark whose record is gone.
    writeFileSync(join(dir, 'authority.json.0123456789ab.tmp'), '{"rootCert');
    writeFileSync(join(dir, 'tokens', `${token.hash}.json.0123456789ab.tmp`), '{');
    writeFileSync(join(dir, 'tokens', `${'ef'.repeat(32)}.used`), '');
    const restarted = new DiskKeystore(dir);
    assert.deepEqual((await restarted.loadAuthority())?.value, material);
    assert.equal(await restarted.findToken('ef'.repeat(32)), undefined);
    assert.deepEqual(readdirSync(dir).sort(), ['authority.json', 'issued', 'tokens']);
    assert.equal(existsSync(join(dir, 'tokens', `${token.hash}.json.0123456789ab.tmp`)), false);
  }));

test('two processes over one directory cannot both take a token', () =>
  inDirectory(async (dir) => {
    const first = new DiskKeystore(dir);
    await first.addToken(token);
    const second = new DiskKeystore(dir);
    assert.ok(await second.findToken(token.hash));
    const taken = await Promise.all([first.takeToken(token.hash), second.takeToken(token.hash)]);
    assert.equal(taken.filter(Boolean).length, 1);
  }));

test('a damaged authority is named and left alone, without quoting it', () =>
  inDirectory(async (dir) => {
    await new DiskKeystore(dir).saveAuthority(material, undefined);
    for (const [text, reason] of [['{"version":3}', /newer citadel/], ['{"rootKeyPem": "top-secret', /is not JSON/], ['{"rootKeyPem":"top-secret"}', /rootCertificatePem is missing/], ['x'.repeat(300_000), /the limit is/]] as const) {
      writeFileSync(join(dir, 'authority.json'), text);
      await assert.rejects(new DiskKeystore(dir).loadAuthority(), (error: Error) => reason.test(error.message) && !error.message.includes('top-secret'));
      assert.equal(readFileSync(join(dir, 'authority.json'), 'utf8'), text);
    }
  }));

test('killed with SIGKILL in the middle of writing, it has lost nothing that it had confirmed', () =>
  inDirectory(async (dir) => {
    for (const bytes of [1, 40, 90]) {
      const child = spawn(process.execPath, [join(import.meta.dirname, 'testing', 'keystore-writer.ts'), dir], { stdio: ['ignore', 'pipe', 'inherit'] });
      let confirmed = '';
      await new Promise<void>((resolve) => {
        child.stdout.on('data', (data: Buffer) => {
          confirmed += data.toString();
          if (confirmed.length >= bytes) resolve();
        });
      });
      child.kill('SIGKILL');
      await once(child, 'close');
      const rounds = confirmed.split('\n').slice(0, -1).map(Number);
      const store = new DiskKeystore(dir);
      const material = (await store.loadAuthority())?.value;
      assert.ok(material && Number.parseInt(material.rootKeyPem, 10) >= (rounds.at(-1) ?? 0));
      assert.equal(new Set([material.rootCertificatePem, material.rootKeyPem, material.issuingCertificatePem, material.issuingKeyPem, ...material.retiredIssuingPem]).size, 1);
      for (const round of rounds) assert.equal(await store.takeToken(round.toString(16).padStart(64, '0')), false);
      rmSync(dir, { recursive: true });
    }
  }));

test('a batch of issued certificates that cannot be read is named, and the others count', () =>
  inDirectory(async (dir) => {
    const store = new DiskKeystore(dir);
    const record = { serial: 'ab', spiffeId: token.spiffeId, notAfter: 1000 };
    await store.addIssued('1a', [record]);
    await store.addIssued('1b', [record]);
    mkdirSync(join(dir, 'issued', '1c.json'));
    writeFileSync(join(dir, 'issued', '1b.json'), 'x'.repeat(1_048_577));
    writeFileSync(join(dir, 'issued', '1d.json'), '{');
    assert.deepEqual(await store.loadIssued(['1a', '1b', '1c', '1d', '1e']), { records: [record], damaged: ['1b', '1c', '1d'] });
  }));
