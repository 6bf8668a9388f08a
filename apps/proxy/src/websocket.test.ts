import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import net from 'node:net';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { waitFor } from '@meltemi/base';
import { tcpBackend, type Backend } from './testing/backend.ts';
import { bootstrap, cluster, fileLog, httpListener, route } from './testing/bootstrap.ts';
import { exchange, RawConnection } from './testing/client.ts';
import { startProxy, temporaryFolder, type RunningProxy } from './testing/proxy-process.ts';
import { acceptWebSocket, frame, handshake, Opcode, openWebSocket, type WebSocketEnd } from './testing/websocket.ts';

let server: Backend;
let echo: Backend;
let forward: Backend;
let proxy: RunningProxy;
const logs = join(temporaryFolder(), 'access.log');
/** Server ends by path. */
const ends = new Map<string, WebSocketEnd>();
const afterRefusal = new Map<string, Buffer>();
let forwarded = '';
const block = randomBytes(256 * 1024);
/** Bytes that the endless sender wrote. */
let written = 0;

function serve(end: WebSocketEnd, path: string): void {
  ends.set(path, end);
  if (path === '/ws/push') end.send(Opcode.text, 'at once');
  if (path.startsWith('/ws/echo')) end.onMessage = ({ opcode, data }) => void end.send(opcode, data);
  if (path === '/ws/endless') {
    const pump = (): void => {
      while (written < 96 * 1024 * 1024) {
        written += block.length;
        if (!end.send(Opcode.binary, block)) return void end.socket.once('drain', pump);
      }
      end.close(1000);
    };
    pump();
  }
  if (path === '/ws/half') end.socket.on('end', () => {
    end.send(Opcode.text, 'still here');
    end.socket.end();
  });
}

before(async () => {
  server = await tcpBackend('ws', (socket) => {
    socket.allowHalfOpen = true;
    acceptWebSocket(socket, serve, (path, rest) => {
      if (!path.startsWith('/refuse')) return null;
      afterRefusal.set(path, rest);
      socket.on('data', (more: Buffer) => afterRefusal.set(path, Buffer.concat([afterRefusal.get(path) ?? rest, more])));
      return path === '/refuse/200' ? 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nno' : 'HTTP/1.1 426 Upgrade Required\r\nContent-Length: 0\r\n\r\n';
    });
  });
  echo = await tcpBackend('echo', (socket) => {
    socket.allowHalfOpen = true;
    socket.write('220 ready\r\n');
    socket.pipe(socket);
  });
  forward = await tcpBackend('forward', (socket) => {
    socket.on('data', (part: Buffer) => {
      const first = !forwarded.includes('\r\n\r\n');
      forwarded += part.toString('latin1');
      if (!first) return void socket.write(part);
      socket.write(forwarded.startsWith('CONNECT no.example') ? 'HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n' : 'HTTP/1.1 200 Connection established\r\nTransfer-Encoding: chunked\r\n\r\n');
      return undefined;
    });
  });
  const to = (name: string, more = {}) => ({ cluster: name, timeout: '2s', ...more });
  const on = { upgrade_configs: [{ upgrade_type: 'websocket' }] };
  const connects = { upgrade_configs: [{ upgrade_type: 'CONNECT', connect_config: {} }] };
  proxy = await startProxy(bootstrap([
    httpListener({ routes: [route({ prefix: '/ws/idle' }, to('ws', { idle_timeout: '0.2s' })), route({ prefix: '/off' }, to('ws', { upgrade_configs: [{ upgrade_type: 'websocket', enabled: false }] })), route({ prefix: '/' }, to('ws'))], hcm: { ...on, access_log: [fileLog(logs, { log_format: { text_format_source: { inline_string: '%REQ(:METHOD)% %REQ(:PATH)% %RESPONSE_CODE% %RESPONSE_FLAGS% %RESPONSE_CODE_DETAILS%\n' } } })] } }),
    httpListener({ name: 'by-route', routes: [route({ prefix: '/ws' }, to('ws', on)), route({ prefix: '/' }, to('ws'))] }),
    httpListener({ name: 'small', routes: [route({ prefix: '/' }, to('ws'))], hcm: on, listener: { per_connection_buffer_limit_bytes: 65536 } }),
    httpListener({ name: 'terminate', routes: [route({ connect_matcher: {} }, to('echo', connects)), route({ prefix: '/' }, 'ws')] }),
    httpListener({ name: 'post', routes: [route({ prefix: '/tcp' }, to('echo', { upgrade_configs: [{ upgrade_type: 'CONNECT', connect_config: { allow_post: true } }] })), route({ prefix: '/' }, 'ws')] }),
    httpListener({ name: 'connect', virtualHosts: [{ name: 'all', domains: ['*'], routes: [route({ connect_matcher: {} }, to('forward'))] }], hcm: { upgrade_configs: [{ upgrade_type: 'CONNECT' }] } }),
  ], [cluster('ws', [server.port], { per_connection_buffer_limit_bytes: 65536 }), cluster('echo', [echo.port]), cluster('forward', [forward.port])]));
});
after(async () => {
  await proxy?.[Symbol.asyncDispose]();
  await Promise.all([server.stop(), echo.stop(), forward.stop()]);
});

