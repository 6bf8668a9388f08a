import type { StreamInfo } from '@meltemi/http';
import { anyRule, remainder, type Rule } from '../logic.ts';
import type { Atom, Comparison, Dimension, Needs } from './need.ts';
import { Table, type Bucket, type Found } from './table.ts';

/** So few are tried one after the other. */
const fewRules = 8;
/** How often buckets are parted again by another dimension. */
const maxDepth = 4;
/** A rule that would stand in more buckets than this is tried always instead: rules of many values find theirs themselves. */
const maxBucketsOfRule = 1_000;

/** A rule of an index: its place among all, and what is left of it to be shown where it stands. */
interface Entry {
  readonly at: number;
  readonly rule: Rule;
}

/**
 * Finds the first of many rules that matches without trying those that cannot: each stands in a table under what it needs, most selective
 * first, and what that does not show already is tried; those that need nothing known are tried always. So the answer is that of trying all
 * in order. @hot
 */
export class RuleIndex implements Bucket {
  /** Tried always, in order. */
  readonly #tried: readonly Rule[];
  readonly #places: readonly number[];
  readonly #tables: readonly Table[];

  private constructor(tried: readonly Entry[], tables: readonly Table[]) {
    this.#tried = tried.map(({ rule }) => rule);
    this.#places = tried.map(({ at }) => at);
    this.#tables = tables;
  }

  static of(rules: readonly Rule[]): RuleIndex {
    return RuleIndex.#build(rules.map((rule, at) => ({ at, rule })), 0);
  }

  static #found(entries: readonly Entry[], depth: number): Found {
    const [first] = entries;
    if (first === undefined) return RuleIndex.#build(entries, depth);
    // nothing is left to be shown: those behind it are never asked for
    if (first.rule === anyRule) return first.at;
    return entries.length === 1 ? new SingleRule(first) : RuleIndex.#build(entries, depth);
  }

  static #build(entries: readonly Entry[], depth: number): RuleIndex {
    if (entries.length <= fewRules || depth > maxDepth) return new RuleIndex(entries, noTables);
    const frequency = frequencies(entries);
    const tried: Entry[] = [];
    const drafts = new Map<string, Draft>();
    for (const entry of entries) {
      const chosen = mostSelective(entry.rule.needs.alternatives, frequency, entries.length);
      if (chosen === null) tried.push(entry);
      else file(drafts, chosen, { at: entry.at, rule: remainder(entry.rule, chosen) });
    }
    const tables = [...drafts.values()].map(({ dimension, members }) => {
      const built = (comparison: Comparison) => new Map([...members[comparison]].map(([value, bucket]) => [value, RuleIndex.#found(bucket, depth + 1)] as const));
      return new Table(dimension, { exact: built('exact'), prefix: built('prefix'), suffix: built('suffix'), pair: built('pair'), range: built('range') });
    });
    return new RuleIndex(tried, tables);
  }

  first(info: StreamInfo, below: number): number {
    let best = below;
    for (let i = 0; i < this.#tried.length; i++) {
      const at = this.#places[i] ?? best;
      if (at >= best) break;
      if (this.#tried[i]?.matches(info) !== true) continue;
      best = at;
      break;
    }
    for (const table of this.#tables) best = table.first(info, best);
    return best;
  }
}

/** @hot */
class SingleRule implements Bucket {
  readonly #rule: Rule;
  readonly #at: number;

  constructor({ rule, at }: Entry) {
    this.#rule = rule;
    this.#at = at;
  }

  first(info: StreamInfo, below: number): number {
    return this.#at < below && this.#rule.matches(info) ? this.#at : below;
  }
}

const noTables: readonly Table[] = [];

/** A table while it is filled. */
interface Draft {
  readonly dimension: Dimension;
  readonly members: Readonly<Record<Comparison, Map<string, Entry[]>>>;
}

function file(drafts: Map<string, Draft>, atoms: readonly Atom[], entry: Entry): void {
  for (const { dimension, comparison, value } of atoms) {
    let draft = drafts.get(dimension.id);
    if (draft === undefined) drafts.set(dimension.id, (draft = { dimension, members: { exact: new Map(), prefix: new Map(), suffix: new Map(), pair: new Map(), range: new Map() } }));
    const bucket = draft.members[comparison].get(value);
    if (bucket === undefined) draft.members[comparison].set(value, [entry]);
    // a value that is named twice
    else if (bucket.at(-1) !== entry) bucket.push(entry);
  }
}

const keyOf = ({ dimension, comparison, value }: Atom): string => `${dimension.id}\0${comparison}\0${value}`;

/** How many rules each atom stands in. */
function frequencies(entries: readonly Entry[]): Map<string, number> {
  const counts = new Map<string, number>();
  for (const { rule } of entries)
    for (const atoms of rule.needs.alternatives) if (atoms.length <= maxBucketsOfRule) for (const atom of atoms) counts.set(keyOf(atom), (counts.get(keyOf(atom)) ?? 0) + 1);
  return counts;
}

/** The alternative whose atoms the fewest rules share; null when there is none, or when it parts nothing. */
function mostSelective(alternatives: Needs['alternatives'], frequency: ReadonlyMap<string, number>, all: number): readonly Atom[] | null {
  let best: readonly Atom[] | null = null;
  let least = Infinity;
  for (const atoms of alternatives) {
    if (atoms.length === 0 || atoms.length > maxBucketsOfRule) continue;
    let cost = 0;
    for (const atom of atoms) cost = Math.max(cost, (frequency.get(keyOf(atom)) ?? 0) * breadth(atom));
    if (cost >= least) continue;
    least = cost;
    best = atoms;
  }
  return least < all || best === null ? best : null;
}

/** A short prefix is met by many values, a port or method by many requests. */
function breadth({ dimension, comparison, value }: Atom): number {
  if (comparison === 'exact' || comparison === 'pair') return dimension.id === 'port' || dimension.id === 'header :method' ? 16 : 1;
  return value.length < 2 ? 64 : 2;
}
