import type { Kept, SaveOutcome } from '@meltemi/citadel';
import type { NamedValue, SharedValues } from '../shared/shared-values.ts';
import type { Secrets, StoredSecret } from './secrets.ts';

const maxAttempts = 3;
/** Deleted at the same time. */
const batch = 10;

/**
 * Values in Kubernetes Secrets, one each, named `<prefix>.<name>` with dots for slashes. There are no transactions over several objects, so a fence cannot be
 * checked together with a write: a write with one is held back. Leading needs an election of its own here, which comes with Kubernetes.
 */
export class SecretValues implements SharedValues {
  readonly #secrets: Secrets;
  readonly #prefix: string;

  constructor(secrets: Secrets, prefix: string) {
    this.#secrets = secrets;
    this.#prefix = `${prefix}.`;
  }

  async get(name: string): Promise<Kept<string> | undefined> {
    const secret = await this.#secrets.get(this.#secretName(name));
    return secret && keptOf(secret);
  }

  async revision(name: string): Promise<string | undefined> {
    return (await this.get(name))?.revision;
  }

  /** A write whose answer is lost is looked for: its text is like no other. */
  async put(name: string, value: string, { revision, fence }: { readonly revision: string | undefined; readonly fence?: string }): Promise<SaveOutcome> {
    if (fence !== undefined) return 'conflict';
    const secretName = this.#secretName(name);
    const write = (): Promise<boolean> => (revision === undefined ? this.#secrets.create(secretName, value) : this.#secrets.replace(secretName, value, revision));
    for (let attempt = 1; ; attempt += 1) {
      try {
        if (await write()) return 'saved';
        return attempt > 1 && (await this.#secrets.get(secretName))?.value === value ? 'saved' : 'conflict';
      } catch (cause) {
        if (attempt === maxAttempts) throw cause;
      }
    }
  }

  async remove(names: readonly string[]): Promise<void> {
    for (let start = 0; start < names.length; start += batch) await Promise.all(names.slice(start, start + batch).map((name) => this.#secrets.delete(this.#secretName(name))));
  }

  async names(prefix: string): Promise<readonly string[]> {
    return (await this.list(prefix)).map(({ name }) => name);
  }

  async list(prefix: string): Promise<readonly NamedValue[]> {
    const start = this.#secretName(prefix);
    const secrets = (await this.#secrets.list()).filter(({ name }) => name.startsWith(start));
    return secrets.map((secret) => ({ name: secret.name.slice(this.#prefix.length).replaceAll('.', '/'), ...keptOf(secret) }));
  }

  #secretName(name: string): string {
    return `${this.#prefix}${name.replaceAll('/', '.')}`;
  }
}

function keptOf({ value, resourceVersion }: StoredSecret): Kept<string> {
  return { value, revision: resourceVersion };
}
