import assert from 'node:assert/strict';
import http from 'node:http';
import http2 from 'node:http2';
import https from 'node:https';
import net, { type AddressInfo } from 'node:net';
import { rmSync } from 'node:fs';
import type { Readable, Writable } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import { after, before, test } from 'node:test';
import tls from 'node:tls';
import { waitFor } from '@meltemi/base';
import { authority, type Leaf } from '../testing/authority.ts';
import { bootstrap, cluster, http2Only, httpListener, route, tcpListener, typeOf, type Json } from '../testing/bootstrap.ts';
import { residentBytes, startProxy, temporaryFolder, type RunningProxy } from '../testing/proxy-process.ts';

const megabyte = 2 ** 20;
/** `npm run soak -- --streams-gb 1` makes them long. */
const total = Number(process.env['MELTEMI_STREAM_MB'] ?? 192) * megabyte;
const stallMs = Number(process.env['MELTEMI_STALL_SECONDS'] ?? 1.5) * 1000;
/** What the kernel's buffers and our limits may take of a stream whose reader stalls: two hops, each side. */
const heldBound = 32 * megabyte;
const growthBound = 64 * megabyte;
/** A sender that sent nothing for so long is held back. */
const stillMs = 500;

/** How streams run through the proxy. The one who stalls reads a bit, waits, then reads on. */
interface Ends {
  readonly from: Writable;
  readonly to: Readable;
}

let proxy: RunningProxy;
const open: { close(): unknown }[] = [];
/** The far end of a stream that has arrived, by its path. */
const arrived = new Map<string, { readonly to: Readable; readonly from: Writable }>();

/** Each beside its plain kind: TLS from the client to the proxy, and from there to the application. */
const protocols = ['http1', 'http2', 'tcp', 'http1-tls', 'http2-tls', 'tcp-tls'] as const;
type Protocol = (typeof protocols)[number];

const dir = temporaryFolder();
const ca = authority(dir, 'ca');
const leaf = ca.issue('app', { dnsNames: ['app.example'] });

before(async () => {
  const servers = { ...applications(null), ...secured(applications(leaf)) };
  const ports = {} as Record<Protocol, number>;
  for (const protocol of protocols) {
    const server = servers[protocol];
    open.push(server);
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    ports[protocol] = (server.address() as AddressInfo).port;
  }
  const to = (name: string) => [route({ prefix: '/' }, { cluster: name, timeout: '0s' })];
  proxy = await startProxy(bootstrap(
    protocols.map((name) => (name.startsWith('tcp') ? tcpListener(name, { cluster: name }, {}, front(name)) : httpListener({ name, routes: to(name), chain: front(name) }))),
    protocols.map((name) => cluster(name, [ports[name]], { ...(name.startsWith('http2') ? http2Only : {}), ...back(name) })),
  ));
});

/** The downstream side's transport. */
function front(name: Protocol): Json {
  if (!name.endsWith('-tls')) return {};
  const certificate = { certificate_chain: { inline_string: leaf.cert }, private_key: { inline_string: leaf.key } };
  return { transport_socket: { name: 'tls', typed_config: { '@type': typeOf.downstreamTls, common_tls_context: { tls_certificates: [certificate], ...alpn(name) } } } };
}

/** The upstream side's. */
function back(name: Protocol): Json {
  if (!name.endsWith('-tls')) return {};
  return { transport_socket: { name: 'tls', typed_config: { '@type': typeOf.upstreamTls, sni: 'app.example', common_tls_context: { validation_context: { trusted_ca: { filename: ca.file } }, ...alpn(name) } } } };
}

function alpn(name: Protocol): Json {
  return name === 'http2-tls' ? { alpn_protocols: ['h2'] } : {};
}

type Applications = Record<'http1' | 'http2' | 'tcp', net.Server>;

