import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { startProxy } from './testing/proxy-process.ts';

test('the process runs with one malloc arena that gives large blocks back, and a small young generation, under the pid it was started with', async () => {
  await using proxy = await startProxy({ static_resources: {} });
  assert.match(readFileSync(`/proc/${proxy.pid}/cmdline`, 'utf8'), /--max-semi-space-size=/);
  const environment = readFileSync(`/proc/${proxy.pid}/environ`, 'utf8').split('\0');
  for (const setting of ['MALLOC_ARENA_MAX=1', 'MALLOC_MMAP_THRESHOLD_=32768']) assert.ok(environment.includes(setting), setting);
});
