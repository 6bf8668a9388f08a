import { HeaderMap } from '@meltemi/http';
import { latin1 } from '../../latin1.ts';
import { codecErrors, type CodecError } from './errors.ts';
import { HeadScan } from './head-scan.ts';
import { maxChunkExtensionBytes, type Http1ParserRules } from './limits.ts';
import { MessageFields } from './message-fields.ts';

/** What a parser tells. Buffers are the caller's and valid only during the call. */
export interface BodySink {
  /** A part of the body: `buffer[start, end)`. */
  onBody(buffer: Buffer, start: number, end: number): void;
  /** The message is complete. Not called when its head already said so. */
  onMessageEnd(trailers: HeaderMap | null): void;
  /** The message is refused; the parser takes no more bytes. */
  onParseError(error: CodecError): void;
}

export const ParserState = {
  head: 0, fixedBody: 1, chunkSize: 2, chunkExtension: 3, chunkSizeLf: 4, chunkData: 5, chunkDataCr: 6, chunkDataLf: 7,
  trailers: 8, untilClose: 9, tunnel: 10, done: 11, failed: 12,
} as const;

/** Of the head that is being read: a parser uses it before it tells anybody. */
const scan = new HeadScan();

const headEnd = Buffer.from('\r\n\r\n', 'latin1');
// Everything a head may not hold: CR and LF apart from each other, and control characters other than HTAB.
const forbidden = /[^\t\r\n -~\x80-\xff]|\r(?!\n)|(?<!\r)\n/;

/**
 * Reads HTTP/1 messages from pieces of any size: head, body, trailers. Sans-I/O; the same bytes give the same events however
 * they are cut. Strict (RFC 9112): what two readers could read differently is refused. @hot
 */
export abstract class Http1MessageParser extends MessageFields {
  state: number = ParserState.head;
  readonly #sink: BodySink;
  readonly #enableTrailers: boolean;
  #remaining = 0;
  #chunkDigits = 0;
  #extensionBytes = 0;
  #carry: Buffer | null = null;
  #carried = 0;

  constructor(sink: BodySink, rules: Http1ParserRules) {
    super(rules);
    this.#sink = sink;
    this.#enableTrailers = rules.enableTrailers === true;
  }

  /**
   * Reads the start line and fields of one head, then calls `beginBody`; returns why not, or null. `text` ends after the last field's CRLF. `scanned`: where
   * its parts are, for `readScanned`; null when they have to be looked for.
   */
  protected abstract readHead(text: string, scanned: HeadScan | null): CodecError | null;

  /** True when no message begins with `buffer[start, end)`, whatever follows: a peer that speaks something else may then say nothing more. */
  protected beginsWrong(_buffer: Buffer, _start: number, _end: number): boolean {
    return false;
  }

  /** Consumes up to `end` and returns where it stopped: at the end of a message, or where it failed, the rest stays with the caller. */
  execute(buffer: Buffer, start: number, end: number): number {
    let at = start;
    while (at < end) {
      switch (this.state) {
        case ParserState.head:
          at = this.#headBytes(buffer, at, end);
          break;
        case ParserState.fixedBody:
        case ParserState.chunkData:
          at = this.#countedBytes(buffer, at, end);
          break;
        case ParserState.untilClose:
        case ParserState.tunnel:
          this.#sink.onBody(buffer, at, end);
          return end;
        case ParserState.trailers:
          at = this.#trailerBytes(buffer, at, end);
          break;
        case ParserState.done:
        case ParserState.failed:
          return at;
        default:
          at = this.#chunkFraming(buffer, at, end);
      }
    }
    return at;
  }

  /** The peer ended its side: completes a body that lasts until then; an error in the middle of any other message. */
  finish(): void {
    if (this.state === ParserState.untilClose || this.state === ParserState.tunnel) this.complete(null);
    else if (this.state !== ParserState.done && this.state !== ParserState.failed && !this.idle) this.fail(codecErrors.earlyEnd);
  }

  /** True before the first byte of a message. */
  get idle(): boolean {
    return this.state === ParserState.head && this.#carried === 0;
  }

  /** Gets ready for the next message of the connection. */
  next(): void {
    this.state = ParserState.head;
    this.forgetFields();
  }

  protected complete(trailers: HeaderMap | null): void {
    this.state = ParserState.done;
    this.#sink.onMessageEnd(trailers);
  }

