import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, afterEach, before, beforeEach, test } from 'node:test';
import { tokenReviewerContract } from '@meltemi/citadel/token-reviewer-contract';
import { inClusterApi, type KubernetesApi } from './api.ts';
import { ApiServerFixture } from '../testing/api-server.ts';
import { KubernetesTokenReviewer } from './token-reviewer.ts';

const dir = mkdtempSync(join(tmpdir(), 'api-server-'));
const files = { cert: join(dir, 'tls.crt'), key: join(dir, 'tls.key') };
let server: ApiServerFixture;
let api: KubernetesApi;
const reviewers: KubernetesTokenReviewer[] = [];

before(() => {
  execFileSync('openssl', ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-keyout', files.key, '-out', files.cert, '-days', '1', '-subj', '/CN=api', '-addext', 'subjectAltName=DNS:localhost'], { stdio: 'ignore' });
});
after(() => rmSync(dir, { recursive: true, force: true }));
beforeEach(async () => {
  server = new ApiServerFixture(files);
  writeFileSync(join(dir, 'token'), `${server.callerToken}\n`);
  api = { url: await server.start(), caFile: files.cert, tokenFile: join(dir, 'token') };
});
afterEach(async () => {
  for (const reviewer of reviewers.splice(0)) reviewer.stop();
  await server.stop();
});

function reviewer(changes: Partial<KubernetesApi> = {}): KubernetesTokenReviewer {
  const made = new KubernetesTokenReviewer({ ...api, ...changes });
  reviewers.push(made);
  return made;
}

async function problem(of: KubernetesTokenReviewer): Promise<string> {
  const review = await of.review('a.b.c', ['istio-ca']);
  assert.ok(!review.ok, JSON.stringify(review));
  return review.error;
}

for (const [name, check] of Object.entries(tokenReviewerContract)) {
  test(`API server over HTTPS: ${name}`, async () => {
    await check({
      reviewer: reviewer(),
      tokenOf: async (account) => {
        const token = `h.${randomBytes(8).toString('hex')}.s`;
        server.add(token, account);
        return token;
      },
      breakDown: () => server.stop(),
    });
  });
}

test('an API server that is another, slow, strange or closed to us is an error with the reason', async () => {
  const other = join(dir, 'other');
  execFileSync('openssl', ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-keyout', `${other}.key`, '-out', `${other}.crt`, '-days', '1', '-subj', '/CN=other'], { stdio: 'ignore' });
  assert.match(await problem(reviewer({ caFile: `${other}.crt` })), /self.signed|unable to verify/);
  assert.match(await problem(reviewer({ tokenFile: join(dir, 'none') })), /none is missing/);
  assert.match(await problem(reviewer({ caFile: join(dir, 'none') })), /ENOENT/);
  for (const [answer, expected] of [
    [{ status: 403, body: '{}' }, /answers 403: our service account needs create on tokenreviews/],
    [{ status: 302, body: '', headers: { location: 'https://evil.example/' } }, /answers 302/],
    [{ status: 201, body: 'hello' }, /JSON/],
    [{ status: 201, body: '{"kind":"Status"}' }, /no TokenReview/],
    [{ status: 201, body: 'null' }, /no TokenReview/],
    [{ status: 201, body: JSON.stringify({ x: 'x'.repeat(100_000) }) }, /more than 65536 bytes/],
  ] as const) {
    server.answer = answer;
    assert.match(await problem(reviewer()), expected);
  }
  server.answer = undefined;
  server.silent = true;
  assert.match(await problem(reviewer({ timeoutMs: 200 })), /no answer within 200 ms/);
});

test('our own token is read again for every call', async () => {
  server.add('a.b.c', { namespace: 'shop', name: 'cart' });
  const asked = reviewer();
  assert.ok((await asked.review('a.b.c', ['istio-ca'])).ok);
  server.callerToken = 'the next one';
  assert.match(await problem(asked), /answers 401/);
  writeFileSync(api.tokenFile, 'the next one');
  assert.ok((await asked.review('a.b.c', ['istio-ca'])).ok);
});

test('in a cluster the API server is found by its variables', () => {
  assert.equal(inClusterApi({}), undefined);
  assert.equal(inClusterApi({ KUBERNETES_SERVICE_HOST: '10.0.0.1', KUBERNETES_SERVICE_PORT: '6443' })?.url, 'https://10.0.0.1:6443');
  assert.equal(inClusterApi({ KUBERNETES_SERVICE_HOST: 'fd00::1' })?.url, 'https://[fd00::1]:443');
});
