import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import http from 'node:http';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { waitFor } from '@meltemi/base';
import { backend, tcpBackend, type Backend } from './testing/backend.ts';
import { bootstrap, cluster, fileLog, httpListener, httpOptions, route, type Json } from './testing/bootstrap.ts';
import { exchange, RawConnection, request } from './testing/client.ts';
import { startProxy, temporaryFolder, type RunningProxy } from './testing/proxy-process.ts';

let app: Backend;
let upgrade: Backend;
let proxy: RunningProxy;
/** What the scripted backend got, and what it answers: by the path of the request. */
let scripted: Backend;
const received = new Map<string, string>();

const answers: Readonly<Record<string, string>> = {
  '/no-body': 'HTTP/1.1 204 No Content\r\n\r\n',
  '/not-modified': 'HTTP/1.1 304 Not Modified\r\ncontent-length: 10\r\netag: x\r\n\r\n',
  '/chunked': 'HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\ntrailer: x-sum\r\n\r\n5\r\nhello\r\n6;ext=1\r\n world\r\n0\r\nx-sum: 11\r\n\r\n',
  '/until-close': 'HTTP/1.1 200 OK\r\n\r\nuntil the end',
  '/http10': 'HTTP/1.0 200 OK\r\ncontent-length: 3\r\n\r\nold',
  '/interim': 'HTTP/1.1 102 Processing\r\n\r\nHTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok',
  '/garbage': 'SSH-2.0-OpenSSH\r\n\r\n',
  '/two-lengths': 'HTTP/1.1 200 OK\r\ncontent-length: 3\r\ncontent-length: 4\r\n\r\nabcd',
  '/both': 'HTTP/1.1 200 OK\r\ncontent-length: 3\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n',
  '/unasked-101': 'HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: upgrade\r\n\r\n',
  '/flood': 'HTTP/1.1 103 Early Hints\r\n\r\n'.repeat(100),
  '/fat': `HTTP/1.1 200 OK\r\nx-fat: ${'f'.repeat(70_000)}\r\n\r\n`,
  '/many': `HTTP/1.1 200 OK\r\n${'x-one: 1\r\n'.repeat(101)}\r\n`,
  '/204-with-body': 'HTTP/1.1 204 No Content\r\ncontent-length: 3\r\n\r\nabc',
  '/extra': 'HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nokHTTP/1.1 200 OK\r\ncontent-length: 8\r\n\r\npoisoned',
  '/short': 'HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nonly this',
  '/strange': 'HTTP/1.1 299 Own Words\r\ncontent-length: 0\r\nkeep-alive: timeout=5\r\nconnection: x-hop, keep-alive\r\nx-hop: 1\r\n\r\n',
  '/nothing': '',
};
/** More than sockets and buffers hold. */
const large = 'x'.repeat(12 * 1024 * 1024);
const closing = new Set(['/until-close', '/short', '/nothing', '/garbage']);

const log = join(temporaryFolder(), 'access.log');
const trailersOn = httpOptions({ explicit_http_config: { http_protocol_options: { enable_trailers: true } } });

