import { formatFieldErrors } from '@meltemi/base';
import { formatIssued, formatJwtKeys, formatMaterial, formatRevocations, parseJwtKeys, parseMaterial, parseRevocations, type AuthorityMaterial, type IssuedRecord, type JwtKeys, type Kept, type Keystore, type LeaderTerm, type RevocationState, type SaveOutcome, type TokenRecord, type TokenState } from '@meltemi/citadel';
import { openSealing, type Sealing } from '../sealing/open-sealing.ts';
import { Sealer } from '../sealing/sealer.ts';
import { readBatches, readIssued } from './read-issued.ts';
import type { SharedValues } from './shared-values.ts';

/** Names of values. */
const names = { sealing: 'sealing', authority: 'authority', issuers: 'issuers', revocations: 'revocations', jwtKeys: 'jwtkeys', issued: 'issued/', tokens: 'tokens/' } as const;

/** The keystore of several citadels: every value sealed, so that the storage holds no key that can be read and no token that could be forged. */
export class SealedKeystore implements Keystore {
  readonly #values: SharedValues;
  readonly #sealing: Sealing;
  readonly #readOnly: boolean;
  #sealer: Promise<Sealer> | undefined;

  /** With `readOnly` no sealing record is made where there is none. */
  constructor(values: SharedValues, sealing: Sealing, { readOnly = false }: { readonly readOnly?: boolean } = {}) {
    this.#values = values;
    this.#sealing = sealing;
    this.#readOnly = readOnly;
  }

  async loadAuthority(): Promise<Kept<AuthorityMaterial> | undefined> {
    const kept = await this.#load(names.authority);
    if (!kept) return undefined;
    const material = parseMaterial(kept.value);
    if (!material.ok) throw new Error(`the authority in the keystore: ${formatFieldErrors(material.error)}`);
    return { ...kept, value: material.value };
  }

  authorityRevision(): Promise<string | undefined> {
    return this.#values.revision(names.authority);
  }

  async saveAuthority(material: AuthorityMaterial, expected: string | undefined, term?: LeaderTerm): Promise<SaveOutcome> {
    const sealer = await this.#open();
    if (term?.lost.aborted === true) return 'conflict';
    const fence = term?.fence ?? '';
    return this.#values.put(names.authority, sealer.encode(formatMaterial(material), names.authority), { revision: expected, ...(fence !== '' && { fence }) });
  }

  async loadIssuers(): Promise<Kept<readonly string[]> | undefined> {
    const kept = await this.#load(names.issuers);
    return kept && { ...kept, value: JSON.parse(kept.value) as readonly string[] };
  }

  async saveIssuers(pathsPem: readonly string[], expected: string | undefined): Promise<SaveOutcome> {
    const sealer = await this.#open();
    return this.#values.put(names.issuers, sealer.encode(JSON.stringify(pathsPem), names.issuers), { revision: expected });
  }

  async loadRevocations(): Promise<Kept<RevocationState> | undefined> {
    const kept = await this.#load(names.revocations);
    if (!kept) return undefined;
    const state = parseRevocations(kept.value);
    if (!state.ok) throw new Error(`the revocations in the keystore: ${formatFieldErrors(state.error)}`);
    return { ...kept, value: state.value };
  }

  revocationsRevision(): Promise<string | undefined> {
    return this.#values.revision(names.revocations);
  }

  async saveRevocations(state: RevocationState, expected: string | undefined): Promise<SaveOutcome> {
    const sealer = await this.#open();
    return this.#values.put(names.revocations, sealer.encode(formatRevocations(state), names.revocations), { revision: expected });
  }

  async loadJwtKeys(): Promise<Kept<JwtKeys> | undefined> {
    const kept = await this.#load(names.jwtKeys);
    if (!kept) return undefined;
    const keys = parseJwtKeys(kept.value);
    if (!keys.ok) throw new Error(`the JWT keys in the keystore: ${formatFieldErrors(keys.error)}`);
    return { ...kept, value: keys.value };
  }

  jwtKeysRevision(): Promise<string | undefined> {
    return this.#values.revision(names.jwtKeys);
  }

  async saveJwtKeys(keys: JwtKeys, expected: string | undefined): Promise<SaveOutcome> {
    const sealer = await this.#open();
    return this.#values.put(names.jwtKeys, sealer.encode(formatJwtKeys(keys), names.jwtKeys), { revision: expected });
  }

