import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import net, { type AddressInfo } from 'node:net';

/** What an echo backend saw of a request. */
export interface Seen {
  readonly backend: string;
  readonly method: string;
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly rawHeaders: readonly string[];
  readonly body: string;
}

/** A server on a port of its own; keeps the requests it got. */
export interface Backend {
  readonly name: string;
  readonly port: number;
  readonly seen: Seen[];
  /** Connections accepted so far. */
  readonly connections: () => number;
  stop(): Promise<void>;
  [Symbol.asyncDispose](): Promise<void>;
}

export type Answer = (request: IncomingMessage, response: ServerResponse, seen: Seen) => void;

/** Answers 200 with a JSON of what it saw, and x-backend with its name; x-reply-status and x-reply-delay-ms change that. */
export const echo: Answer = (request, response, seen) => {
  const delayMs = Number(request.headers['x-reply-delay-ms'] ?? 0);
  const reply = () => {
    response.writeHead(Number(request.headers['x-reply-status'] ?? 200), { 'content-type': 'application/json', 'x-backend': seen.backend });
    response.end(JSON.stringify(seen));
  };
  if (delayMs > 0) setTimeout(reply, delayMs);
  else reply();
};

export function backend(name: string, answer: Answer = echo): Promise<Backend> {
  const seen: Seen[] = [];
  const server = createServer({ keepAliveTimeout: 60_000, maxHeaderSize: 128 * 1024 }, (request, response) => {
    const parts: Buffer[] = [];
    request.on('error', () => {});
    response.on('error', () => {});
    request.on('data', (part: Buffer) => parts.push(part));
    request.on('end', () => {
      const one: Seen = { backend: name, method: request.method ?? '', url: request.url ?? '', headers: request.headers as Record<string, string>, rawHeaders: request.rawHeaders, body: Buffer.concat(parts).toString('latin1') };
      seen.push(one);
      answer(request, response, one);
    });
  });
  return started(name, server, seen, () => server.closeAllConnections());
}

/** A TCP server; `serve` gets each socket, errors are swallowed. */
export function tcpBackend(name: string, serve: (socket: net.Socket) => void): Promise<Backend> {
  const open = new Set<net.Socket>();
  const server = net.createServer((socket) => {
    open.add(socket);
    socket.on('error', () => {}).on('close', () => open.delete(socket));
    serve(socket);
  });
  return started(name, server, [], () => { for (const socket of open) socket.destroy(); });
}

/** A port that was free a moment ago: nothing listens there. */
export async function closedPort(): Promise<number> {
  const one = await tcpBackend('closed', () => {});
  await one.stop();
  return one.port;
}

function started(name: string, server: net.Server | Server, seen: Seen[], cut: () => void): Promise<Backend> {
  let connections = 0;
  server.on('connection', () => { connections++; });
  const stop = () => new Promise<void>((resolve) => {
    server.close(() => resolve());
    cut();
  });
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(0, '127.0.0.1', () => resolve({ name, port: (server.address() as AddressInfo).port, seen, connections: () => connections, stop, [Symbol.asyncDispose]: stop }));
  });
}
