import { createServer, type Server } from 'node:http';
import http2 from 'node:http2';
import type { AddressInfo, Server as NetServer } from 'node:net';

/** An application that is restarted on its ports: it answers 200 with x-backend, over HTTP/1.1 on one and HTTP/2 (h2c) on the other, gRPC with status 0. */
export class RestartingServer {
  readonly name: string;
  /** Requests answered. */
  answered = 0;
  port = 0;
  http2Port = 0;
  #http1: Server = createServer();
  #http2: http2.Http2Server = http2.createServer();
  readonly #sessions = new Set<http2.ServerHttp2Session>();

  constructor(name: string) {
    this.name = name;
  }

  /** On the same ports again after a stop. */
  async start(): Promise<this> {
    this.#http1 = createServer({ keepAliveTimeout: 60_000 }, (request, response) => {
      request.resume();
      this.answered++;
      response.writeHead(200, { 'x-backend': this.name });
      response.end('ok');
    });
    this.#http2 = http2.createServer();
    this.#http2.on('session', (session) => {
      this.#sessions.add(session);
      session.on('close', () => this.#sessions.delete(session));
      session.on('error', () => {});
    });
    this.#http2.on('stream', (stream: http2.ServerHttp2Stream, headers: http2.IncomingHttpHeaders) => this.#serve(stream, headers));
    this.port = await listen(this.#http1, this.port);
    this.http2Port = await listen(this.#http2, this.http2Port);
    return this;
  }

  /** As a good application stops: no new connections, idle ones closed, GOAWAY; what is under way is answered. */
  async stop(): Promise<void> {
    const idle = setInterval(() => this.#http1.closeIdleConnections(), 5);
    const closed = [this.#http1, this.#http2].map((server) => new Promise<void>((resolve) => void server.close(() => resolve())));
    for (const session of this.#sessions) session.close();
    await Promise.all(closed);
    clearInterval(idle);
  }

  /** As a crash: every connection is cut. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#http1.closeAllConnections();
    for (const session of this.#sessions) session.destroy();
    await this.stop();
  }

  #serve(stream: http2.ServerHttp2Stream, headers: http2.IncomingHttpHeaders): void {
    stream.on('error', () => {});
    stream.resume();
    this.answered++;
    if (headers['content-type'] !== 'application/grpc') {
      stream.respond({ ':status': 200, 'x-backend': this.name });
      stream.end('ok');
      return;
    }
    stream.respond({ ':status': 200, 'content-type': 'application/grpc', 'x-backend': this.name }, { waitForTrailers: true });
    stream.on('wantTrailers', () => stream.sendTrailers({ 'grpc-status': '0' }));
    stream.end(Buffer.from([0, 0, 0, 0, 2, 111, 107]));
  }
}

function listen(server: NetServer, port: number): Promise<number> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, '127.0.0.1', () => resolve((server.address() as AddressInfo).port));
  });
}
