import type { RequestHead } from '@meltemi/http';
import type { ByteConnection, ConnectionSink } from '../connection.ts';
import type { RequestReceiver, ResponseWriter } from '../stream.ts';

/** A codec towards a client as its session drives it, whatever the version of HTTP. */
export interface ServerCodec {
  readonly connection: ByteConnection;
  /** Requests begun. */
  readonly requests: number;
  /** The head of a request is arriving but not complete. */
  readonly readingHead: boolean;
  /** Finishes what is under way and closes; closes at once when idle. */
  drain(): void;
  /** Says with the next answer that the client should leave; an idle connection stays. */
  closeAfterNext(): void;
  /** Begins no further request, not even one whose head is arriving; closes when what is under way is over. */
  leave(): void;
}

/** How a codec begins a request with its session. */
export type BeginRequest = (writer: ResponseWriter, head: RequestHead, endStream: boolean) => RequestReceiver;

const preface = 'PRI * HTTP/2';

/** Looks at the first bytes of a plaintext connection: HTTP/2's preface, or anything else. Then the chosen codec is the connection's sink and gets them. */
export class PrefaceSniffer implements ConnectionSink {
  readonly #connection: ByteConnection;
  readonly #choose: (http2: boolean) => void;
  readonly #closed: (cause: Error | null) => void;
  #seen: Buffer | null = null;

  constructor(connection: ByteConnection, choose: (http2: boolean) => void, closed: (cause: Error | null) => void) {
    this.#connection = connection;
    this.#choose = choose;
    this.#closed = closed;
    connection.sink = this;
  }

  /** Some bytes came, too few to tell. */
  get undecided(): boolean {
    return this.#seen !== null;
  }

  onData(buffer: Buffer, length: number): void {
    if (this.#seen === null && buffer[0] !== 80) return this.#decide(false, buffer, length);
    const seen = this.#seen === null ? buffer.subarray(0, length) : Buffer.concat([this.#seen, buffer.subarray(0, length)]);
    const start = seen.toString('latin1', 0, preface.length);
    if (start === preface) return this.#decide(true, seen, seen.length);
    if (!preface.startsWith(start)) return this.#decide(false, seen, seen.length);
    this.#seen = Buffer.from(seen);
    return undefined;
  }

  onEnd(): void {
    this.#connection.destroy();
  }

  onDrain(): void {}

  onClose(cause: Error | null): void {
    this.#closed(cause);
  }

  #decide(http2: boolean, buffer: Buffer, length: number): void {
    this.#choose(http2);
    this.#connection.sink.onData(buffer, length);
  }
}
