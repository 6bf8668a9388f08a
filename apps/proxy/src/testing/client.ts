import http from 'node:http';
import net from 'node:net';
import { waitFor } from '@meltemi/base';
import type { Seen } from './backend.ts';

export interface Reply {
  readonly status: number;
  readonly reason: string;
  readonly headers: http.IncomingHttpHeaders;
  readonly rawHeaders: readonly string[];
  readonly trailers: Readonly<Record<string, string | undefined>>;
  readonly body: string;
  /** The echo backend's JSON. */
  readonly seen: () => Seen;
}

export interface Request {
  readonly method?: string;
  readonly path?: string;
  readonly headers?: Readonly<Record<string, string | readonly string[]>>;
  readonly body?: string | Buffer;
  readonly agent?: http.Agent;
}

/** One request on a connection of its own (unless an agent says otherwise). */
export function request(port: number, { method = 'GET', path = '/', headers = {}, body, agent }: Request = {}): Promise<Reply> {
  return new Promise((resolve, reject) => {
    const sent = http.request({ host: '127.0.0.1', port, method, path, headers: headers as http.OutgoingHttpHeaders, agent: agent ?? false, timeout: 15_000, setHost: headers['host'] === undefined }, (response) => {
      const parts: Buffer[] = [];
      response.on('data', (part: Buffer) => parts.push(part));
      response.on('error', reject);
      response.on('end', () => {
        const text = Buffer.concat(parts).toString('latin1');
        resolve({ status: response.statusCode ?? 0, reason: response.statusMessage ?? '', headers: response.headers, rawHeaders: response.rawHeaders, trailers: response.trailers, body: text, seen: () => JSON.parse(text) as Seen });
      });
    });
    sent.on('timeout', () => sent.destroy(new Error('no answer within 15 s')));
    sent.on('error', reject);
    sent.end(body);
  });
}

/** A bare TCP connection that keeps all it received, as latin1. */
export class RawConnection {
  readonly socket: net.Socket;
  text = '';
  closed = false;

  constructor(port: number, host = '127.0.0.1') {
    this.socket = net.connect({ port, host, noDelay: true });
    this.socket.on('data', (part: Buffer) => { this.text += part.toString('latin1'); });
    this.socket.on('error', () => {});
    this.socket.on('end', () => { this.closed = true; });
    this.socket.on('close', () => { this.closed = true; });
  }

  send(text: string): this {
    this.socket.write(Buffer.from(text, 'latin1'));
    return this;
  }

  /** Waits until what came matches. */
  async until(pattern: RegExp, deadlineMs = 5000): Promise<string> {
    await waitFor(`${pattern} in ${JSON.stringify(this.text.slice(0, 300))}`, () => pattern.test(this.text), { deadlineMs, everyMs: 5 }).catch((cause: unknown) => {
      throw new Error(`${cause instanceof Error ? cause.message : String(cause)}; received: ${JSON.stringify(this.text.slice(0, 500))}`);
    });
    return this.text;
  }

  async untilClosed(deadlineMs = 5000): Promise<string> {
    await waitFor(`the peer to close after ${JSON.stringify(this.text.slice(0, 300))}`, () => this.closed, { deadlineMs, everyMs: 5 });
    return this.text;
  }

  destroy(): void {
    this.socket.destroy();
  }
}

/** Sends these bytes and returns all that came until the peer closed. */
export async function exchange(port: number, text: string): Promise<string> {
  const connection = new RawConnection(port).send(text);
  try {
    return await connection.untilClosed();
  } finally {
    connection.destroy();
  }
}

/** Waits until nothing listens on the port any more. */
export async function untilRefused(port: number, deadlineMs = 10_000): Promise<void> {
  await waitFor(`port ${port} to close`, () => new Promise<boolean>((resolve) => {
    const socket = net.connect({ port, host: '127.0.0.1' }, () => {
      socket.destroy();
      resolve(false);
    });
    socket.on('error', () => resolve(true));
  }), { deadlineMs, everyMs: 5 });
}
