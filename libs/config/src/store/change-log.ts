import { keyText, type ConfigKey } from '../object.ts';

/** One key's step: from `previous` to `value`; undefined is absence. */
export interface Change<V> {
  readonly key: ConfigKey;
  readonly value: V | undefined;
  readonly previous: V | undefined;
}

/**
 * What a follower sees. base: everything, at the start. reset: everything, because history no longer reaches back to where the follower was and what it
 * had is unknown. commit: changes that belong together. caught-up: what was there when following began has been told.
 */
export type LogStep<V> =
  | { readonly type: 'base' | 'reset'; readonly entries: readonly Entry<V>[]; readonly version: number }
  | { readonly type: 'commit'; readonly changes: readonly Change<V>[]; readonly version: number }
  | { readonly type: 'caught-up'; readonly version: number };

export interface Entry<V> {
  readonly key: ConfigKey;
  readonly value: V;
}

export interface FollowOptions {
  /** The version to go on after; undefined: begin with a `base`. */
  readonly from: number | undefined;
  readonly matches: (key: ConfigKey) => boolean;
}

/**
 * A keyed state with a version, and the last `maxHistory` commits that led to it. Followers hold a cursor into that history and pull: a slow one costs
 * no buffer, and one that falls out of the history gets the difference between what it last saw and now.
 */
export class ChangeLog<V> {
  readonly #maxHistory: number;
  readonly #entries = new Map<string, Entry<V>>();
  /** history[i] led to version floor + 1 + i. */
  #history: Change<V>[][] = [];
  #floor: number;
  #closed = false;
  readonly #waiting = new Set<() => void>();

  constructor(options: { maxHistory: number; version?: number }) {
    this.#maxHistory = options.maxHistory;
    this.#floor = options.version ?? 0;
  }

  get version(): number {
    return this.#floor + this.#history.length;
  }

  get closed(): boolean {
    return this.#closed;
  }

  get(text: string): V | undefined {
    return this.#entries.get(text)?.value;
  }

  /** Matching entries in order of their key text. */
  entries(matches: (key: ConfigKey) => boolean = () => true): Entry<V>[] {
    const found = [...this.#entries].filter(([, entry]) => matches(entry.key));
    return found.sort(([a], [b]) => (a < b ? -1 : 1)).map(([, entry]) => entry);
  }

  /** Loads entries below all history: a snapshot that was read back. */
  load(entries: readonly Entry<V>[]): void {
    for (const entry of entries) this.#entries.set(keyText(entry.key), entry);
  }

  /** Takes one step; returns the new version. */
  apply(steps: readonly { readonly key: ConfigKey; readonly value: V | undefined }[]): number {
    const changes = steps.map(({ key, value }) => ({ key, value, previous: this.#set(key, value) }));
    this.#history.push(changes);
    if (this.#history.length > this.#maxHistory) this.#forget(this.#history.length - this.#maxHistory);
    this.#wake();
    return this.version;
  }

  /** Drops history up to now, like etcd's compaction. */
  compact(): void {
    this.#forget(this.#history.length);
  }

  close(): void {
    this.#closed = true;
    this.#wake();
  }

  async *follow(options: FollowOptions, signal: AbortSignal): AsyncGenerator<LogStep<V>> {
    if (signal.aborted || this.#closed) return;
    const { from, matches } = options;
    const target = this.version;
    let cursor = from ?? target;
    let seen: Map<string, Entry<V>> | undefined;
    if (from === undefined) {
      seen = this.#snapshot(matches);
      yield { type: 'base', entries: this.entries(matches), version: target };
    }
    let caughtUp = false;
    while (!signal.aborted && !this.#closed) {
      if (cursor < this.#floor || cursor > this.version) {
        const version = this.version;
        const now = this.#snapshot(matches);
        const entries = this.entries(matches);
        const changes = seen === undefined ? undefined : difference(seen, now);
        [cursor, seen] = [version, now];
        if (changes === undefined) yield { type: 'reset', entries, version };
        else if (changes.length > 0) yield { type: 'commit', changes, version };
        continue;
      }
      const commit = this.#history[cursor - this.#floor];
      if (commit !== undefined) {
        cursor += 1;
        const changes = commit.filter((change) => matches(change.key));
        if (seen !== undefined) advance(seen, changes);
        if (changes.length > 0) yield { type: 'commit', changes, version: cursor };
        if (cursor < target || caughtUp) continue;
      }
      if (!caughtUp && cursor >= target) {
        caughtUp = true;
        yield { type: 'caught-up', version: cursor };
        continue;
      }
      await this.#change(signal);
    }
  }

  #set(key: ConfigKey, value: V | undefined): V | undefined {
    const text = keyText(key);
    const previous = this.#entries.get(text)?.value;
    if (value === undefined) this.#entries.delete(text);
    else this.#entries.set(text, { key, value });
    return previous;
  }

  #snapshot(matches: (key: ConfigKey) => boolean): Map<string, Entry<V>> {
    return new Map([...this.#entries].filter(([, entry]) => matches(entry.key)));
  }

  #forget(commits: number): void {
    this.#history = this.#history.slice(commits);
    this.#floor += commits;
  }

  #change(signal: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      const done = (): void => {
        signal.removeEventListener('abort', done);
        this.#waiting.delete(done);
        resolve();
      };
      signal.addEventListener('abort', done, { once: true });
      this.#waiting.add(done);
    });
  }

  #wake(): void {
    for (const done of this.#waiting) done();
  }
}

/** The changes that lead from `before` to `after`: deletions first, then puts, each in order of their key text. Values are compared by identity. */
export function difference<V>(before: ReadonlyMap<string, Entry<V>>, after: ReadonlyMap<string, Entry<V>>, same: (a: V, b: V) => boolean = Object.is): Change<V>[] {
  const changes: Change<V>[] = [];
  for (const text of [...before.keys()].sort()) {
    const entry = before.get(text);
    if (entry !== undefined && !after.has(text)) changes.push({ key: entry.key, value: undefined, previous: entry.value });
  }
  for (const text of [...after.keys()].sort()) {
    const entry = after.get(text);
    const previous = before.get(text)?.value;
    if (entry === undefined || (previous !== undefined && same(previous, entry.value))) continue;
    changes.push({ key: entry.key, value: entry.value, previous });
  }
  return changes;
}

function advance<V>(seen: Map<string, Entry<V>>, changes: readonly Change<V>[]): void {
  for (const { key, value } of changes) {
    if (value === undefined) seen.delete(keyText(key));
    else seen.set(keyText(key), { key, value });
  }
}