const web = () => proxy.port('web');
const sha = (data: Buffer) => createHash('sha256').update(data).digest('hex');

describe('messages', () => {
  test('come back byte for byte at every size where the length field changes', async () => {
    const client = await openWebSocket(web(), '/ws/echo/sizes');
    const sizes = [0, 1, 125, 126, 127, 65_535, 65_536, 65_537, 1_000_000];
    for (const [i, size] of sizes.entries()) {
      const data = randomBytes(size);
      client.send(Opcode.binary, data);
      assert.equal(sha((await client.next(i + 1)).data), sha(data), `${size} bytes`);
    }
    client.close(1000);
    await waitFor('the close', () => client.closed !== null);
  });
  test('of text keep their characters, also when a fragment ends inside one', async () => {
    const client = await openWebSocket(web(), '/ws/echo/text');
    const text = Buffer.from('μελτέμι 🌬️ и ещё');
    for (let at = 0; at < text.length; at++) client.send(at === 0 ? Opcode.text : Opcode.continuation, text.subarray(at, at + 1), at === text.length - 1);
    assert.equal((await client.next()).data.toString(), text.toString());
    assert.equal(ends.get('/ws/echo/text')?.messages[0]?.frames, text.length);
  });
  test('that are no UTF-8 are the peers to refuse, and the close code comes through', async () => {
    const client = await openWebSocket(web(), '/ws/echo/bad-text');
    client.send(Opcode.text, Buffer.from([0xc3, 0x28]));
    await waitFor('the close', () => client.closed !== null);
    assert.deepEqual(client.closed, { code: 1007, reason: 'not UTF-8' });
  });
  test('that are not masked are the server to refuse', async () => {
    const client = await openWebSocket(web(), '/ws/echo/unmasked', frame(Opcode.text, 'bare'));
    await waitFor('the close', () => client.closed !== null);
    assert.equal(client.closed?.code, 1002);
  });
  test('sent with the handshake wait for the answer, and one sent with the answer is not lost', async () => {
    const early = await openWebSocket(web(), '/ws/echo/early', frame(Opcode.text, 'early', { masked: true }));
    assert.equal((await early.next()).data.toString(), 'early');
    assert.equal((await (await openWebSocket(web(), '/ws/push')).next()).data.toString(), 'at once');
  });
  test('of 16 MB go both ways at once, byte for byte', async () => {
    const client = await openWebSocket(web(), '/ws/large');
    await waitFor('the server end', () => ends.has('/ws/large'));
    const other = ends.get('/ws/large') as WebSocketEnd;
    const [up, down] = [randomBytes(16 * 1024 * 1024), randomBytes(16 * 1024 * 1024)];
    client.send(Opcode.binary, up);
    other.send(Opcode.binary, down);
    const [got, sent] = await Promise.all([client.next(), other.next()]);
    assert.deepEqual([sha(got.data), sha(sent.data)], [sha(down), sha(up)]);
    client.socket.destroy();
  });
});

