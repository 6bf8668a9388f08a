import { hash, X509Certificate } from 'node:crypto';
import tls from 'node:tls';
import { err, fail, ok, type FieldError, type Result } from '@meltemi/base';
import type { TrustBundle } from '@meltemi/identity';
import type { SanMatcher, SecretValue, TlsCertificate, TlsCommon, Validation } from '@meltemi/snapshot';
import { localNames, subjectAltNames, type LocalNames } from './tls-info.ts';
import { leafRevocationsOf, revokedLeaf, type LeafRevocations } from './leaf-revocations.ts';
import { readSource } from './read-source.ts';
import { allRoots, misplaced, trustDomainsOf } from './trust-domains.ts';

/** Finds an SDS secret by name; undefined until it arrived. */
export type SecretLookup = (name: string) => SecretValue | undefined;

/** A TLS config with its secrets filled in. */
export interface TlsMaterial {
  readonly context: tls.SecureContext;
  readonly validation: Validation | null;
  /** Whose roots vouch for which trust domain; null = any root for any name. */
  readonly trustDomains: TrustBundle | null;
  /** Which peers' certificates are revoked; null = no lists. */
  readonly revoked: LeafRevocations | null;
  /** A trusted CA is set and failures close the connection. */
  readonly verifies: boolean;
  readonly local: LocalNames | null;
}

/** Whether clients may come back without a full handshake. */
export interface Resumption {
  readonly tickets: boolean;
  /** How long a ticket is good; 0 = OpenSSL's two hours. */
  readonly timeoutMs: number;
}

const noResumption: Resumption = { tickets: false, timeoutMs: 0 };

/** Envoy offers P-256 and X25519; the hybrid default of OpenSSL costs a quarter of a handshake. */
const defaultCurves = 'X25519:P-256';

/** Secrets that a TLS config names and that have not arrived. */
export function missingSecrets({ certificateSdsNames, validationSdsName }: TlsCommon, secrets: SecretLookup): string[] {
  return [...certificateSdsNames, ...(validationSdsName === null ? [] : [validationSdsName])].filter((name) => secrets(name) === undefined);
}

/** What a connection is refused with meanwhile. */
export function notSupplied(missing: readonly string[]): string {
  return `Secret is not supplied by SDS: ${missing.join(', ')}`;
}

/** Builds the context, or says which secret is missing or which file cannot be read. */
export function tlsMaterial(config: TlsCommon, secrets: SecretLookup, resumption: Resumption = noResumption): Result<TlsMaterial> {
  const certificates = allCertificates(config, secrets);
  if (!certificates.ok) return certificates;
  const validation = mergedValidation(config, secrets);
  if (!validation.ok) return validation;
  if (namesWithoutRoots(validation.value)) return fail('validation_context', 'names are checked without a trusted CA: anybody can write such a certificate; set trusted_ca');
  try {
    const trustDomains = trustDomainsOf(validation.value);
    if (!trustDomains.ok) return trustDomains;
    const revoked = leafRevocationsOf(validation.value, config.validationSdsName);
    if (!revoked.ok) return revoked;
    return ok(build(config, { certificates: certificates.value, validation: validation.value, trustDomains: trustDomains.value, revoked: revoked.value }, resumption));
  } catch (cause) {
    return fail('', `the TLS context cannot be built: ${cause instanceof Error ? cause.message : String(cause)}`);
  }
}

interface Parts {
  readonly certificates: readonly TlsCertificate[];
  readonly validation: Validation | null;
  readonly trustDomains: TrustBundle | null;
  readonly revoked: LeafRevocations | null;
}

function build(config: TlsCommon, { certificates, validation, trustDomains, revoked }: Parts, resumption: Resumption): TlsMaterial {
  const chains = certificates.map((one) => readSource(one.certificateChain));
  const ca = trustDomains ? allRoots(trustDomains) : validation?.trustedCa ? readSource(validation.trustedCa) : null;
  // A ticket tells the leaf alone, and the client has it before its chain is looked at: nothing to check the trust domain by.
  const tickets = resumption.tickets && trustDomains === null;
  const first = chains[0];
  const context = tls.createSecureContext({
    ...(chains.length > 0 && { cert: chains, key: certificates.map((one) => ({ pem: readSource(one.privateKey), ...(one.password && { passphrase: readSource(one.password).toString('utf8').trimEnd() }) })) }),
    // Without a CA of its own Node would trust the public ones.
    ...(validation?.systemRoots !== true && { ca: ca ?? [] }),
    ...(validation?.crl && trustDomains === null && { crl: readSource(validation.crl) }),
    minVersion: config.minVersion ?? 'TLSv1.2',
    ...(config.maxVersion !== null && { maxVersion: config.maxVersion }),
    ...(config.ciphers !== null && { ciphers: withTls13(config.ciphers) }),
    ...(config.signatureAlgorithms !== null && { sigalgs: config.signatureAlgorithms }),
    ecdhCurve: config.ecdhCurves ?? defaultCurves,
    // A resumed session keeps the peer identity of before; off unless asked. OpenSSL refuses to resume one with a client certificate
    // that has no id context; tickets of other contexts are of other keys anyway.
    secureOptions: tickets ? noRenegotiation : noTicket | noRenegotiation,
    ...(tickets && { sessionIdContext: 'meltemi', ...(resumption.timeoutMs > 0 && { sessionTimeout: Math.ceil(resumption.timeoutMs / 1000) }) }),
  });
  const verifies = validation !== null && (ca !== null || validation.systemRoots) && !validation.acceptUntrusted;
  return { context, validation, trustDomains, revoked, verifies, local: first ? localNames(new X509Certificate(first)) : null };
}

