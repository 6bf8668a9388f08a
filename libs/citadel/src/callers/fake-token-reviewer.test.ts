import { randomBytes } from 'node:crypto';
import { test } from 'node:test';
import { FakeTokenReviewer } from './fake-token-reviewer.ts';
import { tokenReviewerContract } from './token-reviewer-contract.ts';

for (const [name, check] of Object.entries(tokenReviewerContract)) {
  test(`fake API server: ${name}`, async () => {
    const reviewer = new FakeTokenReviewer();
    await check({
      reviewer,
      tokenOf: async (account) => {
        const token = `h.${randomBytes(8).toString('hex')}.s`;
        reviewer.add(token, account);
        return token;
      },
      breakDown: async () => void (reviewer.outage = 'connection refused'),
    });
  });
}
