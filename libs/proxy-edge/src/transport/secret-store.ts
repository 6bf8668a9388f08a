import type { SecretValue } from '@meltemi/snapshot';

/** SDS secrets of this worker by name. */
export class SecretStore {
  readonly #secrets = new Map<string, SecretValue>();

  get(name: string): SecretValue | undefined {
    return this.#secrets.get(name);
  }

  set(name: string, value: SecretValue): void {
    this.#secrets.set(name, value);
  }

  remove(name: string): void {
    this.#secrets.delete(name);
  }
}