function namesWithoutRoots(validation: Validation | null): boolean {
  return validation !== null && validation.sanMatchers.length > 0 && validation.trustedCa === null && validation.trustDomains === null && !validation.systemRoots && !validation.acceptUntrusted;
}

/** SSL_OP_NO_TICKET */
const noTicket = 0x4000;
/** SSL_OP_NO_RENEGOTIATION: as Envoy's TLS library. Who a peer is was asked when its connection began. */
const noRenegotiation = 0x4000_0000;

function withTls13(ciphers: string): string {
  return ciphers.includes('TLS_') ? ciphers : `TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256:TLS_AES_128_GCM_SHA256:${ciphers}`;
}

function allCertificates(config: TlsCommon, secrets: SecretLookup): Result<TlsCertificate[]> {
  const found = [...config.certificates];
  const errors: FieldError[] = [];
  for (const name of config.certificateSdsNames) {
    const secret = secrets(name);
    if (secret?.kind === 'certificate') found.push(secret.certificate);
    else errors.push({ path: `secret ${name}`, message: secret ? `holds a ${secret.kind}, not a certificate` : 'has not arrived' });
  }
  return errors.length > 0 ? err(errors) : ok(found);
}

/** The secret's fields over the inline default ones: lists are appended, single fields replaced (combined_validation_context). */
function mergedValidation(config: TlsCommon, secrets: SecretLookup): Result<Validation | null> {
  if (config.validationSdsName === null) return ok(config.validation);
  const secret = secrets(config.validationSdsName);
  if (secret?.kind !== 'validation') return fail(`secret ${config.validationSdsName}`, secret ? `holds a ${secret.kind}, not a validation context` : 'has not arrived');
  const over = secret.validation;
  const base = config.validation;
  if (base === null) return ok(over);
  return ok({
    trustedCa: over.trustedCa ?? base.trustedCa,
    systemRoots: over.systemRoots || base.systemRoots,
    crl: over.crl ?? base.crl,
    sanMatchers: [...base.sanMatchers, ...over.sanMatchers],
    spki: [...base.spki, ...over.spki],
    hashes: [...base.hashes, ...over.hashes],
    allowExpired: over.allowExpired || base.allowExpired,
    acceptUntrusted: over.acceptUntrusted || base.acceptUntrusted,
    maxVerifyDepth: over.maxVerifyDepth ?? base.maxVerifyDepth,
    trustDomains: over.trustDomains ?? base.trustDomains,
    leafCrl: over.leafCrl ?? base.leafCrl ?? null,
  });
}

/** What may be agreed on: not Istio's TCP metadata prefix, which is not spoken here. */
export function spokenProtocols(alpn: readonly string[]): string[] {
  return alpn.filter((protocol) => protocol !== 'istio-peer-exchange');
}

/** Null when the peer's certificate is not revoked and passes its trust domain's roots and the SAN, SPKI and hash lists; else the reason. That the chain leads to a root at all is OpenSSL's part. */
export function checkPeer(peer: X509Certificate | undefined, { validation, trustDomains, revoked }: Pick<TlsMaterial, 'validation' | 'trustDomains' | 'revoked'>): string | null {
  if (validation === null || validation.acceptUntrusted) return null;
  const spiffe = peer === undefined ? null : notSpiffe(peer);
  if (spiffe !== null) return spiffe;
  const pinned = validation.spki.length > 0 || validation.hashes.length > 0;
  if (validation.sanMatchers.length === 0 && !pinned && trustDomains === null && revoked === null) return null;
  if (peer === undefined) return 'the peer showed no certificate';
  const ended = revoked && revokedLeaf(peer, revoked);
  if (ended !== null) return `verify revocation: ${ended}`;
  if (validation.sanMatchers.length > 0 && !matchesSan(peer, validation.sanMatchers)) return `verify SAN list: no name of the peer (${peer.subjectAltName ?? 'none'}) is among those allowed`;
  const foreign = trustDomains && misplaced(peer, trustDomains, validation.allowExpired);
  if (foreign !== null) return foreign;
  return !pinned || isPinned(peer, validation) ? null : 'verify pin: the peer certificate is not among those pinned';
}

/** What a certificate with a SPIFFE id lacks to be a workload's (X509-SVID §2 and §4.1), where OpenSSL does not look. Null for others. */
function notSpiffe(peer: X509Certificate): string | null {
  const names = peer.subjectAltName ?? '';
  const first = names.indexOf('URI:');
  if (first < 0 || !names.includes('spiffe://')) return null;
  if (peer.ca) return 'the certificate of the peer is one of an authority: no workload has such a one';
  return names.includes('URI:', first + 4) ? 'the certificate of the peer has several URIs: a SPIFFE identity is the only one' : null;
}

function matchesSan(peer: X509Certificate, matchers: readonly SanMatcher[]): boolean {
  const sans = subjectAltNames(peer);
  const all = [...sans.uri, ...sans.dns, ...sans.ip, ...sans.email];
  return matchers.some(({ type, matcher }) => (type === 'any' ? all : sans[type]).some((name) => matcher.matches(name)));
}

function isPinned(peer: X509Certificate, validation: Validation): boolean {
  const fingerprint = peer.fingerprint256.replaceAll(':', '').toLowerCase();
  if (validation.hashes.includes(fingerprint)) return true;
  const der = peer.publicKey.export({ type: 'spki', format: 'der' });
  return validation.spki.includes(hash('sha256', der, 'base64'));
}