  protected fail(error: CodecError): void {
    this.state = ParserState.failed;
    this.#carry = null;
    this.#carried = 0;
    this.#sink.onParseError(error);
  }

  /** Sets the state for the body that `readFields` found. True when there is none. */
  protected beginBody(): boolean {
    if (this.chunked) {
      this.state = ParserState.chunkSize;
      this.#chunkDigits = 0;
      this.#remaining = 0;
      this.#extensionBytes = 0;
      return false;
    }
    if (this.contentLength > 0) {
      this.state = ParserState.fixedBody;
      this.#remaining = this.contentLength;
      return false;
    }
    this.state = ParserState.done;
    return true;
  }

  #headBytes(buffer: Buffer, start: number, end: number): number {
    if (this.#carried === 0) {
      let at = start;
      // Empty lines before a start line are tolerated (RFC 9112 §2.2), as complete CRLF pairs.
      while (at + 1 < end && buffer[at] === 13 && buffer[at + 1] === 10) at += 2;
      if (at >= end) return end;
      const stop = scan.scan(buffer, at, end);
      if (stop > 0 && stop - at <= this.limits.maxHeadBytes) {
        const error = this.readHead(latin1(buffer, at, stop - 2), scan);
        if (error !== null) this.fail(error);
        return stop;
      }
      const found = buffer.indexOf(headEnd, at);
      if (found >= 0 && found + 4 <= end) {
        this.#head(buffer, at, found + 2);
        return found + 4;
      }
      return this.#carryHead(buffer, at, end);
    }
    return this.#carryHead(buffer, start, end);
  }

  #carryHead(buffer: Buffer, start: number, end: number): number {
    const before = this.#carried;
    this.#append(buffer, start, end);
    const carry = this.#carry ?? buffer;
    if (carry[0] === 13 && carry[1] === 10 && this.#carried >= 2) {
      // The pair of an empty line came in two pieces: the rest is read again without it.
      this.#carried = 0;
      return start + 2 - before;
    }
    const found = carry.subarray(0, this.#carried).indexOf(headEnd, Math.max(0, before - 3));
    if (found >= 0) {
      this.#carried = 0;
      this.#carry = null;
      this.#head(carry, 0, found + 2);
      return start + found + 4 - before;
    }
    const limit = this.limits.maxHeadBytes;
    const early = Math.min(this.#carried - 1, limit);
    // a CR alone may be half of an empty line
    if (!(this.#carried === 1 && carry[0] === 13) && this.beginsWrong(carry, 0, this.#carried)) this.fail(codecErrors.badStartLine);
    else if (hasBareLineEnd(carry, 0, Math.max(0, before - 1), early)) this.fail(codecErrors.badCharacter);
    else if (this.#carried > limit) this.fail(codecErrors.headTooLarge);
    return end;
  }

  #head(buffer: Buffer, start: number, end: number): void {
    if (this.beginsWrong(buffer, start, end)) {
      this.fail(codecErrors.badStartLine);
      return;
    }
    const size = end + 2 - start;
    const limit = this.limits.maxHeadBytes;
    if (size > limit) {
      this.fail(hasBareLineEnd(buffer, start, start, start + limit) ? codecErrors.badCharacter : codecErrors.headTooLarge);
      return;
    }
    const text = latin1(buffer, start, end);
    if (forbidden.test(text)) {
      this.fail(codecErrors.badCharacter);
      return;
    }
    const error = this.readHead(text, null);
    if (error !== null) this.fail(error);
  }

  #countedBytes(buffer: Buffer, start: number, end: number): number {
    const stop = Math.min(end, start + this.#remaining);
    this.#remaining -= stop - start;
    const last = this.#remaining === 0;
    const fixed = this.state === ParserState.fixedBody;
    if (last && !fixed) this.state = ParserState.chunkDataCr;
    if (stop > start) this.#sink.onBody(buffer, start, stop);
    if (last && fixed && this.state === ParserState.fixedBody) this.complete(null);
    return stop;
  }

  /** The bytes around chunks, one at a time. */
  #chunkFraming(buffer: Buffer, at: number, end: number): number {
    while (at < end) {
      const byte = buffer[at++] ?? 0;
      switch (this.state) {
        case ParserState.chunkSize:
          if (!this.#chunkSizeByte(byte)) return at;
          break;
        case ParserState.chunkExtension:
          if (byte === 13) this.state = ParserState.chunkSizeLf;
          else if ((byte < 32 && byte !== 9) || byte === 127 || ++this.#extensionBytes > maxChunkExtensionBytes) return this.#badChunk(at);
          break;
        case ParserState.chunkSizeLf:
          if (byte !== 10) return this.#badChunk(at);
          this.state = this.#remaining === 0 ? ParserState.trailers : ParserState.chunkData;
          return at;
        case ParserState.chunkDataCr:
          if (byte !== 13) return this.#badChunk(at);
          this.state = ParserState.chunkDataLf;
          break;
        default:
          if (byte !== 10) return this.#badChunk(at);
          this.state = ParserState.chunkSize;
          this.#chunkDigits = 0;
          this.#remaining = 0;
      }
    }
    return at;
  }

  #chunkSizeByte(byte: number): boolean {
    const digit = hexDigit(byte);
    if (digit >= 0 && this.#chunkDigits < 12) {
      this.#chunkDigits++;
      this.#remaining = this.#remaining * 16 + digit;
      return true;
    }
    if (this.#chunkDigits === 0 || (byte !== 13 && byte !== 59)) {
      this.fail(codecErrors.badChunk);
      return false;
    }
    this.state = byte === 13 ? ParserState.chunkSizeLf : ParserState.chunkExtension;
    return true;
  }

  #badChunk(at: number): number {
    this.fail(codecErrors.badChunk);
    return at;
  }

  #trailerBytes(buffer: Buffer, start: number, end: number): number {
    if (this.#carried === 0 && end - start >= 2 && buffer[start] === 13 && buffer[start + 1] === 10) {
      this.complete(null);
      return start + 2;
    }
    const before = this.#carried;
    this.#append(buffer, start, end);
    const carry = (this.#carry ?? buffer).subarray(0, this.#carried);
    if (carry.length >= 2 && carry[0] === 13 && carry[1] === 10) {
      this.#carried = 0;
      this.complete(null);
      return start + 2 - before;
    }
    const found = carry.indexOf(headEnd, Math.max(0, before - 3));
    const limit = this.limits.maxHeadBytes;
    if (found < 0 || found + 4 > limit) {
      if (carry[0] === 13 && carry.length >= 2) this.fail(codecErrors.badTrailers);
      else if (carry.length > limit || found >= 0) this.fail(codecErrors.trailersTooLarge);
      return end;
    }
    this.#carried = 0;
    this.#trailers(latin1(carry, 0, found + 2));
    return start + found + 4 - before;
  }

  #trailers(text: string): void {
    if (forbidden.test(text)) return this.fail(codecErrors.badTrailers);
    const framing = { length: this.contentLength, chunked: this.chunked };
    this.contentLength = -1;
    this.chunked = false;
    const trailers = this.readFields(text, 0);
    // Framing fields in a trailer section could only mislead (RFC 9110 §6.5.1).
    const misplaced = this.contentLength >= 0 || this.chunked;
    this.contentLength = framing.length;
    this.chunked = framing.chunked;
    if (!(trailers instanceof HeaderMap)) return this.fail(trailers === codecErrors.tooManyFields ? codecErrors.tooManyTrailers : codecErrors.badTrailers);
    return misplaced ? this.fail(codecErrors.badTrailers) : this.complete(this.#enableTrailers ? trailers : null);
  }

  #append(buffer: Buffer, start: number, end: number): void {
    const needed = this.#carried + end - start;
    if (this.#carry === null || this.#carry.length < needed) {
      const larger = Buffer.allocUnsafe(Math.max(1024, needed * 2));
      this.#carry?.copy(larger, 0, 0, this.#carried);
      this.#carry = larger;
    }
    buffer.copy(this.#carry, this.#carried, start, end);
    this.#carried = needed;
  }
}

function hexDigit(byte: number): number {
  if (byte >= 48 && byte <= 57) return byte - 48;
  const lower = byte | 32;
  return lower >= 97 && lower <= 102 ? lower - 87 : -1;
}

/** A CR or LF apart from its partner within [start, end) of a head that begins at `origin`; the byte at `end` may be looked at as a partner. */
function hasBareLineEnd(buffer: Buffer, origin: number, start: number, end: number): boolean {
  for (let at = start; at < end; at++) {
    const byte = buffer[at];
    if (byte === 10 && (at === origin || buffer[at - 1] !== 13)) return true;
    if (byte === 13 && buffer[at + 1] !== 10) return true;
  }
  return false;
}
