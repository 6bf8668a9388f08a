import { err, ok, type Result } from '@meltemi/base';
import { FilterConfig } from '@meltemi/api/gen/envoy/extensions/filters/http/grpc_stats/v3/config.ts';
import { grpcStatus, type RequestHead } from '@meltemi/http';
import { oneof, use, warn, type FieldTable } from '@meltemi/route';
import type { ParseContext } from '@meltemi/snapshot';
import { FilterEvents, FilterStatus, HttpStreamFilter, type FilterContext, type HttpFilterFactory, type StreamControls } from '../../../filter.ts';
import { checkSettings } from '../../check-settings.ts';
import { FrameCounter } from './frame-counter.ts';

/** Filter state key of a stream's GrpcMessages. Envoy's. */
export const grpcMessagesKey = 'envoy.filters.http.grpc_stats';

/** Messages of a stream so far; grows while it lives. */
export interface GrpcMessages {
  request_message_count: number;
  response_message_count: number;
}

/** What a grpc_stats config compiles to. */
export interface GrpcStatsConfig {
  /** "service/method" that have counters of their own; 'all', or none. */
  readonly methods: 'all' | ReadonlySet<string>;
  readonly replaceDots: boolean;
  /** Streams carry their counts in the filter state. */
  readonly emit: boolean;
}

/** Counts gRPC requests, their status and messages by cluster, and by method where asked. */
export const grpcStatsFilter: HttpFilterFactory = {
  name: 'envoy.filters.http.grpc_stats',
  typeUrls: ['type.googleapis.com/envoy.extensions.filters.http.grpc_stats.v3.FilterConfig'],
  stage: 'stats',
  trust: 'untrusted-downstream-and-upstream',
  parse,
  bind(config, ctx) {
    const own = config as GrpcStatsConfig;
    return {
      events: FilterEvents.decodeHead | FilterEvents.decodeData | FilterEvents.encodeData | FilterEvents.complete,
      create(stream) {
        const type = stream.request.headers.get('content-type');
        // In base64 there are no frames to count.
        return type !== null && type.startsWith('application/grpc') && !type.startsWith('application/grpc-web-text') ? new GrpcStatsStream(own, ctx) : null;
      },
    };
  },
};

const settings: FieldTable<FilterConfig> = {
  emitFilterState: use,
  perMethodStatSpecifier: oneof({ individualMethodStatsAllowlist: use, statsForAllMethods: use }),
  enableUpstreamStats: warn('there is no histogram of upstream times by gRPC method'),
  replaceDotsInGrpcServiceName: use,
};

function parse(bytes: Uint8Array, ctx: ParseContext): Result<GrpcStatsConfig> {
  const message = FilterConfig.decode(bytes);
  const errors = checkSettings(message, settings, ctx);
  if (errors.length > 0) return err(errors);
  const which = message.perMethodStatSpecifier;
  const listed = which?.$case === 'individualMethodStatsAllowlist' ? which.value.services : [];
  const all = which?.$case === 'statsForAllMethods' && which.value === true;
  return ok({ methods: all ? 'all' : new Set(listed.flatMap(({ name, methodNames }) => methodNames.map((method) => `${name}/${method}`))), replaceDots: message.replaceDotsInGrpcServiceName, emit: message.emitFilterState });
}

/** @hot */
class GrpcStatsStream extends HttpStreamFilter {
  readonly #config: GrpcStatsConfig;
  readonly #ctx: FilterContext;
  #path = '';
  readonly #requests = new FrameCounter();
  readonly #responses = new FrameCounter();
  readonly #counts: GrpcMessages = { request_message_count: 0, response_message_count: 0 };

  constructor(config: GrpcStatsConfig, ctx: FilterContext) {
    super();
    this.#config = config;
    this.#ctx = ctx;
  }

  override decodeHead(stream: StreamControls, head: RequestHead): number {
    if (this.#config.emit) stream.info.setFilterState(grpcMessagesKey, this.#counts);
    // The router may rewrite it.
    this.#path = head.path;
    return FilterStatus.continue;
  }

  override decodeData(_stream: StreamControls, buffer: Buffer, start: number, end: number): void {
    this.#counts.request_message_count += this.#requests.count(buffer, start, end);
  }

  override encodeData(_stream: StreamControls, buffer: Buffer, start: number, end: number): void {
    this.#counts.response_message_count += this.#responses.count(buffer, start, end);
  }

  override complete(stream: StreamControls): void {
    const { info } = stream;
    if (info.upstreamCluster === null) return;
    const { stats } = this.#ctx;
    const prefix = `cluster.${info.upstreamCluster}.grpc.${this.#method()}`;
    const status = grpcStatus(info);
    stats.counter(`${prefix}total`).inc();
    stats.counter(`${prefix}${status === 0 ? 'success' : 'failure'}`).inc();
    // Others are made up by the upstream: counters for all of them would be without end.
    if (status !== null && status <= 16) stats.counter(`${prefix}${status}`).inc();
    const { request_message_count: sent, response_message_count: received } = this.#counts;
    if (sent > 0) stats.counter(`${prefix}request_message_count`).inc(sent);
    if (received > 0) stats.counter(`${prefix}response_message_count`).inc(received);
  }

  /** "service.method." when it is counted by itself, else "". */
  #method(): string {
    const { methods, replaceDots } = this.#config;
    const found = /^\/([^/?]{1,200})\/([^/?]{1,200})$/.exec(this.#path);
    if (found === null) return '';
    const [, service = '', method = ''] = found;
    if (methods !== 'all' && !methods.has(`${service}/${method}`)) return '';
    return `${replaceDots ? service.replaceAll('.', '_') : service}.${method}.`;
  }
}
