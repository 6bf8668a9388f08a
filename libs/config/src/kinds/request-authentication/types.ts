import type { TargetedPolicy } from '../targeted-policy.ts';
import type { DurationMs } from '../types.ts';

/** security.istio.io RequestAuthentication: whose tokens workloads accept. A request without a token passes. */
export interface RequestAuthenticationSpec extends TargetedPolicy {
  readonly jwtRules: readonly JwtRule[];
}

/** One issuer of tokens. */
export interface JwtRule {
  /** "" takes tokens of any issuer; then jwksUri is needed. */
  readonly issuer: string;
  /** Empty allows all. */
  readonly audiences: readonly string[];
  /** Without it and without `jwks` the issuer's OpenID configuration is asked for it. */
  readonly jwksUri: string;
  /** The key set itself (RFC 7517). */
  readonly jwks: string;
  readonly fromHeaders: readonly JwtHeader[];
  readonly fromParams: readonly string[];
  readonly fromCookies: readonly string[];
  readonly outputPayloadToHeader: string;
  readonly forwardOriginalToken: boolean;
  readonly outputClaimToHeaders: readonly ClaimToHeader[];
  /** For fetching keys. Default 5 s. */
  readonly timeout?: DurationMs;
  /** REQUIRED is refused: nothing enforces it (nor does Istio yet). */
  readonly presence: 'OPTIONAL' | 'REQUIRED';
  /** Besides "scope" and "permission". */
  readonly spaceDelimitedClaims: readonly string[];
}

export interface JwtHeader {
  readonly name: string;
  /** "Bearer " with the blank. */
  readonly prefix: string;
}

export interface ClaimToHeader {
  readonly header: string;
  /** Nested claims with dots. */
  readonly claim: string;
}
