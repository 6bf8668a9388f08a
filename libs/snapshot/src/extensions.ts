import type { FieldError, Result } from '@meltemi/base';
import type { FormatOptions } from '@meltemi/http';

/** What a parser of an extension's config gets besides its bytes. */
export interface ParseContext {
  /** Field path of the typed_config, to put before one's own errors' paths. */
  readonly path: string;
  readonly typeUrl: string;
  /** Reports a setting that only tunes and is not acted on. */
  warn(path: string, message: string): void;
  readonly extensions: Extensions;
}

/** Turns an extension's bytes into its runtime config, or says what cannot be done. Paths in errors are full: begin with ctx.path. */
export interface Extension {
  parse(bytes: Uint8Array, ctx: ParseContext): Result<unknown>;
}

/** An HTTP filter may also take settings per route (typed_per_filter_config). */
export interface HttpFilterExtension extends Extension {
  /** True for the router and filters like it: must be last, nothing may follow. */
  readonly terminal?: boolean;
  parseRoute?(bytes: Uint8Array, ctx: ParseContext): Result<unknown>;
  /** Type URLs that parseRoute takes; the filter's own when unset. */
  readonly routeTypeUrls?: readonly string[];
}

/**
 * What the caller's proxy can run beyond what this package compiles itself, by full type URL ("type.googleapis.com/…").
 * Built in here: the HTTP connection manager, TcpProxy, TLS transport sockets, the tls_inspector, http_inspector and original_dst listener filters.
 */
export interface Extensions {
  readonly networkFilters: ReadonlyMap<string, Extension>;
  readonly httpFilters: ReadonlyMap<string, HttpFilterExtension>;
  readonly listenerFilters: ReadonlyMap<string, Extension>;
  readonly accessLoggers: ReadonlyMap<string, Extension>;
  /** Tracing providers; unset = none: spans are not exported. */
  readonly tracers?: ReadonlyMap<string, Extension>;
  /** The proxy speaks HTTP/2 too; unset = HTTP/1.1 only, and what insists on HTTP/2 is refused. */
  readonly http2?: boolean;
  /** The proxy takes SNI and the expected SAN from the request's host (auto_sni, auto_san_validation); unset = both are refused. */
  readonly autoTlsNames?: boolean;
  /** The proxy reads the PROXY protocol in front of a connection; unset = the proxy_protocol listener filter is refused. */
  readonly proxyProtocol?: boolean;
  /** The proxy asks for configs of HTTP filters (ECDS) and for scopes of routes; unset = config_discovery and scoped_routes are refused. */
  readonly extensionDiscovery?: boolean;
  /** What formats of headers and answers may say of the process; access loggers bring their own. */
  readonly formats?: FormatOptions;
  /** Reads a file that a filter's config names, or says why it cannot; unset = such configs are refused. */
  readonly readFile?: (path: string) => Result<Uint8Array, string>;
  /** Changes with the code behind the extensions, which chains of the same bytes then do not share. Unset: it never changes. */
  readonly version?: string;
}

/** A compiled resource with what was left out because it only tunes. */
export interface Compiled<T> {
  readonly value: T;
  readonly warnings: readonly FieldError[];
}
