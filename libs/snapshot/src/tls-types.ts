import type { StringMatch } from '@meltemi/match';

/** What both sides of TLS share. */
export interface TlsCommon {
  /** null = node's default. */
  readonly minVersion: TlsVersion | null;
  readonly maxVersion: TlsVersion | null;
  /** OpenSSL cipher list for TLS 1.2 and below; null = default. */
  readonly ciphers: string | null;
  /** ECDH groups, ":"-joined; null = default. */
  readonly ecdhCurves: string | null;
  readonly signatureAlgorithms: string | null;
  readonly alpn: readonly string[];
  /** Certificates written inline (or by file name), in order. */
  readonly certificates: readonly TlsCertificate[];
  /** Secrets that hold certificates. */
  readonly certificateSdsNames: readonly string[];
  /** Inline validation; with `validationSdsName` too it is the default that the secret's fields are merged over. */
  readonly validation: Validation | null;
  readonly validationSdsName: string | null;
}

export type TlsVersion = 'TLSv1' | 'TLSv1.1' | 'TLSv1.2' | 'TLSv1.3';

export interface DownstreamTls extends TlsCommon {
  readonly requireClientCertificate: boolean;
  readonly requireSni: boolean;
  readonly sessionTickets: boolean;
  /** 0 = node's default. */
  readonly sessionTimeoutMs: number;
}

export interface UpstreamTls extends TlsCommon {
  /** "" = none. */
  readonly sni: string;
}

/** A value that is in the config, in a file, or in the environment; the edge reads the last two. */
export type Source =
  | { readonly kind: 'inline'; readonly bytes: Buffer }
  | { readonly kind: 'file'; readonly path: string }
  | { readonly kind: 'environment'; readonly name: string };

export interface TlsCertificate {
  readonly certificateChain: Source;
  readonly privateKey: Source;
  readonly password: Source | null;
}

/** A CertificateValidationContext. */
export interface Validation {
  readonly trustedCa: Source | null;
  readonly systemRoots: boolean;
  readonly crl: Source | null;
  /** Revocation lists for the peer's own certificate alone (only_verify_leaf_cert_crl); unset: none. */
  readonly leafCrl?: Source | null;
  /** Any one must match one SAN of the peer; empty = no check. */
  readonly sanMatchers: readonly SanMatcher[];
  /** Base64 SHA-256 of the SubjectPublicKeyInfo; any one. */
  readonly spki: readonly string[];
  /** Lower-case hex SHA-256 of the certificate; any one. */
  readonly hashes: readonly string[];
  readonly allowExpired: boolean;
  /** ACCEPT_UNTRUSTED: verification failures do not close the connection. */
  readonly acceptUntrusted: boolean;
  readonly maxVerifyDepth: number | null;
  /** The SPIFFE validator: whose roots vouch for the identities of which trust domain; stands in for `trustedCa`. Null = any root vouches for any name. */
  readonly trustDomains: readonly TrustDomainRoots[] | null;
}

/** The roots of one trust domain. */
export interface TrustDomainRoots {
  readonly name: string;
  readonly roots: Source;
}

export interface SanMatcher {
  /** 'any' comes from the deprecated match_subject_alt_names. */
  readonly type: 'any' | 'dns' | 'uri' | 'email' | 'ip';
  readonly matcher: StringMatch;
}

export type SecretValue =
  | { readonly kind: 'certificate'; readonly certificate: TlsCertificate }
  | { readonly kind: 'validation'; readonly validation: Validation }
  | { readonly kind: 'generic'; readonly secret: Source };

export interface Secret {
  readonly name: string;
  readonly value: SecretValue;
}
