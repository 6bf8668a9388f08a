import { isDeepStrictEqual } from 'node:util';
import type { Keystore, ReportStore, SaveOutcome, TokenState } from '@meltemi/citadel';

/** A keystore, and who followed the roots by what lies beside it. */
export interface KeystoreSide {
  readonly keystore: Keystore;
  readonly reports: ReportStore;
}

/** One that is read alone. */
export interface KeystoreSource {
  readonly keystore: Pick<Keystore, 'loadAuthority' | 'loadIssuers' | 'loadRevocations' | 'loadJwtKeys' | 'issuedNames' | 'loadIssued' | 'listTokens'>;
  readonly reports: Pick<ReportStore, 'loadReports'>;
}

/** How much there was. */
export interface CopiedKeystore {
  readonly authority: boolean;
  /** Issuing CAs that were plugged in. */
  readonly issuers: number;
  readonly jwtKeys: number;
  readonly revoked: number;
  /** Certificates that were issued and are alive. */
  readonly issued: number;
  readonly tokens: number;
}

const writtenAtOnce = 20;

/**
 * Copies everything and compares it afterwards; of the source it only reads, and there must be something in it. Nobody else may use either side meanwhile. The
 * destination must be empty: rejects with what is in it. The authority comes last, so that what a killed copy leaves signs nothing. Rejects when the copy is not what it should be.
 */
export async function copyKeystore(from: KeystoreSource, to: KeystoreSide): Promise<CopiedKeystore> {
  const contents = await contentsOf(from.keystore);
  if (firstIn(contents) === undefined) throw new Error('there is no keystore to copy: nothing is in it');
  const present = firstIn(await contentsOf(to.keystore));
  if (present !== undefined) throw new Error(`the destination is not empty (${present}): nothing was written. Choose another place; what an unfinished copy left must be deleted first`);
  const { authority, issuers, revocations, jwtKeys, tokens, issued } = contents;
  await inParts(tokens, async (token) => {
    await to.keystore.addToken({ hash: token.hash, spiffeId: token.spiffeId, expiresAt: token.expiresAt });
    if (token.used) await to.keystore.takeToken(token.hash);
  });
  await inParts(issued, ({ name, records }) => to.keystore.addIssued(name, records));
  if (revocations) saved(await to.keystore.saveRevocations(revocations, undefined));
  if (jwtKeys) saved(await to.keystore.saveJwtKeys(jwtKeys, undefined));
  if (issuers) saved(await to.keystore.saveIssuers(issuers, undefined));
  await to.reports.writeReports(await from.reports.loadReports());
  if (authority) saved(await to.keystore.saveAuthority(authority, undefined));
  const copied = await contentsOf(to.keystore);
  const wrong = (Object.keys(contents) as (keyof Contents)[]).find((name) => !isDeepStrictEqual(copied[name], contents[name]));
  if (wrong !== undefined) throw new Error(`what was written is not what was read (${wrong}): somebody else wrote there meanwhile. Do not use the copy`);
  return { authority: authority !== undefined, issuers: issuers?.length ?? 0, jwtKeys: jwtKeys?.keys.length ?? 0, revoked: revocations?.certificates.length ?? 0, issued: issued.reduce((sum, { records }) => sum + records.length, 0), tokens: tokens.length };
}

type Contents = Awaited<ReturnType<typeof contentsOf>>;

/** The name of what is there; undefined when nothing is. */
function firstIn(contents: Contents): string | undefined {
  return Object.entries(contents).find(([, value]) => (Array.isArray(value) ? value.length > 0 : value !== undefined))?.[0];
}

async function contentsOf(keystore: KeystoreSource['keystore']) {
  const names = [...(await keystore.issuedNames())].sort();
  const issued = [];
  for (const name of names) {
    const { records, damaged } = await keystore.loadIssued([name]);
    if (damaged.length > 0) throw new Error(`what was issued cannot be read (${damaged.join(', ')}): restore it from a backup, or delete it; those certificates can then be revoked by serial alone`);
    issued.push({ name, records });
  }
  const tokens: readonly TokenState[] = [...(await keystore.listTokens())].sort((one, two) => (one.hash < two.hash ? -1 : 1));
  return {
    authority: (await keystore.loadAuthority())?.value, issuers: (await keystore.loadIssuers())?.value, revocations: (await keystore.loadRevocations())?.value, jwtKeys: (await keystore.loadJwtKeys())?.value, tokens, issued,
  };
}

function saved(outcome: SaveOutcome): void {
  if (outcome === 'conflict') throw new Error('somebody else writes to the destination: stop every citadel there');
}

async function inParts<T>(all: readonly T[], write: (each: T) => Promise<void>): Promise<void> {
  for (let start = 0; start < all.length; start += writtenAtOnce) await Promise.all(all.slice(start, start + writtenAtOnce).map(write));
}
