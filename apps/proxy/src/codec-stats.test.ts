import assert from 'node:assert/strict';
import http2 from 'node:http2';
import type { AddressInfo } from 'node:net';
import { after, before, test } from 'node:test';
import { waitFor } from '@meltemi/base';
import { backend, type Backend } from './testing/backend.ts';
import { bootstrap, cluster, http2Only, httpListener, route, type Json } from './testing/bootstrap.ts';
import { request } from './testing/client.ts';
import { startProxy, type RunningProxy } from './testing/proxy-process.ts';
import { statsOf } from './testing/samples.ts';

let plain: Backend;
let app: http2.Http2Server;
let proxy: RunningProxy;

before(async () => {
  plain = await backend('plain');
  app = http2.createServer();
  app.on('stream', (stream: http2.ServerHttp2Stream, headers) => {
    stream.on('error', () => {});
    if (headers[':path'] === '/reset') return stream.close(http2.constants.NGHTTP2_INTERNAL_ERROR);
    if (headers[':path'] === '/hold') return undefined;
    stream.respond({ ':status': 200 }, { waitForTrailers: true });
    stream.on('wantTrailers', () => stream.sendTrailers({ 'x-sum': '1' }));
    stream.end('body');
    return undefined;
  });
  await new Promise<void>((resolve) => app.listen(0, '127.0.0.1', resolve));
  const hcm = (action: string): Json => ({ common_http_protocol_options: { headers_with_underscores_action: action } });
  const routes = [route({ prefix: '/plain' }, 'plain'), route({ prefix: '/' }, 'app')];
  proxy = await startProxy(bootstrap(
    [httpListener({ name: 'rejects', routes, hcm: hcm('REJECT_REQUEST') }), httpListener({ name: 'drops', routes, hcm: hcm('DROP_HEADER') })],
    [cluster('plain', [plain.port]), cluster('app', [(app.address() as AddressInfo).port], http2Only)],
  ));
});
after(async () => {
  await proxy?.[Symbol.asyncDispose]();
  await plain?.stop();
  app?.close();
});

/** Over HTTP/2; the status, or that there is none. */
function ask(client: http2.ClientHttp2Session, path: string, headers: Readonly<Record<string, string>> = {}): Promise<string> {
  return new Promise((resolve) => {
    const stream = client.request({ ':path': path, ...headers });
    stream.on('response', (head) => resolve(String(head[':status']))).on('error', () => {}).on('close', () => resolve('reset')).resume();
  });
}

test('clients and hosts are counted by version of HTTP, under Envoy\'s names', async () => {
  const client = http2.connect(`http://127.0.0.1:${proxy.port('rejects')}`);
  client.on('error', () => {});
  try {
    assert.deepEqual([await ask(client, '/'), await ask(client, '/reset')], ['200', '503']);
    assert.equal(await ask(client, '/', { 'a_b': 'c' }), 'reset');
    const held = client.request({ ':path': '/hold' }).on('error', () => {});
    await waitFor('the stream that waits', async () => {
      const stats = await statsOf(proxy);
      return stats.get('http2.streams_active') === 1 && stats.get('cluster.app.http2.streams_active') === 1;
    });
    held.close(http2.constants.NGHTTP2_CANCEL);
    assert.equal((await request(proxy.port('rejects'), { path: '/plain', headers: { 'a_b': 'c' } })).status, 400);
    assert.equal((await request(proxy.port('drops'), { path: '/plain', headers: { 'a_b': 'c', 'd_e': 'f' } })).seen().headers['a_b'], undefined);
    const wanted = {
      'http2.requests_rejected_with_underscores_in_headers': 1, 'http2.rx_reset': 1, 'http2.streams_active': 0, 'http2.rx_messaging_error': 0,
      'http1.requests_rejected_with_underscores_in_headers': 1, 'http1.dropped_headers_with_underscores': 2,
      'cluster.app.http2.rx_reset': 1, 'cluster.app.http2.tx_reset': 1, 'cluster.app.http2.trailers': 1, 'cluster.app.http2.streams_active': 0,
    };
    await waitFor('the counts', async () => {
      const stats = await statsOf(proxy);
      return Object.entries(wanted).every(([name, value]) => stats.get(name) === value);
    }).catch(async (cause: unknown) => {
      const stats = await statsOf(proxy);
      assert.deepEqual(Object.fromEntries(Object.keys(wanted).map((name) => [name, stats.get(name)])), wanted, String(cause));
    });
    assert.equal((await statsOf(proxy)).get('cluster.plain.http2.rx_reset'), undefined, 'a cluster of HTTP/1 has none');
  } finally {
    client.destroy();
  }
});
