import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { Server } from '@grpc/grpc-js';
import { bindSocket } from './config-servers.ts';

test('the config socket is its owner’s alone, is not taken from a running pilot, and replaces no file', async (t) => {
  const dir = mkdtempSync(join(tmpdir(), 'config-'));
  const server = new Server();
  t.after(() => {
    server.forceShutdown();
    rmSync(dir, { recursive: true, force: true });
  });
  const path = join(dir, 'config.sock');
  await bindSocket(server, path);
  assert.equal(statSync(path).mode & 0o777, 0o600);
  await assert.rejects(bindSocket(new Server(), path), /another pilot already serves .*config\.sock/);
  const file = join(dir, 'notes');
  writeFileSync(file, 'precious');
  await assert.rejects(bindSocket(new Server(), file), /is no socket/);
  assert.equal(readFileSync(file, 'utf8'), 'precious');
});
