import assert from 'node:assert/strict';
import { existsSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import type { HTTPAccessLogEntry } from '@meltemi/api/gen/envoy/data/accesslog/v3/accesslog.ts';
import { AccessLogServiceService, type AccessLogServiceServer } from '@meltemi/api/gen/envoy/service/accesslog/v3/als.ts';
import { waitFor } from '@meltemi/base';
import { backend } from '../testing/backend.ts';
import { request } from '../testing/client.ts';
import { grpcServer } from '../testing/grpc-server.ts';
import { startProxy, temporaryFolder } from '../testing/proxy-process.ts';
import { sample } from '../testing/samples.ts';

test('access-logs.yaml: one request is in the JSON file and at the service, an error in the text file too', async () => {
  const dir = temporaryFolder();
  const entries: HTTPAccessLogEntry[] = [];
  await using service = await grpcServer((server) => server.addService(AccessLogServiceService, {
    streamAccessLogs: (call, done) => {
      call.on('data', ({ logEntries }) => { if (logEntries?.$case === 'httpLogs') entries.push(...logEntries.value.logEntry); }).on('error', () => {}).on('end', () => done(null, {}));
    },
  } satisfies AccessLogServiceServer));
  await using app = await backend('app');
  try {
    await using proxy = await startProxy(sample('access-logs.yaml', { 8001: app.port, 9003: service.port }, dir));
    await request(proxy.port('web'), { path: '/good', headers: { 'x-client': 'me' } });
    await request(proxy.port('web'), { path: '/gone' });
    await waitFor('both entries', () => entries.length === 2, { deadlineMs: 10_000 });
    assert.deepEqual(entries.map((entry) => [entry.request?.path, entry.response?.responseCode?.valueOf(), entry.request?.requestHeaders]), [['/good', 200, { 'x-client': 'me' }], ['/gone', 410, {}]]);
    const lines = await waitFor('both lines', () => {
      const text = existsSync(join(dir, 'access.json')) ? readFileSync(join(dir, 'access.json'), 'utf8').trim().split('\n') : [];
      return text.length === 2 ? text.map((line) => JSON.parse(line) as Record<string, unknown>) : undefined;
    });
    assert.deepEqual(lines.map(({ duration, ...line }) => [typeof duration, line]), [
      ['number', { protocol: 'HTTP/1.1', request: { method: 'GET', path: '/good' }, status: 200 }],
      ['number', { protocol: 'HTTP/1.1', request: { method: 'GET', path: '/gone' }, status: 410 }],
    ]);
    assert.match(readFileSync(join(dir, 'errors.log'), 'utf8'), /^\[\d{4}-\d\d-\d\d\] "GET \/gone HTTP\/1\.1" 410 - -\n$/);
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
});
