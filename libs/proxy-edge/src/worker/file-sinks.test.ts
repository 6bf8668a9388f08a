import assert from 'node:assert/strict';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { waitFor } from '@meltemi/base';
import type { LineSink } from '@meltemi/proxy';
import { FileSinks } from './file-sinks.ts';

/** A line in two pieces. */
function write(sink: LineSink, line: string): void {
  const out = sink.begin();
  if (out === null) return;
  out.text(line.slice(0, 3));
  out.text(line.slice(3));
  sink.end();
}

test('a file that cannot be written is told of once, and written again when it can be', async (t) => {
  const dir = mkdtempSync(join(tmpdir(), 'sink-'));
  t.after(() => rmSync(dir, { recursive: true, force: true }));
  const path = join(dir, 'later', 'access.log');
  const errors: string[] = [];
  const sink = new FileSinks(1, (_path, error) => errors.push(error.message)).open(path);
  write(sink, 'lost\n');
  await waitFor('the error', () => errors.length > 0);
  mkdirSync(join(dir, 'later'));
  await waitFor('a line', () => {
    write(sink, 'kept\n');
    return existsSync(path) && readFileSync(path, 'utf8').endsWith('kept\n');
  });
  assert.equal(errors.length, 1);
});

test('lines arrive whole and in order, long ones and many at once too', async (t) => {
  const dir = mkdtempSync(join(tmpdir(), 'sink-'));
  t.after(() => rmSync(dir, { recursive: true, force: true }));
  const path = join(dir, 'access.log');
  const sinks = new FileSinks(1, (_path, error) => { throw error; });
  const sink = sinks.open(path);
  const lines = Array.from({ length: 4000 }, (_, index) => (index === 1000 ? `${'ü€'.repeat(40_000)}\n` : `line ${index} ü€😀\n`));
  for (const line of lines) write(sink, line);
  await sinks.written();
  assert.equal(readFileSync(path, 'utf8'), lines.join(''));
});

test('while the disk takes nothing, about a megabyte waits and further lines are dropped', async (t) => {
  const dir = mkdtempSync(join(tmpdir(), 'sink-'));
  t.after(() => rmSync(dir, { recursive: true, force: true }));
  const path = join(dir, 'access.log');
  const sinks = new FileSinks(1, (_path, error) => { throw error; });
  const sink = sinks.open(path);
  const line = `${'x'.repeat(1023)}\n`;
  // Nothing can be written before the next turn of the event loop.
  for (let index = 0; index < 3000; index++) write(sink, line);
  await sinks.written();
  const size = readFileSync(path, 'utf8').length;
  assert.ok(size >= 15 * 2 ** 16 && size <= 17 * 2 ** 16, `${size} bytes`);
});

test('a header in UTF-8 is written as the text it is', async (t) => {
  const dir = mkdtempSync(join(tmpdir(), 'sink-'));
  t.after(() => rmSync(dir, { recursive: true, force: true }));
  const path = join(dir, 'access.log');
  const sinks = new FileSinks(1, (_path, error) => { throw error; });
  const sink = sinks.open(path);
  const header = Buffer.from('agent café 日本 \u2028 \u0085').toString('latin1');
  write(sink, `${header} ü€\n`);
  write(sink, `${header.repeat(30)}\n`);
  await sinks.written();
  const shown = 'agent café 日本 \\u2028 \\x85';
  assert.equal(readFileSync(path, 'utf8'), `${shown} ü€\n${shown.repeat(30)}\n`);
});

test('what a header holds ends no line and moves no cursor: letters beyond ASCII stay, control characters there are shown', async (t) => {
  const dir = mkdtempSync(join(tmpdir(), 'sink-'));
  t.after(() => rmSync(dir, { recursive: true, force: true }));
  const path = join(dir, 'access.log');
  const sinks = new FileSinks(1, (_path, error) => { throw error; });
  const sink = sinks.open(path);
  const hostile = 'agent \x9b31m\x85[forged] "GET / HTTP/1.1" 200 \xe9\u00a0';
  write(sink, `${hostile}\n`);
  write(sink, `${hostile.repeat(30)}\n`);
  await sinks.written();
  const shown = 'agent \\x9b31m\\x85[forged] "GET / HTTP/1.1" 200 \xe9\u00a0';
  assert.equal(readFileSync(path, 'utf8'), `${shown}\n${shown.repeat(30)}\n`);
});
