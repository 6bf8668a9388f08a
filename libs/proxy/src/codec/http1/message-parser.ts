import { HeaderMap } from '@meltemi/http';
import { latin1 } from '../../latin1.ts';
import { codecErrors, type CodecError } from './errors.ts';
import { FieldKind, fieldName, type FieldName } from './field-names.ts';
import { HeadScan } from './head-scan.ts';
import { defaultHttp1Limits, maxChunkExtensionBytes, type Http1Limits, type Http1ParserRules } from './limits.ts';

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
export abstract class Http1MessageParser {
  state: number = ParserState.head;
  /** Facts of the current head, set by `readFields`. */
  contentLength = -1;
  chunked = false;
  connectionClose = false;
  connectionKeepAlive = false;
  connectionUpgrade = false;
  upgradeTo = '';
  expectContinue = false;
  protected host: string | null = null;
  protected readonly limits: Http1Limits;
  protected readonly allowChunkedLength: boolean;
  readonly #sink: BodySink;
  readonly #enableTrailers: boolean;
  readonly #preserveCase: boolean;
  readonly #properCaseOwn: boolean;
  #nominated: string | null = null;
  #remaining = 0;
  #chunkDigits = 0;
  #extensionBytes = 0;
  #carry: Buffer | null = null;
  #carried = 0;

  constructor(sink: BodySink, rules: Http1ParserRules) {
    this.#sink = sink;
    this.limits = rules.limits ?? defaultHttp1Limits;
    this.allowChunkedLength = rules.allowChunkedLength === true;
    this.#enableTrailers = rules.enableTrailers === true;
    this.#preserveCase = rules.preserveCase === true;
    this.#properCaseOwn = rules.properCaseOwn === true;
  }

  /**
   * Reads the start line and fields of one head, then calls `beginBody`; returns why not, or null. `text` ends after the last field's CRLF. `scanned`: where
   * its parts are, for `readScanned`; null when they have to be looked for.
   */
  protected abstract readHead(text: string, scanned: HeadScan | null): CodecError | null;

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
    this.contentLength = -1;
    this.chunked = false;
    this.connectionClose = false;
    this.connectionKeepAlive = false;
    this.connectionUpgrade = false;
    this.upgradeTo = '';
    this.expectContinue = false;
    this.host = null;
    this.#nominated = null;
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

  /** The fields of a head that was scanned, without the hop-by-hop ones. */
  protected readScanned(text: string, { fields, names, valueStarts, valueEnds, lineEnd }: HeadScan): HeaderMap | CodecError {
    if (fields > this.limits.maxFields) return codecErrors.tooManyFields;
    const flat: string[] = [];
    for (let i = 0; i < fields; i++) {
      const field = names[i] as FieldName;
      const value = text.slice(valueStarts[i], valueEnds[i]);
      if (field.kind === FieldKind.ordinary) flat.push(field.name, value);
      else {
        const error = this.#special(field.kind, field.name, value, flat);
        if (error !== null) return error;
      }
    }
    return this.#map(flat, text, lineEnd + 2);
  }

  /** Reads field lines from `from` on into a map without the hop-by-hop ones. */
  protected readFields(text: string, from: number): HeaderMap | CodecError {
    const flat: string[] = [];
    let at = from;
    let count = 0;
    while (at < text.length) {
      const eol = text.indexOf('\r\n', at);
      const colon = text.indexOf(':', at);
      if (colon < 0 || colon > eol) return codecErrors.badFieldName;
      const field = fieldName(text.slice(at, colon));
      if (field === null) return codecErrors.badFieldName;
      if (++count > this.limits.maxFields) return codecErrors.tooManyFields;
      let first = colon + 1;
      let last = eol;
      while (first < last && isBlank(text.charCodeAt(first))) first++;
      while (last > first && isBlank(text.charCodeAt(last - 1))) last--;
      const value = text.slice(first, last);
      if (field.kind === FieldKind.ordinary) flat.push(field.name, value);
      else {
        const error = this.#special(field.kind, field.name, value, flat);
        if (error !== null) return error;
      }
      at = eol + 2;
    }
    return this.#map(flat, text, from);
  }

