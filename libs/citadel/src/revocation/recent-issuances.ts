import type { IssuedRecord } from './issued-record.ts';
import type { RevocationState, RevokedRecord } from './revocation-state.ts';

/** A certificate that was issued a moment ago, and on which proof. */
export interface RecentIssuance extends IssuedRecord {
  /** Milliseconds since the epoch. */
  readonly at: number;
  /** The certificate that was shown, of another identity where a registration authority asked; undefined: a token. */
  readonly shown: { readonly serial: string; readonly spiffeId: string; readonly issuedAt: number } | undefined;
}

const never = Number.POSITIVE_INFINITY;
const maxRecent = 50_000;
/** A request under way when the revocations were read ends within this. */
const underWayMs = 15_000;

/**
 * What this citadel issued since it last knew what is revoked: another citadel may have revoked the proof meanwhile. Whoever renews a stolen certificate in
 * that moment must not keep what it got.
 */
export class RecentIssuances {
  #recent: RecentIssuance[] = [];

  add(issuance: RecentIssuance): void {
    this.#recent.push(issuance);
    if (this.#recent.length > maxRecent) this.#recent = this.#recent.slice(maxRecent / 2);
  }

  /** Those that would not have been issued had this been known, revoked as of the time their proof was. */
  late({ certificates, identities }: RevocationState): RevokedRecord[] {
    if (identities.length === 0 && certificates.length === 0) return [];
    const before = new Map(identities.map((identity) => [identity.spiffeId, identity.before]));
    const revokedAt = new Map(certificates.map((certificate) => [certificate.serial, certificate.revokedAt]));
    const late: RevokedRecord[] = [];
    for (const { serial, spiffeId, notAfter, at, shown } of this.#recent) {
      if (revokedAt.has(serial)) continue;
      const ownBefore = before.get(spiffeId) ?? 0;
      // Of what was shown, by its serial or with its identity: what was got with it from then on goes with it.
      const shownUntil = shown ? Math.min(revokedAt.get(shown.serial) ?? never, untilOf(shown, before)) : never;
      if (at >= ownBefore && at < shownUntil) continue;
      // Never after it was issued: whatever was got with it, here or at another citadel, goes with it.
      const since = Math.min(at, shownUntil);
      late.push({ serial, spiffeId, notAfter, revokedAt: since });
      // What was got with it is next in the list.
      revokedAt.set(serial, since);
    }
    return late;
  }

  /** To be called when what was late is revoked and kept: the older ones need no second look. */
  forget(now: number): void {
    this.#recent = this.#recent.filter(({ at }) => at > now - underWayMs);
  }
}

/** Until when a certificate counted whose identity was revoked. */
function untilOf({ spiffeId, issuedAt }: { readonly spiffeId: string; readonly issuedAt: number }, before: ReadonlyMap<string, number>): number {
  const until = before.get(spiffeId) ?? 0;
  return issuedAt < until ? until : never;
}
