import type { Clock, Random } from '@meltemi/base';
import type { Counter, FlatStats, Gauge } from '@meltemi/observe';
import type { ConnectionInfo, DynamicMetadata, TlsInfo } from '@meltemi/http';
import type { CircuitBreaker, Cluster, ConnectionView } from '@meltemi/snapshot';
import type { Host, PickContext } from './balance/index.ts';
import type { CodeStats } from './code-stats.ts';
import type { DynamicHosts } from './dynamic-hosts.ts';
import type { Http2Stats } from './codec/http2/http2-stats.ts';
import type { ByteConnection } from './connection.ts';
import type { ProxyTlv } from './inspect/proxy-protocol.ts';
import { RecentRequests } from './recent-requests.ts';
import type { SharedRow } from './shared-rows.ts';
import type { RequestWriter, ResponseReceiver } from './stream.ts';

/** A connection of which the transport knows where the client meant to go. */
export interface CapturedConnectionInfo extends ConnectionInfo {
  /** Values of the PROXY protocol that may go on to upstreams. */
  readonly tlvs?: readonly ProxyTlv[];
  /** What listener filters leave for the connection's dynamic metadata. */
  readonly metadata?: DynamicMetadata;
  /** "ip:port" from SO_ORIGINAL_DST or a transparent listener; "" when the client dialled this proxy itself. */
  readonly originalDst?: string;
  /** What its filter chain was chosen by. */
  readonly view?: ConnectionView;
}

/** Where the client meant to go, "" when unknown: only then may an original-destination cluster follow it, or the proxy would dial itself. */
export function originalDestination(info: ConnectionInfo): string {
  return (info as Partial<CapturedConnectionInfo>).originalDst ?? '';
}

/** Clusters as filters see them: by name, now. */
export interface Clusters {
  get(name: string): UpstreamCluster | null;
}

/** One cluster of this worker. The same object as long as the cluster lives; `config` is replaced by updates. */
export interface UpstreamCluster {
  readonly name: string;
  readonly config: Cluster;
  readonly stats: ClusterStats;
  /** All of them, whatever their health. */
  readonly hosts: readonly Host[];
  readonly limits: { readonly default: ClusterLimits; readonly high: ClusterLimits };
  /** Hosts that are looked up when they are asked for; null but for dynamic forward proxies. */
  readonly dynamicHosts: DynamicHosts | null;
  /** The host for a request, or null when none is healthy. `originalDst` is where the client meant to go, for original-destination clusters. */
  pick(context: PickContext, originalDst: string): Host | null;
  /** Asks for a stream to this host. Told at once when a connection is idle, later otherwise. */
  newStream(host: Host, options: NewStreamOptions, callbacks: StreamCallbacks): PendingStream | null;
  /** Asks for a connection of its own to this host, for this client where the host is to be told of it. */
  newConnection(host: Host, callbacks: ConnectionCallbacks, client?: CapturedConnectionInfo): PendingStream;
  /** The category under which a request is to be dropped (drop_overloads), or null. */
  drops(random: Random): string | null;
  /** How requests to this host went, for outlier detection. `status` 0: no answer; negative: nothing to do with the host. */
  report(host: Host, status: number): void;
  /** The host answered with x-envoy-immediate-health-check-fail: it is out until it passes its health checks again. */
  failHealthCheck(host: Host): void;
}

export interface NewStreamOptions {
  readonly priority: 'default' | 'high';
  readonly upgrade: boolean;
  /** Do not use an idle connection. */
  readonly fresh: boolean;
  readonly method: string;
  /** What a TLS upstream is to be called and to prove, where the cluster takes it from the request (auto_sni, auto_san_validation); else "". */
  readonly serverName: string;
  /** The client speaks HTTP/2: for clusters that do as it does (use_downstream_protocol_config). */
  readonly http2: boolean;
}

export interface PendingStream {
  cancel(): void;
}

export interface StreamCallbacks extends ResponseReceiver {
  /** A stream on this connection. */
  onReady(writer: RequestWriter, connection: UpstreamConnectionInfo): void;
  onPoolFailure(failure: PoolFailure): void;
}

export interface ConnectionCallbacks {
  onReady(connection: ByteConnection): void;
  onPoolFailure(failure: PoolFailure): void;
}

export interface UpstreamConnectionInfo {
  readonly id: number;
  readonly localAddress: string;
  readonly remoteAddress: string;
  readonly tls: TlsInfo | null;
  readonly protocol: 'HTTP/1.1' | 'HTTP/2' | null;
}

