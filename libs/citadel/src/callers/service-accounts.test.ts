import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ok } from '@meltemi/base';
import { formatSpiffeId } from '@meltemi/identity';
import { FakeTokenReviewer } from './fake-token-reviewer.ts';
import { ServiceAccountCallers } from './service-accounts.ts';
import type { TokenReview } from './token-reviewer.ts';

const trustDomain = 'cluster.local';

async function outcome(callers: ServiceAccountCallers, token: string): Promise<string> {
  const caller = await callers.authenticate(token);
  return caller.ok ? caller.value.ids.map(formatSpiffeId).join() : `${caller.error.code}: ${caller.error.message}`;
}

test('a service account is its namespace and name in our trust domain', async () => {
  const reviewer = new FakeTokenReviewer();
  reviewer.add('a.b.c', { namespace: 'shop', name: 'cart.v2' });
  assert.equal(await outcome(new ServiceAccountCallers({ trustDomain, reviewer }), 'a.b.c'), 'spiffe://cluster.local/ns/shop/sa/cart.v2');
});

test('unknown tokens and tokens of other audiences get the same answer', async () => {
  const reviewer = new FakeTokenReviewer();
  reviewer.add('a.b.c', { namespace: 'shop', name: 'cart', audience: 'vault' });
  const callers = new ServiceAccountCallers({ trustDomain, reviewer });
  const answer = await outcome(callers, 'a.b.c');
  assert.match(answer, /^unauthenticated: Kubernetes does not accept .*audience istio-ca/);
  assert.equal(await outcome(callers, 'x.y.z'), answer);
});

test('what an API server says that is no service account, or for nobody in particular, is refused', async () => {
  const good: TokenReview = { authenticated: true, username: 'system:serviceaccount:shop:cart', groups: ['system:serviceaccounts'], audiences: ['istio-ca'], error: '' };
  const say = (changes: Partial<TokenReview>): Promise<string> => outcome(new ServiceAccountCallers({ trustDomain, reviewer: { review: async () => ok({ ...good, ...changes }) } }), 'a.b.c');
  assert.match(await say({}), /^spiffe:/);
  for (const changes of [
    { audiences: [] }, { audiences: ['vault'] }, { groups: [] }, { username: 'jane' }, { username: 'system:serviceaccount:shop' }, { username: 'system:serviceaccount:shop:cart:x' },
    { username: 'system:serviceaccount:shop:*' }, { username: 'system:serviceaccount:sh/op:cart' }, { username: 'system:node:n1' }, { authenticated: false },
  ]) assert.match(await say(changes), /^unauthenticated/, JSON.stringify(changes));
});

test('that Kubernetes does not answer is worth another try, and is not remembered', async () => {
  const reviewer = new FakeTokenReviewer();
  reviewer.add('a.b.c', { namespace: 'shop', name: 'cart' });
  const callers = new ServiceAccountCallers({ trustDomain, reviewer });
  reviewer.outage = 'connection refused';
  assert.match(await outcome(callers, 'a.b.c'), /^unavailable: Kubernetes could not be asked/);
  reviewer.outage = undefined;
  assert.match(await outcome(callers, 'a.b.c'), /^spiffe:/);
  assert.equal(reviewer.asked, 2);
});

test('what does not look like a token is never sent to Kubernetes, and a flood is cut off', async () => {
  const waiting: (() => void)[] = [];
  const callers = new ServiceAccountCallers({ trustDomain, reviewer: { review: () => new Promise((resolve) => waiting.push(() => resolve(ok({ authenticated: false, username: '', groups: [], audiences: [], error: '' })))) } });
  for (const text of ['', 'hello', 'a.b', 'a.b.c.d', 'a.b.', 'a.b.c d', 'a.b.ç']) assert.equal(callers.recognizes(text), false, text);
  assert.match(await outcome(callers, `a.b.${'c'.repeat(9000)}`), /at most 8192/);
  const many = Array.from({ length: 50 }, () => outcome(callers, 'a.b.c'));
  assert.match(await outcome(callers, 'a.b.c'), /^exhausted/);
  for (const answer of waiting) answer();
  assert.equal(new Set(await Promise.all(many)).size, 1);
  assert.equal(waiting.length, 50);
});
