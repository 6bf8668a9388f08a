import { createHash } from 'node:crypto';
import { chmod, mkdir, readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { formatFieldErrors } from '@meltemi/base';
import { formatMaterial, parseMaterial, type AuthorityMaterial, type Kept, type Keystore, type LeaderTerm, type SaveOutcome, type TokenRecord, type TokenState } from '@meltemi/citadel';
import { lockDirectory, type DirectoryLock } from '@meltemi/config-edge/directory-lock';
import { createMark, replaceFile, temporarySuffix } from '@meltemi/identity-edge';
import { readBounded } from './read-bounded.ts';

const maxAuthorityBytes = 262_144;
const maxIssuersBytes = 1_048_576;
const maxTokenBytes = 8192;
const lockDeadlineMs = 5000;

/**
 * The keystore as a directory of mode 0700:
 *
 *     lock                  while something is replaced: by whom
 *     authority.json        certificates and keys of root and issuing CA (0600)
 *     issuers.json          issuing CAs that were plugged in: certificates, no keys
 *     tokens/<hash>.json    a join token that was minted: identity and end, never the secret
 *     tokens/<hash>.used    it has been used; made with O_EXCL, so exactly one use wins
 */
export class DiskKeystore implements Keystore {
  readonly #authorityPath: string;
  readonly #dir: string;
  readonly #issuersPath: string;
  readonly #tokensDir: string;
  #tokens: Promise<Map<string, TokenState>> | undefined;

  constructor(dir: string) {
    this.#dir = dir;
    this.#authorityPath = join(dir, 'authority.json');
    this.#issuersPath = join(dir, 'issuers.json');
    this.#tokensDir = join(dir, 'tokens');
  }

  async loadAuthority(): Promise<Kept<AuthorityMaterial> | undefined> {
    const text = await this.#read(this.#authorityPath, maxAuthorityBytes);
    return text === undefined ? undefined : { value: readMaterial(text, this.#authorityPath), revision: revisionOf(text) };
  }

  async authorityRevision(): Promise<string | undefined> {
    const text = await this.#read(this.#authorityPath, maxAuthorityBytes);
    return text === undefined ? undefined : revisionOf(text);
  }

  async saveAuthority(material: AuthorityMaterial, expected: string | undefined, term?: LeaderTerm): Promise<SaveOutcome> {
    if (term?.lost.aborted === true) return 'conflict';
    return this.#replace(this.#authorityPath, expected, { text: formatMaterial(material), maxBytes: maxAuthorityBytes });
  }

  async loadIssuers(): Promise<Kept<readonly string[]> | undefined> {
    const text = await this.#read(this.#issuersPath, maxIssuersBytes);
    if (text === undefined) return undefined;
    const { issuers } = parseObject(text, this.#issuersPath);
    return { value: Array.isArray(issuers) ? issuers.filter((entry) => typeof entry === 'string') : [], revision: revisionOf(text) };
  }

  async saveIssuers(pathsPem: readonly string[], expected: string | undefined): Promise<SaveOutcome> {
    return this.#replace(this.#issuersPath, expected, { text: `${JSON.stringify({ issuers: pathsPem }, null, 2)}\n`, maxBytes: maxIssuersBytes });
  }

  async addToken(record: TokenRecord): Promise<void> {
    const tokens = await this.#loadTokens();
    const { hash, spiffeId, expiresAt } = record;
    await replaceFile(this.#tokenPath(hash), JSON.stringify({ spiffeId, expiresAt }));
    tokens.set(hash, { hash, spiffeId, expiresAt, used: false });
  }

  async findToken(hash: string): Promise<TokenState | undefined> {
    return (await this.#loadTokens()).get(hash);
  }

  async takeToken(hash: string): Promise<boolean> {
    const tokens = await this.#loadTokens();
    const token = tokens.get(hash);
    if (!token || token.used) return false;
    const won = await createMark(this.#usedPath(hash));
    tokens.set(hash, { ...token, used: true });
    return won;
  }

  async pruneTokens(expiredBefore: number): Promise<number> {
    const tokens = await this.#loadTokens();
    for (const [hash, token] of tokens) {
      if (token.expiresAt >= expiredBefore) continue;
      tokens.delete(hash);
      // The record first: a mark without a record is nothing, a record without its mark would be a fresh token.
      await rm(this.#tokenPath(hash), { force: true });
      await rm(this.#usedPath(hash), { force: true });
    }
    return tokens.size;
  }

  async #read(path: string, maxBytes: number): Promise<string | undefined> {
    await this.#loadTokens();
    return readBounded(path, maxBytes);
  }

  /** One at a time, also of several processes: what is compared is what is replaced. */
  async #replace(path: string, expected: string | undefined, { text, maxBytes }: { readonly text: string; readonly maxBytes: number }): Promise<SaveOutcome> {
    await this.#loadTokens();
    const lock = await lockSoon(this.#dir);
    try {
      const present = await readBounded(path, maxBytes);
      if ((present === undefined ? undefined : revisionOf(present)) !== expected) return 'conflict';
      await replaceFile(path, text);
      return 'saved';
    } finally {
      await lock.release();
    }
  }

  #tokenPath(hash: string): string {
    return join(this.#tokensDir, `${hash}.json`);
  }

  #usedPath(hash: string): string {
    return join(this.#tokensDir, `${hash}.used`);
  }

  #loadTokens(): Promise<Map<string, TokenState>> {
    this.#tokens ??= this.#readTokens();
    this.#tokens.catch(() => (this.#tokens = undefined));
    return this.#tokens;
  }

  async #readTokens(): Promise<Map<string, TokenState>> {
    for (const dir of [this.#dir, this.#tokensDir]) {
      await mkdir(dir, { recursive: true, mode: 0o700 });
      await chmod(dir, 0o700);
      for (const name of await readdir(dir)) if (name.endsWith(temporarySuffix)) await rm(join(dir, name), { force: true });
    }
    const names = new Set(await readdir(this.#tokensDir));
    const tokens = new Map<string, TokenState>();
    for (const name of names) {
      const hash = /^([0-9a-f]{64})\.json$/.exec(name)?.[1];
      if (hash === undefined) continue;
      const text = await readBounded(join(this.#tokensDir, name), maxTokenBytes);
      if (text !== undefined) tokens.set(hash, { ...readToken(text, name), hash, used: names.has(`${hash}.used`) });
    }
    return tokens;
  }
}

/** Waits for another writer, which needs milliseconds. */
async function lockSoon(dir: string): Promise<DirectoryLock> {
  const endMs = Date.now() + lockDeadlineMs;
  for (;;) {
    const lock = await lockDirectory(dir);
    if (lock.ok) return lock.value;
    if (Date.now() >= endMs) throw new Error(lock.error);
    await delay(5 + Math.random() * 10);
  }
}

function revisionOf(text: string): string {
  return createHash('sha256').update(text).digest('hex');
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
