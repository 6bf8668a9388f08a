import type { RequestHead, StreamInfo } from '@meltemi/http';
import type { Counter, FlatStats } from '@meltemi/observe';
import type { RouteMatch } from '@meltemi/route';
import type { HcmConfig, TracingConfig } from '@meltemi/snapshot';
import type { AsyncPort } from '../http/async-request.ts';
import type { RequestIds } from '../http/request-id.ts';
import type { NodeFacts } from '../node.ts';
import { otlpSender } from './otlp.ts';
import { b3, w3c, type Propagation } from './propagation.ts';
import type { TracerProvider } from './providers.ts';
import { decideTrace, type TraceReason } from './sampling.ts';
import { Span, type TraceContext } from './span.ts';
import { exporterStats, SpanExporter } from './span-exporter.ts';
import { StreamTrace } from './stream-trace.ts';
import { zipkinSender } from './zipkin.ts';

export interface TracerParts extends AsyncPort {
  readonly stats: FlatStats;
  readonly node: NodeFacts;
  readonly requestIds: RequestIds;
  readonly direction: 'unspecified' | 'inbound' | 'outbound';
  /** Variables of the process, for tags and resources. */
  readonly environment?: (name: string) => string | undefined;
  /** Told of each exporter, so that the end of the process can wait for it. */
  readonly onExporter?: (exporter: Pick<SpanExporter, 'finished'>) => void;
}

/** What a stream tells when its trace begins. */
export interface TracedRequest {
  readonly head: RequestHead;
  readonly info: StreamInfo;
  readonly route: RouteMatch | null;
}

/** Traces the requests of one connection manager. */
export class HttpTracer {
  readonly config: TracingConfig;
  readonly parts: TracerParts;
  readonly environment: (name: string) => string | undefined;
  /** Requests leave a workload here: spans are a client's. */
  readonly egress: boolean;
  /** Attempts have spans of their own. */
  readonly split: boolean;
  readonly #hcm: HcmConfig;
  readonly #provider: TracerProvider | null;
  readonly #propagation: Propagation;
  readonly #exporter: SpanExporter | null;
  readonly #reasons: Readonly<Record<TraceReason, Counter>>;

  constructor(hcm: HcmConfig, config: TracingConfig, parts: TracerParts) {
    this.config = config;
    this.parts = parts;
    this.#hcm = hcm;
    this.environment = parts.environment ?? (() => undefined);
    this.egress = parts.direction === 'outbound';
    const provider = (config.provider?.config ?? null) as TracerProvider | null;
    this.#provider = provider;
    this.split = config.spawnUpstreamSpan || (provider?.kind === 'zipkin' && provider.split);
    this.#propagation = provider?.kind === 'zipkin' ? b3 : w3c;
    const send = provider === null ? null : provider.kind === 'zipkin' ? zipkinSender(provider, parts.node.cluster, parts) : otlpSender(provider, this.environment, parts);
    this.#exporter = send === null || provider === null ? null : new SpanExporter(send, parts, exporterStats(parts.stats, provider.kind));
    if (this.#exporter !== null) parts.onExporter?.(this.#exporter);
    const counter = (name: string) => parts.stats.counter(`http.${hcm.statPrefix}.tracing.${name}`);
    this.#reasons = { sampled: counter('random_sampling'), forced: counter('service_forced'), client: counter('client_enabled'), none: counter('not_traceable') };
  }

  /** Decides about a request and begins its span. The head has been made trustworthy before. */
  begin({ head, info, route }: TracedRequest): StreamTrace {
    const reason = this.#hcm.sampleByRequestId ? decideTrace(route?.tracing ?? this.config, this.#hcm.packTraceReason, { head, info, dice: this.parts.random.next() }) : 'sampled';
    this.#reasons[reason].inc();
    info.traceSampled = reason !== 'none';
    const span = this.#provider === null ? null : this.#start(this.#provider, head, info);
    if (span !== null) {
      info.traceId = span.traceId;
      info.spanId = span.spanId;
      span.tag('node_id', this.parts.node.id);
    }
    return new StreamTrace(this, span, { head, info, route });
  }

  /** A child of a stream's span, for an attempt to reach an upstream. */
  child(parent: Span, name: string, startUs: number): Span {
    return new Span({ traceId: parent.traceId, spanId: this.#id(), parentId: parent.spanId, sampled: parent.sampled, traceState: parent.traceState }, { name, kind: 'client', shared: false, startUs });
  }

  inject(head: RequestHead, span: Span): void {
    this.#propagation.inject(head.headers, span);
  }

  finish(span: Span, endUs: number, info: StreamInfo): void {
    if (span.sampled) this.#exporter?.add(span.record(endUs, info.connection.localAddress));
  }

  #start(provider: TracerProvider, head: RequestHead, info: StreamInfo): Span | null {
    const decided = (provider.kind === 'opentelemetry' && provider.alwaysOn) || info.traceSampled;
    const found = this.#propagation.extract(head.headers, decided);
    // As in Envoy: a context that cannot be read is passed on, and nothing is made of it.
    if (found === 'invalid') return null;
    const server = this.split || !this.egress;
    const fields = { name: this.#nameOf(provider, head), kind: server ? 'server' : 'client', startUs: Math.round(info.startTimeMs * 1000) } as const;
    if (found === null) return new Span(this.#root(provider, this.#propagation.sampled(head.headers) ?? decided), { ...fields, shared: false });
    const sampled = provider.kind === 'opentelemetry' && provider.alwaysOn ? true : found.sampled;
    if (server && provider.kind === 'zipkin' && provider.shared) return new Span({ ...found, sampled }, { ...fields, shared: true });
    return new Span({ ...found, sampled, spanId: this.#id(), parentId: found.spanId }, { ...fields, shared: false });
  }

  #root(provider: TracerProvider, sampled: boolean): TraceContext {
    const id = this.#id();
    // Zipkin's first span has the trace's number.
    const traceId = provider.kind === 'zipkin' ? (provider.traceId128 ? `${this.#id()}${id}` : id) : `${this.#id()}${this.#id()}`;
    return { traceId, spanId: provider.kind === 'zipkin' ? id : this.#id(), parentId: '', sampled, traceState: '' };
  }

  #nameOf(provider: TracerProvider, head: RequestHead): string {
    if (provider.kind === 'zipkin') return head.authority;
    return this.egress ? `egress ${head.authority}` : 'ingress';
  }

  #id(): string {
    return this.parts.requestIds.hex64();
  }
}
