import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { StartError } from '@meltemi/observe-edge';
import { claimSocket } from './token-socket.ts';

const dir = mkdtempSync(join(tmpdir(), 'meltemi-socket-'));
after(() => rmSync(dir, { recursive: true, force: true }));

test('a file that stands where the socket should be is left alone', async () => {
  const path = join(dir, 'precious');
  writeFileSync(path, 'keep me');
  await assert.rejects(claimSocket(path), (error) => error instanceof StartError && /is no socket/.test(error.message));
  assert.equal(readFileSync(path, 'utf8'), 'keep me');
});

test('a path that no Unix socket can have is refused by its length', async () => {
  await assert.rejects(claimSocket(join(dir, 'x'.repeat(120))), /may have 88/);
});
