import { createServer, type AddressInfo, type Server, type Socket } from 'node:net';
import { countCarelessly, readStrictly, type Meant } from '@meltemi/proxy/testing';

/** A connection as an application saw it, byte for byte. */
export interface SeenConnection {
  /** Latin1. */
  text: string;
}

/** What an application says to its `number`-th request on a connection (1 is the first); null: nothing. */
export type Answerer = (target: string, number: number, socket: Socket) => string | null;

/** Answers with the target, so that an answer that belongs to somebody else is seen. */
export const echoTarget: Answerer = (target) => `HTTP/1.1 200 OK\r\ncontent-length: ${target.length}\r\n\r\n${target}`;

/** An application that keeps every byte it got and answers each complete request it reads in them. */
export class RawApplication {
  readonly connections: SeenConnection[] = [];
  answer: Answerer = echoTarget;
  /** What it says as soon as it has a head; null: waits for the body. */
  onHead: ((head: string) => string | null) | null = null;
  readonly #server: Server;
  readonly #open = new Set<Socket>();

  private constructor() {
    this.#server = createServer({ allowHalfOpen: true }, (socket) => this.#serve(socket));
  }

  static async start(): Promise<RawApplication> {
    const application = new RawApplication();
    await new Promise<void>((resolve) => application.#server.listen(0, '127.0.0.1', resolve));
    return application;
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  /** Every request that a strict reader finds in the bytes, connection by connection. */
  get requests(): Meant[] {
    return this.connections.flatMap(({ text }) => readStrictly(text, false));
  }

  /** As many as a careless reader would find. */
  get carelessCount(): number {
    return this.connections.reduce((count, { text }) => count + (text === '' ? 0 : countCarelessly(text)), 0);
  }

  /** Everything that came, latin1. */
  get text(): string {
    return this.connections.map(({ text }) => text).join('');
  }

  get requestIds(): string[] {
    return [...this.text.matchAll(/\r\nx-request-id: ([^\r]*)\r\n/g)].map((match) => match[1] ?? '');
  }

  /** Forgets what came; open connections stay, so that what was smuggled into one would meet its next request. */
  forget(): void {
    for (const connection of this.connections) connection.text = '';
  }

  async stop(): Promise<void> {
    for (const socket of this.#open) socket.destroy();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  #serve(socket: Socket): void {
    const seen: SeenConnection = { text: '' };
    let unread = '';
    let number = 0;
    this.connections.push(seen);
    this.#open.add(socket);
    socket.on('close', () => this.#open.delete(socket));
    socket.on('error', () => socket.destroy());
    socket.on('end', () => socket.end());
    socket.on('data', (bytes: Buffer) => {
      seen.text += bytes.toString('latin1');
      unread += bytes.toString('latin1');
      const early = unread.includes('\r\n\r\n') ? (this.onHead?.(unread) ?? null) : null;
      if (early !== null) {
        socket.write(early, 'latin1');
        return;
      }
      const complete = readStrictly(unread, false).filter((request) => request.complete);
      if (complete.length === 0) return;
      unread = '';
      for (const { target } of complete) {
        const answer = this.answer(target, ++number, socket);
        if (answer !== null && socket.writable) socket.write(answer, 'latin1');
      }
    });
  }
}
