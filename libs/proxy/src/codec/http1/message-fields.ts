import { HeaderMap } from '@meltemi/http';
import { codecErrors, type CodecError } from './errors.ts';
import { FieldKind, fieldName, type FieldName } from './field-names.ts';
import type { HeadScan } from './head-scan.ts';
import { defaultHttp1Limits, maxNominated, type Http1Limits, type Http1ParserRules } from './limits.ts';

/** Reads the fields of one message: a map without the hop-by-hop ones, and what those say about framing and the connection. @hot */
export abstract class MessageFields {
  /** Content-Length; -1 when there is none. */
  contentLength = -1;
  chunked = false;
  connectionClose = false;
  connectionKeepAlive = false;
  connectionUpgrade = false;
  upgradeTo = '';
  expectContinue = false;
  protected host: string | null = null;
  protected readonly limits: Http1Limits;
  readonly #allowChunkedLength: boolean;
  readonly #preserveCase: boolean;
  readonly #properCaseOwn: boolean;
  #nominated: string | null = null;

  constructor(rules: Http1ParserRules) {
    this.limits = rules.limits ?? defaultHttp1Limits;
    this.#allowChunkedLength = rules.allowChunkedLength === true;
    this.#preserveCase = rules.preserveCase === true;
    this.#properCaseOwn = rules.properCaseOwn === true;
  }

  /** Gets ready for the fields of the next message. */
  protected forgetFields(): void {
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

  #map(flat: string[], text: string, from: number): HeaderMap | CodecError {
    const headers = new HeaderMap(flat);
    if (this.#nominated !== null && !this.#dropNominated(headers, this.#nominated.split(','))) return codecErrors.badConnection;
    if (this.#preserveCase) headers.spelling = { names: spellings(text, from), properCaseOthers: this.#properCaseOwn };
    return headers;
  }

  /** Both ways to delimit one body: refused, or the length goes and the connection with it. */
  protected chunkedWithLength(headers: HeaderMap): CodecError | null {
    if (!this.#allowChunkedLength) return codecErrors.lengthAndChunked;
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
    const length = lengthOf(value);
    if (length < 0) return codecErrors.badContentLength;
    if (this.contentLength >= 0) return length === this.contentLength ? null : codecErrors.badContentLength;
    this.contentLength = length;
    // A zero in front is octal to some.
    flat.push('content-length', length > 0 && value.charCodeAt(0) === 48 ? String(length) : value);
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

  /** Fields that `Connection` names end here (RFC 9110 §7.6.1), but for those of this very message. False: no peer may ask for that. */
  #dropNominated(headers: HeaderMap, names: readonly string[]): boolean {
    if (names.length >= maxNominated || names.some((name) => origins.has(name))) return false;
    for (const name of names) if (!ofMessage.has(name)) headers.remove(name);
    return true;
  }
}

/** Who sent a message, as proxies on the way said: whoever took it away would pass for somebody else. */
const origins: ReadonlySet<string> = new Set(['x-forwarded-for', 'x-forwarded-host', 'x-forwarded-proto']);
/** Content-Length frames it; TE, always named, is left with what a next hop may know. */
const ofMessage: ReadonlySet<string> = new Set(['content-length', 'host', 'te']);

/** 1 to 15 digits as a number; -1 for anything else. */
function lengthOf(text: string): number {
  const digits = text.length;
  if (digits === 0 || digits > 15) return -1;
  let length = 0;
  for (let i = 0; i < digits; i++) {
    const digit = text.charCodeAt(i) - 48;
    if (digit < 0 || digit > 9) return -1;
    length = length * 10 + digit;
  }
  return length;
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
