import { allCharacters, type RegexNode } from './regex-syntax.ts';

/** What may come first, and whether nothing at all may. */
interface First {
  readonly set: bigint;
  readonly empty: boolean;
}

/** Bit 129: the end of the input. */
const endOfInput = 1n << 129n;
const anything = allCharacters | endOfInput;
/** How often bounded choices may be retried in all: a constant factor on a linear match. */
const maxBranches = 16;
const maxRepeat = 64;
const maxTail = 128;

interface Budget {
  branches: number;
  scans: number;
  readonly linear: { yes: boolean };
}

/**
 * Proves that a backtracking engine needs at most linear time (times a small constant) for a whole-input match: at each choice the next
 * character decides, except for a bounded number of plain alternatives and at most one scanning loop over single characters whose rest has a
 * bounded length. Conservative: false only means "not proven".
 */
export function isLinear(node: RegexNode): boolean {
  const budget: Budget = { branches: 1, scans: 0, linear: { yes: true } };
  check(node, endOfInput, 0, budget, false);
  return budget.linear.yes && budget.branches <= maxBranches && budget.scans <= 1;
}

/** Some part repeats without bound. */
export function hasLoop(node: RegexNode): boolean {
  switch (node.kind) {
    case 'set':
      return false;
    case 'sequence':
      return node.items.some(hasLoop);
    case 'choice':
      return node.branches.some(hasLoop);
    case 'group':
      return hasLoop(node.item);
    case 'repeat':
      return node.max === Infinity || hasLoop(node.item);
  }
}

/** `follow`: what may come after; `tail`: the longest that may come after (Infinity = unbounded). */
function check(node: RegexNode, follow: bigint, tail: number, budget: Budget, repeated: boolean): void {
  if (node.kind === 'group') check(node.item, follow, tail, budget, repeated);
  else if (node.kind === 'sequence') checkSequence(node.items, follow, tail, budget, repeated);
  else if (node.kind === 'choice') checkChoice(node.branches, follow, tail, budget, repeated);
  else if (node.kind === 'repeat') checkRepeat(node, follow, tail, budget, repeated);
}

function checkSequence(items: readonly RegexNode[], follow: bigint, tail: number, budget: Budget, repeated: boolean): void {
  let after = follow;
  let rest = tail;
  for (let i = items.length - 1; i >= 0; i--) {
    const item = items[i];
    if (!item) continue;
    check(item, after, rest, budget, repeated);
    const first = firstOf(item);
    after = first.empty ? first.set | after : first.set;
    rest += longest(item);
  }
}

function checkChoice(branches: readonly RegexNode[], follow: bigint, tail: number, budget: Budget, repeated: boolean): void {
  let seen = 0n;
  let ambiguous = false;
  for (const branch of branches) {
    const first = firstOf(branch);
    const start = first.empty ? first.set | follow : first.set;
    if ((seen & start) !== 0n) ambiguous = true;
    seen |= start;
    check(branch, follow, tail, budget, repeated);
  }
  if (!ambiguous) return;
  if (repeated) budget.linear.yes = false;
  budget.branches *= branches.length;
}

function checkRepeat(node: Extract<RegexNode, { kind: 'repeat' }>, follow: bigint, tail: number, budget: Budget, repeated: boolean): void {
  const first = firstOf(node.item);
  const many = node.max > 1;
  if (first.empty || node.min > maxRepeat || (node.max !== Infinity && node.max > maxRepeat)) budget.linear.yes = false;
  check(node.item, many ? first.set | follow : follow, many ? Infinity : tail, budget, repeated || many);
  if ((first.set & follow) === 0n || node.min === node.max) return;
  if (repeated) budget.linear.yes = false;
  else if (node.max !== Infinity) budget.branches *= node.max - node.min + 1;
  else if (singleSet(node.item) && tail <= maxTail) budget.scans++;
  else budget.linear.yes = false;
}

function singleSet(node: RegexNode): boolean {
  if (node.kind === 'group') return singleSet(node.item);
  if (node.kind === 'sequence') return node.items.length === 1 && node.items.every(singleSet);
  return node.kind === 'set';
}

function firstOf(node: RegexNode): First {
  switch (node.kind) {
    case 'set':
      return { set: node.set, empty: false };
    case 'group':
      return firstOf(node.item);
    case 'repeat': {
      const inner = firstOf(node.item);
      return { set: inner.set, empty: inner.empty || node.min === 0 };
    }
    case 'choice': {
      const all = node.branches.map(firstOf);
      return { set: all.reduce((set, first) => set | first.set, 0n), empty: all.some((first) => first.empty) };
    }
    case 'sequence': {
      let set = 0n;
      for (const item of node.items) {
        const first = firstOf(item);
        set |= first.set;
        if (!first.empty) return { set, empty: false };
      }
      return { set: set & anything, empty: true };
    }
  }
}

function longest(node: RegexNode): number {
  switch (node.kind) {
    case 'set':
      return 1;
    case 'group':
      return longest(node.item);
    case 'repeat': {
      const inner = longest(node.item);
      return inner === 0 || node.max === 0 ? 0 : inner * node.max;
    }
    case 'choice':
      return Math.max(...node.branches.map(longest));
    case 'sequence':
      return node.items.reduce((sum, item) => sum + longest(item), 0);
  }
}
