import { HeaderMap } from './header-map.ts';

/** Protocol names as %PROTOCOL% prints them. */
export type HttpProtocol = 'HTTP/1.0' | 'HTTP/1.1' | 'HTTP/2' | 'HTTP/3';

/** What begins a request. Mutable: filters and the router rewrite it in place. `headers` holds neither pseudo headers nor `host`. */
export class RequestHead {
  method: string;
  /** "http" or "https": what `:scheme` would say. */
  scheme: string;
  /** The `host` field or `:authority`; "" when there was none. */
  authority: string;
  /** Path with query, as in the request line; "*" for OPTIONS *; "" for CONNECT. */
  path: string;
  headers: HeaderMap;
  protocol: HttpProtocol;
  /** The protocol that the client asks to switch to, lower-case; "connect" for CONNECT; "" for an ordinary request. */
  upgrade = '';

  constructor(method: string, path: string, authority = '', headers = new HeaderMap(), scheme = 'http', protocol: HttpProtocol = 'HTTP/1.1') {
    this.method = method;
    this.scheme = scheme;
    this.authority = authority;
    this.path = path;
    this.headers = headers;
    this.protocol = protocol;
  }

  /** All values of a field joined by ",", pseudo headers (`:method`, `:path`, `:authority`, `:scheme`) and `host` included; null when absent. */
  field(name: string): string | null {
    if (name.charCodeAt(0) !== 58) return name === 'host' ? this.authority || null : this.headers.getAll(name);
    switch (name) {
      case ':method':
        return this.method;
      case ':path':
        return this.path || null;
      case ':authority':
        return this.authority || null;
      case ':scheme':
        return this.scheme;
      default:
        return null;
    }
  }
}

/** What begins a response. */
export class ResponseHead {
  status: number;
  headers: HeaderMap;

  constructor(status: number, headers = new HeaderMap()) {
    this.status = status;
    this.headers = headers;
  }

  /** All values of a field joined by ",", `:status` included; null when absent. */
  field(name: string): string | null {
    return name === ':status' ? String(this.status) : this.headers.getAll(name);
  }
}
