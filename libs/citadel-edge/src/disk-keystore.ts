import { chmod, mkdir, readdir, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { formatFieldErrors } from '@meltemi/base';
import { formatIssued, formatJwtKeys, formatMaterial, formatRevocations, parseJwtKeys, parseMaterial, parseRevocations, type AuthorityMaterial, type IssuedRecord, type JwtKeys, type Kept, type Keystore, type LeaderTerm, type RevocationState, type SaveOutcome, type TokenRecord, type TokenState } from '@meltemi/citadel';
import { createMark, replaceFile, temporarySuffix } from '@meltemi/identity-edge';
import { replaceExpected, revisionOf, whileLocked } from './disk-files.ts';
import { issuedIn, layoutOf, tokensIn, type DiskLayout, type ValueFile } from './disk-layout.ts';
import { openDiskValues, readDiskValues } from './disk-sealing.ts';
import { readBounded } from './read-bounded.ts';
import type { Sealing } from './sealing/open-sealing.ts';
import type { ValueCodec } from './sealing/sealer.ts';
import { readBatches, readIssued } from './shared/read-issued.ts';

const maxMovedBytes = 8192;
/** Says where the keystore went: nobody shall go on with the old one, and sign or take tokens twice. */
export const movedName = 'moved';

/** What was read at the start. */
interface Opened {
  readonly values: ValueCodec;
  readonly tokens: Map<string, TokenState>;
}

/**
 * The keystore as a directory of mode 0700, files 0600:
 *
 *     lock                  while something is replaced: by whom
 *     sealing.json          when sealed: the key that seals the other files, itself encrypted; they are JSON of their own inside
 *     authority.json        certificates and keys of root and issuing CA
 *     issuers.json          issuing CAs that were plugged in: certificates, no keys
 *     revocations.json      what was revoked, and the lists that say so; no keys
 *     jwt-keys.json         keys that sign JWT-SVIDs
 *     issued/<name>.json    certificates that were issued and have not ended: serial, identity, end
 *     tokens/<hash>.json    a join token that was minted: identity and end, never the secret
 *     tokens/<hash>.used    it has been used; made with O_EXCL, so exactly one use wins
 *
 * One citadel owns it: what another process does with tokens is not seen.
 */
export class DiskKeystore implements Keystore {
  readonly #dir: string;
  readonly #layout: DiskLayout;
  readonly #sealing: Sealing | undefined;
  readonly #readOnly: boolean;
  #opened: Promise<Opened> | undefined;

  /** With `sealing` every file is sealed, also those that were not. With `readOnly` nothing is changed: one that is sealed otherwise is refused. */
  constructor(dir: string, sealing?: Sealing, { readOnly = false }: { readonly readOnly?: boolean } = {}) {
    this.#dir = dir;
    this.#layout = layoutOf(dir);
    this.#sealing = sealing;
    this.#readOnly = readOnly;
  }

  async loadAuthority(): Promise<Kept<AuthorityMaterial> | undefined> {
    const kept = await this.#load(this.#layout.authority);
    return kept && { ...kept, value: readMaterial(kept.value, this.#layout.authority.path) };
  }

  async authorityRevision(): Promise<string | undefined> {
    const stored = await this.#read(this.#layout.authority);
    return stored === undefined ? undefined : revisionOf(stored);
  }

  async saveAuthority(material: AuthorityMaterial, expected: string | undefined, term?: LeaderTerm): Promise<SaveOutcome> {
    if (term?.lost.aborted === true) return 'conflict';
    return this.#replace(this.#layout.authority, formatMaterial(material), expected);
  }

  async loadIssuers(): Promise<Kept<readonly string[]> | undefined> {
    const kept = await this.#load(this.#layout.issuers);
    if (kept === undefined) return undefined;
    const { issuers } = parseObject(kept.value, this.#layout.issuers.path);
    return { ...kept, value: Array.isArray(issuers) ? issuers.filter((entry) => typeof entry === 'string') : [] };
  }

  async saveIssuers(pathsPem: readonly string[], expected: string | undefined): Promise<SaveOutcome> {
    return this.#replace(this.#layout.issuers, `${JSON.stringify({ issuers: pathsPem }, null, 2)}\n`, expected);
  }

  async loadRevocations(): Promise<Kept<RevocationState> | undefined> {
    const kept = await this.#load(this.#layout.revocations);
    if (kept === undefined) return undefined;
    const state = parseRevocations(kept.value);
    if (!state.ok) throw new Error(`${this.#layout.revocations.path}: ${formatFieldErrors(state.error)}`);
    return { ...kept, value: state.value };
  }

  async revocationsRevision(): Promise<string | undefined> {
    const stored = await this.#read(this.#layout.revocations);
    return stored === undefined ? undefined : revisionOf(stored);
  }

  async saveRevocations(state: RevocationState, expected: string | undefined): Promise<SaveOutcome> {
    return this.#replace(this.#layout.revocations, formatRevocations(state), expected);
  }

  async loadJwtKeys(): Promise<Kept<JwtKeys> | undefined> {
    const kept = await this.#load(this.#layout.jwtKeys);
    if (kept === undefined) return undefined;
    const keys = parseJwtKeys(kept.value);
    if (!keys.ok) throw new Error(`${this.#layout.jwtKeys.path}: ${formatFieldErrors(keys.error)}`);
    return { ...kept, value: keys.value };
  }

  async jwtKeysRevision(): Promise<string | undefined> {
    const stored = await this.#read(this.#layout.jwtKeys);
    return stored === undefined ? undefined : revisionOf(stored);
  }

  async saveJwtKeys(keys: JwtKeys, expected: string | undefined): Promise<SaveOutcome> {
    return this.#replace(this.#layout.jwtKeys, formatJwtKeys(keys), expected);
  }

  async addIssued(name: string, records: readonly IssuedRecord[]): Promise<void> {
    const { values } = await this.#open();
    const file = this.#layout.issued(name);
    await replaceFile(file.path, values.encode(formatIssued(records), file.name));
  }

  async issuedNames(): Promise<readonly string[]> {
    await this.#open();
    return issuedIn(this.#layout);
  }

  async loadIssued(names: readonly string[]): Promise<{ readonly records: readonly IssuedRecord[]; readonly damaged: readonly string[] }> {
    const { values } = await this.#open();
    return readBatches(names, async (batch) => {
      const { path, name, maxBytes } = this.#layout.issued(batch);
      // One that cannot be read is damaged for whoever asks.
      const stored = await readBounded(path, maxBytes).catch(() => '');
      return stored === undefined ? [] : readIssued(values, stored, name);
    });
  }

  async removeIssued(names: readonly string[]): Promise<void> {
    await this.#open();
    for (const name of names) await rm(this.#layout.issued(name).path, { force: true });
  }

  async addToken(record: TokenRecord): Promise<void> {
    const { tokens, values } = await this.#open();
    const { hash, spiffeId, expiresAt } = record;
    const file = this.#layout.token(hash);
    await replaceFile(file.path, values.encode(JSON.stringify({ spiffeId, expiresAt }), file.name));
    tokens.set(hash, { hash, spiffeId, expiresAt, used: false });
  }

  async findToken(hash: string): Promise<TokenState | undefined> {
    return (await this.#open()).tokens.get(hash);
  }

  async takeToken(hash: string): Promise<boolean> {
    const { tokens } = await this.#open();
    const token = tokens.get(hash);
    if (!token || token.used) return false;
    const won = await createMark(this.#layout.used(hash));
    tokens.set(hash, { ...token, used: true });
    return won;
  }

  async listTokens(): Promise<readonly TokenState[]> {
    return [...(await this.#open()).tokens.values()];
  }

  async pruneTokens(expiredBefore: number): Promise<number> {
    const { tokens } = await this.#open();
    for (const [hash, token] of tokens) {
      if (token.expiresAt >= expiredBefore) continue;
      tokens.delete(hash);
      // The record first: a mark without a record is nothing, a record without its mark would be a fresh token.
      await rm(this.#layout.token(hash).path, { force: true });
      await rm(this.#layout.used(hash), { force: true });
    }
    return tokens.size;
  }

  async #read({ path, maxBytes }: ValueFile): Promise<string | undefined> {
    await this.#open();
    return readBounded(path, maxBytes);
  }

  async #load(file: ValueFile): Promise<Kept<string> | undefined> {
    const { values } = await this.#open();
    const stored = await readBounded(file.path, file.maxBytes);
    return stored === undefined ? undefined : { value: values.decode(stored, file.name), revision: revisionOf(stored) };
  }

  async #replace(file: ValueFile, text: string, expected: string | undefined): Promise<SaveOutcome> {
    const { values } = await this.#open();
    return whileLocked(this.#dir, () => replaceExpected(file, values.encode(text, file.name), expected));
  }

  #open(): Promise<Opened> {
    this.#opened ??= this.#start();
    this.#opened.catch(() => (this.#opened = undefined));
    return this.#opened;
  }

  async #start(): Promise<Opened> {
    const { issuedDir, tokensDir } = this.#layout;
    const moved = await readBounded(join(this.#dir, movedName), maxMovedBytes);
    if (moved !== undefined) throw new Error(`the keystore was moved away: ${moved.trim()}. Start citadel on that; what is here is as old as that. To use it all the same, stop the other and delete ${join(this.#dir, movedName)}`);
    if (this.#readOnly) {
      const values = await readDiskValues(this.#dir, this.#sealing);
      return { values, tokens: await this.#readTokens(values) };
    }
    for (const dir of [this.#dir, issuedDir, tokensDir]) {
      await mkdir(dir, { recursive: true, mode: 0o700 });
      await chmod(dir, 0o700);
      for (const name of await readdir(dir)) if (name.endsWith('.json')) await closeToOthers(join(dir, name));
    }
    const values = await openDiskValues(this.#dir, this.#sealing);
    for (const dir of [this.#dir, issuedDir, tokensDir]) {
      for (const name of await readdir(dir)) if (name.endsWith(temporarySuffix)) await rm(join(dir, name), { force: true });
    }
    return { values, tokens: await this.#readTokens(values) };
  }

  async #readTokens(values: ValueCodec): Promise<Map<string, TokenState>> {
    const tokens = new Map<string, TokenState>();
    for (const { hash, used } of await tokensIn(this.#layout)) {
      const { path, name, maxBytes } = this.#layout.token(hash);
      const stored = await readBounded(path, maxBytes);
      if (stored !== undefined) tokens.set(hash, { ...readToken(values.decode(stored, name), path), hash, used });
    }
    return tokens;
  }
}

/** A restored backup may have lost its modes. */
async function closeToOthers(path: string): Promise<void> {
  const { mode } = await stat(path);
  if ((mode & 0o077) !== 0) await chmod(path, 0o600);
}

function readMaterial(text: string, path: string): AuthorityMaterial {
  const material = parseMaterial(text);
  if (!material.ok) throw new Error(`${path}: ${formatFieldErrors(material.error)}`);
  return material.value;
}

function readToken(text: string, path: string): { spiffeId: string; expiresAt: number } {
  const { spiffeId, expiresAt } = parseObject(text, path);
  if (typeof spiffeId !== 'string' || typeof expiresAt !== 'number') throw new Error(`${path}: not a join token record; delete it`);
  return { spiffeId, expiresAt };
}

function parseObject(text: string, path: string): { readonly [key: string]: unknown } {
  try {
    const value: unknown = JSON.parse(text);
    if (typeof value === 'object' && value !== null) return value as { readonly [key: string]: unknown };
  } catch {
    // Said below; the parser's own message would quote a piece of a key.
  }
  throw new Error(`${path} is not JSON: it was damaged outside citadel; restore it from a backup`);
}
