import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { promisify } from 'node:util';
import type { CaseResult, Compared } from './report.ts';

test('the proxy bench measures our proxy beside nginx and writes what it found', async () => {
  const dir = mkdtempSync(join(tmpdir(), 'bench-smoke-'));
  try {
    const json = join(dir, 'proxy.json');
    const args = [join(import.meta.dirname, 'bench.ts'), '--case', 'plain,websocket', '--only', 'meltemi,nginx', '--rounds', '1', '--seconds', '1', '--warmup', '1', '--connections', '4', '--json', json];
    await promisify(execFile)(process.execPath, args, { timeout: 90_000 });
    const { cases, comparisons } = JSON.parse(readFileSync(json, 'utf8')) as { cases: CaseResult[]; comparisons: Compared[] };
    assert.deepEqual(cases.map(({ name, contestants }) => [name, contestants.map((each) => [each.name, each.turns.length, each.failure])]),
      ['plain', 'websocket'].map((name) => [name, [['meltemi', 1, undefined], ['nginx', 1, undefined]]]));
    for (const { value } of comparisons) assert.ok(value.median > 0);
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
});
