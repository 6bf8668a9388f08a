import type { AuthorityMaterial, Keystore, TokenRecord, TokenState } from './keystore.ts';

/** A keystore that forgets everything with the process. For tests. */
export class MemoryKeystore implements Keystore {
  #material: AuthorityMaterial | undefined;
  #issuers: readonly string[] = [];
  readonly #tokens = new Map<string, TokenState>();

  async loadAuthority(): Promise<AuthorityMaterial | undefined> {
    return this.#material;
  }

  async saveAuthority(material: AuthorityMaterial): Promise<void> {
    this.#material = material;
  }

  async loadIssuers(): Promise<readonly string[]> {
    return this.#issuers;
  }

  async saveIssuers(pathsPem: readonly string[]): Promise<void> {
    this.#issuers = pathsPem;
  }

  async addToken(record: TokenRecord): Promise<void> {
    this.#tokens.set(record.hash, { ...record, used: false });
  }

  async findToken(hash: string): Promise<TokenState | undefined> {
    return this.#tokens.get(hash);
  }

  async takeToken(hash: string): Promise<boolean> {
    const token = this.#tokens.get(hash);
    if (!token || token.used) return false;
    this.#tokens.set(hash, { ...token, used: true });
    return true;
  }

  async pruneTokens(expiredBefore: number): Promise<number> {
    for (const [hash, token] of this.#tokens) if (token.expiresAt < expiredBefore) this.#tokens.delete(hash);
    return this.#tokens.size;
  }
}
