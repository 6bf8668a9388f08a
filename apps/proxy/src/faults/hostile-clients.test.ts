import assert from 'node:assert/strict';
import { readFileSync, rmSync } from 'node:fs';
import net from 'node:net';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { waitFor } from '@meltemi/base';
import { backend, type Backend } from '../testing/backend.ts';
import { bootstrap, cluster, fileLog, httpListener, route } from '../testing/bootstrap.ts';
import { RawConnection, request } from '../testing/client.ts';
import { Load } from '../testing/load.ts';
import { residentBytes, startProxy, temporaryFolder, type RunningProxy } from '../testing/proxy-process.ts';
import { RestartingServer } from '../testing/restarting-server.ts';

const megabyte = 2 ** 20;
const app = new RestartingServer('app');
const dir = temporaryFolder();
const logFile = join(dir, 'access.log');
let proxy: RunningProxy;
/** Answers when it has the whole body. */
let sink: Backend;

before(async () => {
  await app.start();
  sink = await backend('sink');
  const log = fileLog(logFile, { log_format: { text_format_source: { inline_string: '%REQ(:PATH)% %RESPONSE_CODE% %RESPONSE_FLAGS% %RESPONSE_CODE_DETAILS%\n' } } });
  const routes = [route({ path: '/body' }, { cluster: 'sink', timeout: '0s' }), route({ prefix: '/' }, { cluster: 'app', timeout: '0s' })];
  proxy = await startProxy(bootstrap([
    httpListener({ routes, hcm: { access_log: [log], request_headers_timeout: '1s', stream_idle_timeout: '1s', common_http_protocol_options: { idle_timeout: '120s' } } }),
    httpListener({ name: 'slow', routes, hcm: { access_log: [log], request_timeout: '1s' } }),
  ], [cluster('app', [app.port]), cluster('sink', [sink.port])]));
});
after(async () => {
  await proxy?.[Symbol.asyncDispose]();
  await app[Symbol.asyncDispose]();
  await sink?.stop();
  rmSync(dir, { recursive: true, force: true });
});

const stat = async (name: string) => Number(/: (\d+)/.exec((await request(proxy.port('admin'), { path: `/stats?filter=^${name.replaceAll('.', '\\.')}$` })).body)?.[1] ?? 0);
const active = () => stat('http.web.downstream_cx_active');

/** Runs an attack while others work; none of them may notice, and the proxy's memory stays within the bound. */
async function unharmed(attack: () => Promise<void>, bound = 48 * megabyte): Promise<void> {
  const loads = [new Load(proxy.port('web'), { protocol: 'http1' }), new Load(proxy.port('web'), { protocol: 'http2' })];
  try {
    await Promise.all(loads.map((load) => load.more(50)));
    const before = residentBytes(proxy.pid);
    await attack();
    await Promise.all(loads.map((load) => load.more(20)));
    const grown = residentBytes(proxy.pid) - before;
    assert.ok(grown < bound, `grew by ${Math.round(grown / megabyte)} MB`);
  } finally {
    await Promise.all(loads.map((load) => load.stop()));
  }
  for (const load of loads) assert.deepEqual(load.failures, []);
}

/** Sends the same bytes over and over as fast as the peer takes them, until it ends the connection; returns how many bytes that took. */
async function flood(first: Buffer, next: (turn: number) => Buffer, { reads }: { reads: boolean }): Promise<number> {
  const most = 16 * megabyte;
  const socket = net.connect({ port: proxy.port('web'), host: '127.0.0.1' });
  let over = false;
  socket.on('error', () => {}).on('close', () => { over = true; }).on('end', () => { over = true; });
  if (reads) socket.resume();
  let sent = first.length;
  let turn = 0;
  socket.write(first);
  const more = () => {
    while (!over && sent < most) {
      const part = next(turn++);
      sent += part.length;
      if (!socket.write(part)) return;
    }
  };
  socket.on('drain', more);
  more();
  try {
    await waitFor('the end of the connection', () => over, { deadlineMs: 20_000 });
  } finally {
    socket.destroy();
  }
  assert.ok(sent < most, 'the connection ended before all was sent');
  return sent;
}

function frame(type: number, flags: number, id: number, payload: Buffer = Buffer.alloc(0)): Buffer {
  const head = Buffer.alloc(9);
  head.writeUIntBE(payload.length, 0, 3);
  head[3] = type;
  head[4] = flags;
  head.writeUInt32BE(id, 5);
  return Buffer.concat([head, payload]);
}

