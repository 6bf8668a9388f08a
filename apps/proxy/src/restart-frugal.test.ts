import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { startProxy } from './testing/proxy-process.ts';

test('the process runs with one malloc arena and a small young generation, under the pid it was started with', async () => {
  await using proxy = await startProxy({ static_resources: {} });
  assert.match(readFileSync(`/proc/${proxy.pid}/cmdline`, 'utf8'), /--max-semi-space-size=/);
  assert.match(readFileSync(`/proc/${proxy.pid}/environ`, 'utf8'), /MALLOC_ARENA_MAX=1/);
});
