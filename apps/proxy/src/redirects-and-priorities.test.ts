import assert from 'node:assert/strict';
import http2 from 'node:http2';
import { test } from 'node:test';
import { waitFor } from '@meltemi/base';
import { backend } from './testing/backend.ts';
import { bootstrap, cluster, endpoint, fileLog, httpListener, route } from './testing/bootstrap.ts';
import { request } from './testing/client.ts';
import { startProxy } from './testing/proxy-process.ts';
import { statsOf } from './testing/samples.ts';

const types = 'type.googleapis.com/envoy.extensions';

test('an upstream\'s redirect is followed to another cluster, with its body, over both versions of HTTP; a second one goes back', async () => {
  await using target = await backend('target');
  await using mover = await backend('mover', (_request, response, seen) => response.writeHead(307, { location: `http://files.example/${seen.url === '/move' ? 'there?x=1' : 'mover/again'}` }).end('moved'));
  const policy = { internal_redirect_policy: { redirect_response_codes: [307], max_internal_redirects: 1 } };
  await using proxy = await startProxy(bootstrap([httpListener({
    routes: [route({ prefix: '/there' }, 'target'), route({ prefix: '/' }, { cluster: 'mover', ...policy })],
    hcm: { access_log: [fileLog('/dev/stdout', { log_format: { text_format_source: { inline_string: '%REQ(:PATH)% %RESPONSE_CODE% %RESPONSE_CODE_DETAILS%\n' } } })] },
  })], [cluster('target', [target.port]), cluster('mover', [mover.port])]));
  const reply = await request(proxy.port('web'), { method: 'POST', path: '/move', body: 'a body' });
  const { url, body, headers } = reply.seen();
  assert.deepEqual([reply.status, url, body, headers['host'], new URL(headers['x-envoy-original-url'] ?? '').pathname], [200, '/there?x=1', 'a body', 'files.example', '/move']);
  const twice = await request(proxy.port('web'), { path: '/again' });
  assert.deepEqual([twice.status, twice.headers.location, twice.body], [307, 'http://files.example/mover/again', 'moved']);

  const client = http2.connect(`http://127.0.0.1:${proxy.port('web')}`);
  try {
    const text = await new Promise<string>((resolve, reject) => {
      const stream = client.request({ ':method': 'POST', ':path': '/move' });
      let got = '';
      stream.setEncoding('utf8').on('data', (part: string) => { got += part; }).on('end', () => resolve(got)).on('error', reject);
      stream.end('over h2');
    });
    assert.match(text, /"url":"\/there\?x=1".*"body":"over h2"/);
  } finally {
    client.close();
  }
  await waitFor('the log', () => proxy.out().includes('/move 307 internal_redirect\n') && proxy.out().includes('/there?x=1 200 via_upstream\n'));
  const stats = await statsOf(proxy);
  assert.deepEqual(['succeeded', 'failed'].map((what) => stats.get(`cluster.mover.upstream_internal_redirect_${what}_total`)), [3, 1]);
});

test('a retry leaves the priority that failed', async () => {
  await using near = await backend('near', (_request, response) => response.writeHead(503).end());
  await using far = await backend('far');
  const previous = { name: 'envoy.retry_priorities.previous_priorities', typed_config: { '@type': `${types}.retry.priority.previous_priorities.v3.PreviousPrioritiesConfig`, update_frequency: 1 } };
  const levels = { load_assignment: { cluster_name: 'app', endpoints: [near, far].map(({ port }, priority) => ({ priority, lb_endpoints: [endpoint(port)] })) } };
  await using proxy = await startProxy(bootstrap([httpListener({
    routes: [route({ prefix: '/stays' }, { cluster: 'app', retry_policy: { retry_on: '5xx', num_retries: 1 } }), route({ prefix: '/' }, { cluster: 'app', retry_policy: { retry_on: '5xx', num_retries: 1, retry_priority: previous } })],
  })], [cluster('app', [], levels)]));
  assert.equal((await request(proxy.port('web'), { path: '/stays' })).status, 503);
  for (let i = 0; i < 5; i++) assert.equal((await request(proxy.port('web'))).headers['x-backend'], 'far');
});