/** GET http /, :authority x: three fields of the static table and one literal. */
const getBlock = Buffer.from([0x82, 0x86, 0x84, 0x01, 0x01, 0x78]);
const hello = Buffer.concat([Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'), frame(4, 0, 0)]);
const many = (count: number, of: (i: number) => Buffer) => Buffer.concat(Array.from({ length: count }, (_, i) => of(i)));

describe('HTTP/2 floods end their connection and nobody else\'s', () => {
  const cancel = Buffer.from([0, 0, 0, 8]);
  const floods: [string, Buffer, (turn: number) => Buffer, boolean][] = [
    ['rapid reset', hello, (turn) => many(100, (i) => { const id = 2 * (turn * 100 + i) + 1; return Buffer.concat([frame(1, 5, id, getBlock), frame(3, 0, id, cancel)]); }), true],
    ['CONTINUATION without end', Buffer.concat([hello, frame(1, 1, 1, getBlock)]), () => many(50, () => frame(9, 0, 1, Buffer.alloc(100, 0x82))), true],
    ['empty CONTINUATION without end', Buffer.concat([hello, frame(1, 1, 1, getBlock)]), () => many(200, () => frame(9, 0, 1)), true],
    ['SETTINGS whose answers nobody reads', hello, () => many(200, () => frame(4, 0, 0)), false],
    ['PING whose answers nobody reads', hello, () => many(200, () => frame(6, 0, 0, Buffer.alloc(8))), false],
    ['empty DATA', Buffer.concat([hello, frame(1, 4, 1, Buffer.from([0x83, 0x86, 0x84, 0x01, 0x01, 0x78]))]), () => many(200, () => frame(0, 0, 1)), true],
    ['PRIORITY', hello, () => many(200, () => frame(2, 0, 1, Buffer.from([0, 0, 0, 3, 1]))), true],
    ['WINDOW_UPDATE', hello, () => many(200, () => frame(8, 0, 0, Buffer.from([0, 0, 0, 1]))), true],
  ];
  for (const [name, first, next, reads] of floods)
    test(name, async (t) => {
      const errors = await stat('http.web.downstream_cx_protocol_error');
      await unharmed(async () => t.diagnostic(`ended after ${await flood(first, next, { reads })} bytes`));
      assert.ok((await stat('http.web.downstream_cx_protocol_error')) > errors);
    });
});

describe('slow clients', () => {
  const logged = (path: string, pattern: RegExp, count: number) => waitFor(`${count} lines of ${path}`, () => readFileSync(logFile, 'utf8').split('\n').filter((line) => line.startsWith(path) && pattern.test(line)).length >= count);
  /** Sends a byte now and then until the peer ends the connection. */
  async function drip(port: number, first: string | Buffer, drop: string | Buffer, count: number): Promise<RawConnection[]> {
    const connections = Array.from({ length: count }, () => {
      const connection = new RawConnection(port);
      connection.socket.write(first);
      return connection;
    });
    const timer = setInterval(() => { for (const { closed, socket } of connections) if (!closed) socket.write(drop); }, 100);
    try {
      await waitFor('all to be ended', () => connections.every(({ closed }) => closed), { deadlineMs: 15_000 });
    } finally {
      clearInterval(timer);
      for (const connection of connections) connection.destroy();
    }
    return connections;
  }

  test('heads in drops: cut off by request_headers_timeout, over HTTP/1.1 and HTTP/2', async () => {
    const before = await stat('http.web.downstream_rq_header_timeout');
    await unharmed(async () => {
      await drip(proxy.port('web'), 'GET / HTTP/1.1\r\nhost: x\r\n', 'x', 100);
      await drip(proxy.port('web'), Buffer.concat([hello, frame(1, 1, 1, getBlock)]), frame(9, 0, 1, Buffer.from([0x82])).subarray(0, 0), 100);
    });
    assert.ok((await stat('http.web.downstream_rq_header_timeout')) >= before + 200);
  });
  test('a body that stops: 408 and SI after stream_idle_timeout', async () => {
    await unharmed(async () => {
      const ended = await drip(proxy.port('web'), 'POST /body HTTP/1.1\r\nhost: x\r\ncontent-length: 100\r\n\r\nsome', '', 100);
      for (const { text } of ended) assert.match(text, /^HTTP\/1\.1 (408|504) /);
    });
    await logged('/body', / SI /, 100);
  });
  test('a body in drops: 408 after request_timeout, however steady', async () => {
    await unharmed(async () => {
      const ended = await drip(proxy.port('slow'), 'POST /body HTTP/1.1\r\nhost: x\r\ncontent-length: 100000\r\n\r\nsome', 'x', 100);
      for (const { text } of ended) assert.match(text, /^HTTP\/1\.1 408 /);
    });
    await logged('/body', / 408 [^ ]* request_overall_timeout/, 100);
  });
});

test('nine thousand idle connections: each costs little, others are served, and when they go nothing is left', { timeout: 60_000 }, async (t) => {
  const count = 9000;
  const sockets: net.Socket[] = [];
  t.after(() => { for (const socket of sockets) socket.destroy(); });
  const open = async (from: number) => {
    for (let i = 0; i < 250; i++) {
      const socket = net.connect({ port: proxy.port('web'), host: '127.0.0.1', localAddress: `127.77.${from % 250}.1` });
      socket.on('error', () => {}).resume();
      socket.write('GET / HTTP/1.1\r\nhost: x\r\n\r\n');
      sockets.push(socket);
    }
    await waitFor('connections', async () => (await active()) >= sockets.length - failed(), { deadlineMs: 20_000 });
  };
  const failed = () => sockets.filter(({ destroyed }) => destroyed).length;
  await open(0);
  const before = residentBytes(proxy.pid);
  const first = sockets.length;
  for (let at = 1; sockets.length < count; at++) await open(at);
  assert.equal(failed(), 0);
  await waitFor('the answers', async () => (await stat('http.web.downstream_rq_active')) === 0, { deadlineMs: 20_000 });
  const perConnection = (residentBytes(proxy.pid) - before) / (count - first);
  t.diagnostic(`${Math.round(perConnection)} bytes per idle connection`);
  assert.ok(perConnection < 16 * 1024, `${Math.round(perConnection)} bytes per connection`);
  for (let i = 0; i < 5; i++) assert.equal((await request(proxy.port('web'))).status, 200);
  for (const socket of sockets) socket.destroy();
  await waitFor('their end', async () => (await active()) === 0, { deadlineMs: 20_000 });
});
