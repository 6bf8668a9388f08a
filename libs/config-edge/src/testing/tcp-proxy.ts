import { once } from 'node:events';
import { connect, createServer, type AddressInfo, type Socket } from 'node:net';

/** A TCP relay that breaks connections on demand. */
export interface TcpProxy {
  /** host:port to dial. */
  readonly endpoint: string;
  /** Resets every connection and refuses new ones until `heal`. */
  cut(): void;
  /** Keeps connections open and passes nothing in either direction until `heal`. */
  freeze(): void;
  heal(): void;
  stop(): Promise<void>;
}

type Mode = 'pass' | 'cut' | 'freeze';

/** Relays to `target` (host:port) from a free loopback port. */
export async function startTcpProxy(target: string): Promise<TcpProxy> {
  const [host = '', port = ''] = target.split(':');
  const sockets = new Set<Socket>();
  let mode: Mode = 'pass';
  const server = createServer((client) => {
    if (mode === 'cut') return void client.destroy();
    const upstream = connect(Number(port), host);
    for (const [from, to] of [
      [client, upstream],
      [upstream, client],
    ] as const) {
      sockets.add(from);
      from.on('data', (bytes) => to.write(bytes));
      from.on('error', () => undefined);
      from.on('close', () => {
        sockets.delete(from);
        to.destroy();
      });
      if (mode === 'freeze') from.pause();
    }
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const resetAll = (): void => {
    for (const socket of sockets) socket.destroy();
  };
  return {
    endpoint: `127.0.0.1:${(server.address() as AddressInfo).port}`,
    cut: () => {
      mode = 'cut';
      resetAll();
    },
    freeze: () => {
      mode = 'freeze';
      for (const socket of sockets) socket.pause();
    },
    heal: () => {
      mode = 'pass';
      for (const socket of sockets) socket.resume();
    },
    stop: async () => {
      resetAll();
      const closed = once(server, 'close');
      server.close();
      await closed;
    },
  };
}
