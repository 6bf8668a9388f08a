import { HeaderMap, RequestHead } from '@meltemi/http';
import { codecErrors, type CodecError } from './errors.ts';
import { isToken } from './field-names.ts';
import type { HeadScan } from './head-scan.ts';
import type { Http1ParserRules } from './limits.ts';
import { Http1MessageParser, ParserState, type BodySink } from './message-parser.ts';

/** What the request parser tells. */
export interface RequestSink extends BodySink {
  /** `endStream`: the request has no body and is complete. */
  onRequestHead(head: RequestHead, endStream: boolean): void;
}

export interface RequestParserOptions extends Http1ParserRules {
  /** Scheme of origin-form targets: "https" on TLS connections. Default "http". */
  readonly scheme?: 'http' | 'https';
  /** False: a target like "http://host/path" is left as it is, as in Envoy without allow_absolute_url. Default true. */
  readonly allowAbsoluteUrl?: boolean;
}

/** The usual first. */
const methods = ['GET', 'POST', 'PUT', 'HEAD', 'DELETE', 'OPTIONS', 'PATCH', 'TRACE'];
// RFC 9112 §3.2 has ASCII only; haproxy holds to it, and so does what reads the path behind us.
const badInTarget = /[^\x21-\x22\x24-\x7e]/;
const badInHost = /[^A-Za-z0-9\-._~!$&'()*+,;=%:[\]]/;
const hostAndPort = /^(?:[^:[\]]+|\[[0-9A-Fa-f:.]+\]):\d{1,5}$/;

/**
 * Reads requests. After `onRequestHead` with `isUpgrade` true, all further bytes are the body until the connection ends; whether
 * the switch happens is the connection manager's to say. @hot
 */
export class Http1RequestParser extends Http1MessageParser {
  /** The current request asks for a switch of protocols, or is a CONNECT. */
  isUpgrade = false;
  /** The current request came as HTTP/1.0. */
  isHttp10 = false;
  readonly #requests: RequestSink;
  readonly #scheme: 'http' | 'https';
  readonly #absolute: boolean;

  constructor(sink: RequestSink, options: RequestParserOptions = {}) {
    super(sink, options);
    this.#requests = sink;
    this.#scheme = options.scheme ?? 'http';
    this.#absolute = options.allowAbsoluteUrl ?? true;
  }

  override next(): void {
    super.next();
    this.isUpgrade = false;
    this.isHttp10 = false;
  }

  protected readHead(text: string, scanned: HeadScan | null): CodecError | null {
    const eol = scanned === null ? text.indexOf('\r\n') : scanned.lineEnd;
    const space = scanned === null ? text.indexOf(' ') : scanned.firstSpace;
    const targetEnd = eol - 9;
    if (space <= 0 || targetEnd <= space || text.charCodeAt(targetEnd) !== 32) return startLineError(text.slice(0, eol));
    if (!text.startsWith('HTTP/1.', targetEnd + 1)) return startLineError(text.slice(0, eol));
    const minor = text.charCodeAt(eol - 1);
    if (minor !== 49 && minor !== 48) return startLineError(text.slice(0, eol));
    this.isHttp10 = minor === 48;
    const known = knownMethod(text, space);
    const method = known ?? text.slice(0, space);
    if (known === null && !isToken(method)) return codecErrors.badStartLine;
    const target = text.slice(space + 1, targetEnd);
    if ((scanned === null || !scanned.plainLine) && badInTarget.test(target)) return codecErrors.badTarget;
    const headers = scanned === null ? this.readFields(text, eol + 2) : this.readScanned(text, scanned);
    if (!(headers instanceof HeaderMap)) return headers;
    return this.#framing(headers) ?? this.#emit(method, target, headers);
  }

  #framing(headers: HeaderMap): CodecError | null {
    if (this.chunked && this.isHttp10) return codecErrors.chunkedIn10;
    if (this.chunked && this.contentLength >= 0) {
      const error = this.chunkedWithLength(headers);
      if (error !== null) return error;
    }
    if (this.host === null) return this.isHttp10 ? null : codecErrors.missingHost;
    return badInHost.test(this.host) ? codecErrors.badHost : null;
  }

  #emit(method: string, target: string, headers: HeaderMap): CodecError | null {
    const head = new RequestHead(method, target, this.host ?? '', headers, this.#scheme, this.isHttp10 ? 'HTTP/1.0' : 'HTTP/1.1');
    if (method === 'CONNECT') return this.#connect(head, target);
    if (target.charCodeAt(0) !== 47) {
      const error = otherTarget(head, target, this.#absolute);
      if (error !== null) return error;
    }
    if (this.connectionUpgrade && this.#mayUpgrade()) {
      headers.add('upgrade', this.upgradeTo);
      return this.#tunnel(head, this.upgradeTo.toLowerCase());
    }
    this.#requests.onRequestHead(head, this.beginBody());
    return null;
  }

  /** A switch may be ignored (RFC 9110 §7.8): where the request has a body, whose end would be unclear, and for h2c as in Envoy. */
  #mayUpgrade(): boolean {
    return this.upgradeTo !== '' && this.contentLength <= 0 && !this.chunked && this.upgradeTo.toLowerCase() !== 'h2c';
  }

  #connect(head: RequestHead, target: string): CodecError | null {
    if (!hostAndPort.test(target) || badInHost.test(target)) return codecErrors.badTarget;
    if (this.chunked || this.contentLength > 0) return codecErrors.connectBody;
    if (this.contentLength === 0) head.headers.remove('content-length');
    head.authority = target;
    head.path = '';
    return this.#tunnel(head, 'connect');
  }

  #tunnel(head: RequestHead, protocol: string): null {
    head.upgrade = protocol;
    this.isUpgrade = true;
    this.state = ParserState.tunnel;
    this.#requests.onRequestHead(head, false);
    return null;
  }
}

/** The one string of a usual method, which look-ups need not compare, or null. */
function knownMethod(text: string, length: number): string | null {
  for (let i = 0; i < methods.length; i++) {
    const method = methods[i] ?? '';
    if (method.length === length && text.startsWith(method)) return method;
  }
  return null;
}

function startLineError(line: string): CodecError {
  if (line === 'PRI * HTTP/2.0') return codecErrors.http2Preface;
  return /^[^ ]+ [^ ]+ HTTP\/\d\.\d$/.test(line) ? codecErrors.badVersion : codecErrors.badStartLine;
}

/** "http://host/path" as clients send it to a proxy; its host wins over Host (RFC 9112 §3.2.2). "*" belongs to OPTIONS alone. */
function otherTarget(head: RequestHead, target: string, absolute: boolean): CodecError | null {
  if (target === '*') return head.method === 'OPTIONS' ? null : codecErrors.badTarget;
  if (!absolute) return null;
  const matched = /^(https?):\/\/([^/?]+)(.*)$/i.exec(target);
  const authority = matched?.[2] ?? '';
  if (matched === null || badInHost.test(authority)) return codecErrors.badTarget;
  const rest = matched[3] ?? '';
  head.scheme = (matched[1] ?? 'http').toLowerCase();
  head.authority = authority;
  head.path = rest.startsWith('/') ? rest : `/${rest}`;
  return null;
}
