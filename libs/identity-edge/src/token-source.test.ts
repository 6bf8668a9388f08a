import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { joinTokenFile } from './token-source.ts';

test('a token file is read each time; missing and empty ones are no token, and a huge one is not swallowed', async () => {
  const dir = mkdtempSync(join(tmpdir(), 'meltemi-token-'));
  try {
    const path = join(dir, 'token');
    const source = joinTokenFile(path);
    assert.equal(await source(), undefined);
    writeFileSync(path, ' \n');
    assert.equal(await source(), undefined);
    writeFileSync(path, 'first\n');
    assert.equal(await source(), 'first');
    writeFileSync(path, 'second');
    assert.equal(await source(), 'second');
    writeFileSync(path, 'x'.repeat(1_000_000));
    assert.equal((await source())?.length, 16_384);
    await assert.rejects(joinTokenFile(dir)());
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
});
