import { fail, ok, type Result } from '@meltemi/base';
import { parseCertificate, type Certificate } from './certificate.ts';
import { oid } from './extensions.ts';
import { outsideConstraints } from './name-constraints.ts';
import { parseSpiffeId, trustDomainOf, type SpiffeId } from './spiffe.ts';
import type { TrustBundle } from './trust-bundle.ts';

/** A peer whose certificate leads to a root of the bundle. */
export interface VerifiedPeer {
  readonly id: SpiffeId;
  readonly leaf: Certificate;
  /** Leaf first, root last. */
  readonly path: readonly Certificate[];
}

/** What the certificate is used for; `any` asks only that the chain holds. */
export type ChainUse = 'client' | 'server' | 'any';

/** Deeper chains are refused before any signature is checked. */
const maxIntermediates = 4;

/**
 * Checks a SPIFFE chain (RFC 5280 §6, X509-SVID §5): every certificate valid at `now`, every issuer a CA allowed to sign at its place,
 * every signature right up to a root of the bundle; the leaf no CA, with exactly one URI, of the bundle's trust domain.
 */
export function verifyChain(chain: readonly Certificate[], bundle: TrustBundle, options: { readonly now: number; readonly use: ChainUse }): Result<VerifiedPeer> {
  const [leaf, ...intermediates] = chain;
  if (!leaf) return fail('', 'no certificate was presented');
  if (intermediates.length > maxIntermediates + 1) return fail('', `the chain has ${chain.length} certificates; at most ${maxIntermediates + 2} are read`);
  const id = leafIdentity(leaf, bundle.trustDomain, options.use);
  if (!id.ok) return id;
  const path = checkedPath(leaf, intermediates, { bundle, now: options.now });
  return path.ok ? ok({ id: id.value, leaf, path: path.value }) : path;
}

function checkedPath(leaf: Certificate, intermediates: readonly Certificate[], { bundle, now }: { readonly bundle: TrustBundle; readonly now: number }): Result<Certificate[]> {
  const path = pathToRoot(leaf, intermediates, bundle);
  if (!path.ok) return path;
  if (bundle.revoked?.serials.has(leaf.serial) === true) return fail('[0]', `certificate ${leaf.serial} is revoked`);
  for (const [depth, certificate] of path.value.entries()) {
    const reason = unfit(certificate, depth, now) ?? misnamed(path.value, depth);
    if (reason !== undefined) return fail(`[${depth}]`, reason);
  }
  return path;
}

/**
 * Checks a chain whose leaf may be of the bundle's own trust domain or of a federated one: the leaf's SPIFFE id says whose roots it must lead to, so
 * that no trust domain vouches for another's identities. Any form of SPIFFE id passes; ours is not everybody's.
 */
export function verifyFederated(chain: readonly Certificate[], bundle: TrustBundle, options: { readonly now: number; readonly use: ChainUse }): Result<{ readonly uri: string; readonly path: readonly Certificate[] }> {
  const [leaf, ...intermediates] = chain;
  const named = leafName(chain, options.use);
  if (!leaf || !named.ok) return named.ok ? fail('', 'no certificate was presented') : named;
  const { uri, trustDomain } = named.value;
  const own = trustDomain === bundle.trustDomain ? bundle : bundle.federated?.find((other) => other.trustDomain === trustDomain);
  if (!own) return fail('[0]', `${uri} is not of trust domain ${[bundle, ...(bundle.federated ?? [])].map((each) => each.trustDomain).join(' or ')}`);
  const path = checkedPath(leaf, intermediates, { bundle: own, now: options.now });
  return path.ok ? ok({ uri, path: path.value }) : path;
}

/** The way of an issuing CA up to a root of the bundle, the CA first: what `verifyChain` will say of the certificates it signs, but for their own names. */
export function verifyIssuer(chain: readonly Certificate[], bundle: TrustBundle, now: number): Result<Certificate[]> {
  const [issuing, ...intermediates] = chain;
  if (!issuing) return fail('', 'no certificate is there');
  if (!issuing.ca) return fail('', 'is not a CA certificate (basicConstraints CA is false or missing)');
  const path = pathToRoot(issuing, intermediates, bundle);
  if (!path.ok) return path;
  for (const [depth, certificate] of path.value.entries()) {
    const reason = unfit(certificate, depth + 1, now) ?? misnamed(path.value, depth);
    if (reason !== undefined) return fail(depth === 0 ? '' : `[${depth}]`, reason);
  }
  return path;
}

function leafIdentity(leaf: Certificate, trustDomain: string, use: ChainUse): Result<SpiffeId> {
  const uri = leafUri(leaf, use);
  if (!uri.ok) return uri;
  const id = parseSpiffeId(uri.value);
  if (!id.ok) return fail('[0]', id.error[0]?.message ?? 'not a SPIFFE id');
  return id.value.trustDomain === trustDomain ? id : fail('[0]', `${uri.value} is not of trust domain ${trustDomain}`);
}

