import { fingerprintOf, type Certificate } from '@meltemi/identity';
import type { OpenAuthority } from './authority.ts';

/** What a certificate of the authority is there for. */
export type AuthorityRole = 'root' | 'trusted root' | 'issuing CA' | 'intermediate';

/** A certificate of the authority, and how near its end is. */
export interface AuthorityExpiry {
  readonly role: AuthorityRole;
  readonly serial: string;
  /** SHA-256. */
  readonly fingerprint: string;
  /** Milliseconds since the epoch. */
  readonly notAfter: number;
  /** The smallest of `expiryThresholds` that has been reached, in days; 0: it has ended; undefined: it is far. */
  readonly withinDays: number | undefined;
}

/** Days before the end of a certificate at which it is warned of. */
export const expiryThresholds = [30, 14, 7] as const;

const dayMs = 86_400_000;

/** Every certificate that the authority hangs on, the nearest end first. */
export function authorityExpiries({ root, issuer: [issuing, ...intermediates], serving, trust }: OpenAuthority, now: number): AuthorityExpiry[] {
  const roles = new Map<string, readonly [AuthorityRole, Certificate]>();
  const add = (role: AuthorityRole, certificates: readonly Certificate[]): void => {
    for (const certificate of certificates) if (!roles.has(certificate.pem)) roles.set(certificate.pem, [role, certificate]);
  };
  add('root', [root]);
  add('issuing CA', [issuing, ...(serving ? [serving.issuer[0]] : [])]);
  add('intermediate', [...intermediates, ...(serving ? serving.issuer.slice(1) : [])]);
  add('trusted root', trust.roots);
  return [...roles.values()].map(([role, certificate]) => expiryOf(role, certificate, now)).toSorted((a, b) => a.notAfter - b.notAfter);
}

function expiryOf(role: AuthorityRole, certificate: Certificate, now: number): AuthorityExpiry {
  const { serial, notAfter } = certificate;
  const withinDays = notAfter <= now ? 0 : expiryThresholds.findLast((days) => notAfter - now <= days * dayMs);
  return { role, serial, fingerprint: fingerprintOf(certificate), notAfter, withinDays };
}

/** Says each threshold of each certificate once; a restart says the one reached again. */
export class ExpiryWatch {
  readonly #said = new Map<string, number>();

  /** What is new to warn of. */
  check(authority: OpenAuthority, now: number): AuthorityExpiry[] {
    const all = authorityExpiries(authority, now);
    const known = new Set(all.map(({ fingerprint }) => fingerprint));
    for (const fingerprint of this.#said.keys()) if (!known.has(fingerprint)) this.#said.delete(fingerprint);
    return all.filter(({ fingerprint, withinDays }) => {
      if (withinDays === undefined || withinDays >= (this.#said.get(fingerprint) ?? Number.POSITIVE_INFINITY)) return false;
      this.#said.set(fingerprint, withinDays);
      return true;
    });
  }
}
