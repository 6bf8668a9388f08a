import { formatResponseFlags, isGrpc, type StreamInfo } from '@meltemi/http';
import { declareIstioMetrics, istioHttpLabels, istioMessageLabels, type Counter, type Family, type Histogram, type IstioMetrics, type StatsRegistry } from '@meltemi/observe';
import { FilterEvents, HttpStreamFilter, type FilterContext, type HttpFilterFactory, type StreamControls } from '../../../filter.ts';
import type { NodeFacts } from '../../../node.ts';
import { isGrpcAccessLog } from '../../../reports/grpc-access-log.ts';
import type { GrpcStatsConfig } from '../grpc-stats/grpc-stats.ts';
import { downstreamPeerKey, peerOf, upstreamPeerKey } from '../peer-metadata/peer-facts.ts';
import { customMetrics, type CustomMetrics } from './custom-metrics.ts';
import { factsOfEndpoint, namedLabels, serviceOfCluster, serviceOfHost, sideLabels, tellPeers, type ServiceName } from './labels.ts';
import { MessageReporter, messagesOf, type MessageHandles, type MessageOwner } from './message-reporter.ts';
import { allDropped, istioStatsTypeUrl, parseIstioStats, type IstioMetric, type IstioStatsConfig } from './settings.ts';
import { tagPlan, tagValues, type TagPlan } from './tags.ts';

const httpMetrics: readonly IstioMetric[] = ['requests_total', 'request_duration_milliseconds', 'request_bytes', 'response_bytes'];
const messageMetrics: readonly IstioMetric[] = ['request_messages_total', 'response_messages_total'];

/** Istio's standard HTTP metrics with their full label set. */
export const istioStatsFilter: HttpFilterFactory = {
  name: 'istio.stats',
  typeUrls: [istioStatsTypeUrl],
  stage: 'stats',
  trust: 'untrusted-downstream-and-upstream',
  parse: parseIstioStats,
  bind(config, ctx) {
    const filter = new IstioStats(config as IstioStatsConfig, ctx);
    if (filter.idle) return { events: FilterEvents.complete, create: () => null };
    const { messages } = filter;
    if (messages === null) return { events: FilterEvents.complete, create: () => filter };
    return { events: FilterEvents.complete | FilterEvents.destroy, create: (stream) => (isGrpc(stream.request) ? messages.stream(stream) : filter) };
  },
};

/** The series of one label set; null for those that are dropped. */
interface Handles {
  readonly requests: Counter | null;
  readonly duration: Histogram | null;
  readonly requestBytes: Histogram | null;
  readonly responseBytes: Histogram | null;
  /** The labels by name, for reports; null when nobody takes any. */
  readonly report: Record<string, unknown> | null;
}

/** A metric whose labels are not the standard ones. */
interface Tagged {
  readonly family: Family;
  readonly plan: TagPlan;
}

const grpcStatsTypeUrl = 'type.googleapis.com/envoy.extensions.filters.http.grpc_stats.v3.FilterConfig';

/** Everything of a label set but status and flags. */
interface Pair {
  readonly cluster: string | null;
  readonly peer: NodeFacts | null;
  readonly peerPrincipal: string;
  readonly ownPrincipal: string;
  readonly mutual: boolean;
  /** What the cluster stands for; null: the Host header of each request says. */
  readonly service: ServiceName | null;
  /** By outcomeKey. */
  readonly byOutcome: Map<number, Handles>;
  messages: MessageHandles | null;
}

/** Beyond this many remembered pairs all are looked up anew. */
const maxPairs = 4096;

/** Counts each finished stream; handles are found by identity, so that no label text is built per request. One object serves all streams. @hot */
class IstioStats extends HttpStreamFilter implements MessageOwner {
  readonly #ctx: FilterContext;
  readonly #config: IstioStatsConfig;
  /** Null when telemetry, or nobody, counts them. */
  readonly #metrics: IstioMetrics | null;
  readonly #outbound: boolean;
  /** An access log service takes entries: they carry both ends by Istio's label names. */
  readonly #reports: boolean;
  /** Empty without tag overrides. */
  readonly #tagged: ReadonlyMap<IstioMetric, Tagged>;
  /** Some labels are made anew for each stream. */
  readonly #perStream: boolean;
  readonly #custom: CustomMetrics | null;
  /** A grpc_stats filter in front counts messages. */
  readonly #grpcCounted: boolean;
  /** Null when messages are not counted: no grpc_stats in front, or dropped. */
  readonly messages: MessageReporter | null;
  readonly #pairs = new Map<string | null, Pair[]>();
  #count = 0;
  #last: Pair | null = null;

