import { ok, type Result } from '@meltemi/base';
import { spiffeId } from '@meltemi/identity';
import { refuse, type CitadelError } from '../errors.ts';
import { isJwtShaped } from './authenticate.ts';
import type { Caller, TokenCallers } from './caller.ts';
import { isServiceAccountName, isNamespaceName } from './kube-names.ts';
import type { TokenReview, TokenReviewer } from './token-reviewer.ts';

export interface ServiceAccountCallersOptions {
  readonly trustDomain: string;
  readonly reviewer: TokenReviewer;
  /** Tokens for one of these count. Default Istio's `istio-ca`. */
  readonly audiences?: readonly string[];
}

/** Projected tokens have some 1,200 characters. */
const maxTokenChars = 8192;
/** Questions to the API server at the same time; who comes then is told to come again. */
const maxReviews = 50;

/**
 * Callers with a Kubernetes service-account token, as Istio's certificate service has them: the API server says whose it is. Every token is asked
 * about every time: an answer kept for a while would outlive the Pod or the account.
 */
export class ServiceAccountCallers implements TokenCallers {
  readonly how = 'service account token';
  readonly #options: ServiceAccountCallersOptions;
  readonly #audiences: readonly string[];
  #reviews = 0;

  constructor(options: ServiceAccountCallersOptions) {
    this.#options = options;
    this.#audiences = options.audiences ?? ['istio-ca'];
  }

  recognizes(token: string): boolean {
    return isJwtShaped(token);
  }

  async authenticate(token: string): Promise<Result<Caller, CitadelError>> {
    if (token.length > maxTokenChars) return refuse('authentication', 'unauthenticated', `a service account token has at most ${maxTokenChars} characters`);
    if (this.#reviews >= maxReviews) return refuse('authentication', 'exhausted', 'too many tokens are being reviewed; try again');
    this.#reviews += 1;
    try {
      const review = await this.#options.reviewer.review(token, this.#audiences);
      if (!review.ok) return refuse('authentication', 'unavailable', 'Kubernetes could not be asked about the token now; try again', review.error);
      return this.#judge(review.value);
    } finally {
      this.#reviews -= 1;
    }
  }

  #judge({ authenticated, username, groups, audiences, error }: TokenReview): Result<Caller, CitadelError> {
    const refused = (detail: string): ReturnType<typeof refuse> =>
      refuse('authentication', 'unauthenticated', `Kubernetes does not accept the service account token: it must be for the audience ${this.#audiences.join(' or ')}, not expired, and its Pod and service account must still be there`, detail);
    if (!authenticated) return refused(error);
    // An API server that knows no audiences leaves them out: then nothing says that the token is for us.
    if (!audiences.some((audience) => this.#audiences.includes(audience))) return refused(`the review names no audience of ${this.#audiences.join(', ')}`);
    const [system, kind, namespace = '', name = '', ...rest] = username.split(':');
    const isAccount = system === 'system' && kind === 'serviceaccount' && rest.length === 0 && groups.includes('system:serviceaccounts');
    if (!isAccount || !isNamespaceName(namespace) || !isServiceAccountName(name)) return refused(`${JSON.stringify(username.slice(0, 200))} is no service account`);
    const id = spiffeId(this.#options.trustDomain, namespace, name);
    if (!id.ok) return refused(id.error[0]?.message ?? 'no identity');
    return ok({ ids: [id.value], how: this.how, subject: username, settle: async () => ok(undefined) });
  }
}
