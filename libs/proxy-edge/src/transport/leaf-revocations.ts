import type { X509Certificate } from 'node:crypto';
import { fail, ok, type Result } from '@meltemi/base';
import { parseCertificate, parseRevocationLists, type RevocationList } from '@meltemi/identity';
import type { Validation } from '@meltemi/snapshot';
import { readSource } from './read-source.ts';

/** Which certificates of peers a context refuses, the chains above them left out. */
export interface LeafRevocations {
  /** Of all lists. */
  readonly serials: ReadonlySet<string>;
  /** By the issuer's name, hex of its DER; null: the mesh's own lists, where a serial alone names a certificate and an issuer may have no list. */
  readonly byIssuer: ReadonlyMap<string, RevocationList> | null;
}

/** The secret that citadel's bundle is served under. */
const ownBundle = 'ROOTCA';

/** Reads the lists; null when there are none. */
export function leafRevocationsOf(validation: Validation | null, sdsName: string | null): Result<LeafRevocations | null> {
  if (!validation?.leafCrl) return ok(null);
  const lists = parseRevocationLists(readSource(validation.leafCrl).toString('utf8'));
  if (!lists.ok) return fail('crl', lists.error[0]?.message ?? 'cannot be read');
  const serials = new Set(lists.value.flatMap((list) => [...list.serials]));
  return ok({ serials, byIssuer: sdsName === ownBundle ? null : new Map(lists.value.map((list) => [list.issuer.toString('hex'), list])) });
}

/** Why the peer's certificate is refused, or null. As in OpenSSL, an issuer without a list of the present vouches for nobody. Lists are believed as the roots beside them are. */
export function revokedLeaf(peer: X509Certificate, { serials, byIssuer }: LeafRevocations): string | null {
  const serial = peer.serialNumber.toLowerCase().replace(/^0+(?=.)/, '');
  if (byIssuer === null) return serials.has(serial) ? `certificate ${serial} is revoked` : null;
  const parsed = parseCertificate(peer.raw);
  const list = parsed.ok ? byIssuer.get(parsed.value.issuer.toString('hex')) : undefined;
  if (!list) return 'there is no revocation list of its issuer';
  if (list.nextUpdate <= Date.now()) return `the revocation list of its issuer ended at ${new Date(list.nextUpdate).toISOString()}`;
  return list.serials.has(serial) ? `certificate ${serial} is revoked` : null;
}
