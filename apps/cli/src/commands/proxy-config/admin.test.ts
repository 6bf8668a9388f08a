import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { fetchAdmin } from './admin.ts';

test("a proxy's admin pages are read over a Unix socket, too", async (t) => {
  const dir = mkdtempSync(join(tmpdir(), 'admin-'));
  t.after(() => rmSync(dir, { recursive: true, force: true }));
  const socket = join(dir, 'admin.sock');
  const server = createServer((request, response) => response.end(JSON.stringify({ path: request.url, host: request.headers.host }))).listen(socket);
  t.after(() => server.close());
  await once(server, 'listening');
  assert.deepEqual(await fetchAdmin(`unix:${socket}`, '/config_dump?include_eds'), { path: '/config_dump?include_eds', host: 'localhost' });
  await assert.rejects(fetchAdmin(`unix:${socket}.gone`, '/clusters'), /admin\.sock\.gone\/clusters cannot be reached: .*Is the proxy running\?/);
});
