import type { SilentIssuance } from './facts.ts';

/** Of one lifetime: so much later than needed a bound may lie, so that most issuances change nothing that must be saved. */
const granule = 1 / 16;
/** Different pairs of roots in one lifetime. */
const maxKinds = 32;

/** What a certificate for a caller that does not report adds. */
export interface SilentCertificate {
  readonly certificateRoot: string;
  readonly trustedRoots: readonly string[];
  /** Milliseconds since the epoch. */
  readonly notAfter: number;
}

/** Bounds on certificates of callers that do not report: as few numbers as there are pairs of roots, however many callers. */
export class SilentIssuances {
  readonly #kinds = new Map<string, SilentIssuance>();

  /** True when the bound moved: it must be durable before the certificate leaves. */
  add({ certificateRoot, trustedRoots, notAfter }: SilentCertificate, now: number): boolean {
    for (const [key, { latestNotAfter }] of this.#kinds) if (latestNotAfter <= now) this.#kinds.delete(key);
    // With too many kinds the oldest stands for the new one, too.
    const known = this.#kinds.get(keyOf({ certificateRoot, trustedRoots })) ?? (this.#kinds.size < maxKinds ? undefined : this.list()[0]);
    const kind = known ?? { certificateRoot, trustedRoots, latestNotAfter: 0, count: 0 };
    const moves = kind.latestNotAfter < notAfter;
    const latestNotAfter = moves ? notAfter + (notAfter - now) * granule : kind.latestNotAfter;
    this.#kinds.set(keyOf(kind), { ...kind, latestNotAfter, count: kind.count + 1 });
    return moves;
  }

  list(): readonly SilentIssuance[] {
    return [...this.#kinds.values()];
  }
}

function keyOf({ certificateRoot, trustedRoots }: Pick<SilentIssuance, 'certificateRoot' | 'trustedRoots'>): string {
  return `${certificateRoot} ${trustedRoots.join()}`;
}
