import dgram from 'node:dgram';
import { createServer, isIP, type Socket } from 'node:net';
import { framed, Unframer } from './tcp-exchange.ts';

/** Answers one message of a client; null: not at all. Never rejects. */
export type AnswerMessage = (message: Uint8Array, via: 'udp' | 'tcp') => Uint8Array | null | Promise<Uint8Array | null>;

/** A bound port. */
export interface DnsListener {
  readonly port: number;
  close(): Promise<void>;
}

export interface DnsListenerOptions {
  readonly address: string;
  readonly port: number;
  readonly answer: AnswerMessage;
}

/** Connections at once; another one is closed. */
const maxConnections = 256;
/** A connection on which nothing happens that long is closed. */
const idleMs = 8000;
/** What all UDP clients together may leave unread of answers before questions are dropped. */
const maxUnsentBytes = 4 * 1024 * 1024;

export function listenUdp({ address, port, answer }: DnsListenerOptions): Promise<DnsListener> {
  const socket = dgram.createSocket({ type: isIP(address) === 6 ? 'udp6' : 'udp4', ipv6Only: isIP(address) === 6 });
  const send = (reply: Uint8Array | null, to: { readonly address: string; readonly port: number }) => {
    // the client may be gone by now: nobody is left to tell
    if (reply !== null && !closed) socket.send(reply, to.port, to.address, () => undefined);
  };
  let closed = false;
  socket.on('message', (message, from) => {
    if (socket.getSendQueueSize() > maxUnsentBytes) return;
    const reply = answer(message, 'udp');
    if (reply instanceof Promise) void reply.then((late) => send(late, from));
    else send(reply, from);
  });
  return new Promise((resolve, reject) => {
    socket.once('error', reject);
    socket.bind({ address, port }, () => {
      socket.off('error', reject);
      // an ICMP error to an answer is about one client
      socket.on('error', () => undefined);
      resolve({ port: socket.address().port, close: () => new Promise((done) => {
        closed = true;
        socket.close(() => done());
      }) });
    });
  });
}

export function listenTcp({ address, port, answer }: DnsListenerOptions): Promise<DnsListener> {
  const open = new Set<Socket>();
  const server = createServer({ noDelay: true }, (socket) => {
    open.add(socket);
    socket.once('close', () => open.delete(socket));
    serve(socket, answer);
  });
  server.maxConnections = maxConnections;
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen({ host: address, port, ipv6Only: isIP(address) === 6 }, () => {
      server.off('error', reject);
      // accept errors pass; the port stays open
      server.on('error', () => undefined);
      const bound = server.address();
      resolve({ port: bound !== null && typeof bound === 'object' ? bound.port : port, close: () => new Promise((done) => {
        for (const socket of open) socket.destroy();
        server.close(() => done());
      }) });
    });
  });
}

/** Questions of one connection are answered one after the other; meanwhile no more is read than one message takes. */
function serve(socket: Socket, answer: AnswerMessage): void {
  const unframer = new Unframer();
  let busy = false;
  socket.setTimeout(idleMs, () => socket.destroy());
  socket.on('error', () => socket.destroy());
  socket.on('data', (bytes: Buffer) => {
    unframer.add(bytes);
    if (busy && unframer.full) socket.pause();
    if (!busy) void work();
  });

  async function work(): Promise<void> {
    busy = true;
    for (let message = unframer.next(); message !== undefined && !socket.destroyed; message = unframer.next()) {
      const reply = await answer(message, 'tcp');
      if (reply === null) socket.destroy();
      else if (!socket.destroyed && !socket.write(framed(reply))) await drained(socket);
    }
    busy = false;
    socket.resume();
  }
}

function drained(socket: Socket): Promise<void> {
  return new Promise((resolve) => {
    socket.once('drain', resolve);
    socket.once('close', () => resolve());
  });
}
