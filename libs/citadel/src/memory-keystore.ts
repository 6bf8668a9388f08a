import type { AuthorityMaterial } from './authority-material.ts';
import type { JwtKeys } from './jwt/jwt-keys.ts';
import type { Kept, Keystore, SaveOutcome, TokenRecord, TokenState } from './keystore.ts';
import type { LeaderTerm } from './leadership.ts';
import type { IssuedRecord } from './revocation/issued-record.ts';
import type { RevocationState } from './revocation/revocation-state.ts';

/** A keystore that forgets everything with the process. For tests. */
export class MemoryKeystore implements Keystore {
  #authority: Kept<AuthorityMaterial> | undefined;
  #issuers: Kept<readonly string[]> | undefined;
  #revocations: Kept<RevocationState> | undefined;
  #jwtKeys: Kept<JwtKeys> | undefined;
  #writes = 0;
  readonly #issued = new Map<string, readonly IssuedRecord[]>();
  readonly #tokens = new Map<string, TokenState>();

  async loadAuthority(): Promise<Kept<AuthorityMaterial> | undefined> {
    return this.#authority;
  }

  async authorityRevision(): Promise<string | undefined> {
    return this.#authority?.revision;
  }

  async saveAuthority(material: AuthorityMaterial, expected: string | undefined, term?: LeaderTerm): Promise<SaveOutcome> {
    if (this.#authority?.revision !== expected || term?.lost.aborted === true) return 'conflict';
    this.#authority = { value: material, revision: this.#nextRevision() };
    return 'saved';
  }

  async loadIssuers(): Promise<Kept<readonly string[]> | undefined> {
    return this.#issuers;
  }

  async saveIssuers(pathsPem: readonly string[], expected: string | undefined): Promise<SaveOutcome> {
    if (this.#issuers?.revision !== expected) return 'conflict';
    this.#issuers = { value: pathsPem, revision: this.#nextRevision() };
    return 'saved';
  }

  async loadRevocations(): Promise<Kept<RevocationState> | undefined> {
    return this.#revocations;
  }

  async revocationsRevision(): Promise<string | undefined> {
    return this.#revocations?.revision;
  }

  async saveRevocations(state: RevocationState, expected: string | undefined): Promise<SaveOutcome> {
    if (this.#revocations?.revision !== expected) return 'conflict';
    this.#revocations = { value: state, revision: this.#nextRevision() };
    return 'saved';
  }

  async loadJwtKeys(): Promise<Kept<JwtKeys> | undefined> {
    return this.#jwtKeys;
  }

  async jwtKeysRevision(): Promise<string | undefined> {
    return this.#jwtKeys?.revision;
  }

  async saveJwtKeys(keys: JwtKeys, expected: string | undefined): Promise<SaveOutcome> {
    if (this.#jwtKeys?.revision !== expected) return 'conflict';
    this.#jwtKeys = { value: keys, revision: this.#nextRevision() };
    return 'saved';
  }

  async addIssued(name: string, records: readonly IssuedRecord[]): Promise<void> {
    this.#issued.set(name, records);
  }

  async issuedNames(): Promise<readonly string[]> {
    return [...this.#issued.keys()];
  }

  async loadIssued(names: readonly string[]): Promise<{ readonly records: readonly IssuedRecord[]; readonly damaged: readonly string[] }> {
    return { records: names.flatMap((name) => this.#issued.get(name) ?? []), damaged: [] };
  }

  async removeIssued(names: readonly string[]): Promise<void> {
    for (const name of names) this.#issued.delete(name);
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

  async listTokens(): Promise<readonly TokenState[]> {
    return [...this.#tokens.values()];
  }

  async pruneTokens(expiredBefore: number): Promise<number> {
    for (const [hash, token] of this.#tokens) if (token.expiresAt < expiredBefore) this.#tokens.delete(hash);
    return this.#tokens.size;
  }

  #nextRevision(): string {
    return String((this.#writes += 1));
  }
}
