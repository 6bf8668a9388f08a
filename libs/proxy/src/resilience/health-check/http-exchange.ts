import type { HeaderMap, RequestHead, ResponseHead } from '@meltemi/http';
import { Http1ClientConnection, type ClientConnectionOwner } from '../../codec/http1/client-connection.ts';
import type { ByteConnection } from '../../connection.ts';
import type { ResponseReceiver, UpstreamReset } from '../../stream.ts';
import type { CheckTransport } from './probe.ts';

export type ExchangeResult =
  | { readonly kind: 'answered'; readonly head: ResponseHead; readonly body: Buffer; readonly trailers: HeaderMap | null }
  | { readonly kind: 'lost'; readonly reason: string };

export interface ExchangeOptions {
  /** Keep the connection for the next request. */
  readonly reuse: boolean;
  /** Of the body that much is kept; the rest is read and dropped. */
  readonly maxBodyBytes: number;
}

/** One request at a time over a connection of its own; answers are collected whole. */
export class HttpExchange implements ResponseReceiver, ClientConnectionOwner {
  readonly #transport: CheckTransport;
  readonly #options: ExchangeOptions;
  #client: Http1ClientConnection | null = null;
  #giveUp: (() => void) | null = null;
  #done: ((result: ExchangeResult) => void) | null = null;
  #request: RequestHead | null = null;
  #requestBody: Buffer | null = null;
  #head: ResponseHead | null = null;
  #parts: Buffer[] = [];
  #bytes = 0;

  constructor(transport: CheckTransport, options: ExchangeOptions) {
    this.#transport = transport;
    this.#options = options;
  }

  send(request: RequestHead, body: Buffer | null, done: (result: ExchangeResult) => void): void {
    this.#request = request;
    this.#requestBody = body;
    this.#done = done;
    this.#head = null;
    this.#parts = [];
    this.#bytes = 0;
    if (this.#client !== null) this.#write(this.#client);
    else this.#connect();
  }

  /** Gives up what is under way, untold, and closes the connection. */
  close(): void {
    this.#done = null;
    this.#giveUp?.();
    this.#giveUp = null;
    const client = this.#client;
    this.#client = null;
    client?.reset();
  }

  #connect(): void {
    this.#giveUp = this.#transport.connect({ onOpen: (connection) => this.#opened(connection), onFailure: (reason) => this.#finish({ kind: 'lost', reason }) });
    if (this.#done === null || this.#client !== null) this.#giveUp = null;
  }

  #opened(connection: ByteConnection): void {
    this.#giveUp = null;
    const client = new Http1ClientConnection(connection, this);
    this.#client = client;
    connection.resume();
    this.#write(client);
  }

  #write(client: Http1ClientConnection): void {
    const request = this.#request;
    if (request === null) return;
    client.begin(this, request.method, false);
    const body = this.#requestBody;
    client.head(request, body === null);
    if (body !== null) {
      client.data(body, 0, body.length);
      client.end(null);
    }
    client.connection.flush();
  }

  // Response

  onInterim(): void {}

  onHead(head: ResponseHead, endStream: boolean): void {
    this.#head = head;
    if (endStream) this.onEnd(null);
  }

  onData(buffer: Buffer, start: number, end: number): void {
    const room = Math.min(end - start, this.#options.maxBodyBytes - this.#bytes);
    if (room <= 0) return;
    this.#parts.push(Buffer.from(buffer.subarray(start, start + room)));
    this.#bytes += room;
  }

  onEnd(trailers: HeaderMap | null): void {
    const head = this.#head;
    if (head !== null) this.#finish({ kind: 'answered', head, body: Buffer.concat(this.#parts), trailers });
  }

  onReset(reset: UpstreamReset): void {
    this.#client = null;
    // A kept connection that the host closed between two checks says nothing about the host.
    if (reset.stale) this.#connect();
    else this.#finish({ kind: 'lost', reason: reset.kind === 'protocol' ? `answered what is not HTTP: ${reset.detail}` : 'closed the connection' });
  }

  onWritable(): void {}

  // Connection

  onIdle(client: Http1ClientConnection): void {
    if (this.#options.reuse) return;
    this.#client = null;
    client.retire();
  }

  onGone(client: Http1ClientConnection): void {
    if (this.#client === client) this.#client = null;
  }

  #finish(result: ExchangeResult): void {
    const done = this.#done;
    this.#done = null;
    this.#giveUp = null;
    done?.(result);
  }
}