before(async () => {
  app = await backend('app');
  upgrade = await tcpBackend('upgrade', (socket) => {
    let head = '';
    const onData = (part: Buffer) => {
      head += part.toString('latin1');
      if (!head.includes('\r\n\r\n')) return;
      socket.off('data', onData);
      received.set('upgrade', head);
      if (!/upgrade: websocket/i.test(head)) return void socket.end('HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n');
      socket.write('HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: upgrade\r\nsec-websocket-accept: x\r\n\r\nfirst');
      socket.on('data', (more: Buffer) => socket.write(more.toString('latin1').toUpperCase(), 'latin1'));
      socket.on('end', () => socket.end());
    };
    socket.on('data', onData);
  });
  scripted = await tcpBackend('scripted', (socket) => {
    let head = '';
    socket.on('data', (part: Buffer) => {
      head += part.toString('latin1');
      const path = /^\S+ (\S+)/.exec(head)?.[1] ?? '';
      if (path === '/eager') return void socket.write('HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nearly');
      if (!head.includes('\r\n\r\n')) return;
      received.set(path, head);
      head = '';
      if (path === '/large') return void socket.write(`HTTP/1.1 200 OK\r\ncontent-length: ${large.length}\r\n\r\n${large}`, 'latin1');
      socket.write(answers[path] ?? 'HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n', 'latin1');
      if (closing.has(path)) socket.end();
    });
  });
  const routes: Json[] = [route({ prefix: '/upgrade' }, 'upgrade'), route({ prefix: '/s/' }, { cluster: 'scripted', prefix_rewrite: '/' }), route({ prefix: '/' }, { cluster: 'app', timeout: '0s' })];
  proxy = await startProxy(bootstrap([
    httpListener({ routes, hcm: { access_log: [fileLog(log, { log_format: { text_format_source: { inline_string: '%REQ(X-ENVOY-ORIGINAL-PATH?:PATH)% %RESPONSE_CODE% %RESPONSE_FLAGS% %RESPONSE_CODE_DETAILS%\n' } } })], upgrade_configs: [{ upgrade_type: 'websocket' }], http_protocol_options: { enable_trailers: true } } }),
    httpListener({ name: 'old', routes, hcm: { http_protocol_options: { accept_http_10: true, default_host_for_http_10: 'default.example' } } }),
    httpListener({ name: 'strict', routes, hcm: { request_headers_timeout: '0.5s', delayed_close_timeout: '0.2s', proxy_100_continue: true } }),
    httpListener({ name: 'small', routes, listener: { per_connection_buffer_limit_bytes: 32768 } }),
  ], [cluster('app', [app.port]), cluster('upgrade', [upgrade.port]), cluster('scripted', [scripted.port], { per_connection_buffer_limit_bytes: 32768, ...trailersOn })]));
});
after(async () => {
  await proxy?.[Symbol.asyncDispose]();
  await Promise.all([app.stop(), upgrade.stop(), scripted.stop()]);
});

const web = () => proxy.port('web');
const s = (path: string, more = '') => `GET /s${path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n${more}\r\n`;
const statusOf = (text: string) => Number(/^HTTP\/1\.1 (\d+)/.exec(text)?.[1] ?? 0);
const bodyOf = (text: string) => text.slice(text.indexOf('\r\n\r\n') + 4);

describe('what could smuggle a request is refused, and the backend never sees it', () => {
  const cases: Record<string, [string, number]> = {
    'content-length and transfer-encoding': ['POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 5\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n', 400],
    'two different content-lengths': ['POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 5\r\ncontent-length: 6\r\n\r\nhello!', 400],
    'a list of content-lengths': ['POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 5, 6\r\n\r\nhello', 400],
    'a signed content-length': ['POST / HTTP/1.1\r\nhost: x\r\ncontent-length: +5\r\n\r\nhello', 400],
    'a bare LF': ['GET / HTTP/1.1\nhost: x\n\n', 400],
    'a bare LF between fields': ['GET / HTTP/1.1\r\nhost: x\nfoo: bar\r\n\r\n', 400],
    'a bare CR': ['GET / HTTP/1.1\r\nhost: x\r\nfoo: a\rb\r\n\r\n', 400],
    'a folded field': ['GET / HTTP/1.1\r\nhost: x\r\nfoo: a\r\n b\r\n\r\n', 400],
    'a blank before the colon': ['GET / HTTP/1.1\r\nhost: x\r\nfoo : a\r\n\r\n', 400],
    'an empty name': ['GET / HTTP/1.1\r\nhost: x\r\n: a\r\n\r\n', 400],
    'a NUL': ['GET / HTTP/1.1\r\nhost: x\r\nfoo: a\0b\r\n\r\n', 400],
    'two hosts': ['GET / HTTP/1.1\r\nhost: x\r\nhost: y\r\n\r\n', 400],
    'no host': ['GET / HTTP/1.1\r\n\r\n', 400],
    'a bad chunk size': ['POST / HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n0x5\r\nhello\r\n0\r\n\r\n', 400],
    'an empty chunk size': ['POST / HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n\r\nhello\r\n0\r\n\r\n', 400],
    'a chunk longer than it says': ['POST / HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n3\r\nhello\r\n0\r\n\r\n', 400],
    'a bare LF after a chunk size': ['POST / HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n5\nhello\r\n0\r\n\r\n', 400],
    'an unknown transfer coding': ['POST / HTTP/1.1\r\nhost: x\r\ntransfer-encoding: gzip, chunked\r\n\r\n0\r\n\r\n', 501],
    'a hidden transfer coding': ['POST / HTTP/1.1\r\nhost: x\r\ntransfer-encoding: xchunked\r\n\r\n0\r\n\r\n', 501],
    'transfer-encoding in HTTP/1.0': ['POST / HTTP/1.0\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n', 400],
    'a space in the target': ['GET /a b HTTP/1.1\r\nhost: x\r\n\r\n', 400],
    'an unknown version': ['GET / HTTP/1.2\r\nhost: x\r\n\r\n', 505],
    'a framing field in the trailers': ['POST / HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n0\r\ncontent-length: 5\r\n\r\n', 400],
  };
  for (const [what, [text, status]] of Object.entries(cases))
    test(what, async () => {
      const before = app.seen.length;
      const reply = await exchange(web(), text);
      assert.equal(statusOf(reply), status, reply);
      assert.match(reply, /connection: close/);
      assert.equal(app.seen.length, before);
    });
});