export interface PoolFailure {
  readonly kind: 'overflow' | 'connect' | 'timeout';
  /** For %UPSTREAM_TRANSPORT_FAILURE_REASON%; null when TLS was not at fault. */
  readonly transportFailure: string | null;
}

/** Counters of a cluster under Envoy's names. */
export interface ClusterStats {
  readonly rqTotal: Counter;
  readonly rqActive: Gauge;
  readonly rqCompleted: Counter;
  /** [0] unused, [1] 1xx … [5] 5xx. */
  readonly rqClass: readonly Counter[];
  readonly rqTimeout: Counter;
  readonly rqPerTryTimeout: Counter;
  readonly rqPerTryIdleTimeout: Counter;
  readonly rqMaxDuration: Counter;
  readonly rqRetry: Counter;
  readonly rqRetrySuccess: Counter;
  readonly rqRetryOverflow: Counter;
  readonly rqRetryLimitExceeded: Counter;
  readonly rqRetryBackoffExponential: Counter;
  readonly rqRetryBackoffRateLimited: Counter;
  /** A body too long to be kept for retries and mirrors. */
  readonly retryOrShadowAbandoned: Counter;
  readonly rqCancelled: Counter;
  readonly rqPendingFailureEject: Counter;
  readonly rqPendingTotal: Counter;
  readonly rqPendingActive: Gauge;
  readonly rqPendingOverflow: Counter;
  readonly rqRxReset: Counter;
  readonly rqTxReset: Counter;
  readonly rqMaintenance: Counter;
  readonly cxTotal: Counter;
  readonly cxHttp1Total: Counter;
  readonly cxHttp2Total: Counter;
  readonly cxIdleTimeout: Counter;
  readonly cxMaxRequests: Counter;
  readonly cxMaxDuration: Counter;
  readonly cxActive: Gauge;
  readonly cxConnectFail: Counter;
  readonly cxConnectTimeout: Counter;
  readonly cxDestroy: Counter;
  readonly cxOverflow: Counter;
  readonly cxRxBytes: Counter;
  readonly cxTxBytes: Counter;
  readonly noneHealthy: Counter;
  /** cluster.<name>.http2.…, made at first use. */
  http2(): Http2Stats;
  /** upstream_rq_<code>, made at first use. */
  rqCode(status: number): Counter;
  /** What requests of clients were answered with in the end. */
  readonly codes: CodeStats;
  /** The same, under internal. or external. by where the client is. */
  readonly internalCodes: CodeStats;
  readonly externalCodes: CodeStats;
  /** The same under another prefix: retry (answers that were tried again), canary, or a name that a caller gives. Null when there are too many. */
  codesOf(prefix: string): CodeStats | null;
}

const limitNames = ['cx', 'rq_pending', 'rq', 'rq_retry'] as const;
const remainingNames = ['cx', 'pending', 'rq', 'retries'] as const;

/** Gauges of one priority's circuit breakers, by resource: connections, pending, requests, retries. */
interface LimitGauges {
  readonly open: readonly Gauge[];
  /** Null as long as track_remaining was never set. */
  remaining: readonly Gauge[] | null;
}

export interface ClusterLimitsOptions {
  /** Default: nobody is told. */
  readonly stats?: FlatStats;
  /** cluster.<name>.circuit_breakers.<priority> */
  readonly prefix?: string;
  /** Released by `release`. Default: nobody to share with. */
  readonly row?: SharedRow | null;
  /** Default: budgets count active requests alone. */
  readonly clock?: Clock;
}

/**
 * What is in use of a cluster's circuit breakers. Whoever takes something adds one and takes it away again; limits hold for all workers of the
 * process (see SharedRow: each counts its own, sums are compared), numbers read here are this worker's own.
 */
export class ClusterLimits {
  limits: CircuitBreaker;
  readonly #stats: FlatStats | null;
  readonly #prefix: string;
  /** Null: nobody to share with. */
  #row: SharedRow | null;
  #gauges: LimitGauges | null = null;
  #connections = 0;
  #pending = 0;
  #requests = 0;
  #retries = 0;
  readonly #clock: Clock | null;
  /** Made when a budget asks for them. */
  #recent: RecentRequests | null = null;

  constructor(limits: CircuitBreaker, options: ClusterLimitsOptions = {}) {
    this.limits = limits;
    this.#stats = options.stats ?? null;
    this.#prefix = options.prefix ?? '';
    this.#row = options.row ?? null;
    this.#clock = options.clock ?? null;
    this.show();
  }

