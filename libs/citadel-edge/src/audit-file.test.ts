import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, renameSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { withAuditFile } from './audit-file.ts';

const dir = mkdtempSync(join(tmpdir(), 'audit-'));
after(() => rmSync(dir, { recursive: true, force: true }));

function logTo(path: string): { readonly log: ReturnType<typeof withAuditFile>; readonly lines: string[] } {
  const lines: string[] = [];
  const say = (_fields: object, message: string): void => void lines.push(message);
  return { log: withAuditFile({ info: say, warn: say, error: say }, path, () => 0), lines };
}

test('audit lines go to the log and to the file, others to the log alone; a file that is moved away is made anew', () => {
  const path = join(dir, 'audit.log');
  const { log, lines } = logTo(path);
  log.info({ audit: true, serial: 'ab' }, 'certificate issued');
  log.warn({ reason: 'x' }, 'something else');
  renameSync(path, `${path}.1`);
  log.warn({ audit: true, code: 'denied', note: 'two\nlines' }, 'certificate refused');
  assert.deepEqual(lines, ['certificate issued', 'something else', 'certificate refused']);
  assert.equal(readFileSync(`${path}.1`, 'utf8'), '{"time":"1970-01-01T00:00:00.000Z","message":"certificate issued","audit":true,"serial":"ab"}\n');
  assert.equal(readFileSync(path, 'utf8'), '{"time":"1970-01-01T00:00:00.000Z","message":"certificate refused","audit":true,"code":"denied","note":"two\\nlines"}\n');
  assert.equal((statSync(path).mode & 0o777).toString(8), '600');
});

test('a file that cannot be written is said once, and holds nothing up', () => {
  const { log, lines } = logTo(join(dir, 'missing', 'audit.log'));
  log.info({ audit: true }, 'one');
  log.info({ audit: true }, 'two');
  assert.deepEqual(lines, ['one', 'the audit file cannot be written', 'two']);
});