  #map(flat: string[], text: string, from: number): HeaderMap {
    const headers = new HeaderMap(flat);
    if (this.#nominated !== null) this.#dropNominated(headers);
    if (this.#preserveCase) headers.spelling = { names: spellings(text, from), properCaseOthers: this.#properCaseOwn };
    return headers;
  }

  /** Both ways to delimit one body: refused, or the length goes and the connection with it. */
  protected chunkedWithLength(headers: HeaderMap): CodecError | null {
    if (!this.allowChunkedLength) return codecErrors.lengthAndChunked;
    headers.remove('content-length');
    this.contentLength = -1;
    this.connectionClose = true;
    return null;
  }

  #special(kind: number, name: string, value: string, flat: string[]): CodecError | null {
    switch (kind) {
      case FieldKind.contentLength:
        return this.#contentLength(value, flat);
      case FieldKind.transferEncoding:
        // Any second coding, also a second "chunked", is a coding we do not undo.
        if (this.chunked || value.toLowerCase() !== 'chunked') return codecErrors.badTransferEncoding;
        this.chunked = true;
        return null;
      case FieldKind.connection:
        this.#connection(value);
        return null;
      case FieldKind.host:
        if (this.host !== null) return codecErrors.duplicateHost;
        this.host = value;
        return null;
      case FieldKind.upgrade:
        this.upgradeTo = this.upgradeTo === '' ? value : `${this.upgradeTo}, ${value}`;
        return null;
      case FieldKind.expect:
        this.expectContinue = value.toLowerCase() === '100-continue';
        flat.push(name, value);
        return null;
      case FieldKind.te:
        if (/(?:^|,)\s*trailers\s*(?:,|$)/i.test(value)) flat.push(name, 'trailers');
        return null;
      default:
        return null;
    }
  }

  #contentLength(value: string, flat: string[]): CodecError | null {
    if (!/^\d{1,15}$/.test(value)) return codecErrors.badContentLength;
    const length = Number(value);
    if (this.contentLength >= 0) return length === this.contentLength ? null : codecErrors.badContentLength;
    this.contentLength = length;
    flat.push('content-length', value);
    return null;
  }

  #connection(value: string): void {
    if (value === 'keep-alive' || value === 'Keep-Alive') this.connectionKeepAlive = true;
    else if (value === 'close') this.connectionClose = true;
    else for (const option of value.toLowerCase().split(',')) this.#connectionOption(option.trim());
  }

  #connectionOption(option: string): void {
    if (option === 'close') this.connectionClose = true;
    else if (option === 'keep-alive') this.connectionKeepAlive = true;
    else if (option === 'upgrade') this.connectionUpgrade = true;
    else if (option !== '') this.#nominated = this.#nominated === null ? option : `${this.#nominated},${option}`;
  }

  /** Fields that `Connection` names end here (RFC 9110 §7.6.1). Content-Length frames this very message and stays. */
  #dropNominated(headers: HeaderMap): void {
    for (const name of (this.#nominated ?? '').split(',')) if (name !== 'content-length' && name !== 'host') headers.remove(name);
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
    if (hasBareLineEnd(carry, 0, Math.max(0, before - 1), early)) this.fail(codecErrors.badCharacter);
    else if (this.#carried > limit) this.fail(codecErrors.headTooLarge);
    return end;
  }

  #head(buffer: Buffer, start: number, end: number): void {
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
    this.#extensionBytes = 0;
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

/** Lower-case name → how it was written first. */
function spellings(text: string, from: number): ReadonlyMap<string, string> {
  const names = new Map<string, string>();
  for (let at = from; at < text.length; at = text.indexOf('\r\n', at) + 2) {
    const raw = text.slice(at, text.indexOf(':', at));
    const name = raw.toLowerCase();
    if (!names.has(name)) names.set(name, raw);
  }
  return names;
}

function isBlank(code: number): boolean {
  return code === 32 || code === 9;
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
