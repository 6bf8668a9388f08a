import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { rmSync } from 'node:fs';
import http from 'node:http';
import http2 from 'node:http2';
import type { AddressInfo } from 'node:net';
import { after, before, describe, test } from 'node:test';
import { promisify } from 'node:util';
import { authority, type Authority } from './testing/authority.ts';
import { backend, type Backend } from './testing/backend.ts';
import { bootstrap, cluster, http2Only, httpListener, httpOptions, route, typeOf, type Json } from './testing/bootstrap.ts';
import { exchange } from './testing/client.ts';
import { startProxy, temporaryFolder, type RunningProxy } from './testing/proxy-process.ts';

const run = promisify(execFile);
const inline = (text: string): Json => ({ inline_string: text });
const websocket = { upgrade_configs: [{ upgrade_type: 'websocket' }], http2_protocol_options: { allow_connect: true } };

let dir: string;
let ours: Authority;
let app: Backend;
let secure: http2.Http2SecureServer;
let upgrading: http.Server;
let proxy: RunningProxy;

/** An application that speaks HTTP/2 and HTTP/1.1 over TLS, as ALPN says. */
function secureApplication(): http2.Http2SecureServer {
  const { cert, key } = ours.issue('app', { dnsNames: ['app.example'] });
  return http2.createSecureServer({ cert, key, allowHTTP1: true }, (request, response) => response.end(`HTTP/${request.httpVersion}`));
}

/** An HTTP/1.1 application that switches to a protocol of lines: it answers each part with its reverse. */
function upgradingApplication(): http.Server {
  const server = http.createServer((_request, response) => response.writeHead(426).end());
  server.on('upgrade', (request, socket) => {
    const accept = createHash('sha1').update(`${request.headers['sec-websocket-key']}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`).digest('base64');
    socket.write(`HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: upgrade\r\nsec-websocket-accept: ${accept}\r\n\r\n`);
    socket.on('data', (part: Buffer) => socket.write(Buffer.from(part).reverse()));
    socket.on('error', () => {});
  });
  return server;
}

const listen = (server: { listen(port: number, host: string, done: () => void): unknown; address(): unknown }) =>
  new Promise<number>((resolve) => server.listen(0, '127.0.0.1', () => resolve((server.address() as AddressInfo).port)));

before(async () => {
  dir = temporaryFolder();
  ours = authority(dir, 'ours');
  app = await backend('app');
  secure = secureApplication();
  upgrading = upgradingApplication();
  const [securePort, upgradingPort] = [await listen(secure), await listen(upgrading)];
  const leaf = ours.issue('proxy', { dnsNames: ['proxy.example'] });
  const tls = { transport_socket: { name: 'envoy.transport_sockets.tls', typed_config: { '@type': typeOf.downstreamTls, common_tls_context: { alpn_protocols: ['h2', 'http/1.1'], tls_certificates: [{ certificate_chain: inline(leaf.cert), private_key: inline(leaf.key) }] } } } };
  const toSecure = { transport_socket: { name: 'envoy.transport_sockets.tls', typed_config: { '@type': typeOf.upstreamTls, sni: 'app.example', common_tls_context: { validation_context: { trusted_ca: inline(ours.pem) } } } } };
  const to = (prefix: string, name: string) => route({ prefix }, name);
  const routes = [to('/auto', 'auto'), to('/h2', 'secure-h2'), to('/h1', 'secure-h1'), to('/chat', 'upgrading'), to('/', 'app')];
  proxy = await startProxy(bootstrap(
    [httpListener({ name: 'plain', routes, hcm: websocket }), httpListener({ name: 'tls', routes, chain: tls, hcm: websocket }), httpListener({ name: 'one', routes, hcm: { codec_type: 'HTTP1' } })],
    [
      cluster('app', [app.port]), cluster('upgrading', [upgradingPort]),
      cluster('auto', [securePort], { ...toSecure, ...httpOptions({ auto_config: { http_protocol_options: {}, http2_protocol_options: {} } }) }),
      cluster('secure-h2', [securePort], { ...toSecure, ...http2Only }), cluster('secure-h1', [securePort], toSecure),
    ],
  ));
});

