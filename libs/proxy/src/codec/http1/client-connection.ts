import type { Random } from '@meltemi/base';
import type { HeaderMap, RequestHead, ResponseHead } from '@meltemi/http';
import type { ByteConnection, ConnectionSink } from '../../connection.ts';
import type { RequestWriter, ResponseReceiver } from '../../stream.ts';
import { isWebsocket, websocketAccept, websocketKey } from '../websocket-key.ts';
import { codecErrors, type CodecError } from './errors.ts';
import { ParserState } from './message-parser.ts';
import { Http1ResponseParser, type ResponseSink } from './response-parser.ts';
import { BodyFraming, lastChunkText, writeRequest } from './serialise.ts';
import type { Http1ParserRules } from './limits.ts';

/** The pool a connection belongs to. */
export interface ClientConnectionOwner {
  /** The connection can take another request. */
  onIdle(connection: Http1ClientConnection): void;
  /** The connection is gone or must not be used again. Once. */
  onGone(connection: Http1ClientConnection): void;
}

export interface ClientConnectionOptions extends Http1ParserRules {
  /** Names go out as Proper-Case-Words instead of lower-case. */
  readonly properCase?: boolean;
  /** Targets go out as scheme://host/path. */
  readonly sendFullyQualifiedUrl?: boolean;
  /** For the keys of WebSockets whose clients speak HTTP/2; unset = they go without. */
  readonly random?: Random;
}

/** Without a length, servers would ask for one (RFC 9110 §8.6). */
const withBody: ReadonlySet<string> = new Set(['POST', 'PUT', 'PATCH']);

/** HTTP/1 towards a host: one request at a time over any ByteConnection. @hot */
export class Http1ClientConnection implements ConnectionSink, ResponseSink, RequestWriter {
  readonly connection: ByteConnection;
  /** Requests begun. */
  requests = 0;
  /** Finish what runs, take nothing new. */
  retired = false;
  readonly #owner: ClientConnectionOwner;
  readonly #parser: Http1ResponseParser;
  readonly #options: ClientConnectionOptions;
  #receiver: ResponseReceiver | null = null;
  #requestDone = true;
  #responseDone = true;
  #anyByte = false;
  #framing: number = BodyFraming.asHeaders;
  #gone = false;
  #reading = false;
  #paused = false;
  /** What the client sent of the other protocol before the host agreed to switch: a host that refuses would read it as requests. */
  #early: Buffer[] | null = null;
  #earlyEnd = false;
  /** The key that the host is to prove it understood; "" = none of ours. */
  #key = '';

  constructor(connection: ByteConnection, owner: ClientConnectionOwner, options: ClientConnectionOptions = {}) {
    this.#options = options;
    this.connection = connection;
    this.#owner = owner;
    this.#parser = new Http1ResponseParser(this, options);
    connection.sink = this;
  }

  /** Gives the connection to a request; then write with the RequestWriter methods. */
  begin(receiver: ResponseReceiver, method: string, upgrade: boolean): void {
    this.requests++;
    this.#receiver = receiver;
    this.#requestDone = false;
    this.#responseDone = false;
    this.#anyByte = false;
    this.#parser.expect(method, upgrade);
    this.#framing = method === 'CONNECT' ? BodyFraming.tunnel : upgrade ? BodyFraming.upgrade : BodyFraming.asHeaders;
    this.#early = this.#framing === BodyFraming.asHeaders ? null : [];
    this.#earlyEnd = false;
    this.#key = '';
  }

  get busy(): boolean {
    return this.#receiver !== null || !this.#requestDone || !this.#responseDone;
  }

  // RequestWriter

