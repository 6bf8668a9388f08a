import assert from 'node:assert/strict';
import { test } from 'node:test';
import { RateLimitServiceService, type RateLimitServiceServer } from '@meltemi/api/gen/envoy/service/ratelimit/v3/rls.ts';
import { backend } from '../testing/backend.ts';
import { request } from '../testing/client.ts';
import { grpcServer } from '../testing/grpc-server.ts';
import { startProxy } from '../testing/proxy-process.ts';
import { sample } from '../testing/samples.ts';

test('rate-limit.yaml: the service is asked by path and client, and a bucket of its own spares it', async () => {
  const asked: string[] = [];
  await using limiter = await grpcServer((server) => server.addService(RateLimitServiceService, {
    shouldRateLimit: ({ request: { domain, descriptors } }, done) => {
      const entries = descriptors.map((one) => one.entries.map(({ key, value }) => `${key}=${value}`).join());
      asked.push(`${domain}: ${entries.join(' ')}`);
      const over = entries.some((one) => one.startsWith('path=/search/all'));
      const statuses = entries.map((_, i) => ({ code: over ? (2 as const) : (1 as const), currentLimit: { name: '', requestsPerUnit: 10, unit: 2 as const }, limitRemaining: over ? 0 : 9 - i, durationUntilReset: { seconds: 30n, nanos: 0 }, quotaOf: undefined }));
      done(null, { overallCode: over ? 2 : 1, statuses, responseHeadersToAdd: [], requestHeadersToAdd: [], rawBody: Buffer.alloc(0) });
    },
  } satisfies RateLimitServiceServer));
  await using app = await backend('app');
  await using proxy = await startProxy(sample('rate-limit.yaml', { 8001: app.port, 8081: limiter.port }));
  const search = await request(proxy.port('web'), { path: '/search/one' });
  assert.equal(search.status, 200);
  assert.deepEqual(asked, ['edge: path=/search/one,generic_key=search remote_address=127.0.0.1']);
  assert.match(String(search.headers['x-ratelimit-limit']), /^10, 10;w=60/);
  assert.deepEqual([search.headers['x-ratelimit-remaining'], search.headers['x-ratelimit-reset']], ['8', '30']);
  assert.equal((await request(proxy.port('web'), { path: '/search/all' })).status, 429);

  const greedy = async () => (await request(proxy.port('web'), { path: '/foo', headers: { 'x-client': 'greedy' } })).status;
  assert.deepEqual([await greedy(), await greedy(), await greedy()], [200, 200, 429]);
  assert.equal((await request(proxy.port('web'), { path: '/foo', headers: { 'x-client': 'modest' } })).status, 200);
  const local = await request(proxy.port('web'), { path: '/foo', headers: { 'x-client': 'greedy' } });
  assert.equal(local.headers['x-local-rate-limit'], 'true');
  limiter.stop();
  assert.equal((await request(proxy.port('web'), { path: '/search/one' })).status, 500);
});
