import assert from 'node:assert/strict';
import type { FakeToken } from './fake-token-reviewer.ts';
import type { TokenReviewer } from './token-reviewer.ts';

/** A reviewer and the cluster behind it. */
export interface ReviewedCluster {
  readonly reviewer: TokenReviewer;
  /** A service account's token. */
  readonly tokenOf: (account: FakeToken) => Promise<string>;
  /** From now on nobody answers. */
  readonly breakDown: () => Promise<void>;
}

/** What a token reviewer must do, whatever cluster is behind it: each case gets one of its own. */
export const tokenReviewerContract: Readonly<Record<string, (cluster: ReviewedCluster) => Promise<void>>> = {
  'a token names its service account, and the audience it is for': async ({ reviewer, tokenOf }) => {
    const review = await reviewer.review(await tokenOf({ namespace: 'shop', name: 'cart' }), ['istio-ca', 'other']);
    assert.ok(review.ok, JSON.stringify(review));
    assert.equal(review.value.authenticated, true);
    assert.equal(review.value.username, 'system:serviceaccount:shop:cart');
    assert.ok(review.value.groups.includes('system:serviceaccounts'));
    assert.deepEqual(review.value.audiences, ['istio-ca']);
  },

  'a token of another audience and one nobody made are answered with no': async ({ reviewer, tokenOf }) => {
    for (const token of [await tokenOf({ namespace: 'shop', name: 'cart', audience: 'vault' }), 'eyJhbGciOiJSUzI1NiJ9.e30.AAAA']) {
      const review = await reviewer.review(token, ['istio-ca']);
      assert.ok(review.ok, JSON.stringify(review));
      assert.equal(review.value.authenticated, false);
      assert.equal(review.value.username, '');
    }
  },

  'that nobody answers is an error with a reason, and no answer': async ({ reviewer, tokenOf, breakDown }) => {
    const token = await tokenOf({ namespace: 'shop', name: 'cart' });
    await breakDown();
    const review = await reviewer.review(token, ['istio-ca']);
    assert.ok(!review.ok, JSON.stringify(review));
    assert.notEqual(review.error, '');
    assert.ok(!review.error.includes(token));
  },
};