after(async () => {
  await proxy[Symbol.asyncDispose]();
  await app.stop();
  secure.close();
  upgrading.close();
  upgrading.closeAllConnections();
  rmSync(dir, { recursive: true, force: true });
});

const curl = async (...args: string[]) => (await run('curl', ['-sS', '--max-time', '10', '--cacert', ours.file, '--resolve', `proxy.example:${proxy.port('tls')}:127.0.0.1`, '-o', '-', '-w', '\n%{http_version} %{http_code}', ...args])).stdout;

describe('HTTP/2 over TLS', () => {
  for (const [flag, version] of [['--http2', '2'], ['--http1.1', '1.1']] as const) {
    test(`a client that asks for HTTP/${version} by ALPN gets it`, async () => {
      assert.match(await curl(flag, `https://proxy.example:${proxy.port('tls')}/x`), new RegExp(`\\n${version.replace('.', '\\.')} 200$`));
    });
  }

  for (const [path, version] of [['/auto', '2.0'], ['/h2', '2.0'], ['/h1', '1.1']] as const) {
    test(`towards hosts ${path} is HTTP/${version}, and HTTP/1.1 clients do not notice`, async () => {
      assert.match(await curl('--http1.1', `https://proxy.example:${proxy.port('tls')}${path}`), new RegExp(`^HTTP/${version.replace('.', '\\.')}\\n1\\.1 200$`));
    });
  }
});

describe('HTTP/2 without TLS', () => {
  test('by prior knowledge, on the port that serves HTTP/1.1 too', async () => {
    assert.match(await curl('--http2-prior-knowledge', `http://127.0.0.1:${proxy.port('plain')}/x`), /\n2 200$/);
    assert.match(await curl('--http1.1', `http://127.0.0.1:${proxy.port('plain')}/x`), /\n1\.1 200$/);
  });

  test('a listener of HTTP/1 alone refuses the preface by its version', async () => {
    assert.match(await exchange(proxy.port('one'), 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'), /^HTTP\/1\.1 505 /);
  });

  test('a WebSocket over an extended CONNECT reaches an HTTP/1.1 application', async () => {
    const session = http2.connect(`http://127.0.0.1:${proxy.port('plain')}`);
    try {
      await new Promise((resolve) => session.once('remoteSettings', resolve));
      assert.equal(session.remoteSettings.enableConnectProtocol, true);
      const stream = session.request({ ':method': 'CONNECT', ':protocol': 'websocket', ':path': '/chat', ':scheme': 'http', ':authority': 'chat', 'sec-websocket-version': '13', 'sec-websocket-key': randomBytes(16).toString('base64') }, { endStream: false });
      const status = await new Promise<number>((resolve, reject) => {
        stream.once('response', (headers) => resolve(Number(headers[':status'])));
        stream.once('error', reject);
      });
      assert.equal(status, 200);
      for (const words of ['hello', 'x'.repeat(30_000) + 'y']) {
        let got = '';
        stream.write(words);
        await new Promise<void>((resolve) => {
          const take = (part: Buffer) => {
            got += part.toString();
            if (got.length < words.length) return;
            stream.off('data', take);
            resolve();
          };
          stream.on('data', take);
        });
        assert.equal(got.length, words.length);
      }
      stream.close();
    } finally {
      session.destroy();
    }
  });

  test('statistics tell the versions apart', async () => {
    const stats = await (await fetch(`http://127.0.0.1:${proxy.port('admin')}/stats`)).text();
    assert.match(stats, /^http\.plain\.downstream_cx_http2_total: [1-9]/m);
    assert.match(stats, /^http\.plain\.downstream_cx_http1_total: [1-9]/m);
    assert.match(stats, /^cluster\.secure-h2\.upstream_cx_http2_total: 1$/m);
  });
});
