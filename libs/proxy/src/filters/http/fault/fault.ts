import { ResponseFlag, type HeaderMap, type RequestHead } from '@meltemi/http';
import { DataStatus, FilterEvents, FilterStatus, HttpStreamFilter, type HttpFilterFactory, type StreamControls } from '../../../filter.ts';
import type { SharedRow } from '../../../shared-rows.ts';
import { abortFor, chosen, delayFor, limitFor, parseFault, type FaultConfig } from './fault-config.ts';
import { Throttle } from './throttle.ts';

/**
 * Delays and aborts requests and slows responses down, by percentage or as request headers ask. A route's config replaces the chain's.
 * max_active_faults counts, as in Envoy, all faults under one stat_prefix of connection managers in this process.
 */
export const faultFilter: HttpFilterFactory = {
  name: 'envoy.filters.http.fault',
  typeUrls: ['type.googleapis.com/envoy.extensions.filters.http.fault.v3.HTTPFault'],
  stage: 'traffic',
  trust: 'untrusted-downstream-and-upstream',
  parse: parseFault,
  parseRoute: parseFault,
  bind(config, ctx) {
    const base = config as FaultConfig;
    const prefix = `http.${ctx.hcm.statPrefix}.fault`;
    const shared: Shared = {
      active: ctx.stats.gauge(`${prefix}.active_faults`), row: null, hold: () => ctx.shared.rows.hold(`${prefix} active`), delays: ctx.stats.counter(`${prefix}.delays_injected`), aborts: ctx.stats.counter(`${prefix}.aborts_injected`),
      limits: ctx.stats.counter(`${prefix}.response_rl_injected`), overflow: ctx.stats.counter(`${prefix}.faults_overflow`),
    };
    return {
      events: FilterEvents.decodeHead | FilterEvents.encodeData | FilterEvents.encodeEnd | FilterEvents.destroy,
      create(stream) {
        const own = (stream.perRoute(ctx.filterName) as FaultConfig | null) ?? base;
        return own.delay === null && own.abort === null && own.rateLimit === null ? null : new FaultStream(own, shared);
      },
      release: () => shared.row?.release(),
    };
  },
};

interface Shared {
  readonly active: { inc(): void; dec(): void };
  /** Resource 0: active faults. Null until the first one: most chains never have any. */
  row: SharedRow | null;
  hold(): SharedRow;
  readonly delays: { inc(): void };
  readonly aborts: { inc(): void };
  readonly limits: { inc(): void };
  readonly overflow: { inc(): void };
}

class FaultStream extends HttpStreamFilter {
  readonly #config: FaultConfig;
  readonly #shared: Shared;
  #active = false;
  #cancel: (() => void) | null = null;
  #throttle: Throttle | null = null;

  constructor(config: FaultConfig, shared: Shared) {
    super();
    this.#config = config;
    this.#shared = shared;
  }

  override decodeHead(stream: StreamControls, head: RequestHead): number {
    if (!this.#applies(stream, head)) return FilterStatus.continue;
    this.#limitResponse(stream, head);
    if (this.#delay(stream, head)) return FilterStatus.stopIteration;
    return this.#abort(stream, head) ? FilterStatus.stopIteration : FilterStatus.continue;
  }

  override encodeData(stream: StreamControls, buffer: Buffer, start: number, end: number): number {
    if (this.#throttle === null) return DataStatus.continue;
    this.#throttle.data(stream, buffer, start, end);
    return DataStatus.taken;
  }

  override encodeEnd(stream: StreamControls, trailers: HeaderMap | null): number {
    if (this.#throttle === null) return DataStatus.continue;
    this.#throttle.end(stream, trailers);
    return DataStatus.taken;
  }

  override destroy(): void {
    this.#cancel?.();
    this.#cancel = null;
    this.#throttle?.destroy();
    if (!this.#active) return;
    this.#active = false;
    this.#shared.row?.take(0, -1);
    this.#shared.active.dec();
  }

  #applies(stream: StreamControls, head: RequestHead): boolean {
    const { headers, downstreamNodes, upstreamCluster } = this.#config;
    if (downstreamNodes.length > 0 && !downstreamNodes.includes(head.headers.get('x-envoy-downstream-service-node') ?? '')) return false;
    if (upstreamCluster !== '') {
      const action = stream.route()?.action;
      if (action?.kind !== 'forward' || action.cluster !== upstreamCluster) return false;
    }
    return headers.every((match) => match.matches(head));
  }

  #limitResponse(stream: StreamControls, head: RequestHead): void {
    const { rateLimit } = this.#config;
    const kib = rateLimit === null || !chosen(rateLimit, 'x-envoy-fault-throughput-response-percentage', head, stream.random.next()) ? null : limitFor(rateLimit, head);
    if (kib === null || !this.#enter()) return;
    this.#shared.limits.inc();
    this.#throttle = new Throttle(this, kib);
  }

  #delay(stream: StreamControls, head: RequestHead): boolean {
    const { delay } = this.#config;
    const ms = delay === null || !chosen(delay, 'x-envoy-fault-delay-request-percentage', head, stream.random.next()) ? null : delayFor(delay, head);
    if (ms === null || !this.#enter()) return false;
    stream.info.responseFlags |= ResponseFlag.DI;
    this.#shared.delays.inc();
    this.#cancel = stream.clock.after(ms, () => {
      this.#cancel = null;
      if (!this.#abort(stream, head)) stream.continueRequest();
    });
    return true;
  }

  #abort(stream: StreamControls, head: RequestHead): boolean {
    const { abort } = this.#config;
    const status = abort === null || !chosen(abort, 'x-envoy-fault-abort-request-percentage', head, stream.random.next()) ? null : abortFor(abort, head);
    if (status === null || !this.#enter()) return false;
    this.#shared.aborts.inc();
    const grpc = status.grpcStatus === null ? {} : { grpcStatus: status.grpcStatus };
    stream.sendLocalReply({ status: status.status, body: 'fault filter abort', details: 'fault_filter_abort', flags: ResponseFlag.FI, ...grpc });
    return true;
  }

  #enter(): boolean {
    if (this.#active) return true;
    const row = (this.#shared.row ??= this.#shared.hold());
    if (row.used(0) >= this.#config.maxActive) {
      this.#shared.overflow.inc();
      return false;
    }
    this.#active = true;
    row.take(0, 1);
    this.#shared.active.inc();
    return true;
  }
}
