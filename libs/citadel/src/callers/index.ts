export type { Caller, CallerKind, CallerProof, TokenCallers } from './caller.ts';
export { OidcCallers, type OidcCallersOptions } from './oidc-callers.ts';
export { isSafeUrl, parseOidcIssuers, type OidcIssuer } from './oidc-issuers.ts';
export { ServiceAccountCallers, type ServiceAccountCallersOptions } from './service-accounts.ts';
export type { TokenReview, TokenReviewer } from './token-reviewer.ts';
export { FakeTokenReviewer, type FakeToken } from './fake-token-reviewer.ts';
