import type { Leaf } from '../certificates.ts';

/** Who is measured. */
export const peerNames = ['meltemi', 'nginx', 'haproxy', 'http-proxy'] as const;
export type PeerName = (typeof peerNames)[number];

/** What a mesh adds to forwarding; ours only. */
export const meshFeatures = ['peer metadata', 'rbac', 'fault and cors', 'metrics', 'access log', 'retries', 'request id'] as const;
export type MeshFeature = (typeof meshFeatures)[number];

/** What a proxy of a case does, in nobody's configuration language. */
export interface Shape {
  /** Spoken on both sides. */
  readonly protocol: 'http1' | 'http2' | 'tcp';
  readonly backendPort: number;
  /** Routes by host and path prefix, ten paths to a host; 1 means one route for all. Default 1. */
  readonly routes?: number;
  /** TLS for clients; with clientCa they must show a certificate. No session tickets, no session cache. */
  readonly tlsIn?: { readonly leaf: Leaf; readonly clientCa?: string };
  /** TLS 1.3 to the backend with a certificate of our own, the backend's verified. */
  readonly tlsOut?: { readonly leaf: Leaf; readonly ca: string; readonly backend: Leaf };
  /** Forwards WebSocket upgrades. */
  readonly upgrade?: boolean;
  /** Answers HTTP/1.0, for openssl s_time. */
  readonly http10?: boolean;
  /** Mesh features of ours that are off. Default none. */
  readonly without?: readonly MeshFeature[];
  /** Worker threads or processes. Default 1. */
  readonly workers?: number;
}

/** Where a proxy's files go. */
export interface PeerFiles {
  readonly dir: string;
  /** Prefix of its files. */
  readonly name: string;
  readonly port: number;
  readonly accessLog: string;
}

/** How a proxy starts in the foreground. */
export interface PeerCommand {
  readonly command: readonly [string, ...string[]];
  /** Standard output goes there: where haproxy logs. */
  readonly stdoutFile?: string;
  readonly env?: Readonly<Record<string, string>>;
  /** Envoy's admin port; ours only. */
  readonly adminPort?: number;
}

/** Connections that any peer must be able to hold. */
export const maxConnections = 9500;

/** Host and path prefix of the routes of a table: ten paths to a host. */
export function routesOf(count: number): readonly { readonly host: string; readonly prefix: string }[] {
  return Array.from({ length: count }, (_, index) => ({ host: `svc-${Math.floor(index / 10)}.bench`, prefix: `/path-${index % 10}/` }));
}