function leafName([leaf, ...intermediates]: readonly Certificate[], use: ChainUse): Result<{ readonly uri: string; readonly trustDomain: string }> {
  if (!leaf) return fail('', 'no certificate was presented');
  if (intermediates.length > maxIntermediates + 1) return fail('', `the chain has ${intermediates.length + 1} certificates; at most ${maxIntermediates + 2} are read`);
  const uri = leafUri(leaf, use);
  if (!uri.ok) return uri;
  const trustDomain = trustDomainOf(uri.value);
  return trustDomain === undefined ? fail('[0]', `${JSON.stringify(uri.value.slice(0, 200))} is not a SPIFFE id`) : ok({ uri: uri.value, trustDomain });
}

/** The one name of a leaf that may be used as `use`. */
function leafUri(leaf: Certificate, use: ChainUse): Result<string> {
  if (leaf.ca) return fail('[0]', 'a CA certificate is no identity');
  const [uri, ...more] = leaf.uris;
  if (uri === undefined || more.length > 0) return fail('[0]', `has ${leaf.uris.length} URI names; a SPIFFE certificate has exactly one`);
  const needed = use === 'client' ? oid.clientAuth : use === 'server' ? oid.serverAuth : undefined;
  if (needed !== undefined && leaf.extendedKeyUsage && !leaf.extendedKeyUsage.has(needed)) return fail('[0]', `may not be used as a ${use}`);
  if (leaf.keyUsage && !leaf.keyUsage.has('digitalSignature')) return fail('[0]', 'may not sign (key usage digitalSignature is missing)');
  return ok(uri);
}

function pathToRoot(leaf: Certificate, intermediates: readonly Certificate[], bundle: TrustBundle): Result<Certificate[]> {
  const path = [leaf];
  for (;;) {
    const last = path.at(-1) ?? leaf;
    const root = bundle.roots.find((candidate) => issued(candidate, last));
    if (root) return ok([...path, root]);
    const next = path.length <= maxIntermediates ? intermediates.find((candidate) => !path.includes(candidate) && issued(candidate, last)) : undefined;
    if (!next) return fail('', `no path to a root of trust domain ${bundle.trustDomain}: the certificate was signed by another authority, or an intermediate is missing`);
    path.push(next);
  }
}

/** Certificates do not change, so a signature that was right once is right for good. Who is looked up again and again are issuing CAs and their roots. */
const signedBy = new WeakMap<Certificate, WeakSet<Certificate>>();

/** True when `issuer` is the CA that `subject` names, and signed it. */
export function issued(issuer: Certificate, subject: Certificate): boolean {
  const known = signedBy.get(subject);
  if (known?.has(issuer) === true) return true;
  if (!issuer.subject.equals(subject.issuer) || !issuer.ca || !subject.x509.verify(issuer.publicKey)) return false;
  if (known) known.add(issuer);
  else signedBy.set(subject, new WeakSet([issuer]));
  return true;
}

/** Why a certificate may not stand at `depth` (0 is the leaf) at time `now`; undefined when it may. */
function unfit(certificate: Certificate, depth: number, now: number): string | undefined {
  if (now < certificate.notBefore) return `is not valid before ${new Date(certificate.notBefore).toISOString()}; check the clocks`;
  if (now > certificate.notAfter) return `expired at ${new Date(certificate.notAfter).toISOString()}`;
  if (certificate.unknownCritical.length > 0) return `has critical extensions that are not understood: ${certificate.unknownCritical.join(', ')}`;
  if (depth === 0) return undefined;
  if (certificate.keyUsage && !certificate.keyUsage.has('keyCertSign')) return 'may not sign certificates (key usage keyCertSign is missing)';
  if (certificate.pathLength !== undefined && depth - 1 > certificate.pathLength) return `allows ${certificate.pathLength} intermediates below it, not ${depth - 1}`;
  return undefined;
}

/** Whether an authority further up forbids what this certificate is called. */
function misnamed(path: readonly Certificate[], depth: number): string | undefined {
  const [certificate, ...above] = path.slice(depth);
  for (const { nameConstraints } of above) {
    const reason = certificate && nameConstraints && outsideConstraints(certificate, nameConstraints);
    if (reason !== undefined) return reason;
  }
  return undefined;
}

/** Parses a chain presented as DER, leaf first. Error paths are `[index]`. */
export function parseChain(ders: readonly Uint8Array[]): Result<Certificate[]> {
  const chain: Certificate[] = [];
  for (const [index, der] of ders.entries()) {
    const parsed = parseCertificate(der);
    if (!parsed.ok) return fail(`[${index}]`, parsed.error[0]?.message ?? 'certificate');
    chain.push(parsed.value);
  }
  return ok(chain);
}