  constructor(config: IstioStatsConfig, ctx: FilterContext) {
    super();
    this.#ctx = ctx;
    this.#config = config;
    this.#metrics = allDropped(config, [...httpMetrics, ...messageMetrics]) ? null : declareIstioMetrics(ctx.metrics);
    this.#tagged = this.#metrics === null ? new Map() : taggedOf(config, this.#metrics, ctx.metrics);
    this.#perStream = [...this.#tagged.values()].some(({ plan }) => plan.perStream);
    this.#outbound = ctx.direction !== 'inbound';
    this.#custom = customMetrics(config.custom, ctx.metrics);
    this.#grpcCounted = ctx.hcm.httpFilters.some(({ typeUrl, config: grpc }) => typeUrl === grpcStatsTypeUrl && (grpc as GrpcStatsConfig).emit);
    this.messages = this.#grpcCounted && !allDropped(config, messageMetrics) ? new MessageReporter(this, ctx.clock, config.reportingMs) : null;
    this.#reports = ctx.hcm.accessLogs.some((log) => isGrpcAccessLog(log.typeUrl));
  }

  /** Neither counts nor reports. */
  get idle(): boolean {
    return this.#metrics === null && this.#custom === null && !this.#reports;
  }

  override complete(stream: StreamControls): void {
    const info = stream.info;
    const pair = this.#pairOf(info);
    const grpc = isGrpc(stream.request) ? grpcStatusOf(info) : null;
    const key = pair.service === null || this.#perStream ? null : outcomeKey(info, grpc);
    const handles = key === null ? this.#handles(stream, pair, grpc) : (pair.byOutcome.get(key) ?? this.#remember(stream, pair, grpc, key));
    handles.requests?.inc();
    handles.duration?.observe(info.endMonoMs - info.startMonoMs);
    handles.requestBytes?.observe(info.bytesReceived);
    handles.responseBytes?.observe(info.bytesSent);
    if (handles.report !== null) this.#tell(info, handles.report);
    this.#custom?.record(info);
  }