  async addIssued(name: string, records: readonly IssuedRecord[]): Promise<void> {
    const sealer = await this.#open();
    const stored = `${names.issued}${name}`;
    if ((await this.#values.put(stored, sealer.encode(formatIssued(records), stored), { revision: undefined })) === 'conflict') throw new Error(`${stored} exists already`);
  }

  async issuedNames(): Promise<readonly string[]> {
    return (await this.#values.names(names.issued)).map((name) => name.slice(names.issued.length));
  }

  async loadIssued(wanted: readonly string[]): Promise<{ readonly records: readonly IssuedRecord[]; readonly damaged: readonly string[] }> {
    const sealer = await this.#open();
    return readBatches(wanted, async (name) => {
      const stored = `${names.issued}${name}`;
      const kept = await this.#values.get(stored);
      return kept ? readIssued(sealer, kept.value, stored) : [];
    });
  }

  removeIssued(gone: readonly string[]): Promise<void> {
    return this.#values.remove(gone.map((name) => `${names.issued}${name}`));
  }

  async addToken({ hash, spiffeId, expiresAt }: TokenRecord): Promise<void> {
    const state: TokenState = { hash, spiffeId, expiresAt, used: false };
    if ((await this.#putToken(state, undefined)) === 'conflict') throw new Error('the join token exists already');
  }

  async findToken(hash: string): Promise<TokenState | undefined> {
    return (await this.#loadToken(hash))?.value;
  }

  async takeToken(hash: string): Promise<boolean> {
    const kept = await this.#loadToken(hash);
    if (!kept || kept.value.used) return false;
    return (await this.#putToken({ ...kept.value, used: true }, kept.revision)) === 'saved';
  }

  async listTokens(): Promise<readonly TokenState[]> {
    const sealer = await this.#open();
    return (await this.#values.list(names.tokens)).map(({ name, value }) => ({ hash: name.slice(names.tokens.length), ...readToken(sealer.decode(value, name)) }));
  }

  async pruneTokens(expiredBefore: number): Promise<number> {
    const sealer = await this.#open();
    const all = await this.#values.list(names.tokens);
    const expired = all.filter(({ name, value }) => readToken(sealer.decode(value, name)).expiresAt < expiredBefore);
    await this.#values.remove(expired.map(({ name }) => name));
    return all.length - expired.length;
  }

  async #load(name: string): Promise<Kept<string> | undefined> {
    const sealer = await this.#open();
    const kept = await this.#values.get(name);
    return kept && { ...kept, value: sealer.decode(kept.value, name) };
  }

  async #loadToken(hash: string): Promise<Kept<TokenState> | undefined> {
    const kept = await this.#load(`${names.tokens}${hash}`);
    return kept && { ...kept, value: { hash, ...readToken(kept.value) } };
  }

  async #putToken({ hash, spiffeId, expiresAt, used }: TokenState, expected: string | undefined): Promise<SaveOutcome> {
    const name = `${names.tokens}${hash}`;
    const sealer = await this.#open();
    return this.#values.put(name, sealer.encode(JSON.stringify({ spiffeId, expiresAt, used }), name), { revision: expected });
  }

  #open(): Promise<Sealer> {
    this.#sealer ??= this.#openSealer();
    this.#sealer.catch(() => (this.#sealer = undefined));
    return this.#sealer;
  }

  async #openSealer(): Promise<Sealer> {
    const slot = {
      load: () => this.#values.get(names.sealing),
      save: (record: string, revision: string | undefined) => this.#values.put(names.sealing, record, { revision }),
    };
    const { key } = await openSealing(slot, this.#sealing, async () => {
      const authority = await this.#values.get(names.authority);
      // Asked again: another citadel that starts now makes the record first.
      if (authority && !(await slot.load())) throw new Error('the sealing record is missing in the keystore, and without it nobody can open what is sealed: restore it from a backup');
      if (this.#readOnly) throw new Error('there is no keystore');
      return false;
    });
    return new Sealer(key);
  }
}

/** What a Sealer opened is what a citadel wrote. */
function readToken(text: string): { readonly spiffeId: string; readonly expiresAt: number; readonly used: boolean } {
  const { spiffeId, expiresAt, used } = JSON.parse(text) as Omit<TokenState, 'hash'>;
  return { spiffeId, expiresAt, used };
}
