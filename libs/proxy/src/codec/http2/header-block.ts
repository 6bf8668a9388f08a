import { HeaderMap, RequestHead, ResponseHead } from '@meltemi/http';
import { isToken } from '../http1/field-names.ts';
import { http2StreamErrors as errors, type Http2CodecError } from './errors.ts';
import { Http2Field, type Http2FieldName } from './field-names.ts';
import type { FieldSink } from './hpack/decoder.ts';

const methods = new Set(['GET', 'HEAD', 'POST', 'PUT', 'DELETE', 'OPTIONS', 'PATCH']);
/** As in HTTP/1. Deviation: Envoy passes bytes beyond ASCII on; behind it some take 0xA0 or 0x85 for the blank that ends the path. */
const badInPath = /[^\x21-\x22\x24-\x7e]/;
const badInHost = /[^A-Za-z0-9\-._~!$&'()*+,;=%:[\]]/;

/** Collects and judges the fields of one block (RFC 9113 §8). One per connection, used again for each block. @hot */
export class HeaderBlock implements FieldSink {
  /** The first thing wrong, or null. */
  error: Http2CodecError | null = null;
  /** -1 = no content-length. */
  contentLength = -1;
  /** `:protocol` of an extended CONNECT, or null. */
  protocol: string | null = null;
  expectContinue = false;
  status = 0;
  method: string | null = null;
  #path: string | null = null;
  #authority: string | null = null;
  #scheme: string | null = null;
  #host: string | null = null;
  #cookieAt = -1;
  #pseudoOver = false;
  #pseudos = 0;
  #bytes = 0;
  #fields = 0;
  #flat: string[] = [];
  readonly #maxBytes: number;
  readonly #maxFields: number;
  #goodAuthority = '';

  constructor(limits: { readonly maxHeadBytes: number; readonly maxFields: number }) {
    this.#maxBytes = limits.maxHeadBytes;
    this.#maxFields = limits.maxFields;
  }

  begin(): void {
    this.error = null;
    this.contentLength = -1;
    this.protocol = null;
    this.expectContinue = false;
    this.status = 0;
    this.method = null;
    this.#path = null;
    this.#authority = null;
    this.#scheme = null;
    this.#host = null;
    this.#cookieAt = -1;
    this.#pseudoOver = false;
    this.#pseudos = 0;
    this.#bytes = 0;
    this.#fields = 0;
    this.#flat = [];
  }

  onField(field: Http2FieldName, value: string, valid: boolean): void {
    this.#bytes += field.name.length + value.length + 32;
    if (this.#bytes > this.#maxBytes || ++this.#fields > this.#maxFields) {
      this.error ??= errors.tooManyHeaders;
      return;
    }
    if (!valid) this.error ??= errors.badField;
    const kind = field.kind;
    if (kind === Http2Field.ordinary) {
      this.#pseudoOver = true;
      this.#flat.push(field.name, value);
    } else if (kind <= Http2Field.unknownPseudo) this.#pseudo(kind, value);
    else this.#special(kind, field.name, value);
  }

  /** The request that the block begins; null with `error` set when it is malformed. */
  request(): RequestHead | null {
    if (this.error === null) this.error = this.#checkRequest();
    if (this.error !== null) return null;
    const head = new RequestHead(this.method ?? '', this.#path ?? '', this.#authority ?? this.#host ?? '', new HeaderMap(this.#flat), this.#scheme ?? 'http', 'HTTP/2');
    return head;
  }

  /** The response that the block begins; null with `error` set when it is malformed. */
  response(): ResponseHead | null {
    if (this.error === null && (this.#pseudos !== 1 << Http2Field.status || this.status === 101)) this.error = this.#pseudos === 0 ? errors.missingPseudo : errors.badStatus;
    if (this.#host !== null) this.#flat.push('host', this.#host);
    return this.error === null ? new ResponseHead(this.status, new HeaderMap(this.#flat)) : null;
  }

  /** Trailers; null with `error` set when they are malformed. */
  trailers(): HeaderMap | null {
    // A length behind the body could only mislead whoever reads it as HTTP/1 (RFC 9110 §6.5.1).
    if (this.error === null && (this.#pseudos !== 0 || this.contentLength >= 0)) this.error = errors.badTrailers;
    return this.error === null ? new HeaderMap(this.#flat) : null;
  }

  #pseudo(kind: number, value: string): void {
    const bit = 1 << kind;
    if (this.#pseudoOver || (this.#pseudos & bit) !== 0 || kind === Http2Field.unknownPseudo) this.error ??= errors.badPseudo;
    this.#pseudos |= bit;
    switch (kind) {
      case Http2Field.method:
        this.method = value;
        return;
      case Http2Field.path:
        this.#path = value;
        return;
      case Http2Field.authority:
        this.#authority = value;
        return;
      case Http2Field.scheme:
        this.#scheme = value;
        return;
      case Http2Field.protocol:
        this.protocol = value;
        return;
      default:
        this.status = value.length === 3 ? Number(value) : 0;
        if (!(this.status >= 100 && this.status <= 999)) this.error ??= errors.badStatus;
    }
  }

  #special(kind: number, name: string, value: string): void {
    this.#pseudoOver = true;
    switch (kind) {
      case Http2Field.cookie:
        return this.#cookie(value);
      case Http2Field.contentLength:
        this.#length(value);
        // A zero in front is octal to some readers of HTTP/1 behind us.
        this.#flat.push(name, value.charCodeAt(0) === 48 && this.contentLength > 0 ? String(this.contentLength) : value);
        return;
      case Http2Field.host:
        if (this.#host !== null && this.#host !== value) this.error ??= errors.badAuthority;
        this.#host = value;
        return;
      case Http2Field.te:
        if (value.toLowerCase() !== 'trailers') this.error ??= errors.badTe;
        break;
      case Http2Field.expect:
        this.expectContinue = value.toLowerCase() === '100-continue';
        break;
      default:
        this.error ??= kind === Http2Field.bad ? errors.badField : errors.connectionField;
        return;
    }
    this.#flat.push(name, value);
  }

  /** RFC 9113 §8.2.3: crumbs become one field again. */
  #cookie(value: string): void {
    const flat = this.#flat;
    if (this.#cookieAt < 0) {
      this.#cookieAt = flat.length + 1;
      flat.push('cookie', value);
    } else flat[this.#cookieAt] = `${flat[this.#cookieAt]}; ${value}`;
  }

  #length(value: string): void {
    let length = value.length > 0 && value.length <= 15 ? 0 : -1;
    for (let i = 0; i < value.length && length >= 0; i++) {
      const digit = value.charCodeAt(i) - 48;
      length = digit >= 0 && digit <= 9 ? length * 10 + digit : -1;
    }
    if (length < 0 || this.contentLength >= 0) this.error ??= errors.badContentLength;
    this.contentLength = length;
  }

  #checkRequest(): Http2CodecError | null {
    const method = this.method;
    if ((this.#pseudos & (1 << Http2Field.status)) !== 0) return errors.badPseudo;
    if (method === null) return errors.missingPseudo;
    if (this.protocol !== null && method !== 'CONNECT') return errors.badPseudo;
    if (method === 'CONNECT' && this.protocol === null) {
      if (this.#path !== null || this.#scheme !== null) return errors.badPseudo;
      if (this.#authority === null || this.#authority === '') return errors.missingPseudo;
      return this.#checkAuthority();
    }
    if (!methods.has(method) && !isToken(method)) return errors.badMethod;
    const path = this.#path;
    if (path === null || this.#scheme === null || this.#scheme === '') return errors.missingPseudo;
    if (path.charCodeAt(0) !== 47 && !(path === '*' && method === 'OPTIONS')) return errors.badPath;
    if (badInPath.test(path)) return errors.badPath;
    return this.#checkAuthority();
  }

  #checkAuthority(): Http2CodecError | null {
    const authority = this.#authority ?? this.#host;
    if (authority === null || authority === '') return null;
    // RFC 9113 §8.3.1: two names for one target are an attack on whoever reads the other one.
    if (this.#host !== null && this.#host !== authority && this.#host.toLowerCase() !== authority.toLowerCase()) return errors.badAuthority;
    if (authority === this.#goodAuthority) return null;
    if (badInHost.test(authority)) return errors.badAuthority;
    this.#goodAuthority = authority;
    return null;
  }
}
