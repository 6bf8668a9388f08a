import { createHash, hash } from 'node:crypto';
import { fail, ok, type Result } from '@meltemi/base';
import { parseCertificates, type Certificate } from './certificate.ts';
import { parseJwtAuthorities } from './jwt/jwt-authorities.ts';
import { parseRevocationLists } from './revocation-list.ts';
import { isTrustDomain } from './spiffe.ts';

/** The roots one trust domain is believed through. Immutable: a new set of roots is a new bundle. */
export interface TrustBundle {
  readonly trustDomain: string;
  readonly roots: readonly Certificate[];
  /** All roots as one PEM text, for TLS libraries. */
  readonly pem: string;
  /** Other trust domains that are believed too, each through its own roots and for its own identities alone. Unset: none. */
  readonly federated?: readonly TrustBundle[];
  /** Of the bundle's own trust domain: certificates that are not believed, though they have not ended. Unset: none. */
  readonly revoked?: Revocations;
  /** The keys that verify the trust domain's JWT-SVIDs: a JWK set as parseJwtAuthorities gives it. Unset: it issues none. */
  readonly jwtKeys?: string;
}

/** What the authorities of a trust domain have revoked. */
export interface Revocations {
  /** The newest list of each issuer whose certificates may still be alive, behind each other. */
  readonly pem: string;
  /** Of all lists. 128 random bits name a certificate whoever issued it, and an issuer that is retired can sign no new list. */
  readonly serials: ReadonlySet<string>;
}

/** Another trust domain's roots, as they come from citadel or a file. */
export interface FederatedRoots {
  readonly trustDomain: string;
  readonly rootsPem: readonly string[];
  /** The keys of its JWT-SVIDs, a JWK set; unset or "": none. */
  readonly jwtKeys?: string;
}

/** Makes a bundle of PEM texts (each may hold several certificates, at most 16). Every root must be a CA; duplicates are dropped. */
export function createTrustBundle(trustDomain: string, rootsPem: readonly string[]): Result<TrustBundle> {
  const roots = new Map<string, Certificate>();
  for (const [index, pem] of rootsPem.entries()) {
    const parsed = parseCertificates(pem);
    if (!parsed.ok) return fail(`roots[${index}]`, parsed.error[0]?.message ?? 'not a certificate');
    for (const root of parsed.value) {
      if (!root.ca) return fail(`roots[${index}]`, 'not a CA certificate (basicConstraints CA is false or missing)');
      roots.set(fingerprintOf(root), root);
    }
  }
  if (roots.size === 0) return fail('roots', 'a trust bundle needs at least one root certificate');
  const list = Object.freeze([...roots.values()]);
  return ok(Object.freeze({ trustDomain, roots: list, pem: list.map((root) => root.pem).join('') }));
}

/** More are refused: every handshake with a peer looks among them. */
export const maxFederated = 64;

/**
 * The bundle with other trust domains beside it. A federated bundle never speaks for the bundle's own trust domain, and no trust domain is named twice.
 * Error paths are `federated[index]`.
 */
export function withFederated(bundle: TrustBundle, others: readonly FederatedRoots[]): Result<TrustBundle> {
  if (others.length > maxFederated) return fail('federated', `has ${others.length} trust domains; the limit is ${maxFederated}`);
  const federated: TrustBundle[] = [];
  const taken = new Set([bundle.trustDomain]);
  for (const [index, { trustDomain, rootsPem, jwtKeys = '' }] of others.entries()) {
    if (taken.has(trustDomain)) return fail(`federated[${index}]`, `trust domain ${trustDomain} has its roots already`);
    if (!isTrustDomain(trustDomain)) return fail(`federated[${index}]`, `${JSON.stringify(trustDomain.slice(0, 80))} is not a trust domain`);
    taken.add(trustDomain);
    const made = createTrustBundle(trustDomain, rootsPem);
    if (!made.ok) return fail(`federated[${index}]`, `${made.error[0]?.path ?? ''}: ${made.error[0]?.message ?? 'no roots'}`);
    const keyed = withJwtKeys(made.value, jwtKeys);
    if (!keyed.ok) return fail(`federated[${index}]`, keyed.error[0]?.message ?? 'no JWT keys');
    federated.push(keyed.value);
  }
  const { federated: _, ...own } = bundle;
  return ok(Object.freeze({ ...own, ...(federated.length > 0 && { federated: Object.freeze(federated) }) }));
}

/** The bundle with these lists, PEM; "": without. They come from where the roots come from, so that their signatures say nothing more. */
export function withRevocations(bundle: TrustBundle, listsPem: string): Result<TrustBundle> {
  const { revoked: _, ...rest } = bundle;
  if (listsPem === '') return ok(Object.freeze(rest));
  const lists = parseRevocationLists(listsPem);
  if (!lists.ok) return fail('revocation lists', lists.error[0]?.message ?? 'cannot be read');
  const serials = new Set(lists.value.flatMap((list) => [...list.serials]));
  return ok(Object.freeze({ ...rest, revoked: Object.freeze({ pem: lists.value.map((list) => list.pem).join(''), serials }) }));
}

/** The bundle with these keys for JWT-SVIDs, a JWK set; "": without. */
export function withJwtKeys(bundle: TrustBundle, jwtKeys: string): Result<TrustBundle> {
  const { jwtKeys: _, ...rest } = bundle;
  if (jwtKeys === '') return ok(Object.freeze(rest));
  const parsed = parseJwtAuthorities(jwtKeys);
  return parsed.ok ? ok(Object.freeze({ ...rest, jwtKeys: parsed.value })) : fail('JWT keys', parsed.error[0]?.message ?? 'cannot be read');
}

/** Certificates do not change, and the roots' are asked for with every certificate that is issued. */
const fingerprints = new WeakMap<Pick<Certificate, 'der'>, string>();

/** SHA-256 over the certificate's DER, lower-case hex. */
export function fingerprintOf(certificate: Pick<Certificate, 'der'>): string {
  const known = fingerprints.get(certificate);
  if (known !== undefined) return known;
  const fingerprint = hash('sha256', certificate.der);
  fingerprints.set(certificate, fingerprint);
  return fingerprint;
}

/** SHA-256 of the roots of the bundle's own trust domain, sorted. */
export function trustedRootsOf({ roots }: Pick<TrustBundle, 'roots'>): string[] {
  return roots.map(fingerprintOf).toSorted();
}

/** The same for bundles that say the same, federated ones, keys of tokens and what is revoked included. */
export function bundleVersion({ trustDomain, roots, revoked, jwtKeys, federated = [] }: TrustBundle): string {
  const said = [{ trustDomain, roots, jwtKeys }, ...federated].map((bundle) => [bundle.trustDomain, ...trustedRootsOf(bundle), ...(bundle.jwtKeys === undefined ? [] : [bundle.jwtKeys])]);
  return createHash('sha256').update(JSON.stringify(said)).update(revoked?.pem ?? '').digest('hex').slice(0, 32);
}
