const context = 3;

/** The difference of two texts as `diff -u` and git print it; "" when they are equal. Absolute names have no a/ and b/ before them. */
export function unifiedDiff(file: string, before: string, after: string): string {
  if (before === after) return '';
  const name = file.replace(/^(\.\/)+/, '');
  const [old, now] = name.startsWith('/') ? ['', ''] : ['a/', 'b/'];
  const [a, b] = [linesOf(before), linesOf(after)];
  const steps = editScript(a, b);
  const hunks = hunksOf(steps);
  return [`--- ${old}${name}`, `+++ ${now}${name}`, ...hunks.flatMap((hunk) => hunkText(hunk, { a, b }))].join('\n');
}

/** Lines without their newline; a last line without one is marked. */
function linesOf(text: string): string[] {
  const lines = text.split('\n');
  if (lines.at(-1) === '') lines.pop();
  else lines[lines.length - 1] = `${lines.at(-1)}\n\\ No newline at end of file`;
  return lines;
}

/** One line of the script: kept, taken out of `a`, or put in from `b`. */
interface Step {
  readonly sign: ' ' | '-' | '+';
  readonly a: number;
  readonly b: number;
}

/** Myers' shortest script, on what lies between the common beginning and end. */
function editScript(a: readonly string[], b: readonly string[]): Step[] {
  let head = 0;
  while (head < a.length && head < b.length && a[head] === b[head]) head++;
  let tail = 0;
  while (tail < a.length - head && tail < b.length - head && a[a.length - 1 - tail] === b[b.length - 1 - tail]) tail++;
  const kept = (from: number, count: number, shift: number): Step[] => Array.from({ length: count }, (_, i) => ({ sign: ' ', a: from + i, b: from + i + shift }));
  const middle = myers(a.slice(head, a.length - tail), b.slice(head, b.length - tail)).map((step) => ({ ...step, a: step.a + head, b: step.b + head }));
  return [...kept(0, head, 0), ...middle, ...kept(a.length - tail, tail, b.length - a.length)];
}

function myers(a: readonly string[], b: readonly string[]): Step[] {
  const furthest: Map<number, number>[] = [];
  let reached = new Map([[1, 0]]);
  for (let d = 0; d <= a.length + b.length; d++) {
    const next = new Map(reached);
    furthest.push(reached);
    for (let k = -d; k <= d; k += 2) {
      const down = k === -d || (k !== d && (reached.get(k - 1) ?? -1) < (reached.get(k + 1) ?? -1));
      let x = down ? (reached.get(k + 1) ?? 0) : (reached.get(k - 1) ?? 0) + 1;
      while (x < a.length && x - k < b.length && a[x] === b[x - k]) x++;
      next.set(k, x);
      if (x >= a.length && x - k >= b.length) return walkBack(furthest, a.length, b.length);
    }
    reached = next;
  }
  return [];
}

function walkBack(furthest: readonly Map<number, number>[], endA: number, endB: number): Step[] {
  const steps: Step[] = [];
  let [x, y] = [endA, endB];
  for (let d = furthest.length - 1; d >= 0; d--) {
    const reached = furthest[d] ?? new Map<number, number>();
    const k = x - y;
    const down = k === -d || (k !== d && (reached.get(k - 1) ?? -1) < (reached.get(k + 1) ?? -1));
    const before = down ? k + 1 : k - 1;
    const fromX = d === 0 ? 0 : (reached.get(before) ?? 0);
    const fromY = d === 0 ? 0 : fromX - before;
    while (x > fromX && y > fromY && !(d > 0 && x === (down ? fromX : fromX + 1))) steps.push({ sign: ' ', a: --x, b: --y });
    if (d === 0) break;
    if (down) steps.push({ sign: '+', a: x, b: --y });
    else steps.push({ sign: '-', a: --x, b: y });
  }
  return steps.reverse();
}

/** Changes with the lines around them; neighbours whose lines meet are one hunk. */
function hunksOf(steps: readonly Step[]): Step[][] {
  const hunks: Step[][] = [];
  let from = -1;
  let last = -1;
  for (const [i, step] of steps.entries()) {
    if (step.sign === ' ') continue;
    if (from >= 0 && i - last - 1 > 2 * context) {
      hunks.push(steps.slice(from, last + context + 1));
      from = -1;
    }
    if (from < 0) from = Math.max(0, i - context);
    last = i;
  }
  if (from >= 0) hunks.push(steps.slice(from, last + context + 1));
  return hunks;
}

function hunkText(hunk: readonly Step[], { a, b }: { readonly a: readonly string[]; readonly b: readonly string[] }): string[] {
  const [first] = hunk;
  const [inA, inB] = [hunk.filter((step) => step.sign !== '+').length, hunk.filter((step) => step.sign !== '-').length];
  const range = (start: number, count: number): string => `${count === 0 ? start : start + 1}${count === 1 ? '' : `,${count}`}`;
  return [`@@ -${range(first?.a ?? 0, inA)} +${range(first?.b ?? 0, inB)} @@`, ...hunk.map((step) => `${step.sign}${(step.sign === '+' ? b[step.b] : a[step.a]) ?? ''}`)];
}
