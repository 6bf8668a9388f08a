import assert from 'node:assert/strict';
import http from 'node:http';
import http2 from 'node:http2';
import net, { type AddressInfo } from 'node:net';
import type { Readable, Writable } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import { after, before, test } from 'node:test';
import { waitFor } from '@meltemi/base';
import { bootstrap, cluster, http2Only, httpListener, route, tcpListener } from '../testing/bootstrap.ts';
import { residentBytes, startProxy, type RunningProxy } from '../testing/proxy-process.ts';

const megabyte = 2 ** 20;
/** `npm run soak -- --streams-gb 1` makes them long. */
const total = Number(process.env['MELTEMI_STREAM_MB'] ?? 192) * megabyte;
const stallMs = Number(process.env['MELTEMI_STALL_SECONDS'] ?? 1.5) * 1000;
/** What the kernel's buffers and our limits may take of a stream whose reader stalls: two hops, each side. */
const heldBound = 32 * megabyte;
const growthBound = 64 * megabyte;

/** How streams run through the proxy. The one who stalls reads a bit, waits, then reads on. */
interface Ends {
  readonly from: Writable;
  readonly to: Readable;
}

let proxy: RunningProxy;
const open: { close(): unknown }[] = [];
/** The far end of a stream that has arrived, by its path. */
const arrived = new Map<string, { readonly to: Readable; readonly from: Writable }>();

before(async () => {
  const plain = http.createServer((request, response) => {
    response.on('error', () => {});
    response.writeHead(200);
    response.flushHeaders();
    arrived.set(request.url ?? '', { to: request, from: response });
  });
  const multiplexed = http2.createServer();
  multiplexed.on('stream', (stream: http2.ServerHttp2Stream, headers: http2.IncomingHttpHeaders) => {
    stream.on('error', () => {});
    stream.respond({ ':status': 200 });
    arrived.set(headers[':path'] ?? '', { to: stream, from: stream });
  });
  const raw = net.createServer({ allowHalfOpen: true }, (socket) => {
    socket.on('error', () => {});
    socket.once('readable', () => {
      const path: unknown = socket.read(firstBytes);
      arrived.set(String(path).trim(), { to: socket, from: socket });
    });
  });
  const ports: number[] = [];
  for (const server of [plain, multiplexed, raw]) {
    open.push(server);
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    ports.push((server.address() as AddressInfo).port);
  }
  const to = (name: string) => [route({ prefix: '/' }, { cluster: name, timeout: '0s' })];
  proxy = await startProxy(bootstrap(
    [httpListener({ name: 'http1', routes: to('http1') }), httpListener({ name: 'http2', routes: to('http2') }), tcpListener('tcp', { cluster: 'tcp' })],
    [cluster('http1', [ports[0] ?? 0]), cluster('http2', [ports[1] ?? 0], http2Only), cluster('tcp', [ports[2] ?? 0])],
  ));
});
after(async () => {
  await proxy?.[Symbol.asyncDispose]();
  for (const one of open) one.close();
});

/** A TCP session says by its first bytes which it is. */
const firstBytes = 16;

/** Opens a stream over the protocol; both ends of the direction. */
async function begin(protocol: string, direction: string): Promise<Ends> {
  const path = `/${protocol}-${direction}`;
  const port = proxy.port(protocol);
  const near = clients[protocol as keyof typeof clients](port, path);
  const far = await waitFor(`${path} at the application`, () => arrived.get(path));
  if (direction === 'down' && protocol !== 'tcp') {
    // A whole request: node's servers cut an answer short to a client that has not said all.
    near.from.end();
    far.to.resume();
  }
  return direction === 'up' ? { from: near.from, to: far.to } : { from: far.from, to: await near.to };
}

interface Near {
  readonly from: Writable;
  readonly to: Readable | Promise<Readable>;
}

const clients = {
  http1: (port: number, path: string): Near => {
    const request = http.request({ host: '127.0.0.1', port, path, method: 'POST', agent: false });
    request.on('error', () => {});
    request.flushHeaders();
    const to = new Promise<Readable>((resolve) => request.once('response', resolve));
    return { from: request, to };
  },
  http2: (port: number, path: string): Near => {
    const session = http2.connect(`http://127.0.0.1:${port}`);
    session.on('error', () => {});
    open.push(session);
    const stream = session.request({ ':method': 'POST', ':path': path });
    stream.on('error', () => {});
    return { from: stream, to: stream };
  },
  tcp: (port: number, path: string): Near => {
    const socket = net.connect({ port, host: '127.0.0.1', allowHalfOpen: true });
    socket.on('error', () => {});
    socket.write(path.padEnd(firstBytes));
    return { from: socket, to: socket };
  },
};

for (const protocol of ['http1', 'http2', 'tcp'] as const)
  for (const direction of ['up', 'down'] as const)
    test(`${protocol} ${direction}: ${total / megabyte} MB to a reader that stalls for ${stallMs / 1000} s: the sender is held back and memory stays flat`, { timeout: 3_600_000 }, async (t) => {
      const { from, to } = await begin(protocol, direction);
      const before = residentBytes(proxy.pid);
      let most = before;
      const watch = setInterval(() => { most = Math.max(most, residentBytes(proxy.pid)); }, 20);
      let sent = 0;
      let received = 0;
      let held = 0;
      const part = Buffer.alloc(64 * 1024, 'x');
      const more = () => {
        while (sent < total) {
          sent += part.length;
          if (!from.write(part)) return;
        }
        from.end();
      };
      try {
        from.on('drain', more);
        more();
        // The reader reads nothing: the sender comes to a stop.
        let last = -1;
        await waitFor('the sender to stop', () => {
          const still = sent === last;
          last = sent;
          return still;
        }, { everyMs: 100, deadlineMs: 20_000 });
        await sleep(stallMs);
        held = sent;
        assert.equal(sent, last, 'nothing was taken while the reader stalled');
        assert.ok(sent < heldBound, `${Math.round(sent / megabyte)} MB were taken`);
        to.on('data', (piece: Buffer) => { received += piece.length; });
        await waitFor('all of it', () => received >= total, { deadlineMs: 30_000 + total / 1000 });
        assert.equal(received, total);
      } finally {
        clearInterval(watch);
        from.destroy();
        to.destroy();
      }
      t.diagnostic(`held back after ${Math.round(held / megabyte)} MB; memory grew by at most ${Math.round((most - before) / megabyte)} MB`);
      assert.ok(most - before < growthBound, `grew by ${Math.round((most - before) / megabyte)} MB`);
    });

