import assert from 'node:assert/strict';
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';

const folder = new URL('../../golden/', import.meta.url);
const refresh = process.env['UPDATE_GOLDEN'] === '1';
const used = new Set<string>();

/** Compares with golden/<name>.json; with UPDATE_GOLDEN=1 writes it instead. */
export function matchGolden(name: string, value: unknown): void {
  const file = new URL(`${name}.json`, folder);
  used.add(`${name}.json`);
  const text = `${JSON.stringify(value, null, 1)}\n`;
  if (refresh) {
    mkdirSync(folder, { recursive: true });
    writeFileSync(file, text);
    return;
  }
  assert.ok(existsSync(file), `golden/${name}.json is missing: run UPDATE_GOLDEN=1 npm test and read what it wrote`);
  assert.deepEqual(JSON.parse(text), JSON.parse(readFileSync(file, 'utf8')), `golden/${name}.json differs: if the change is meant, run UPDATE_GOLDEN=1 npm test`);
}

/** Golden files no test asked for: deleted when refreshing, an error otherwise. Call after the last test. */
export function noStaleGolden(): void {
  const stale = readdirSync(folder).filter((name) => !used.has(name));
  if (refresh) for (const name of stale) rmSync(new URL(name, folder));
  else assert.deepEqual(stale, [], 'golden files without a test');
}
