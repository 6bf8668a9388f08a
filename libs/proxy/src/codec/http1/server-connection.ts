import type { HeaderMap, RequestHead, ResponseHead } from '@meltemi/http';
import type { ByteConnection, ConnectionSink } from '../../connection.ts';
import type { RequestReceiver, ResponseWriter } from '../../stream.ts';
import type { CodecError } from './errors.ts';
import { ParserState } from './message-parser.ts';
import { Http1RequestParser, type RequestParserOptions, type RequestSink } from './request-parser.ts';
import { BodyFraming, lastChunkText, writeResponse } from './serialise.ts';

/** Who serves the requests of a connection. */
export interface RequestHandler {
  /** A request begins. The writer is the connection's: use it until the response ended. */
  onRequest(connection: Http1ServerConnection, head: RequestHead, endStream: boolean): RequestReceiver | null;
  /** Bytes that are no request, when none is under way; the connection then answers with `refusal` and closes. */
  onCodecError(connection: Http1ServerConnection, error: CodecError): void;
  /** The answer to bytes that cannot be read, with its length. */
  refusal(error: CodecError): { readonly head: ResponseHead; readonly body: Buffer };
  onConnectionClose(connection: Http1ServerConnection, cause: Error | null): void;
}

export interface ServerConnectionOptions extends RequestParserOptions {
  /** Names go out as Proper-Case-Words instead of lower-case. Default false. */
  readonly properCase?: boolean;
  /** Longest wait for the peer to close after our last byte. */
  readonly lingerMs: number;
  after(delayMs: number, task: () => void): () => void;
}

/** HTTP/1 towards a client: requests in order, one response at a time, over any ByteConnection. @hot */
export class Http1ServerConnection implements ConnectionSink, RequestSink, ResponseWriter {
  readonly connection: ByteConnection;
  readonly parser: Http1RequestParser;
  /** Requests begun. */
  requests = 0;
  /** A request is being read or answered. */
  active = false;
  readonly #handler: RequestHandler;
  readonly #options: ServerConnectionOptions;
  #receiver: RequestReceiver | null = null;
  #requestDone = true;
  #responseDone = true;
  #responseStarted = false;
  #toHead = false;
  #connecting = false;
  #closeAfter = false;
  #closing = false;
  #framing: number = BodyFraming.asHeaders;
  #bodyless = false;
  #rest: Buffer | null = null;
  #pumping = false;
  #paused = false;
  #cancelLinger: (() => void) | null = null;

  constructor(connection: ByteConnection, handler: RequestHandler, options: ServerConnectionOptions) {
    this.connection = connection;
    this.#handler = handler;
    this.#options = options;
    this.parser = new Http1RequestParser(this, options);
    connection.sink = this;
  }

  /** Answers what is under way with connection: close; closes at once when idle. */
  drain(): void {
    this.#closeAfter = true;
    if (!this.active && this.parser.idle) this.#close();
  }

  /** Says connection: close with the next response; an idle connection stays, its client may be sending just now. */
  closeAfterNext(): void {
    this.#closeAfter = true;
  }

  /** As `drain`, and a head that is arriving is not waited for. */
  leave(): void {
    this.#closeAfter = true;
    if (!this.active) this.#close();
  }

  /** A head is arriving but not complete. */
  get readingHead(): boolean {
    return !this.active && !this.parser.idle;
  }

  // ConnectionSink

