import type { IssuedRecord } from './issued-record.ts';
import type { RevocationState } from './revocation-state.ts';

/** A certificate that was issued a moment ago, and on which proof. */
export interface RecentIssuance extends IssuedRecord {
  /** Milliseconds since the epoch. */
  readonly at: number;
  /** The certificate that was shown; undefined: a token. */
  readonly shown: { readonly serial: string; readonly issuedAt: number } | undefined;
}

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

  /** Those that would not have been issued had this been known; the older ones are forgotten. */
  settle({ certificates, identities }: RevocationState, now: number): RecentIssuance[] {
    const late = identities.length === 0 && certificates.length === 0 ? [] : this.#late(certificates, identities);
    this.#recent = this.#recent.filter(({ at }) => at > now - underWayMs);
    return late;
  }

  #late(certificates: RevocationState['certificates'], identities: RevocationState['identities']): RecentIssuance[] {
    const before = new Map(identities.map((identity) => [identity.spiffeId, identity.before]));
    const revokedAt = new Map(certificates.map((certificate) => [certificate.serial, certificate.revokedAt]));
    const late: RecentIssuance[] = [];
    for (const issuance of this.#recent) {
      const { serial, spiffeId, at, shown } = issuance;
      const chained = shown && (revokedAt.get(shown.serial) ?? Number.POSITIVE_INFINITY) <= at;
      if (revokedAt.has(serial) || !(chained === true || (shown?.issuedAt ?? at) < (before.get(spiffeId) ?? 0))) continue;
      late.push(issuance);
      // What was got with it is next in the list.
      revokedAt.set(serial, 0);
    }
    return late;
  }
}
