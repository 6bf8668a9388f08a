import { err, ok, type Result } from '@meltemi/base';
import type { TokenReview, TokenReviewer } from './token-reviewer.ts';

/** A service account's token as the fake knows it. */
export interface FakeToken {
  readonly namespace: string;
  readonly name: string;
  /** Default `istio-ca`. */
  readonly audience?: string;
}

const nobody: TokenReview = { authenticated: false, username: '', groups: [], audiences: [], error: '' };

/** An API server that knows a few tokens by heart. */
export class FakeTokenReviewer implements TokenReviewer {
  readonly #tokens = new Map<string, FakeToken>();
  /** Set: nobody can be reached, for this reason. */
  outage: string | undefined;
  /** How often it was asked. */
  asked = 0;

  add(token: string, account: FakeToken): void {
    this.#tokens.set(token, account);
  }

  async review(token: string, audiences: readonly string[]): Promise<Result<TokenReview, string>> {
    this.asked += 1;
    if (this.outage !== undefined) return err(this.outage);
    const account = this.#tokens.get(token);
    if (!account) return ok({ ...nobody, error: 'invalid bearer token' });
    const fitting = audiences.filter((audience) => audience === (account.audience ?? 'istio-ca'));
    if (fitting.length === 0) return ok({ ...nobody, error: `token audiences ["${account.audience}"] is invalid for the target audiences ${JSON.stringify(audiences)}` });
    const { namespace, name } = account;
    return ok({ authenticated: true, username: `system:serviceaccount:${namespace}:${name}`, groups: ['system:serviceaccounts', `system:serviceaccounts:${namespace}`, 'system:authenticated'], audiences: fitting, error: '' });
  }
}