  onData(buffer: Buffer, length: number): void {
    if (this.#closing) return;
    if (this.#rest !== null) this.#keep(buffer, 0, length);
    else this.#pump(buffer, 0, length);
  }

  onEnd(): void {
    if (this.#closing) return this.connection.destroy();
    if (this.parser.state === ParserState.tunnel) return this.parser.finish();
    // As in Envoy, a client that stops sending has gone away: nobody waits for the answer under way.
    if (this.active) return this.connection.destroy();
    return this.#close();
  }

  onDrain(): void {
    this.#receiver?.onWritable();
  }

  onClose(cause: Error | null): void {
    this.#closing = true;
    this.#cancelLinger?.();
    this.#rest = null;
    const receiver = this.#receiver;
    this.#receiver = null;
    if (this.active) {
      this.active = false;
      receiver?.onReset('disconnect');
    }
    this.#handler.onConnectionClose(this, cause);
  }

  // RequestSink

  onRequestHead(head: RequestHead, endStream: boolean): void {
    this.requests++;
    this.active = true;
    this.#requestDone = endStream;
    this.#responseDone = false;
    this.#responseStarted = false;
    this.#toHead = head.method === 'HEAD';
    this.#connecting = head.method === 'CONNECT';
    const parser = this.parser;
    if (parser.connectionClose || (parser.isHttp10 && !parser.connectionKeepAlive)) this.#closeAfter = true;
    const receiver = this.#handler.onRequest(this, head, endStream);
    if (this.active) this.#receiver = receiver;
  }

  onBody(buffer: Buffer, start: number, end: number): void {
    this.#receiver?.onData(buffer, start, end);
  }

  onMessageEnd(trailers: HeaderMap | null): void {
    this.#requestDone = true;
    // Its last bytes may have found the upstream's buffers full: nobody resumes for a request that is complete, but the client may leave or send the next.
    if (this.#paused) this.resumeRequest();
    if (this.#responseDone) this.#finish();
    else this.#receiver?.onEnd(trailers);
  }

  onParseError(error: CodecError): void {
    this.#closeAfter = true;
    if (this.#responseStarted && !this.#responseDone) {
      const receiver = this.#receiver;
      this.#receiver = null;
      this.active = false;
      receiver?.onReset('protocol');
      return this.connection.destroy();
    }
    const receiver = this.#receiver;
    this.#receiver = null;
    if (receiver === null) this.#handler.onCodecError(this, error);
    else receiver.onReset('protocol');
    const { head, body } = this.#handler.refusal(error);
    writeResponse(this.connection, head, BodyFraming.asHeaders, { closing: true, proper: false });
    this.connection.write(body, 0, body.length);
    return this.#close();
  }

  // ResponseWriter

  interim(head: ResponseHead): void {
    if (!this.parser.isHttp10) writeResponse(this.connection, head, BodyFraming.asHeaders, { closing: false, proper: false });
  }

  head(head: ResponseHead, endStream: boolean): void {
    this.#responseStarted = true;
    const status = head.status;
    this.#bodyless = this.#toHead || status === 204 || status === 304;
    const switching = this.parser.isUpgrade && (status === 101 || (this.#connecting && status >= 200 && status < 300));
    if (!switching && (this.parser.isUpgrade || !this.#requestDone)) this.#closeAfter = true;
    this.#framing = switching ? this.#switch(head) : this.#frame(head, endStream);
    if (this.parser.isHttp10 && !this.#closeAfter && !switching) head.headers.set('connection', 'keep-alive');
    writeResponse(this.connection, head, this.#framing, { closing: this.#closeAfter && !switching, proper: this.#options.properCase === true });
    if (endStream) this.#responseEnd();
  }

  data(buffer: Buffer, start: number, end: number): boolean {
    if (this.#bodyless || end === start) return true;
    if (this.#framing !== BodyFraming.chunked) return this.connection.write(buffer, start, end);
    this.connection.writeText(`${(end - start).toString(16)}\r\n`);
    this.connection.write(buffer, start, end);
    return this.connection.writeText('\r\n');
  }

  end(trailers: HeaderMap | null): void {
    if (this.#framing === BodyFraming.chunked && !this.#bodyless) this.connection.writeText(lastChunkText(this.#options.enableTrailers === true ? trailers : null));
    if (this.#framing === BodyFraming.untilClose || this.#framing === BodyFraming.upgrade || this.#framing === BodyFraming.tunnel) this.#closeAfter = true;
    this.#responseEnd();
  }

  reset(): void {
    this.#receiver = null;
    this.active = false;
    this.connection.destroy();
  }

  pauseRequest(): void {
    this.#paused = true;
    this.connection.pause();
  }

  resumeRequest(): void {
    this.#paused = false;
    if (this.#rest === null) this.connection.resume();
  }

  #switch(head: ResponseHead): number {
    this.#bodyless = false;
    head.headers.remove('content-length');
    return head.status === 101 ? BodyFraming.upgrade : BodyFraming.tunnel;
  }

  #frame(head: ResponseHead, endStream: boolean): number {
    let counted = false;
    const flat = head.headers.flat;
    for (let i = 0; i < flat.length; i += 2) {
      if (flat[i] === 'content-length') counted = true;
      else if (flat[i] === 'connection') this.#closeAfter = true;
    }
    // Only answers of our own have it: upstream's ended at the codec. It is written below, once.
    if (this.#closeAfter) head.headers.remove('connection');
    if (this.#bodyless) {
      if (counted && head.status === 204) head.headers.remove('content-length');
      return BodyFraming.asHeaders;
    }
    if (counted) return BodyFraming.asHeaders;
    if (endStream) {
      head.headers.add('content-length', '0');
      return BodyFraming.asHeaders;
    }
    if (!this.parser.isHttp10) return BodyFraming.chunked;
    this.#closeAfter = true;
    return BodyFraming.untilClose;
  }

  #responseEnd(): void {
    this.#responseDone = true;
    // What the client still sends of this request has no reader any more.
    if (!this.#requestDone) this.#close();
    else this.#finish();
  }

  #finish(): void {
    this.active = false;
    this.#receiver = null;
    if (this.#closeAfter) return this.#close();
    this.parser.next();
    const rest = this.#rest;
    if (rest === null || this.#pumping) return undefined;
    this.#rest = null;
    this.#pump(rest, 0, rest.length);
    if (this.#rest === null) this.connection.resume();
    return undefined;
  }

  /** Feeds the parser; what lies behind an unanswered request is kept and reading stops. */
  #pump(buffer: Buffer, start: number, end: number): void {
    this.#pumping = true;
    const at = this.parser.execute(buffer, start, end);
    this.#pumping = false;
    if (at >= end || this.#closing || this.parser.state === ParserState.failed) return;
    this.#keep(buffer, at, end);
    this.connection.pause();
  }

  #keep(buffer: Buffer, start: number, end: number): void {
    const more = buffer.subarray(start, end);
    this.#rest = this.#rest === null ? Buffer.from(more) : Buffer.concat([this.#rest, more]);
  }

  /** Sends what is pending and half-closes; then reads and drops for a while, so that a reset does not swallow our last bytes. */
  #close(): void {
    if (this.#closing) return;
    this.#closing = true;
    this.active = false;
    this.#receiver = null;
    this.#rest = null;
    this.connection.end();
    this.connection.resume();
    this.#cancelLinger = this.#options.after(this.#options.lingerMs, () => this.connection.destroy());
  }
}
