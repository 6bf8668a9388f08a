import assert from 'node:assert/strict';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { waitFor } from '@meltemi/base';
import { FileSinks } from './file-sinks.ts';

test('a file that cannot be written is told of once, and written again when it can be', async (t) => {
  const dir = mkdtempSync(join(tmpdir(), 'sink-'));
  t.after(() => rmSync(dir, { recursive: true, force: true }));
  const path = join(dir, 'later', 'access.log');
  const errors: string[] = [];
  const sink = new FileSinks(1, (_path, error) => errors.push(error.message)).open(path);
  sink.write('lost\n');
  await waitFor('the error', () => errors.length > 0);
  mkdirSync(join(dir, 'later'));
  await waitFor('a line', () => {
    sink.write('kept\n');
    return existsSync(path) && readFileSync(path, 'utf8').endsWith('kept\n');
  });
  assert.equal(errors.length, 1);
});
