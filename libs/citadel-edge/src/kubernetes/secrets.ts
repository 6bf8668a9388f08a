/** A Secret as the keystore needs it: one value. */
export interface StoredSecret {
  readonly name: string;
  readonly value: string;
  /** Opaque: another one after every change. */
  readonly resourceVersion: string;
}

/** Secrets of one namespace that belong to one keystore. Every method rejects when nobody can tell what happened. */
export interface Secrets {
  get(name: string): Promise<StoredSecret | undefined>;
  /** False when there is one already. */
  create(name: string, value: string): Promise<boolean>;
  /** False when it has another resourceVersion, or is gone. */
  replace(name: string, value: string, resourceVersion: string): Promise<boolean>;
  /** One that is gone is no error. */
  delete(name: string): Promise<void>;
  list(): Promise<readonly StoredSecret[]>;
}

/** Secrets in memory. For tests. */
export class FakeSecrets implements Secrets {
  readonly stored = new Map<string, StoredSecret>();
  #writes = 0;

  async get(name: string): Promise<StoredSecret | undefined> {
    return this.stored.get(name);
  }

  async create(name: string, value: string): Promise<boolean> {
    if (this.stored.has(name)) return false;
    this.#write(name, value);
    return true;
  }

  async replace(name: string, value: string, resourceVersion: string): Promise<boolean> {
    if (this.stored.get(name)?.resourceVersion !== resourceVersion) return false;
    this.#write(name, value);
    return true;
  }

  async delete(name: string): Promise<void> {
    this.stored.delete(name);
  }

  async list(): Promise<readonly StoredSecret[]> {
    return [...this.stored.values()];
  }

  #write(name: string, value: string): void {
    this.stored.set(name, { name, value, resourceVersion: String((this.#writes += 1)) });
  }
}
