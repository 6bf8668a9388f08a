import { chmod, mkdir, readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { AuthorityMaterial, Keystore, TokenRecord, TokenState } from '@meltemi/citadel';
import { createMark, replaceFile, temporarySuffix } from '@meltemi/identity-edge';
import { readBounded } from './read-bounded.ts';

const maxAuthorityBytes = 262_144;
const maxIssuersBytes = 1_048_576;
const maxTokenBytes = 8192;

/**
 * The keystore as a directory of mode 0700:
 *
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

  async loadAuthority(): Promise<AuthorityMaterial | undefined> {
    await this.#loadTokens();
    const text = await readBounded(this.#authorityPath, maxAuthorityBytes);
    return text === undefined ? undefined : readMaterial(text, this.#authorityPath);
  }

  async saveAuthority(material: AuthorityMaterial): Promise<void> {
    await this.#loadTokens();
    await replaceFile(this.#authorityPath, `${JSON.stringify(material, null, 2)}\n`);
  }

  async loadIssuers(): Promise<readonly string[]> {
    const text = await readBounded(this.#issuersPath, maxIssuersBytes);
    const issuers = text === undefined ? [] : parseObject(text, this.#issuersPath)['issuers'];
    return Array.isArray(issuers) ? issuers.filter((entry) => typeof entry === 'string') : [];
  }

  async saveIssuers(pathsPem: readonly string[]): Promise<void> {
    await this.#loadTokens();
    await replaceFile(this.#issuersPath, `${JSON.stringify({ issuers: pathsPem }, null, 2)}\n`);
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

function readMaterial(text: string, path: string): AuthorityMaterial {
  const value = parseObject(text, path);
  const field = (name: string): string => {
    const found = value[name];
    if (typeof found !== 'string') throw new Error(`${path}: ${name} is missing; restore the file from a backup, or delete it to start a new authority that no running workload trusts`);
    return found;
  };
  const retired = value['retiredIssuingPem'];
  return {
    rootCertificatePem: field('rootCertificatePem'),
    rootKeyPem: field('rootKeyPem'),
    issuingCertificatePem: field('issuingCertificatePem'),
    issuingKeyPem: field('issuingKeyPem'),
    retiredIssuingPem: Array.isArray(retired) ? retired.filter((entry) => typeof entry === 'string') : [],
  };
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