  head(head: RequestHead, endStream: boolean): void {
    if (this.#framing === BodyFraming.asHeaders && (!endStream || withBody.has(head.method)) && !head.headers.has('content-length')) this.#framing = endStream ? BodyFraming.empty : BodyFraming.chunked;
    if (this.#framing === BodyFraming.upgrade) this.#key = this.#ownKey(head);
    writeRequest(this.connection, head, this.#framing, { key: this.#key, absolute: this.#options.sendFullyQualifiedUrl === true, proper: this.#options.properCase === true });
    if (endStream) this.#requestEnd();
  }

  data(buffer: Buffer, start: number, end: number): boolean {
    if (end === start) return true;
    if (this.#early !== null) {
      this.#early.push(Buffer.from(buffer.subarray(start, end)));
      return false;
    }
    if (this.#framing !== BodyFraming.chunked) return this.connection.write(buffer, start, end);
    this.connection.writeText(`${(end - start).toString(16)}\r\n`);
    this.connection.write(buffer, start, end);
    return this.connection.writeText('\r\n');
  }

  end(trailers: HeaderMap | null): void {
    if (this.#framing === BodyFraming.chunked) this.connection.writeText(lastChunkText(this.#options.enableTrailers === true ? trailers : null));
    if (this.#early !== null) {
      this.#earlyEnd = true;
      return;
    }
    if (this.#framing === BodyFraming.upgrade || this.#framing === BodyFraming.tunnel) this.connection.end();
    this.#requestEnd();
  }

  reset(): void {
    this.#receiver = null;
    this.#leave();
  }

  pauseResponse(): void {
    this.#paused = true;
    this.connection.pause();
  }

  resumeResponse(): void {
    this.#paused = false;
    this.connection.resume();
  }

  // ResponseSink

  onInterimHead(head: ResponseHead): void {
    this.#receiver?.onInterim(head);
  }

  onResponseHead(head: ResponseHead, endStream: boolean): void {
    if (this.#key !== '' && head.status === 101 && !this.#proves(head.headers)) return this.onParseError(codecErrors.badAccept);
    const receiver = this.#receiver;
    if (endStream) this.#responseEnd();
    receiver?.onHead(head, endStream);
    if (this.#early !== null && this.#parser.state === ParserState.tunnel) this.#switched(this.#early);
    return undefined;
  }

  /** A client that speaks HTTP/2 needs none, its host does. */
  #ownKey({ headers, protocol }: RequestHead): string {
    const { random } = this.#options;
    return random !== undefined && protocol === 'HTTP/2' && isWebsocket(headers.get('upgrade')) && !headers.has('sec-websocket-key') ? websocketKey(random) : '';
  }

  /** The host understood our key; its proof is nobody else's. */
  #proves(headers: HeaderMap): boolean {
    const proof = headers.getAll('sec-websocket-accept');
    headers.remove('sec-websocket-accept');
    return proof === websocketAccept(this.#key);
  }

  /** The host agreed: what waited for it goes out. */
  #switched(early: readonly Buffer[]): void {
    this.#early = null;
    let room = true;
    for (const part of early) room = this.connection.write(part, 0, part.length) && room;
    if (this.#earlyEnd) {
      this.connection.end();
      this.#requestEnd();
    } else if (early.length > 0 && room) this.#receiver?.onWritable();
  }

  onBody(buffer: Buffer, start: number, end: number): void {
    this.#receiver?.onData(buffer, start, end);
  }

  onMessageEnd(trailers: HeaderMap | null): void {
    const receiver = this.#receiver;
    this.#responseEnd();
    receiver?.onEnd(trailers);
  }

  onParseError(error: CodecError): void {
    const receiver = this.#receiver;
    this.#receiver = null;
    this.#leave();
    receiver?.onReset({ kind: error.details === 'http1.truncated' ? 'termination' : 'protocol', detail: error.details, stale: false, refused: false });
  }

  // ConnectionSink

  onData(buffer: Buffer, length: number): void {
    // Bytes that nobody asked for: the peer is confused, or already answering an idle timeout.
    if (this.#receiver === null && !this.busy) return this.#leave();
    this.#anyByte = true;
    this.#reading = true;
    const at = this.#parser.execute(buffer, 0, length);
    this.#reading = false;
    // Bytes behind the answer must never be read as the answer to the next request.
    if (at < length) this.#leave();
    else if (this.#requestDone && this.#responseDone) this.#settle();
    return undefined;
  }

  onEnd(): void {
    if (this.#receiver !== null && this.#anyByte) this.#parser.finish();
    if (this.#receiver !== null) this.#lost();
    this.#leave();
  }

  onDrain(): void {
    this.#receiver?.onWritable();
  }

  /** A host that refuses a body most likely answered before it closed: the rest of the body goes nowhere, its answer is read. */
  onWriteFailed(): void {
    this.retire();
    this.#receiver?.onWritable();
  }

  onClose(): void {
    if (this.#receiver !== null) this.#lost();
    this.#leave();
  }

  #lost(): void {
    const receiver = this.#receiver;
    this.#receiver = null;
    receiver?.onReset({ kind: 'termination', detail: '', stale: this.requests > 1 && !this.#anyByte, refused: false });
  }

  #requestEnd(): void {
    this.#requestDone = true;
    if (this.#responseDone && !this.#reading) this.#settle();
  }

  #responseEnd(): void {
    this.#responseDone = true;
    this.#receiver = null;
    if (this.#requestDone) {
      if (!this.#reading) this.#settle();
    }
    // An answer before the end of the request: what is left of it will not be sent.
    else this.#leave();
  }

  #settle(): void {
    if (this.#gone) return;
    // The last bytes may have found the client's buffers full: nobody resumes for an answer that is over.
    if (this.#paused) this.resumeResponse();
    if (this.#parser.reusable && !this.retired) this.#owner.onIdle(this);
    else this.#leave();
  }

  /** Closes for good and tells the owner once. */
  #leave(): void {
    if (this.#gone) return;
    this.#early = null;
    this.#gone = true;
    this.connection.destroy();
    this.#owner.onGone(this);
  }

  /** Stops using the connection: now when idle, after the current request otherwise. */
  retire(): void {
    this.retired = true;
    if (!this.busy) this.#leave();
  }
}
