import assert from 'node:assert/strict';
import { test } from 'node:test';
import { unifiedDiff } from './unified-diff.ts';

const lines = (...names: readonly (string | number)[]): string => names.map((name) => `${name}\n`).join('');
const twenty = Array.from({ length: 20 }, (_, i) => i + 1);

test('equal texts have no difference', () => assert.equal(unifiedDiff('a', 'x\n', 'x\n'), ''));

test('names are those git takes from the root of a tree, absolute ones those patch takes', () => {
  assert.match(unifiedDiff('./a.yaml', 'x\n', 'y\n'), /^--- a\/a\.yaml\n\+\+\+ b\/a\.yaml\n/);
  assert.match(unifiedDiff('/tmp/a.yaml', 'x\n', 'y\n'), /^--- \/tmp\/a\.yaml\n\+\+\+ \/tmp\/a\.yaml\n/);
});

test('a change stands between three lines before and after', () => {
  assert.equal(unifiedDiff('f.yaml', lines(...twenty), lines(...twenty.map((n) => (n === 10 ? 'ten' : n)))), '--- a/f.yaml\n+++ b/f.yaml\n@@ -7,7 +7,7 @@\n 7\n 8\n 9\n-10\n+ten\n 11\n 12\n 13');
});

test('changes far apart are hunks of their own, near ones share one', () => {
  const hunks = (...changed: number[]): number => unifiedDiff('f', lines(...twenty), lines(...twenty.map((n) => (changed.includes(n) ? `*${n}` : n)))).match(/^@@/gm)?.length ?? 0;
  assert.deepEqual([hunks(2, 18), hunks(2, 9), hunks(2, 8)], [2, 1, 1]);
});

test('a missing newline at the end is said', () => {
  assert.equal(unifiedDiff('f', 'a\nb', 'a\nc\n'), '--- a/f\n+++ b/f\n@@ -1,2 +1,2 @@\n a\n-b\n\\ No newline at end of file\n+c');
});

test('lines that only come or go count from the line before', () => {
  assert.match(unifiedDiff('f', '', 'a\n'), /@@ -0,0 \+1 @@\n\+a$/);
  assert.match(unifiedDiff('f', 'a\nb\n', 'b\n'), /@@ -1,2 \+1 @@\n-a\n b$/);
});

/** Applies a diff the way patch does. */
function patched(before: string, diff: string): string {
  const source = before.split('\n').slice(0, -1);
  const out: string[] = [];
  let at = 0;
  for (const line of diff.split('\n').slice(2)) {
    const hunk = /^@@ -(\d+)(?:,(\d+))? /.exec(line);
    if (hunk) {
      const start = hunk[2] === '0' ? Number(hunk[1]) : Number(hunk[1]) - 1;
      while (at < start) out.push(source[at++] ?? '');
    } else if (line.startsWith('+')) out.push(line.slice(1));
    else {
      assert.equal(source[at], line.slice(1));
      if (line.startsWith(' ')) out.push(line.slice(1));
      at++;
    }
  }
  return lines(...out, ...source.slice(at));
}

test('applying the difference of any two texts to the first gives the second', () => {
  let state = 7;
  const next = (below: number): number => (state = (state * 1103515245 + 12345) % 2147483648) % below;
  for (let round = 0; round < 300; round++) {
    const make = (): string => lines(...Array.from({ length: next(12) }, () => 'abc'[next(3)] ?? ''));
    const [before, after] = [make(), make()];
    if (before !== after) assert.equal(patched(before, unifiedDiff('f', before, after)), after, JSON.stringify([before, after]));
  }
});
