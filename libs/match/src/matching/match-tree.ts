import { inCidr, parseIp, type Cidr } from '../ip.ts';

/** A compiled xds.type.matcher.v3.Matcher over what `View` shows. @hot */
export interface MatchTree<View, Action> {
  /** The action that is reached, or null when nothing matches. */
  match(view: View): Action | null;
}

/** Reads one value of a view; null when there is none, which no string and no range matches. */
export type MatchInput<View> = (view: View) => string | null;

export type Predicate<View> = (view: View) => boolean;

/** An action at the end of a branch. */
export class ActionLeaf<View, Action> implements MatchTree<View, Action> {
  readonly #action: Action;

  constructor(action: Action) {
    this.#action = action;
  }

  match(): Action {
    return this.#action;
  }
}

/** The first predicate that holds and whose branch comes to an action. A branch without one is as if its predicate had not held. */
export class ListTree<View, Action> implements MatchTree<View, Action> {
  readonly #entries: readonly { readonly holds: Predicate<View>; readonly onMatch: MatchTree<View, Action> }[];
  readonly #otherwise: MatchTree<View, Action> | null;

  constructor(entries: readonly { readonly holds: Predicate<View>; readonly onMatch: MatchTree<View, Action> }[], otherwise: MatchTree<View, Action> | null) {
    this.#entries = entries;
    this.#otherwise = otherwise;
  }

  match(view: View): Action | null {
    for (const { holds, onMatch } of this.#entries) {
      const found = holds(view) ? onMatch.match(view) : null;
      if (found !== null) return found;
    }
    return this.#otherwise === null ? null : this.#otherwise.match(view);
  }
}

/** What one value leads to. */
export abstract class ValueTree<View, Action> implements MatchTree<View, Action> {
  readonly #input: MatchInput<View>;
  readonly #otherwise: MatchTree<View, Action> | null;

  constructor(input: MatchInput<View>, otherwise: MatchTree<View, Action> | null) {
    this.#input = input;
    this.#otherwise = otherwise;
  }

  match(view: View): Action | null {
    const value = this.#input(view);
    const found = value === null ? null : this.find(value, view);
    if (found !== null) return found;
    return this.#otherwise === null ? null : this.#otherwise.match(view);
  }

  protected abstract find(value: string, view: View): Action | null;
}

type Branches<View, Action> = ReadonlyMap<string, MatchTree<View, Action>>;

export class ExactTree<View, Action> extends ValueTree<View, Action> {
  readonly #branches: Branches<View, Action>;

  constructor(input: MatchInput<View>, otherwise: MatchTree<View, Action> | null, branches: Branches<View, Action>) {
    super(input, otherwise);
    this.#branches = branches;
  }

  protected find(value: string, view: View): Action | null {
    return this.#branches.get(value)?.match(view) ?? null;
  }
}

/** The longest prefix first; a shorter one when the branch of the longer comes to nothing. */
export class PrefixTree<View, Action> extends ValueTree<View, Action> {
  readonly #branches: Branches<View, Action>;
  /** From the longest. */
  readonly #lengths: readonly number[];

  constructor(input: MatchInput<View>, otherwise: MatchTree<View, Action> | null, branches: Branches<View, Action>) {
    super(input, otherwise);
    this.#branches = branches;
    this.#lengths = [...new Set([...branches.keys()].map((prefix) => prefix.length))].sort((a, b) => b - a);
  }

  protected find(value: string, view: View): Action | null {
    for (const length of this.#lengths) {
      if (length > value.length) continue;
      const found = this.#branches.get(value.slice(0, length))?.match(view) ?? null;
      if (found !== null) return found;
    }
    return null;
  }
}

/** The name itself, then its wildcards from the longest; keys are "a.b", ".b" for "*.b" and "" for "*". */
export class DomainTree<View, Action> extends ValueTree<View, Action> {
  readonly #branches: Branches<View, Action>;

  constructor(input: MatchInput<View>, otherwise: MatchTree<View, Action> | null, branches: Branches<View, Action>) {
    super(input, otherwise);
    this.#branches = branches;
  }

  protected find(value: string, view: View): Action | null {
    const name = value.toLowerCase();
    let found = this.#branches.get(name)?.match(view) ?? null;
    for (let dot = name.indexOf('.', 1); found === null && dot > 0; dot = name.indexOf('.', dot + 1)) found = this.#branches.get(name.slice(dot))?.match(view) ?? null;
    return found ?? this.#branches.get('')?.match(view) ?? null;
  }
}

export interface RangeBranch<View, Action> {
  readonly cidr: Cidr;
  readonly exclusive: boolean;
  readonly onMatch: MatchTree<View, Action>;
}

/** The longest range first, then the order they are written in. An exclusive one counts only where no longer one holds the address. */
export class RangeTree<View, Action> extends ValueTree<View, Action> {
  readonly #branches: readonly RangeBranch<View, Action>[];

  constructor(input: MatchInput<View>, otherwise: MatchTree<View, Action> | null, branches: readonly RangeBranch<View, Action>[]) {
    super(input, otherwise);
    this.#branches = [...branches].sort((a, b) => b.cidr.length - a.cidr.length);
  }

  protected find(value: string, view: View): Action | null {
    const ip = parseIp(value);
    if (ip === null) return null;
    let first = true;
    for (const { cidr, exclusive, onMatch } of this.#branches) {
      if ((exclusive && !first) || !inCidr(ip, cidr)) continue;
      const found = onMatch.match(view);
      if (found !== null) return found;
      first = false;
    }
    return null;
  }
}
