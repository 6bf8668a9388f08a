import { HeaderMap, ResponseHead } from '@meltemi/http';
import { codecErrors, type CodecError } from './errors.ts';
import type { HeadScan } from './head-scan.ts';
import { maxInterimResponses, type Http1ParserRules } from './limits.ts';
import { Http1MessageParser, ParserState, type BodySink } from './message-parser.ts';

/** What the response parser tells. */
export interface ResponseSink extends BodySink {
  onResponseHead(head: ResponseHead, endStream: boolean): void;
  /** 100 Continue, 102, 103: the real head is still to come. */
  onInterimHead(head: ResponseHead): void;
}

const versionStart = Buffer.from('HTTP/1.', 'latin1');

/** Reads responses. Before each, `expect` says what the request was, since that decides about the body. @hot */
export class Http1ResponseParser extends Http1MessageParser {
  /** The connection can serve another request after this response. */
  reusable = false;
  readonly #responses: ResponseSink;
  #toHead = false;
  #upgradeAsked = false;
  #connecting = false;
  #interims = 0;

  constructor(sink: ResponseSink, rules: Http1ParserRules = {}) {
    super(sink, rules);
    this.#responses = sink;
  }

  /** A request with this method was sent; `upgradeAsked` allows 101. A 2xx to CONNECT begins a tunnel. */
  expect(method: string, upgradeAsked: boolean): void {
    this.next();
    this.reusable = false;
    this.#toHead = method === 'HEAD';
    this.#connecting = method === 'CONNECT';
    this.#upgradeAsked = upgradeAsked && !this.#connecting;
    this.#interims = 0;
  }

  protected override beginsWrong(buffer: Buffer, start: number, end: number): boolean {
    for (let at = 0; at < versionStart.length && start + at < end; at++) if (buffer[start + at] !== versionStart[at]) return true;
    return false;
  }

  protected readHead(text: string, scanned: HeadScan | null): CodecError | null {
    const eol = scanned === null ? text.indexOf('\r\n') : scanned.lineEnd;
    if (!text.startsWith('HTTP/1.') || text.charCodeAt(8) !== 32) return codecErrors.badStartLine;
    const minor = text.charCodeAt(7);
    if (minor !== 48 && minor !== 49) return codecErrors.badVersion;
    const status = statusCode(text);
    if (status < 100 || (eol !== 12 && text.charCodeAt(12) !== 32)) return codecErrors.badStartLine;
    const headers = scanned === null ? this.readFields(text, eol + 2) : this.readScanned(text, scanned);
    if (!(headers instanceof HeaderMap)) return headers;
    if (this.chunked && minor === 48) return codecErrors.chunkedIn10;
    if (this.chunked && this.contentLength >= 0) {
      const error = this.chunkedWithLength(headers);
      if (error !== null) return error;
    }
    const head = new ResponseHead(status, headers);
    if (status < 200 || status === 204) {
      const error = this.#bodyless(headers);
      if (error !== null) return error;
    }
    if (status < 200) return this.#interim(head);
    if (this.#connecting && status < 300) return this.#switched(head);
    this.reusable = minor === 49 ? !this.connectionClose : this.connectionKeepAlive;
    this.#responses.onResponseHead(head, this.#begin(status));
    return null;
  }

  #interim(head: ResponseHead): CodecError | null {
    if (head.status !== 101) {
      if (++this.#interims > maxInterimResponses) return codecErrors.interimFlood;
      this.next();
      this.#responses.onInterimHead(head);
      return null;
    }
    if (!this.#upgradeAsked) return codecErrors.unasked101;
    if (this.upgradeTo !== '') head.headers.add('upgrade', this.upgradeTo);
    return this.#switched(head);
  }

  /** 1xx and 204 have no body to delimit; as in Envoy a length of 0 is overlooked. */
  #bodyless(headers: HeaderMap): CodecError | null {
    if (this.chunked) return codecErrors.bodylessChunked;
    if (this.contentLength > 0) return codecErrors.bodylessLength;
    if (this.contentLength === 0) headers.remove('content-length');
    return null;
  }

  #switched(head: ResponseHead): null {
    this.reusable = false;
    head.headers.remove('content-length');
    this.state = ParserState.tunnel;
    this.#responses.onResponseHead(head, false);
    return null;
  }

  #begin(status: number): boolean {
    if (this.#toHead || status === 204 || status === 304) {
      this.state = ParserState.done;
      return true;
    }
    if (this.chunked || this.contentLength >= 0) return this.beginBody();
    this.state = ParserState.untilClose;
    this.reusable = false;
    return false;
  }
}

function statusCode(text: string): number {
  const hundreds = text.charCodeAt(9) - 48;
  const tens = text.charCodeAt(10) - 48;
  const ones = text.charCodeAt(11) - 48;
  if (hundreds < 1 || hundreds > 9 || tens < 0 || tens > 9 || ones < 0 || ones > 9) return 0;
  return hundreds * 100 + tens * 10 + ones;
}
