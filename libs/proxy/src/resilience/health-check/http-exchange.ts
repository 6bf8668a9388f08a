import type { HeaderMap, RequestHead, ResponseHead } from '@meltemi/http';
import type { Http1Limits } from '../../codec/http1/limits.ts';
import type { Http2CodecOptions } from '../../codec/http2/options.ts';
import type { ByteConnection } from '../../connection.ts';
import type { RequestWriter, ResponseReceiver, UpstreamReset } from '../../stream.ts';
import { http1Client, http2Client, type ExchangeClient } from './exchange-client.ts';
import type { CheckTransport } from './probe.ts';

export type ExchangeResult =
  | { readonly kind: 'answered'; readonly head: ResponseHead; readonly body: Buffer; readonly trailers: HeaderMap | null }
  | { readonly kind: 'lost'; readonly reason: string };

export interface ExchangeOptions {
  /** Keep the connection for the next request. */
  readonly reuse: boolean;
  /** Of the body that much is kept; the rest is read and dropped. */
  readonly maxBodyBytes: number;
  /** null = HTTP/1.1. */
  readonly http2: Http2CodecOptions | null;
  /** Of an answer's head. */
  readonly limits: Http1Limits;
}

/** One request at a time over a connection of its own; answers are collected whole. */
export class HttpExchange implements ResponseReceiver {
  readonly #transport: CheckTransport;
  readonly #options: ExchangeOptions;
  #client: ExchangeClient | null = null;
  #writer: RequestWriter | null = null;
  /** The request goes over a connection that was kept. */
  #reused = false;
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
    this.#reused = this.#client?.usable === true;
    if (this.#client !== null && this.#reused) this.#write(this.#client);
    else this.#connect();
  }

  /** Gives up what is under way, untold, and closes the connection. */
  close(): void {
    this.#done = null;
    this.#giveUp?.();
    this.#giveUp = null;
    const client = this.#client;
    this.#client = null;
    this.#writer?.reset();
    this.#writer = null;
    client?.close();
  }

  #connect(): void {
    this.#giveUp = this.#transport.connect({ onOpen: (connection) => this.#opened(connection), onFailure: (reason) => this.#finish({ kind: 'lost', reason }) });
    if (this.#done === null || this.#client !== null) this.#giveUp = null;
  }

  #opened(connection: ByteConnection): void {
    this.#giveUp = null;
    const onGone = (): void => {
      if (this.#client === client) this.#client = null;
    };
    const client: ExchangeClient = this.#options.http2 === null ? http1Client(connection, onGone, this.#options.limits) : http2Client(connection, onGone, this.#options.http2);
    this.#client = client;
    connection.resume();
    this.#write(client);
  }

  #write(client: ExchangeClient): void {
    const request = this.#request;
    if (request === null) return;
    const writer = client.begin(this, request.method);
    this.#writer = writer;
    const body = this.#requestBody;
    writer.head(request, body === null);
    if (body !== null) {
      writer.data(body, 0, body.length);
      writer.end(null);
    }
    client.flush();
  }

  // Response

  onInterim(): void {}

  onHead(head: ResponseHead, endStream: boolean): void {
    this.#head = head;
    if (endStream) return this.onEnd(null);
    const { reuse, maxBodyBytes } = this.#options;
    if (reuse || maxBodyBytes > 0) return undefined;
    // Whatever follows decides nothing, and may never end.
    const writer = this.#writer;
    this.#finish({ kind: 'answered', head, body: Buffer.alloc(0), trailers: null });
    return writer?.reset();
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
    this.#writer = null;
    const client = this.#client;
    this.#client = null;
    client?.close();
    // A kept connection that the host closed between two checks says nothing about the host.
    if (this.#reused && (reset.stale || reset.refused)) {
      this.#reused = false;
      this.#connect();
    } else this.#finish({ kind: 'lost', reason: reset.kind === 'protocol' ? `answered what is not HTTP: ${reset.detail}` : 'closed the connection' });
  }

  onWritable(): void {}

  #finish(result: ExchangeResult): void {
    const done = this.#done;
    this.#done = null;
    this.#giveUp = null;
    this.#writer = null;
    if (!this.#options.reuse) {
      this.#client?.close();
      this.#client = null;
    }
    done?.(result);
  }
}
