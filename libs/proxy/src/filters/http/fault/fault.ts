import { err, ok, type Result } from '@meltemi/base';
import { HTTPFault } from '@meltemi/api/gen/envoy/extensions/filters/http/fault/v3/fault.ts';
import { ResponseFlag, type RequestHead } from '@meltemi/http';
import { compileFraction, compileHeaderMatchers, never, type Fraction, type HeaderMatch } from '@meltemi/match';
import { durationMs, refuse, use, warn, type FieldTable } from '@meltemi/route';
import type { ParseContext } from '@meltemi/snapshot';
import { FilterEvents, FilterStatus, HttpStreamFilter, type HttpFilterFactory, type StreamControls } from '../../../filter.ts';
import { checkSettings } from '../../check-settings.ts';

/** What a fault config compiles to. */
export interface FaultConfig {
  readonly delay: { readonly ms: number; readonly fraction: Fraction } | null;
  readonly abort: { readonly status: number; readonly grpcStatus: number | null; readonly fraction: Fraction } | null;
  /** All must match. */
  readonly headers: readonly HeaderMatch[];
  /** Node ids of callers, from x-envoy-downstream-service-node; empty = all. */
  readonly downstreamNodes: readonly string[];
  /** Only requests to this cluster; "" = all. */
  readonly upstreamCluster: string;
  readonly maxActive: number;
}

/** Delays and aborts requests by percentage. A route's config replaces the chain's. */
export const faultFilter: HttpFilterFactory = {
  name: 'envoy.filters.http.fault',
  typeUrls: ['type.googleapis.com/envoy.extensions.filters.http.fault.v3.HTTPFault'],
  stage: 'traffic',
  trust: 'untrusted-downstream-and-upstream',
  parse,
  parseRoute: parse,
  bind(config, ctx) {
    const base = config as FaultConfig;
    const shared: Shared = { active: 0, delays: ctx.stats.counter(`http.${ctx.hcm.statPrefix}.fault.delays_injected`), aborts: ctx.stats.counter(`http.${ctx.hcm.statPrefix}.fault.aborts_injected`) };
    return {
      events: FilterEvents.decodeHead | FilterEvents.destroy,
      create(stream) {
        const chosen = (stream.perRoute(ctx.filterName) as FaultConfig | null) ?? base;
        return chosen.delay === null && chosen.abort === null ? null : new FaultStream(chosen, shared);
      },
    };
  },
};

interface Shared {
  active: number;
  readonly delays: { inc(): void };
  readonly aborts: { inc(): void };
}

const runtime = warn('there is no runtime to override settings from');

const settings: FieldTable<HTTPFault> = {
  delay: use, abort: use, upstreamCluster: use, headers: use, downstreamNodes: use, maxActiveFaults: use,
  responseRateLimit: refuse('limiting the response rate is not supported: remove it'),
  delayPercentRuntime: runtime, abortPercentRuntime: runtime, delayDurationRuntime: runtime, abortHttpStatusRuntime: runtime, maxActiveFaultsRuntime: runtime,
  responseRateLimitPercentRuntime: runtime, abortGrpcStatusRuntime: runtime,
  disableDownstreamClusterStats: warn('statistics by downstream cluster are never kept'),
  filterMetadata: warn('is not added to the metadata of faulted requests'),
};

function parse(bytes: Uint8Array, ctx: ParseContext): Result<FaultConfig> {
  const message = HTTPFault.decode(bytes);
  const errors = checkSettings(message, settings, ctx);
  if (errors.length > 0) return err(errors);
  const headers = compileHeaderMatchers(message.headers, `${ctx.path}.headers`);
  if (!headers.ok) return headers;
  const delay = message.delay?.faultDelaySecifier;
  if (delay?.$case === 'headerDelay') return unsupported(`${ctx.path}.delay.header_delay`);
  const abort = message.abort?.errorType;
  if (abort?.$case === 'headerAbort') return unsupported(`${ctx.path}.abort.header_abort`);
  const abortFraction = compileFraction(message.abort?.percentage, never);
  return ok({
    delay: delay === undefined ? null : { ms: durationMs(delay.value, 0), fraction: compileFraction(message.delay?.percentage, never) },
    abort: abort === undefined ? null : abort.$case === 'grpcStatus' ? { status: 200, grpcStatus: abort.value, fraction: abortFraction } : { status: abort.value, grpcStatus: null, fraction: abortFraction },
    headers: headers.value,
    downstreamNodes: message.downstreamNodes,
    upstreamCluster: message.upstreamCluster,
    maxActive: message.maxActiveFaults ?? Number.MAX_SAFE_INTEGER,
  });
}

function unsupported(path: string): Result<never> {
  return { ok: false, error: [{ path, message: 'faults that clients ask for by header are not supported: set a fixed one' }] };
}

class FaultStream extends HttpStreamFilter {
  readonly #config: FaultConfig;
  readonly #shared: Shared;
  #active = false;
  #cancel: (() => void) | null = null;

  constructor(config: FaultConfig, shared: Shared) {
    super();
    this.#config = config;
    this.#shared = shared;
  }

  override decodeHead(stream: StreamControls, head: RequestHead): number {
    if (!this.#applies(stream, head)) return FilterStatus.continue;
    const { delay } = this.#config;
    if (delay !== null && delay.ms > 0 && delay.fraction.hit(stream.random.next()) && this.#enter()) {
      stream.info.responseFlags |= ResponseFlag.DI;
      this.#shared.delays.inc();
      this.#cancel = stream.clock.after(delay.ms, () => {
        this.#cancel = null;
        if (!this.#abort(stream)) stream.continueRequest();
      });
      return FilterStatus.stopIteration;
    }
    return this.#abort(stream) ? FilterStatus.stopIteration : FilterStatus.continue;
  }

  override destroy(): void {
    this.#cancel?.();
    this.#cancel = null;
    if (this.#active) this.#shared.active--;
    this.#active = false;
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

  #abort(stream: StreamControls): boolean {
    const { abort } = this.#config;
    if (abort === null || !abort.fraction.hit(stream.random.next()) || !this.#enter()) return false;
    this.#shared.aborts.inc();
    const grpc = abort.grpcStatus === null ? {} : { grpcStatus: abort.grpcStatus };
    stream.sendLocalReply({ status: abort.status, body: 'fault filter abort', details: 'fault_filter_abort', flags: ResponseFlag.FI, ...grpc });
    return true;
  }

  #enter(): boolean {
    if (this.#active) return true;
    if (this.#shared.active >= this.#config.maxActive) return false;
    this.#active = true;
    this.#shared.active++;
    return true;
  }
}

