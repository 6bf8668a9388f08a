import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { isCode } from '@meltemi/identity-edge';

/** A file and what it may hold; `name` is what a sealed value is bound to. */
export interface ValueFile {
  readonly path: string;
  readonly name: string;
  readonly maxBytes: number;
}

/** Where a keystore in a folder keeps what. */
export interface DiskLayout {
  readonly authority: ValueFile;
  readonly issuers: ValueFile;
  readonly revocations: ValueFile;
  readonly jwtKeys: ValueFile;
  readonly issuedDir: string;
  readonly tokensDir: string;
  issued(name: string): ValueFile;
  token(hash: string): ValueFile;
  /** There when the token has been used. */
  used(hash: string): string;
}

const maxAuthorityBytes = 262_144;
const maxIssuersBytes = 1_048_576;
const maxRevocationsBytes = 4_194_304;
const maxIssuedBytes = 1_048_576;
const maxTokenBytes = 8192;

export function layoutOf(dir: string): DiskLayout {
  const [issuedDir, tokensDir] = [join(dir, 'issued'), join(dir, 'tokens')];
  return {
    authority: { path: join(dir, 'authority.json'), name: 'authority', maxBytes: maxAuthorityBytes },
    issuers: { path: join(dir, 'issuers.json'), name: 'issuers', maxBytes: maxIssuersBytes },
    revocations: { path: join(dir, 'revocations.json'), name: 'revocations', maxBytes: maxRevocationsBytes },
    jwtKeys: { path: join(dir, 'jwt-keys.json'), name: 'jwtkeys', maxBytes: maxAuthorityBytes },
    issuedDir,
    tokensDir,
    issued: (name) => ({ path: join(issuedDir, `${name}.json`), name: `issued/${name}`, maxBytes: maxIssuedBytes }),
    token: (hash) => ({ path: join(tokensDir, `${hash}.json`), name: `tokens/${hash}`, maxBytes: maxTokenBytes }),
    used: (hash) => join(tokensDir, `${hash}.used`),
  };
}

/** Names of the batches of issued certificates. */
export async function issuedIn({ issuedDir }: DiskLayout): Promise<string[]> {
  return (await namesIn(issuedDir)).flatMap((file) => /^([0-9a-z]+)\.json$/.exec(file)?.[1] ?? []);
}

/** Hashes of the tokens, and which of them have been used. */
export async function tokensIn({ tokensDir }: DiskLayout): Promise<{ readonly hash: string; readonly used: boolean }[]> {
  const names = new Set(await namesIn(tokensDir));
  return [...names].flatMap((file) => /^([0-9a-f]{64})\.json$/.exec(file)?.[1] ?? []).map((hash) => ({ hash, used: names.has(`${hash}.used`) }));
}

/** Every file that holds a value, whether it is there or not. */
export async function valueFilesOf(layout: DiskLayout): Promise<ValueFile[]> {
  const { authority, issuers, revocations, jwtKeys } = layout;
  const [issued, tokens] = [await issuedIn(layout), await tokensIn(layout)];
  return [authority, issuers, jwtKeys, revocations, ...issued.map((name) => layout.issued(name)), ...tokens.map(({ hash }) => layout.token(hash))];
}

/** None in a folder that is not there. */
async function namesIn(dir: string): Promise<string[]> {
  try {
    return await readdir(dir);
  } catch (cause) {
    if (isCode(cause, 'ENOENT')) return [];
    throw cause;
  }
}
