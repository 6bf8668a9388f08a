import type { Kept, SaveOutcome } from '@meltemi/citadel';
import type { NamedValue, SharedValues } from './shared-values.ts';

/** Values in memory, with one fence that may be valid. For tests. */
export class MemoryValues implements SharedValues {
  readonly stored = new Map<string, Kept<string>>();
  /** The fence of the term under way. */
  fence = '';
  #writes = 0;

  async get(name: string): Promise<Kept<string> | undefined> {
    return this.stored.get(name);
  }

  async revision(name: string): Promise<string | undefined> {
    return this.stored.get(name)?.revision;
  }

  async put(name: string, value: string, expected: { readonly revision: string | undefined; readonly fence?: string }): Promise<SaveOutcome> {
    if (this.stored.get(name)?.revision !== expected.revision) return 'conflict';
    if (expected.fence !== undefined && expected.fence !== this.fence) return 'conflict';
    this.stored.set(name, { value, revision: String((this.#writes += 1)) });
    return 'saved';
  }

  async remove(names: readonly string[]): Promise<void> {
    for (const name of names) this.stored.delete(name);
  }

  async names(prefix: string): Promise<readonly string[]> {
    return [...this.stored.keys()].filter((name) => name.startsWith(prefix));
  }

  async list(prefix: string): Promise<readonly NamedValue[]> {
    return [...this.stored].filter(([name]) => name.startsWith(prefix)).map(([name, kept]) => ({ name, ...kept }));
  }
}