/** Servers that hand both directions of each stream over. */
function applications(identity: Leaf | null): Applications {
  const serve: http.RequestListener = (request, response) => {
    response.on('error', () => {});
    response.writeHead(200);
    response.flushHeaders();
    arrived.set(request.url ?? '', { to: request, from: response });
  };
  const serveStream = (stream: http2.ServerHttp2Stream, headers: http2.IncomingHttpHeaders) => {
    stream.on('error', () => {});
    stream.respond({ ':status': 200 });
    arrived.set(headers[':path'] ?? '', { to: stream, from: stream });
  };
  const serveBytes = (socket: net.Socket) => {
    socket.on('error', () => {});
    socket.once('readable', () => {
      const path: unknown = socket.read(firstBytes);
      arrived.set(String(path).trim(), { to: socket, from: socket });
    });
  };
  const multiplexed = identity === null ? http2.createServer() : http2.createSecureServer(identity);
  multiplexed.on('stream', serveStream);
  return {
    http1: identity === null ? http.createServer(serve) : https.createServer(identity, serve),
    http2: multiplexed,
    tcp: identity === null ? net.createServer({ allowHalfOpen: true }, serveBytes) : tls.createServer({ ...identity, allowHalfOpen: true }, serveBytes),
  };
}

function secured({ http1, http2: multiplexed, tcp }: Applications) {
  return { 'http1-tls': http1, 'http2-tls': multiplexed, 'tcp-tls': tcp };
}

after(async () => {
  await proxy?.[Symbol.asyncDispose]();
  for (const one of open) one.close();
  rmSync(dir, { recursive: true, force: true });
});

/** A TCP session says by its first bytes which it is. */
const firstBytes = 16;

/** Opens a stream over the protocol; both ends of the direction. */
async function begin(protocol: Protocol, direction: string): Promise<Ends> {
  const path = `/${protocol}-${direction}`;
  const port = proxy.port(protocol);
  const near = clientOf(protocol)(port, path, protocol.endsWith('-tls'));
  const far = await waitFor(`${path} at the application`, () => arrived.get(path));
  if (direction === 'down' && !protocol.startsWith('tcp')) {
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

type Client = (port: number, path: string, secure: boolean) => Near;

/** What a client says over TLS. */
const towards = { host: '127.0.0.1', servername: 'app.example', ca: ca.pem };

const overHttp1: Client = (port, path, secure) => {
  const request = secure ? https.request({ ...towards, port, path, method: 'POST', agent: false }) : http.request({ host: '127.0.0.1', port, path, method: 'POST', agent: false });
  request.on('error', () => {});
  request.flushHeaders();
  const to = new Promise<Readable>((resolve) => request.once('response', resolve));
  return { from: request, to };
};

const overHttp2: Client = (port, path, secure) => {
  const session = secure ? http2.connect(`https://127.0.0.1:${port}`, towards) : http2.connect(`http://127.0.0.1:${port}`);
  session.on('error', () => {});
  open.push(session);
  const stream = session.request({ ':method': 'POST', ':path': path });
  stream.on('error', () => {});
  return { from: stream, to: stream };
};

const overTcp: Client = (port, path, secure) => {
  // Node's types do not know that TLS sockets take it, too.
  const halfOpen = { allowHalfOpen: true };
  const socket = secure ? tls.connect({ ...towards, port, ...halfOpen }) : net.connect({ host: '127.0.0.1', port, ...halfOpen });
  socket.on('error', () => {});
  socket.write(path.padEnd(firstBytes));
  return { from: socket, to: socket };
};

function clientOf(protocol: Protocol): Client {
  return protocol.startsWith('http1') ? overHttp1 : protocol.startsWith('http2') ? overHttp2 : overTcp;
}

for (const protocol of protocols)
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
        let since = performance.now();
        await waitFor('the sender to stop', () => {
          if (sent !== last) since = performance.now();
          last = sent;
          return performance.now() - since > stillMs;
        }, { deadlineMs: 30_000 });
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