describe('requests', () => {
  test('pipelined ones are answered in order', async () => {
    const connection = new RawConnection(web());
    connection.send('GET /1 HTTP/1.1\r\nhost: x\r\nx-reply-delay-ms: 30\r\n\r\nGET /2 HTTP/1.1\r\nhost: x\r\n\r\nPOST /3 HTTP/1.1\r\nhost: x\r\ncontent-length: 2\r\nconnection: close\r\n\r\nhi');
    const text = await connection.untilClosed();
    assert.deepEqual([...text.matchAll(/"url":"([^"]+)"/g)].map((match) => match[1]), ['/1', '/2', '/3']);
    assert.equal(text.match(/connection: close/g)?.length, 1, 'only the last answer closes');
  });
  test('a request in single bytes is read like any other', async () => {
    const connection = new RawConnection(web());
    for (const byte of 'POST /bytes HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n') {
      connection.send(byte);
      await new Promise((resolve) => setImmediate(resolve));
    }
    assert.match(await connection.untilClosed(), /"body":"abcde"/);
  });
  test('chunked bodies and their trailers reach the backend', async () => {
    await exchange(web(), 'POST /s/trailers HTTP/1.1\r\nhost: x\r\nconnection: close\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nx-check: sum\r\n\r\n');
    assert.match(received.get('/trailers') ?? '', /transfer-encoding: chunked\r\n\r\n/);
    const got = await waitFor('the trailers', async () => {
      const seen = await trailersSeen();
      return seen;
    });
    assert.match(got, /x-check/);
  });
  test('hop-by-hop fields end here', async () => {
    await exchange(web(), s('/hops', 'keep-alive: 5\r\nproxy-connection: x\r\nte: gzip\r\nx-mine: 1\r\nx-stays: 1\r\n').replace('connection: close', 'connection: close, x-mine'));
    const head = received.get('/hops') ?? '';
    for (const name of ['keep-alive', 'proxy-connection', 'te:', 'x-mine', 'connection:']) assert.ok(!head.includes(name), `${name} in ${head}`);
    assert.match(head, /x-stays: 1/);
  });
  test('an absolute target wins over Host', async () => {
    const text = 'GET http://real.example/p?q HTTP/1.1\r\nhost: other\r\nconnection: close\r\n\r\n';
    const reply = await exchange(web(), text);
    assert.match(reply, /"url":"\/p\?q"/);
    assert.match(reply, /"host":"real\.example"/);
  });
  test('Expect: 100-continue is answered here, or passed on with proxy_100_continue', async () => {
    const connection = new RawConnection(web()).send('POST /expect HTTP/1.1\r\nhost: x\r\nexpect: 100-continue\r\ncontent-length: 4\r\nconnection: close\r\n\r\n');
    await connection.until(/^HTTP\/1\.1 100 Continue\r\n\r\n/);
    const text = await connection.send('body').untilClosed();
    assert.match(text, /200 OK[\s\S]*"body":"body"/);
    assert.doesNotMatch(text, /"expect"/);
    const passed = new RawConnection(proxy.port('strict')).send('POST /expect HTTP/1.1\r\nhost: x\r\nexpect: 100-continue\r\ncontent-length: 4\r\nconnection: close\r\n\r\n');
    await passed.until(/^HTTP\/1\.1 100 Continue\r\n\r\n/);
    assert.match(await passed.send('body').untilClosed(), /"expect":"100-continue"/);
  });
  test('CONNECT is refused, an own method passes', async () => {
    assert.ok([403, 404, 405].includes(statusOf(await exchange(web(), 'CONNECT a:1 HTTP/1.1\r\nhost: a:1\r\n\r\n'))));
    assert.match(await exchange(web(), 'PROPFIND / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n'), /"method":"PROPFIND"/);
    assert.match(await exchange(web(), 'OPTIONS * HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n'), /^HTTP\/1\.1 (200|404)/);
  });
  test('HTTP/1.0 is refused with 426, or accepted with a default host', async () => {
    assert.equal(statusOf(await exchange(web(), 'GET / HTTP/1.0\r\nhost: x\r\n\r\n')), 426);
    const reply = await exchange(proxy.port('old'), 'GET /old HTTP/1.0\r\n\r\n');
    assert.equal(statusOf(reply), 200);
    assert.match(reply, /"host":"default\.example"/);
    assert.match(reply, /connection: close/);
    assert.doesNotMatch(reply, /transfer-encoding/);
    const kept = new RawConnection(proxy.port('old')).send('GET /s/a HTTP/1.0\r\nconnection: keep-alive\r\n\r\n');
    assert.match(await kept.until(/\r\n\r\n/), /connection: keep-alive/);
    kept.send('GET /s/b HTTP/1.0\r\n\r\n');
    assert.equal((await kept.untilClosed()).match(/HTTP\/1\.1 200/g)?.length, 2);
  });
  test('a head that does not come in time is answered 408 and closed', async () => {
    const text = await exchange(proxy.port('strict'), 'GET / HTTP/1.1\r\nhost:');
    assert.match(text, /^(HTTP\/1\.1 408|$)/);
  });
});

/** The scripted backend keeps heads only; node's own server sees trailers. */
async function trailersSeen(): Promise<string> {
  await using server = await trailerBackend();
  await using own = await startProxy(bootstrap([httpListener({ routes: [route({ prefix: '/' }, 'app')], hcm: { http_protocol_options: { enable_trailers: true } } })], [cluster('app', [server.port], trailersOn)]));
  const text = await exchange(own.port('web'), 'POST / HTTP/1.1\r\nhost: x\r\nconnection: close\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nX-Check: sum\r\n\r\n');
  return bodyOf(text);
}

async function trailerBackend() {
  const server = http.createServer((incoming, response) => {
    incoming.resume().on('end', () => response.end(JSON.stringify(incoming.trailers)));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return { port: (server.address() as { port: number }).port, [Symbol.asyncDispose]: async () => { await new Promise<void>((resolve) => { server.close(() => resolve()); server.closeAllConnections(); }); } };
}

describe('responses', () => {
  test('HEAD has a length and no body', async () => {
    const text = await exchange(web(), 'HEAD / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n');
    assert.equal(statusOf(text), 200);
    assert.equal(bodyOf(text), '');
  });
  test('204 and 304 have no body, and the connection goes on', async () => {
    const connection = new RawConnection(web());
    connection.send('GET /s/no-body HTTP/1.1\r\nhost: x\r\n\r\nGET /s/not-modified HTTP/1.1\r\nhost: x\r\n\r\nGET /last HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n');
    const text = await connection.untilClosed();
    assert.match(text, /^HTTP\/1\.1 204[\s\S]*HTTP\/1\.1 304[\s\S]*HTTP\/1\.1 200/);
    assert.doesNotMatch(text.slice(0, text.indexOf('304')), /content-length|transfer-encoding/);
  });
  test('chunks and trailers come through', async () => {
    const reply = await request(web(), { path: '/s/chunked' });
    assert.equal(reply.body, 'hello world');
    assert.equal(reply.trailers['x-sum'], '11');
  });
  test('a body until the end of the connection becomes chunks', async () => {
    const text = await exchange(web(), s('/until-close'));
    assert.match(text, /transfer-encoding: chunked/);
    assert.match(text, /d\r\nuntil the end\r\n0\r\n\r\n$/);
  });
  test('an HTTP/1.0 backend is understood', async () => assert.equal((await request(web(), { path: '/s/http10' })).body, 'old'));
  test('interim responses other than 100 pass', async () => {
    const text = await exchange(web(), s('/interim'));
    assert.match(text, /HTTP\/1\.1 200 OK[\s\S]*ok$/);
    assert.match(text, /103 Early Hints[\s\S]*link/);
  });
  test('hop-by-hop fields of the backend end here, unknown codes pass', async () => {
    const text = await exchange(web(), s('/strange'));
    assert.equal(statusOf(text), 299);
    assert.doesNotMatch(text, /x-hop|keep-alive/);
  });
  for (const path of ['/garbage', '/two-lengths', '/both', '/unasked-101', '/flood', '/fat', '/many', '/204-with-body']) {
    test(`${path}: what is no HTTP answer is a 502`, async () => {
      const text = await exchange(web(), s(path));
      assert.match(text, /(?:^|\r\n)HTTP\/1\.1 502 [\s\S]*protocol error/);
      await waitFor('its line in the log', () => readFileSync(log, 'utf8').includes(`${path} 502 UPE upstream_reset_before_response_started{protocol_error}`));
    });
  }
  test('bytes behind an answer never answer the next request', async () => {
    for (let i = 0; i < 3; i++) assert.equal(bodyOf(await exchange(web(), s('/extra'))), 'ok');
    assert.doesNotMatch(await exchange(web(), s('/plain')), /poisoned/);
  });
  test('an answer that ends too early cuts the client off too', async () => {
    const text = await exchange(web(), s('/short'));
    assert.equal(bodyOf(text), 'only this');
  });
  test('a backend that hangs up without a word is a 503', async () => {
    const text = await exchange(web(), s('/nothing'));
    assert.equal(statusOf(text), 503);
    assert.match(text, /upstream connect error or disconnect\/reset before headers\. reset reason: connection termination/);
    await waitFor('its line in the log', () => readFileSync(log, 'utf8').includes('/nothing 503 UC upstream_reset_before_response_started{connection_termination}'));
  });
  test('an answer before the request is complete is passed on at once', async () => {
    const connection = new RawConnection(web()).send('POST /s/eager HTTP/1.1\r\nhost: x\r\ncontent-length: 1000000\r\n\r\nsome');
    assert.match(await connection.until(/early/), /^HTTP\/1\.1 200/);
    connection.destroy();
  });
  test('idle connections are kept alive and reused towards the backend', async () => {
    const agent = new http.Agent({ keepAlive: true, maxSockets: 1 });
    await request(web(), { agent });
    const before = app.connections();
    for (let i = 0; i < 20; i++) await request(web(), { agent });
    assert.ok(app.connections() - before <= 1, `${app.connections() - before} new connections`);
    agent.destroy();
  });
});

describe('upgrades', () => {
  const ask = 'GET /upgrade HTTP/1.1\r\nhost: x\r\nconnection: keep-alive, Upgrade\r\nupgrade: websocket\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\nsec-websocket-version: 13\r\n\r\n';
  test('a WebSocket is switched to and carries bytes both ways until both ended', async () => {
    const connection = new RawConnection(web()).send(ask);
    const head = await connection.until(/\r\n\r\nfirst/);
    assert.match(head, /^HTTP\/1\.1 101 /);
    assert.match(head, /upgrade: websocket/i);
    assert.match(head, /connection: upgrade/i);
    connection.send('ping one');
    await connection.until(/PING ONE/);
    connection.send('two');
    await connection.until(/TWO/);
    connection.socket.end();
    await connection.untilClosed();
  });
  test('where it is not allowed it is not switched to', async () => {
    const connection = new RawConnection(proxy.port('old')).send(ask);
    const text = await connection.until(/\r\n\r\n/);
    assert.doesNotMatch(text, /101/);
    connection.destroy();
    assert.doesNotMatch(received.get('upgrade') ?? '', /^$/);
  });
});

describe('large bodies', () => {
  const size = 100 * 1024 * 1024;
  const rss = () => Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${proxy.pid}/status`, 'utf8'))?.[1] ?? 0) / 1024;

  test('100 MB up and down arrive whole, a slow reader holds the sender back, and memory stays bounded', async () => {
    const block = randomBytes(1024 * 1024);
    const expected = createHash('sha256');
    for (let i = 0; i < size / block.length; i++) expected.update(block);
    const want = expected.digest('hex');
    let written = 0;
    const source = http.createServer((incoming, response) => {
      if (incoming.method === 'POST') {
        const got = createHash('sha256');
        incoming.on('data', (part: Buffer) => got.update(part)).on('end', () => response.end(got.digest('hex')));
        return;
      }
      response.writeHead(200, { 'content-length': size });
      const pump = () => {
        while (written < size) {
          written += block.length;
          if (!response.write(block)) return void response.once('drain', pump);
        }
        response.end();
      };
      pump();
    });
    await new Promise<void>((resolve) => source.listen(0, '127.0.0.1', resolve));
    const port = (source.address() as { port: number }).port;
    await using big = await startProxy(bootstrap([httpListener({ routes: [route({ prefix: '/' }, { cluster: 'big', timeout: '0s' })] })], [cluster('big', [port])]));
    const bigRss = () => Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${big.pid}/status`, 'utf8'))?.[1] ?? 0) / 1024;
    const before = bigRss();
    const down = new RawConnection(big.port('web'));
    down.socket.removeAllListeners('data');
    const got = createHash('sha256');
    let length = -1;
    down.socket.pause();
    down.send('GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n');
    await waitFor('the source to stall', async () => {
      const at = written;
      await new Promise((resolve) => setTimeout(resolve, 150));
      return written === at && at > 0;
    });
    assert.ok(written < 40 * 1024 * 1024, `the source wrote ${written} bytes to a client that reads none`);
    assert.ok(bigRss() - before < 80, `RSS grew by ${bigRss() - before} MB with a client that reads nothing`);
    let head = Buffer.alloc(0);
    down.socket.on('data', (part: Buffer) => {
      if (length >= 0) {
        length += part.length;
        got.update(part);
        return;
      }
      head = Buffer.concat([head, part]);
      const end = head.indexOf('\r\n\r\n');
      if (end < 0) return;
      length = head.length - end - 4;
      got.update(head.subarray(end + 4));
    });
    down.socket.resume();
    await waitFor('the whole body', () => length === size, { deadlineMs: 20_000 });
    assert.equal(got.digest('hex'), want);
    const up = http.request({ host: '127.0.0.1', port: big.port('web'), method: 'POST', agent: false });
    const answer = new Promise<string>((resolve, reject) => {
      up.on('error', reject).on('response', (response) => {
        let text = '';
        response.on('data', (part: Buffer) => { text += part.toString(); }).on('end', () => resolve(text));
      });
    });
    for (let i = 0; i < size / block.length; i++) if (!up.write(block)) await new Promise<void>((resolve) => up.once('drain', () => resolve()));
    up.end();
    assert.equal(await answer, want);
    assert.ok(bigRss() - before < 120, `RSS grew by ${bigRss() - before} MB over 200 MB of bodies`);
    await new Promise<void>((resolve) => { source.close(() => resolve()); source.closeAllConnections(); });
  });
  test('a connection whose answer ended while the client was slow serves the next request', async () => {
    for (let i = 0; i < 3; i++) {
      const slow = http.get({ host: '127.0.0.1', port: proxy.port('small'), path: '/s/large', agent: false });
      const size = await new Promise<number>((resolve, reject) => {
        slow.on('error', reject).on('response', (response) => {
          let bytes = 0;
          response.on('data', (part: Buffer) => {
            bytes += part.length;
            response.pause();
            setTimeout(() => response.resume(), 2);
          }).on('end', () => resolve(bytes));
        });
      });
      assert.equal(size, large.length);
      const next = await Promise.race([request(proxy.port('small'), { path: '/s/plain' }), new Promise<undefined>((resolve) => setTimeout(resolve, 4000, undefined).unref())]);
      assert.equal(next?.status, 200, 'the next request is answered');
    }
  });
  test('memory of the proxy of all these tests is sane', () => assert.ok(rss() < 300, `${rss()} MB`));
});
