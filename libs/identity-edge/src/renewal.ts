import type { Random } from '@meltemi/base';

/** Every authority of the mesh dates certificates back by this much, so that slow clocks accept them. */
export const backdatedMs = 120_000;

/**
 * When to renew: at half of the life, plus or minus 1 % of it so that proxies that started together do not stay together (Istio's rule).
 * `issuedAt` and the result are milliseconds since the epoch.
 */
export function renewalTime(life: { readonly issuedAt: number; readonly notAfter: number }, random: Random): number {
  const lifetime = Math.max(0, life.notAfter - life.issuedAt);
  return life.issuedAt + lifetime * (0.5 + (random.next() - 0.5) * 0.02);
}

const firstRetryMs = 250;
/** A citadel that comes back is found within this: the mesh heals in seconds. */
const maxUnreachableMs = 3000;
/** A refusal does not heal by itself; somebody has to bring a fresh token. */
const maxRefusedMs = 15_000;

/** What is known about a row of failures. */
export interface Failures {
  /** In a row; 1 is the first. */
  readonly count: number;
  /** The last answer was a refusal, not silence. */
  readonly refused: boolean;
  /** What is left of the certificate; 0 or less when there is none. */
  readonly remainingMs: number;
}

/**
 * How long to wait before the next attempt: doubling from 250 ms to 3 s (15 s when refused), of which a random half is waited, and never more
 * than an eighth of what is left of the certificate, so that even short-lived ones get several attempts.
 */
export function retryDelayMs({ count, refused, remainingMs }: Failures, random: Random): number {
  const doubled = Math.min(refused ? maxRefusedMs : maxUnreachableMs, firstRetryMs * 2 ** Math.min(count - 1, 10));
  const ceiling = remainingMs > 0 ? Math.max(firstRetryMs, Math.min(doubled, remainingMs / 8)) : doubled;
  return ceiling * (0.5 + random.next() * 0.5);
}
