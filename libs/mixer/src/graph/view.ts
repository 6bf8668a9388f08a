/** GET /graph: who called whom in the last `windowSeconds`. Sorted by id, so that two reads compare. */
export interface GraphView {
  /** ISO 8601. */
  readonly generatedAt: string;
  readonly windowSeconds: number;
  readonly nodes: readonly GraphNode[];
  readonly edges: readonly GraphEdge[];
  /** Events not drawn because the graph was full (since start). */
  readonly droppedEvents: number;
}

export interface GraphNode {
  /** "workload/<cluster>/<namespace>/<name>", "service/<host>", or "unknown". */
  readonly id: string;
  /** `service` when a request had no workload to go to (no endpoint, outside the mesh); `unknown` for callers without a sidecar or an identity. */
  readonly kind: 'workload' | 'service' | 'unknown';
  readonly name: string;
  readonly namespace: string;
  readonly app: string;
  readonly version: string;
  readonly canonicalService: string;
  readonly cluster: string;
  readonly principal: string;
  /** Hosts under which it was called. */
  readonly services: readonly string[];
}

export interface GraphEdge {
  readonly source: string;
  readonly destination: string;
  /** The service that was called, not necessarily the destination's only one. */
  readonly service: { readonly host: string; readonly name: string; readonly namespace: string };
  /** http, grpc or tcp. */
  readonly protocol: string;
  /** Which end's reports are counted: the source's, or the destination's when the source has no sidecar. */
  readonly reportedBy: 'source' | 'destination';
  readonly window: EdgeStats;
  /** Since the edge was first seen. */
  readonly total: EdgeStats;
  readonly firstSeen: string;
  readonly lastSeen: string;
}

export interface EdgeStats {
  readonly requests: number;
  readonly requestsPerSecond: number;
  /** 5xx, no response, failed gRPC status; for TCP broken connections. */
  readonly errors: number;
  readonly errorsPerSecond: number;
  /** errors / requests (TCP: / closed connections), 0..1. */
  readonly errorShare: number;
  /** 4xx. */
  readonly clientErrors: number;
  /** Within a tenth of the true value; null without requests. */
  readonly latencyMs: { readonly p50: number; readonly p90: number; readonly p99: number } | null;
  readonly requestBytes: number;
  readonly responseBytes: number;
  readonly connectionsOpened: number;
  readonly connectionsClosed: number;
  /** Share of reports that came over mutual TLS, 0..1; null when no end could say. */
  readonly mtlsShare: number | null;
  /** Count by Envoy's short flag. */
  readonly responseFlags: Readonly<Record<string, number>>;
}
