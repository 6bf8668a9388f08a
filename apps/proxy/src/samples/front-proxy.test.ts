import assert from 'node:assert/strict';
import { rmSync } from 'node:fs';
import http2 from 'node:http2';
import https from 'node:https';
import type { AddressInfo } from 'node:net';
import { after, before, test } from 'node:test';
import { authority, type Authority } from '../testing/authority.ts';
import { backend, type Backend, type Seen } from '../testing/backend.ts';
import { request } from '../testing/client.ts';
import { startProxy, temporaryFolder, type RunningProxy } from '../testing/proxy-process.ts';
import { sample } from '../testing/samples.ts';

let dir: string;
let ca: Authority;
let first: Backend;
let second: http2.Http2Server;
let proxy: RunningProxy;

before(async () => {
  dir = temporaryFolder();
  ca = authority(dir, 'ca');
  ca.issue('shop', { dnsNames: ['shop.example', 'www.shop.example'] });
  first = await backend('first');
  second = http2.createServer((asked, response) => response.end(`second ${asked.httpVersion} ${asked.url}`));
  await new Promise<void>((resolve) => second.listen(0, '127.0.0.1', resolve));
  proxy = await startProxy(sample('front-proxy.yaml', { 10001: 0, 8001: first.port, 8002: (second.address() as AddressInfo).port }, dir));
});
after(async () => {
  await proxy?.[Symbol.asyncDispose]();
  await first?.stop();
  second?.close();
  rmSync(dir, { recursive: true, force: true });
});

interface Answer {
  readonly status: number;
  readonly version: string;
  readonly location: string | undefined;
  readonly body: string;
}

/** Over TLS and HTTP/1.1. */
const ask = (path: string, headers: Readonly<Record<string, string>> = {}, servername = 'shop.example') => new Promise<Answer>((resolve, reject) => {
  https.get({ host: '127.0.0.1', port: proxy.port('https'), servername, ca: ca.pem, path, headers: { host: 'shop.example', ...headers }, agent: false }, (response) => {
    let body = '';
    response.setEncoding('utf8').on('data', (part: string) => { body += part; }).on('error', reject);
    response.on('end', () => resolve({ status: response.statusCode ?? 0, version: response.httpVersion, location: response.headers.location, body }));
  }).on('error', reject);
});

/** Over TLS and HTTP/2: all paths on one connection. */
async function askOverHttp2(paths: readonly string[]): Promise<string[]> {
  const session = http2.connect(`https://127.0.0.1:${proxy.port('https')}`, { servername: 'shop.example', ca: ca.pem });
  try {
    return await Promise.all(paths.map((path) => new Promise<string>((resolve, reject) => {
      const stream = session.request({ ':path': path, ':authority': 'shop.example' });
      let text = '';
      stream.setEncoding('utf8').on('data', (part: string) => { text += part; }).on('error', reject);
      stream.on('end', () => resolve(text));
    })));
  } finally {
    session.close();
  }
}

test('both services answer over HTTP/2 and HTTP/1.1, by path', async () => {
  const [one, two] = await askOverHttp2(['/service/1', '/service/2/x']);
  const seen = JSON.parse(one ?? '') as Seen;
  assert.deepEqual([seen.backend, seen.url, seen.headers['x-forwarded-proto'], seen.headers['x-forwarded-for']], ['first', '/service/1', 'https', '127.0.0.1']);
  assert.equal(two, 'second 2.0 /service/2/x');
  const over = await ask('/service/2');
  assert.deepEqual([over.version, over.body], ['1.1', 'second 2.0 /service/2']);
});

test('a failing service is asked three times', async () => {
  const before = first.seen.length;
  assert.equal((await ask('/service/1/broken', { 'x-reply-status': '503' })).status, 503);
  assert.equal(first.seen.length - before, 3);
});

test('names with underscores are refused, escaped slashes redirected, paths put right', async () => {
  assert.equal((await ask('/service/1', { 'x_user': 'root' })).status, 400);
  const escaped = await ask('/service%2F1');
  assert.deepEqual([escaped.status, escaped.location], [307, '/service/1']);
  assert.equal((JSON.parse((await ask('//service/x/../1')).body) as Seen).url, '/service/1');
  assert.equal((await ask('/elsewhere')).status, 404);
});

test('another name gets no certificate; plain HTTP is sent to HTTPS', async () => {
  await assert.rejects(ask('/service/1', {}, 'other.example'));
  const plain = await request(proxy.port('http'), { path: '/service/1?q', headers: { host: 'shop.example' } });
  assert.deepEqual([plain.status, plain.headers.location], [301, 'https://shop.example/service/1?q']);
});
