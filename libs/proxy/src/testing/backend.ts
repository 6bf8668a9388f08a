import { formatFieldErrors, type ManualClock } from '@meltemi/base';
import { jsonToBinary } from '@meltemi/api';
import { Cluster as ClusterMessage } from '@meltemi/api/gen/envoy/config/cluster/v3/cluster.ts';
import { HeaderMap, ResponseHead, type RequestHead } from '@meltemi/http';
import { FlatStats } from '@meltemi/observe';
import { compileCluster, type Cluster } from '@meltemi/snapshot';
import { Host, newHostState } from '../balance/index.ts';
import { unreadHttp2Stats } from '../codec/http2/http2-stats.ts';
import type { RequestWriter } from '../stream.ts';
import { ClusterLimits, type ClusterStats, type ConnectionCallbacks, type NewStreamOptions, type PendingStream, type StreamCallbacks, type UpstreamCluster } from '../upstream.ts';
import { CodeStats, codeStatsByPrefix } from '../code-stats.ts';
import { filterExtensions } from '../filters/registry.ts';
import { Wire } from './wire.ts';

/** A request as the backend got it. */
export class BackendRequest {
  readonly head: RequestHead;
  body = '';
  ended: boolean;
  wasReset = false;
  /** The proxy wants no more of the response. */
  paused = false;
  readonly #callbacks: StreamCallbacks;

  constructor(head: RequestHead, endStream: boolean, callbacks: StreamCallbacks) {
    this.head = head;
    this.ended = endStream;
    this.#callbacks = callbacks;
  }

  respond(status = 200, fields: readonly string[] = [], body = 'ok'): void {
    this.begin(status, fields);
    this.part(body);
    this.#callbacks.onEnd(null);
  }

  /** The head and no body yet. */
  begin(status = 200, fields: readonly string[] = []): void {
    this.#callbacks.onHead(new ResponseHead(status, new HeaderMap([...fields])), false);
  }

  /** A whole answer without a body. */
  empty(status: number): void {
    this.#callbacks.onHead(new ResponseHead(status), true);
  }

  part(text: string | Buffer): void {
    const bytes = Buffer.from(text as string);
    this.#callbacks.onData(bytes, 0, bytes.length);
  }

  end(trailers: readonly string[] | null = null): void {
    this.#callbacks.onEnd(trailers === null ? null : new HeaderMap([...trailers]));
  }

  /** The connection breaks. */
  break(stale = false): void {
    this.#callbacks.onReset({ kind: 'termination', detail: 'broken by the test', stale, refused: false });
  }
}

/** A cluster with one host that takes every stream at once; the test answers. */
export class Backend implements UpstreamCluster {
  readonly name: string;
  readonly config: Cluster;
  /** By short names. */
  readonly flat = new FlatStats();
  readonly stats: ClusterStats = clusterStats(this.flat);
  /** What outlier detection was told: HTTP statuses, 0 for no answer. */
  readonly reports: number[] = [];
  readonly limits: UpstreamCluster['limits'];
  dynamicHosts: UpstreamCluster['dynamicHosts'] = null;
  readonly requests: BackendRequest[] = [];
  /** Ends of TCP connections opened to it. */
  readonly connections: Wire[] = [];
  readonly host: Host;

  constructor(name: string, clock: ManualClock, more: Record<string, unknown> = {}) {
    this.name = name;
    this.config = clusterOf({ name, type: 'EDS', connectTimeout: '1s', edsClusterConfig: { edsConfig: { ads: {} } }, ...more });
    this.limits = { default: new ClusterLimits(this.config.circuitBreakers.default), high: new ClusterLimits(this.config.circuitBreakers.high) };
    const endpoint = { target: { kind: 'ip', address: '10.1.0.1', port: 80 }, key: '10.1.0.1:80', hostname: '', weight: 1, health: 'healthy', metadata: null, locality: { region: '', zone: '', subZone: '' } } as const;
    this.host = new Host(endpoint, 0, newHostState('10.1.0.1:80', clock.monotonic()));
  }

  failHealthCheck(): void {}

  get hosts(): readonly Host[] {
    return [this.host];
  }

  pick(): Host {
    return this.host;
  }

  newStream(_host: Host, options: NewStreamOptions, callbacks: StreamCallbacks): PendingStream | null {
    let request: BackendRequest | null = null;
    const writer: RequestWriter = {
      head: (head, endStream) => {
        request = new BackendRequest(head, endStream, callbacks);
        this.requests.push(request);
      },
      data: (buffer, start, end) => {
        if (request !== null) request.body += buffer.toString('latin1', start, end);
        return true;
      },
      end: () => {
        if (request !== null) request.ended = true;
      },
      reset: () => {
        if (request !== null) request.wasReset = true;
      },
      pauseResponse: () => {
        if (request !== null) request.paused = true;
      },
      resumeResponse: () => {
        if (request !== null) request.paused = false;
      },
    };
    if (!this.limits[options.priority].canRequest) callbacks.onPoolFailure({ kind: 'overflow', transportFailure: null });
    else callbacks.onReady(writer, { id: 7, localAddress: '10.0.0.9:50000', remoteAddress: '10.1.0.1:80', tls: null, protocol: 'HTTP/1.1' });
    return null;
  }

  newConnection(_host: Host, callbacks: ConnectionCallbacks): PendingStream {
    const wire = new Wire();
    this.connections.push(wire);
    callbacks.onReady(wire);
    return { cancel: () => {} };
  }

  drops(): null {
    return null;
  }

  report(_host: Host, status: number): void {
    this.reports.push(status);
  }
}

function clusterOf(json: Record<string, unknown>): Cluster {
  const compiled = compileCluster(ClusterMessage.decode(jsonToBinary('envoy.config.cluster.v3.Cluster', json)), filterExtensions());
  if (!compiled.ok) throw new Error(formatFieldErrors(compiled.error));
  return compiled.value.value;
}

function clusterStats(stats: FlatStats): ClusterStats {
  const counters = ['rqTotal', 'rqCompleted', 'rqTimeout', 'rqPerTryTimeout', 'rqPerTryIdleTimeout', 'rqMaxDuration', 'rqRetryBackoffExponential', 'rqRetryBackoffRateLimited', 'retryOrShadowAbandoned', 'rqCancelled', 'rqPendingFailureEject', 'rqRetry', 'rqRetrySuccess', 'rqRetryOverflow', 'rqRetryLimitExceeded', 'rqPendingTotal', 'rqPendingOverflow', 'rqRxReset', 'rqTxReset', 'rqMaintenance', 'cxTotal', 'cxHttp1Total', 'cxHttp2Total', 'cxIdleTimeout', 'cxMaxRequests', 'cxMaxDuration', 'cxConnectFail', 'cxConnectTimeout', 'cxDestroy', 'cxOverflow', 'cxRxBytes', 'cxTxBytes', 'noneHealthy'];
  const gauges = ['rqActive', 'rqPendingActive', 'cxActive'];
  return {
    ...Object.fromEntries(counters.map((name) => [name, stats.counter(name)])),
    ...Object.fromEntries(gauges.map((name) => [name, stats.gauge(name)])),
    rqClass: [0, 1, 2, 3, 4, 5].map((hundreds) => stats.counter(`class${hundreds}`)),
    rqCode: (status: number) => stats.counter(`code${status}`),
    http2: () => unreadHttp2Stats,
    codes: new CodeStats(stats, ''), internalCodes: new CodeStats(stats, 'internal.'), externalCodes: new CodeStats(stats, 'external.'), codesOf: codeStatsByPrefix(stats, ''),
  } as unknown as ClusterStats;
}