  get connections(): number {
    return this.#connections;
  }

  set connections(value: number) {
    this.#row?.take(0, value - this.#connections);
    this.#connections = value;
  }

  get pending(): number {
    return this.#pending;
  }

  set pending(value: number) {
    this.#row?.take(1, value - this.#pending);
    this.#pending = value;
  }

  get requests(): number {
    return this.#requests;
  }

  set requests(value: number) {
    this.#row?.take(2, value - this.#requests);
    if (value < this.#requests && this.limits.retryBudget !== null) this.#ended(this.#requests - value, this.limits.retryBudget.intervalMs);
    this.#requests = value;
  }

  get retries(): number {
    return this.#retries;
  }

  set retries(value: number) {
    this.#row?.take(3, value - this.#retries);
    this.#retries = value;
  }

  get canConnect(): boolean {
    return this.#allConnections < this.limits.maxConnections;
  }

  get canPend(): boolean {
    return this.#allPending < this.limits.maxPendingRequests;
  }

  get canRequest(): boolean {
    return this.#allRequests < this.limits.maxRequests;
  }

  get canRetry(): boolean {
    return this.#allRetries < this.#mostRetries;
  }

  /** Nothing of this worker is in use. */
  get idle(): boolean {
    return this.#connections === 0 && this.#pending === 0 && this.#requests === 0 && this.#retries === 0;
  }

  /** Requests that ended count for a while, where the budget says so. */
  #ended(many: number, intervalMs: number): void {
    if (intervalMs === 0 || this.#clock === null) return;
    this.#recent ??= new RecentRequests(this.#clock, (by) => this.#row?.take(4, by));
    this.#recent.end(many, intervalMs);
  }

  /** Lets go of what is shared: the cluster is gone. Counts go on alone. */
  release(): void {
    this.#recent?.stop();
    const row = this.#row;
    if (row === null) return;
    this.#row = null;
    row.take(0, -this.#connections);
    row.take(1, -this.#pending);
    row.take(2, -this.#requests);
    row.take(3, -this.#retries);
    row.release();
    for (const gauge of [...(this.#gauges?.open ?? []), ...(this.#gauges?.remaining ?? [])]) change(gauge, 0);
  }

  /** Brings the gauges up to date. They are the process's: one of its workers tells. */
  show(): void {
    const { limits } = this;
    const stats = this.#stats;
    if (stats === null) return;
    const gauges = (this.#gauges ??= this.#open(stats));
    if (limits.trackRemaining) gauges.remaining ??= remainingNames.map((name) => stats.gauge(`${this.#prefix}.remaining_${name}`));
    const tells = this.#row?.reports ?? true;
    const used = [this.#allConnections, this.#allPending, this.#allRequests, this.#allRetries];
    const most = [limits.maxConnections, limits.maxPendingRequests, limits.maxRequests, this.#mostRetries];
    for (let i = 0; i < used.length; i++) {
      const left = Math.max(0, (most[i] ?? 0) - (used[i] ?? 0));
      change(gauges.open[i], tells && left === 0 ? 1 : 0);
      change(gauges.remaining?.[i], tells && limits.trackRemaining ? left : 0);
    }
  }

  #open(stats: FlatStats): LimitGauges {
    stats.gauge(`${this.#prefix}.cx_pool_open`);
    return { open: limitNames.map((name) => stats.gauge(`${this.#prefix}.${name}_open`)), remaining: null };
  }

  get #allConnections(): number {
    return this.#row === null ? this.#connections : this.#row.used(0);
  }

  get #allPending(): number {
    return this.#row === null ? this.#pending : this.#row.used(1);
  }

  get #allRequests(): number {
    return this.#row === null ? this.#requests : this.#row.used(2);
  }

  get #allRetries(): number {
    return this.#row === null ? this.#retries : this.#row.used(3);
  }

  get #mostRetries(): number {
    const budget = this.limits.retryBudget;
    return budget === null ? this.limits.maxRetries : Math.max(budget.minConcurrency, Math.floor(((this.#allRequests + this.#allPending + this.#allRecent) * budget.percent) / 100));
  }

  get #allRecent(): number {
    return this.#row === null ? (this.#recent?.count ?? 0) : this.#row.used(4);
  }
}

/** Only what changes counts as used. */
function change(gauge: Gauge | undefined, value: number): void {
  if (gauge !== undefined && gauge.value !== value) gauge.set(value);
}
