import { createHash } from 'node:crypto';
import { ok, type Result } from '@meltemi/base';
import { fingerprintOf, formatSpiffeId, isJoinToken, issued, parseJoinToken, verifyChain, type Certificate } from '@meltemi/identity';
import type { OpenAuthority } from '../authority.ts';
import { backdatedMs } from '../backdate.ts';
import { refuse, type CitadelError } from '../errors.ts';
import type { TokenStore } from '../keystore.ts';
import type { RevokedIdentity } from '../revocation/revocation-state.ts';
import type { Caller, CallerProof, TokenCallers } from './caller.ts';

export interface AuthenticationParts {
  readonly keystore: TokenStore;
  /** Milliseconds since the epoch. */
  readonly now: number;
  /** In the order they are asked. */
  readonly tokens: readonly TokenCallers[];
  /** Why a certificate issued to an identity at a time counts no more, though it is on no list. */
  readonly revokedIdentity: (spiffeId: string, issuedAt: number) => RevokedIdentity | undefined;
}

/** Who is asking. The texts help an honest caller and tell a guesser nothing: only holders of a real secret learn that it expired or was used. */
export async function authenticate(proof: CallerProof, authority: OpenAuthority, by: AuthenticationParts): Promise<Result<Caller, CitadelError>> {
  const { token } = proof;
  if (token !== undefined) {
    const kind = isJoinToken(token) ? undefined : by.tokens.find((callers) => callers.recognizes(token));
    return kind ? kind.authenticate(token, by.now) : byJoinToken(token, authority, by);
  }
  if (proof.certificate) return byCertificate(proof.certificate, authority, by);
  return refuse('authentication', 'unauthenticated', 'no proof of identity: send a join token as "authorization: Bearer …", or connect with a valid certificate of this mesh');
}

async function byJoinToken(text: string, authority: OpenAuthority, by: AuthenticationParts): Promise<Result<Caller, CitadelError>> {
  const token = parseJoinToken(text);
  if (!token.ok) return refuse('authentication', 'unauthenticated', `${token.error[0]?.message ?? 'not a join token'}${isJwtShaped(text) ? '; of this issuer no JSON web tokens are accepted here' : ''}`);
  const { rootFingerprint } = token.value;
  if (!authority.trust.roots.some((root) => fingerprintOf(root) === rootFingerprint)) return refuse('authentication', 'unauthenticated', otherRoot(rootFingerprint, authority));
  const hash = hashTokenSecret(token.value.secret);
  const record = await by.keystore.findToken(hash);
  if (!record) return refuse('authentication', 'unauthenticated', 'unknown join token: it was never made here, or expired long ago; mint a new one');
  if (record.used) return refuse('authentication', 'unauthenticated', 'the join token has been used already; each works once. Mint a new one, and find out who used it if it was not this workload');
  if (record.expiresAt <= by.now) return refuse('authentication', 'unauthenticated', `the join token expired at ${new Date(record.expiresAt).toISOString()}; mint a new one`);
  if (formatSpiffeId(token.value.id) !== record.spiffeId) return refuse('authentication', 'denied', `the join token was changed: it is bound to ${record.spiffeId}`);
  return ok({
    ids: [token.value.id],
    how: 'join token',
    settle: async () => ((await by.keystore.takeToken(hash)) ? ok(undefined) : refuse('authentication', 'unauthenticated', 'the join token has been used already, a moment ago; each works once')),
  });
}

function otherRoot(fingerprint: string, { retiredRoots = [] }: OpenAuthority): string {
  const retired = retiredRoots.find((root) => root.fingerprint === fingerprint);
  if (!retired) return 'the join token was made for another root: mint a new one at this citadel';
  return `the join token was made for a root that was retired at ${new Date(retired.retiredAt).toISOString()}: mint a new one`;
}

function byCertificate(leaf: Certificate, authority: OpenAuthority, { now, revokedIdentity }: AuthenticationParts): Result<Caller, CitadelError> {
  const issuers = [authority.issuer, ...authority.retired];
  const issuer = issuers.find(([issuing]) => issued(issuing, leaf)) ?? authority.issuer;
  const peer = verifyChain([leaf, ...issuer], authority.trust, { now, use: 'client' });
  if (!peer.ok) return refuse('authentication', 'unauthenticated', `the client certificate is refused: ${peer.error[0]?.message}. Join again with a new token`);
  const issuedAt = leaf.notBefore + backdatedMs;
  const spiffeId = formatSpiffeId(peer.value.id);
  const revoked = revokedIdentity(spiffeId, issuedAt);
  if (revoked) return refuse('authentication', 'unauthenticated', `the client certificate is refused: those of ${revoked.spiffeId} from before ${new Date(revoked.before).toISOString()} are revoked. Join again with a new token`);
  return ok({ ids: [peer.value.id], how: 'certificate', subject: `serial ${leaf.serial}`, shown: { serial: leaf.serial, spiffeId, issuedAt }, settle: async () => ok(undefined) });
}

/** Three parts of base64url, the last of which may not be empty: what is not even that is never sent to anybody. */
export function isJwtShaped(token: string): boolean {
  return /^[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+$/.test(token);
}

/** What is stored of a token's secret: 32 random bytes need no salt and no slow hash. Lower-case hex. */
export function hashTokenSecret(secret: Uint8Array): string {
  return createHash('sha256').update(secret).digest('hex');
}
