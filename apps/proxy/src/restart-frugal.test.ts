import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { startProxy } from './testing/proxy-process.ts';

test('the process runs with one malloc arena that gives large blocks back, a small young generation and one copy of V8\'s builtins, under the pid it was started with', async () => {
  await using proxy = await startProxy({ static_resources: {} });
  const commandLine = readFileSync(`/proc/${proxy.pid}/cmdline`, 'utf8');
  assert.match(commandLine, /--max-semi-space-size=/);
  assert.match(commandLine, /--no-short-builtin-calls/);
  const environment = readFileSync(`/proc/${proxy.pid}/environ`, 'utf8').split('\0');
  for (const setting of ['MALLOC_ARENA_MAX=1', 'MALLOC_MMAP_THRESHOLD_=32768']) assert.ok(environment.includes(setting), setting);
});