  messageHandles(stream: StreamControls, ended: boolean): MessageHandles | null {
    const pair = this.#pairOf(stream.info);
    if (pair.messages !== null) return pair.messages;
    if (pair.peer === null && !ended) return null;
    const labels = this.#ends(stream, pair);
    const series = (name: IstioMetric, family: Family<Counter> | undefined) => this.#series(name, family, labels, stream.info);
    const made = { request: series('request_messages_total', this.#metrics?.requestMessages), response: series('response_messages_total', this.#metrics?.responseMessages) };
    if (pair.service !== null && !this.#perStream) pair.messages = made;
    return made;
  }

  #tell(info: StreamInfo, report: Record<string, unknown>): void {
    const counts = this.#grpcCounted ? messagesOf(info) : null;
    tellPeers(info, counts === null ? report : { ...report, request_messages: counts.request_message_count, response_messages: counts.response_message_count });
  }

  #remember(stream: StreamControls, pair: Pair, grpc: string | null, key: number): Handles {
    const made = this.#handles(stream, pair, grpc);
    pair.byOutcome.set(key, made);
    return made;
  }

  #pairOf(info: StreamInfo): Pair {
    const outbound = this.#outbound;
    const tls = outbound ? info.upstreamTls : info.connection.tls;
    const peer = outbound ? (peerOf(info, upstreamPeerKey) ?? factsOfEndpoint(info)) : peerOf(info, downstreamPeerKey);
    const peerPrincipal = tls?.peerUriSans[0] ?? '';
    const ownPrincipal = tls?.localUriSans[0] ?? '';
    const mutual = tls !== null && tls.peerValidated;
    const cluster = info.upstreamCluster;
    const last = this.#last;
    if (last !== null && same(last, cluster, peer) && last.peerPrincipal === peerPrincipal && last.ownPrincipal === ownPrincipal && last.mutual === mutual) return last;
    let list = this.#pairs.get(cluster);
    if (list === undefined) this.#pairs.set(cluster, (list = []));
    let found = list.find((pair) => same(pair, cluster, peer) && pair.peerPrincipal === peerPrincipal && pair.ownPrincipal === ownPrincipal && pair.mutual === mutual);
    if (found === undefined) {
      found = { cluster, peer, peerPrincipal, ownPrincipal, mutual, service: serviceOfCluster(this.#ctx.clusters, cluster), byOutcome: new Map(), messages: null };
      if (++this.#count > maxPairs) this.#forget();
      else list.push(found);
    }
    this.#last = found;
    return found;
  }

  #forget(): void {
    this.#pairs.clear();
    this.#count = 0;
  }

  #handles(stream: StreamControls, pair: Pair, grpc: string | null): Handles {
    const { info } = stream;
    const labels = [
      ...this.#ends(stream, pair),
      grpc === null ? 'http' : 'grpc',
      formatResponseFlags(info.responseFlags),
      this.#outbound ? 'unknown' : pair.mutual ? 'mutual_tls' : 'none',
      String(info.responseCode),
      grpc ?? '',
    ];
    const metrics = this.#metrics;
    const series = <T extends Counter | Histogram>(name: IstioMetric, family: Family<T> | undefined) => this.#series(name, family, labels, info);
    return {
      requests: series('requests_total', metrics?.requests),
      duration: series('request_duration_milliseconds', metrics?.requestDuration),
      requestBytes: series('request_bytes', metrics?.requestBytes),
      responseBytes: series('response_bytes', metrics?.responseBytes),
      report: this.#reports ? namedLabels(istioHttpLabels, labels, metrics !== null) : null,
    };
  }

  #series<T extends Counter | Histogram>(name: IstioMetric, family: Family<T> | undefined, labels: readonly string[], info: StreamInfo): T | null {
    if (family === undefined || this.#config.dropped.has(name)) return null;
    const own = this.#tagged.get(name);
    return own === undefined ? family.labels(...labels) : (own.family as unknown as Family<T>).labels(...tagValues(own.plan, labels, info));
  }

  /** Values of istioMessageLabels: who calls whom for which service. */
  #ends(stream: StreamControls, pair: Pair): string[] {
    const outbound = this.#outbound;
    const own = sideLabels(this.#ctx.node, pair.ownPrincipal);
    const other = sideLabels(pair.peer, pair.peerPrincipal);
    const service = pair.service ?? this.#serviceOfHost(stream);
    return [outbound ? 'source' : 'destination', ...(outbound ? own : other), ...(outbound ? other : own), service.host, service.name, service.namespace];
  }

  #serviceOfHost(stream: StreamControls): ServiceName {
    const { node } = this.#ctx;
    if (!this.#config.disableHostHeaderFallback && stream.request.authority !== '') return serviceOfHost(stream.request.authority.replace(/:\d+$/, ''));
    if (this.#outbound || node.canonicalService === '') return { host: 'unknown', name: 'unknown', namespace: 'unknown' };
    return { host: `${node.canonicalService}.${node.namespace}.svc.cluster.local`, name: node.canonicalService, namespace: node.namespace };
  }
}

function taggedOf({ tags, dropped }: IstioStatsConfig, metrics: IstioMetrics, stats: StatsRegistry): Map<IstioMetric, Tagged> {
  const families: Partial<Record<IstioMetric, unknown>> = { requests_total: metrics.requests, request_duration_milliseconds: metrics.requestDuration, request_bytes: metrics.requestBytes, response_bytes: metrics.responseBytes, request_messages_total: metrics.requestMessages, response_messages_total: metrics.responseMessages };
  const tagged = new Map<IstioMetric, Tagged>();
  for (const [name, overrides] of tags) {
    const family = families[name] as Family | undefined;
    if (family === undefined || dropped.has(name)) continue;
    const plan = tagPlan(messageMetrics.includes(name) ? istioMessageLabels : istioHttpLabels, overrides);
    tagged.set(name, { family: stats.variant(family, plan.names), plan });
  }
  return tagged;
}

function same(pair: Pair, cluster: string | null, peer: NodeFacts | null): boolean {
  return pair.cluster === cluster && pair.peer === peer;
}

const grpcStatuses = new Map(Array.from({ length: 17 }, (_, status) => [String(status), status]));

/** Status, flags and gRPC status as one number; null when the backend made up a gRPC status: such outcomes are not worth remembering. */
function outcomeKey({ responseCode, responseFlags }: StreamInfo, grpc: string | null): number | null {
  // 17: gRPC without a status; 18: not gRPC.
  const status = grpc === null ? 18 : grpc === '' ? 17 : grpcStatuses.get(grpc);
  return status === undefined ? null : (responseCode + responseFlags * 1000) * 32 + status;
}

function grpcStatusOf(info: StreamInfo): string {
  const trailers = info.responseTrailers;
  if (trailers !== null) for (let i = 0; i < trailers.length; i += 2) if (trailers[i] === 'grpc-status') return trailers[i + 1] ?? '';
  return info.response?.headers.get('grpc-status') ?? '';
}
