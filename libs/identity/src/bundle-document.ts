import { fail, ok, type Result } from '@meltemi/base';
import { parseCertificate, type Certificate } from './certificate.ts';
import { fittingJwtAuthorities, jwtAuthoritiesOf, jwtAuthority, type JwtAuthority } from './jwt/jwt-authorities.ts';
import type { TrustBundle } from './trust-bundle.ts';

/** What a SPIFFE bundle document says of one trust domain: X.509 roots and keys of JWT-SVIDs (SPIFFE_Trust_Domain_and_Bundle.md §4). */
export interface BundleDocument {
  /** Empty: the trust domain has revoked all it had. */
  readonly roots: readonly Certificate[];
  /** A JWK set; "" when there are none. Keys that cannot verify JWT-SVIDs are left out. */
  readonly jwtKeys: string;
  /** Keys of JWT-SVIDs beyond what a bundle takes, and why: for people. */
  readonly leftOut: readonly string[];
  /** Grows with each change of the document; unset: not said. */
  readonly sequence?: number;
  /** How soon to ask again, seconds; unset: not said. */
  readonly refreshHintSeconds?: number;
}

/** Of a document; a root has some 2 kB in it. */
const maxBytes = 262_144;
const maxKeys = 256;
const maxRoots = 16;

interface Jwk {
  readonly use?: unknown;
  readonly kty?: unknown;
  readonly x5c?: unknown;
}

/** Reads a bundle document: a JWK set whose `x509-svid` keys carry one certificate each, and whose `jwt-svid` keys a `kid`. Keys of other uses are left out. */
export function parseBundleDocument(text: string): Result<BundleDocument> {
  if (text.length > maxBytes) return fail('', `a bundle document of ${text.length} bytes; the limit is ${maxBytes}`);
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch {
    return fail('', 'is not JSON');
  }
  if (typeof json !== 'object' || json === null || !('keys' in json) || !Array.isArray(json.keys)) return fail('keys', 'must be a list: a SPIFFE bundle is a JWK set');
  if (json.keys.length > maxKeys) return fail('keys', `has ${json.keys.length} entries; the limit is ${maxKeys}`);
  const roots: Certificate[] = [];
  const jwtKeys: JwtAuthority[] = [];
  for (const [index, key] of (json.keys as (Jwk | null)[]).entries()) {
    // Without use or type, or with ones that nobody knows, a key is to be ignored.
    if (key?.use === 'jwt-svid') jwtKeys.push(...[jwtAuthority(key)].flatMap((good) => good ?? []));
    if (key?.use !== 'x509-svid' || typeof key.kty !== 'string') continue;
    const root = rootOf(key);
    if (!root.ok) return fail(`keys[${index}].x5c`, root.error[0]?.message ?? 'no certificate');
    roots.push(root.value);
  }
  if (roots.length > maxRoots) return fail('keys', `has ${roots.length} roots; the limit is ${maxRoots}`);
  const { spiffe_sequence: sequence, spiffe_refresh_hint: hint } = json as { spiffe_sequence?: unknown; spiffe_refresh_hint?: unknown };
  if (!isCount(sequence)) return fail('spiffe_sequence', 'must be a whole number');
  if (!isCount(hint)) return fail('spiffe_refresh_hint', 'must be a whole number of seconds');
  const { text: fitting, leftOut } = fittingJwtAuthorities(jwtKeys);
  return ok({ roots, jwtKeys: jwtKeys.length === 0 ? '' : fitting, leftOut, ...(sequence !== undefined && { sequence }), ...(hint !== undefined && { refreshHintSeconds: hint }) });
}

/** Writes the roots and the keys of JWT-SVIDs of the bundle's own trust domain; those of federated ones are not ours to publish. */
export function formatBundleDocument({ roots, jwtKeys }: Pick<TrustBundle, 'roots' | 'jwtKeys'>, { sequence, refreshHintSeconds }: { readonly sequence: number; readonly refreshHintSeconds: number }): string {
  const keys = roots.map((root) => {
    const { kty, crv, x, y, n, e } = root.publicKey.export({ format: 'jwk' });
    return { use: 'x509-svid', kty, crv, x, y, n, e, x5c: [root.der.toString('base64')] };
  });
  const tokens = jwtKeys === undefined ? [] : jwtAuthoritiesOf(jwtKeys).map((key) => ({ ...key, use: 'jwt-svid' }));
  return `${JSON.stringify({ keys: [...keys, ...tokens], spiffe_sequence: sequence, spiffe_refresh_hint: refreshHintSeconds }, null, 2)}\n`;
}

function rootOf({ x5c }: Jwk): Result<Certificate> {
  if (!Array.isArray(x5c) || x5c.length !== 1 || typeof x5c[0] !== 'string') return fail('', 'must have exactly one certificate');
  const text = x5c[0];
  if (!/^[A-Za-z0-9+/]+={0,2}$/.test(text)) return fail('', 'is not base64');
  const root = parseCertificate(Buffer.from(text, 'base64'));
  if (!root.ok) return root;
  return root.value.ca ? root : fail('', 'is no CA certificate (basicConstraints CA is false or missing)');
}

function isCount(value: unknown): value is number | undefined {
  return value === undefined || (typeof value === 'number' && Number.isSafeInteger(value) && value >= 0);
}
