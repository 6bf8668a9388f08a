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
const maxRetryMs = 30_000;

/**
 * How long to wait after the `failures`-th failure in a row (1 is the first): doubling from 250 ms to 30 s, of which a random half is waited,
 * and never more than an eighth of what is left of the certificate, so that even short-lived ones get several attempts.
 */
export function retryDelayMs(failures: number, remainingMs: number, random: Random): number {
  const doubled = Math.min(maxRetryMs, firstRetryMs * 2 ** Math.min(failures - 1, 10));
  const ceiling = remainingMs > 0 ? Math.max(firstRetryMs, Math.min(doubled, remainingMs / 8)) : doubled;
  return ceiling * (0.5 + random.next() * 0.5);
}
