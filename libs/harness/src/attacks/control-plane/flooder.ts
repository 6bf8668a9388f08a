import { connect as connectPlain, type Socket } from 'node:net';
import { connect, type TLSSocket } from 'node:tls';
import { frame } from '@meltemi/proxy/testing';
import type { Forged } from './forger.ts';

const preface = 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n';

/** A client with a good certificate that writes HTTP/2 frames as it likes, and reads nothing it need not. */
export class Flooder {
  readonly #socket: TLSSocket;
  written = 0;

  private constructor(socket: TLSSocket) {
    this.#socket = socket;
    socket.on('error', () => undefined);
    socket.resume();
    socket.write(preface + frame(4, 0, 0), 'latin1');
  }

  static connect(port: number, { chain, key }: Forged): Promise<Flooder> {
    return new Promise((resolve, reject) => {
      const socket = connect({ port, host: '127.0.0.1', cert: chain, key, rejectUnauthorized: false, ALPNProtocols: ['h2'] }, () => resolve(new Flooder(socket)));
      socket.once('error', reject);
    });
  }

  get closed(): boolean {
    return this.#socket.destroyed;
  }

  /** Writes what `next` makes, as fast as it is taken, until the server has enough or the time is over. True when the server ended it. */
  async flood(next: (round: number) => string, { forMs, rounds }: { readonly forMs: number; readonly rounds: number }): Promise<boolean> {
    const until = Date.now() + forMs;
    for (let round = 0; round < rounds && !this.closed && Date.now() < until; round += 1) {
      const bytes = next(round);
      this.written += bytes.length;
      if (!this.#socket.write(bytes, 'latin1')) await drained(this.#socket, until);
      else if (round % 16 === 0) await new Promise<void>((resolve) => setImmediate(resolve));
    }
    return this.closed;
  }

  close(): void {
    this.#socket.destroy();
  }
}

/** Connects from an address and says nothing. */
export function silent(port: number, localAddress: string): Socket {
  const socket = connectPlain({ port, host: '127.0.0.1', localAddress });
  socket.on('error', () => undefined);
  return socket;
}

function drained(socket: Socket, untilMs: number): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(done, Math.max(1, untilMs - Date.now()));
    for (const event of ['drain', 'close']) socket.once(event, done);
    function done(): void {
      clearTimeout(timer);
      for (const event of ['drain', 'close']) socket.off(event, done);
      resolve();
    }
  });
}
