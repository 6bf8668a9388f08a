import { connect, createServer, type AddressInfo, type Socket } from 'node:net';

/** A forwarder on loopback that counts what passes: what the wire really carries, HTTP/2 and gRPC framing and header compression included. */
export class ByteCounter {
  readonly port: number;
  /** Bytes from the server to its clients. */
  sent = 0;
  readonly #close: () => Promise<void>;

  private constructor(port: number, close: () => Promise<void>) {
    this.port = port;
    this.#close = close;
  }

  static start(target: number): Promise<ByteCounter> {
    const sockets = new Set<Socket>();
    const server = createServer((client) => {
      const upstream = connect({ port: target, host: '127.0.0.1' });
      for (const [from, to] of [[client, upstream], [upstream, client]] as const) {
        sockets.add(from);
        from.on('error', () => to.destroy());
        from.on('close', () => sockets.delete(from) && to.destroy());
        from.pipe(to);
      }
      upstream.on('data', (part) => (counter.sent += part.length));
    });
    const close = () => new Promise<void>((resolve) => {
      server.close(() => resolve());
      for (const socket of sockets) socket.destroy();
    });
    let counter: ByteCounter;
    return new Promise((resolve, reject) => {
      server.once('error', reject);
      server.listen({ host: '127.0.0.1', port: 0 }, () => {
        counter = new ByteCounter((server.address() as AddressInfo).port, close);
        resolve(counter);
      });
    });
  }

  stop(): Promise<void> {
    return this.#close();
  }
}
