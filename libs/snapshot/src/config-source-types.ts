import type { Source } from './tls-types.ts';

/** Where a resource comes from. */
export type SourceSpec =
  | { readonly kind: 'ads' }
  /** The same source as the resource that says so. */
  | { readonly kind: 'self' }
  /** A file with a DiscoveryResponse; read again when it, or anything in `watchedDirectory`, is moved into place. */
  | { readonly kind: 'path'; readonly path: string; readonly watchedDirectory: string | null }
  | { readonly kind: 'api'; readonly api: ApiSource };

export interface ConfigSource {
  readonly spec: SourceSpec;
  /** Equal for equal sources. */
  readonly key: string;
  /** How long who needs it waits for the first answer; 15,000 when unset; 0 = for ever. */
  readonly initialFetchTimeoutMs: number;
}

/** A gRPC xDS server. */
export interface ApiSource {
  readonly delta: boolean;
  /** Tried in turn; never empty. */
  readonly services: readonly GrpcTarget[];
  readonly nodeOnFirstMessageOnly: boolean;
}

export type GrpcTarget =
  | { readonly kind: 'cluster'; readonly cluster: string; readonly authority: string; readonly maxReceiveBytes: number | null; readonly metadata: readonly (readonly [string, string])[] }
  /** `target`: "host:port" or "unix:/path"; `tls` null = plaintext. */
  | { readonly kind: 'google'; readonly target: string; readonly tls: GoogleTls | null; readonly metadata: readonly (readonly [string, string])[] };

/** Null roots = the system's. */
export interface GoogleTls {
  readonly rootCerts: Source | null;
  readonly certChain: Source | null;
  readonly privateKey: Source | null;
}

/** One resource that another one needs, and where it comes from. */
export interface Reference {
  readonly kind: 'endpoints' | 'routes' | 'secrets' | 'extensions' | 'scopes';
  /** "*" for scopes: all there are. */
  readonly name: string;
  readonly source: ConfigSource;
  /** The field that says so. */
  readonly path: string;
  /** Where its update statistics are counted, with the last dot. */
  readonly statPrefix: string;
  /** Of an extension's config: the type URLs it may have. */
  readonly typeUrls?: ReadonlySet<string>;
  /** Of scopes: where the routes come from that they name. */
  readonly routesFrom?: ConfigSource;
}