describe('control frames', () => {
  test('pings are answered by the peer, also between fragments', async () => {
    const client = await openWebSocket(web(), '/ws/echo/ping');
    client.send(Opcode.text, 'half', false);
    client.send(Opcode.ping, 'are you there');
    client.send(Opcode.continuation, ' and half');
    assert.equal((await client.next()).data.toString(), 'half and half');
    assert.deepEqual(client.pongs.map(String), ['are you there']);
    ends.get('/ws/echo/ping')?.send(Opcode.ping, 'and you');
    await waitFor('the pong', () => ends.get('/ws/echo/ping')?.pongs.map(String).join() === 'and you');
  });
  for (const code of [1000, 1001, 1008, 1011, 3000, 4999]) {
    test(`close code ${code} and its reason reach the other side, whoever begins`, async () => {
      const path = `/ws/close/${code}`;
      const client = await openWebSocket(web(), path);
      await waitFor('the server end', () => ends.has(path));
      const other = ends.get(path) as WebSocketEnd;
      if (code % 2 === 0) client.close(code, 'enough');
      else other.close(code, 'enough');
      const [told, telling] = code % 2 === 0 ? [other, client] : [client, other];
      await waitFor('both closes', () => told.closed !== null && telling.closed !== null);
      assert.deepEqual([told.closed, telling.closed?.code], [{ code, reason: 'enough' }, code]);
      ends.delete(path);
    });
  }
});

