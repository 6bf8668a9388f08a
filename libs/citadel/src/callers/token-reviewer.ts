import type { Result } from '@meltemi/base';

/** What an API server said of a service-account token (authentication.k8s.io/v1 TokenReview, its status). */
export interface TokenReview {
  readonly authenticated: boolean;
  /** `system:serviceaccount:<namespace>:<name>` for service accounts; "" when not authenticated. */
  readonly username: string;
  readonly groups: readonly string[];
  /** Those of the asked audiences that the token is for. */
  readonly audiences: readonly string[];
  /** Why not; for the log, never for the caller. */
  readonly error: string;
}

/** Kubernetes, as far as tokens are concerned. */
export interface TokenReviewer {
  /** An error says that nobody could be asked, not that the token is bad. Bounded in time; never rejects. */
  review(token: string, audiences: readonly string[]): Promise<Result<TokenReview, string>>;
}