describe('ends', () => {
  test('a client that ended its side still gets what the server has to say', async () => {
    const client = await openWebSocket(web(), '/ws/half');
    client.socket.end();
    assert.equal((await client.next()).data.toString(), 'still here');
    await waitFor('the end', () => client.ended);
  });
  test('a server that vanishes takes the client along, and the other way round', async () => {
    const client = await openWebSocket(web(), '/ws/echo/gone');
    await waitFor('the server end', () => ends.has('/ws/echo/gone'));
    ends.get('/ws/echo/gone')?.socket.destroy();
    await waitFor('the end', () => client.ended);
    const again = await openWebSocket(web(), '/ws/echo/gone2');
    await waitFor('the server end', () => ends.has('/ws/echo/gone2'));
    again.socket.destroy();
    await waitFor('the end', () => ends.get('/ws/echo/gone2')?.ended === true);
  });
  test('the idle timeout of its route ends a silent one; its log says so', async () => {
    const client = await openWebSocket(web(), '/ws/idle');
    await waitFor('the end', () => client.ended);
    await waitFor('the log', () => readFileSync(logs, 'utf8').includes('GET /ws/idle 101 SI stream_idle_timeout'));
  });
  test('a reader that stalls stops the sender, and gets every byte when it goes on', async () => {
    const rss = () => Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${proxy.pid}/status`, 'utf8'))?.[1] ?? 0) / 1024;
    const before = rss();
    const client = await openWebSocket(proxy.port('small'), '/ws/endless');
    client.socket.pause();
    await waitFor('the sender to stop', async () => {
      const at = written;
      await new Promise((resolve) => setTimeout(resolve, 150));
      return at > 0 && written === at;
    });
    assert.ok(written < 48 * 1024 * 1024, `${written} bytes went to a client that reads none`);
    assert.ok(rss() - before < 60, `RSS grew by ${rss() - before} MB`);
    let bytes = 0;
    client.onMessage = ({ data }) => {
      assert.ok(data.equals(block));
      bytes += data.length;
      client.messages.length = 0;
    };
    client.socket.resume();
    await waitFor('all of it', () => bytes >= 96 * 1024 * 1024, { deadlineMs: 30_000 });
  });
});

describe('who may switch', () => {
  const headOf = async (port: number, path: string) => (await new RawConnection(port).send(handshake(path)).until(/\r\n\r\n/)).split('\r\n')[0];
  test('a route may forbid what the listener allows, and allow what it does not', async () => {
    assert.equal(await headOf(web(), '/off'), 'HTTP/1.1 403 Forbidden');
    assert.equal(await headOf(proxy.port('by-route'), '/ws/a'), 'HTTP/1.1 101 Switching Protocols');
    assert.equal(await headOf(proxy.port('by-route'), '/other'), 'HTTP/1.1 403 Forbidden');
    await waitFor('the log', () => readFileSync(logs, 'utf8').includes('GET /off 403 - upgrade_failed'));
  });
  for (const path of ['/refuse/200', '/refuse/426']) {
    test(`${path}: a server that declines answers as it likes, and what the client sent meanwhile is dropped`, async () => {
      const text = await exchange(web(), `${handshake(path)}GET /smuggled HTTP/1.1\r\nHost: ws\r\n\r\n`);
      assert.match(text, /^HTTP\/1\.1 (200|426) /);
      assert.match(text, /connection: close/);
      await waitFor('the server to have it', () => afterRefusal.has(path));
      assert.equal(afterRefusal.get(path)?.toString('latin1'), '');
    });
  }
});

describe('CONNECT', () => {
  const ask = (authority: string, more = '') => `CONNECT ${authority} HTTP/1.1\r\nHost: ${authority}\r\n\r\n${more}`;
  test('with connect_config ends here: its bytes go to the cluster as plain TCP, both ways, half-closes too', async () => {
    const socket = net.connect({ port: proxy.port('terminate'), host: '127.0.0.1', allowHalfOpen: true });
    let text = '';
    let ended = false;
    socket.on('data', (part: Buffer) => { text += part.toString('latin1'); }).on('end', () => { ended = true; });
    socket.write(ask('db.example:5432', 'first'));
    await waitFor('the greeting and the echo', () => text.endsWith('220 ready\r\nfirst'));
    assert.match(text, /^HTTP\/1\.1 200 OK\r\n/);
    assert.doesNotMatch(text, /content-length|transfer-encoding|connection:/i);
    const large = randomBytes(4 * 1024 * 1024);
    const before = text.length;
    socket.end(large);
    await waitFor('all of it and the end', () => ended, { deadlineMs: 20_000 });
    assert.equal(sha(Buffer.from(text.slice(before), 'latin1')), sha(large));
  });
  test('and POST where allow_post says so end here: the payload goes on as plain TCP, and the bytes of the host are the answer', async () => {
    const connection = new RawConnection(proxy.port('post')).send('POST /tcp HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n');
    const text = await connection.until(/220 ready[\s\S]*hello/);
    assert.match(text, /^HTTP\/1\.1 200 OK\r\n[\s\S]*transfer-encoding: chunked/);
    connection.send('3\r\nbye\r\n0\r\n\r\n');
    await connection.until(/bye\r\n0\r\n\r\n$/);
    connection.destroy();
  });
  test('without connect_config is passed on, and its payload only after the 2xx', async () => {
    forwarded = '';
    const connection = new RawConnection(proxy.port('connect')).send(ask('real.example:443', 'hello'));
    const text = await connection.until(/\r\n\r\nhello$/);
    assert.match(text, /^HTTP\/1\.1 200 OK\r\n/);
    assert.doesNotMatch(text, /content-length|transfer-encoding/i);
    assert.match(forwarded, /^CONNECT real\.example:443 HTTP\/1\.1\r\nhost: real\.example:443\r\n[\s\S]*\r\n\r\nhello$/);
    connection.destroy();
  });
  test('that the next proxy refuses is refused here', async () => {
    forwarded = '';
    assert.match(await exchange(proxy.port('connect'), ask('no.example:443', 'secret')), /^HTTP\/1\.1 407 /);
    assert.doesNotMatch(forwarded, /secret/);
  });
  test('is refused where nothing allows it, and is no way around routes', async () => {
    assert.match(await exchange(web(), ask('a:1', 'GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n')), /^HTTP\/1\.1 403 [\s\S]*connection: close/);
    assert.match(await exchange(proxy.port('terminate'), 'CONNECT / HTTP/1.1\r\nHost: a\r\n\r\n'), /^HTTP\/1\.1 400 /);
  });
});
