import { ResponseFlag, type RequestHead, type ResponseHead } from '@meltemi/http';
import type { Counter } from '@meltemi/observe';
import { FilterEvents, FilterStatus, HttpStreamFilter, type FilterContext, type HttpFilterFactory, type StreamControls } from '../../../filter.ts';
import { sendAsync, type AsyncCall } from '../../../http/async-request.ts';
import { callGrpc } from '../../../http/grpc-call.ts';
import { metadataOf } from '../../../http/grpc-service.ts';
import { encodeCheck, type ShownBody } from './check-request.ts';
import { decodeVerdict } from './grpc-verdict.ts';
import { httpVerdict, questionHead } from './http-service.ts';
import { applyToRequest, applyToResponse, validVerdict } from './mutations.ts';
import { parseExtAuthz, parseExtAuthzRoute, type BodyRules, type ExtAuthzConfig, type ExtAuthzRoute } from './settings.ts';
import { failed, type Allowed, type Denied, type HeaderChange, type Verdict } from './verdict.ts';

/** Asks a service, over gRPC or HTTP, whether a request may pass. */
export const extAuthzFilter: HttpFilterFactory = {
  name: 'envoy.filters.http.ext_authz',
  typeUrls: ['type.googleapis.com/envoy.extensions.filters.http.ext_authz.v3.ExtAuthz'],
  routeTypeUrls: ['type.googleapis.com/envoy.extensions.filters.http.ext_authz.v3.ExtAuthzPerRoute'],
  stage: 'auth',
  trust: 'untrusted-downstream-and-upstream',
  parse: parseExtAuthz,
  parseRoute: parseExtAuthzRoute,
  bind(config, ctx) {
    const shared = bindShared(config as ExtAuthzConfig, ctx);
    const events = FilterEvents.decodeHead | FilterEvents.decodeData | FilterEvents.decodeEnd | FilterEvents.encodeHead | FilterEvents.destroy;
    return { events, create: () => new ExtAuthzStream(shared) };
  },
};

type CounterName = 'ok' | 'denied' | 'error' | 'disabled' | 'failure_mode_allowed' | 'invalid' | 'ignored_dynamic_metadata';

interface Shared {
  readonly config: ExtAuthzConfig;
  readonly filterName: string;
  readonly counters: Readonly<Record<CounterName, Counter>>;
  /** Under the cluster of the request's route. */
  clusterCounter(cluster: string, name: CounterName): Counter;
}

function bindShared(config: ExtAuthzConfig, ctx: FilterContext): Shared {
  const own = config.statPrefix === '' ? 'ext_authz' : `ext_authz.${config.statPrefix}`;
  const counter = (name: CounterName) => ctx.stats.counter(`http.${ctx.hcm.statPrefix}.${own}.${name}`);
  return {
    config, filterName: ctx.filterName,
    counters: { ok: counter('ok'), denied: counter('denied'), error: counter('error'), disabled: counter('disabled'), failure_mode_allowed: counter('failure_mode_allowed'), invalid: counter('invalid'), ignored_dynamic_metadata: counter('ignored_dynamic_metadata') },
    clusterCounter: (cluster, name) => ctx.stats.counter(`cluster.${cluster}.${own}.${name}`),
  };
}

const metadataNamespace = 'envoy.filters.http.ext_authz';
const checkMethod = '/envoy.service.auth.v3.Authorization/Check';
/** Of a service's answer. */
const maxAnswerBytes = 1024 * 1024;
/** What may have been read of a body beyond the part that is shown, before reading stops. */
const readAheadBytes = 128 * 1024;

class ExtAuthzStream extends HttpStreamFilter {
  readonly #shared: Shared;
  /** Gathering the body first. */
  #gathering: BodyRules | null = null;
  #limitBefore = 0;
  #holding = false;
  #call: AsyncCall | null = null;
  #startedMs = 0;
  #response: readonly HeaderChange[] = [];

  constructor(shared: Shared) {
    super();
    this.#shared = shared;
  }

  override decodeHead(stream: StreamControls, head: RequestHead, endStream: boolean): number {
    const { config, filterName } = this.#shared;
    // Without a route the router answers.
    if (stream.route() === null) return FilterStatus.continue;
    const route = stream.perRoute(filterName) as ExtAuthzRoute | null;
    if (route?.kind === 'disabled') return FilterStatus.continue;
    if (!config.enabled.hit(stream.random.next()) || config.enabledMetadata?.matches(stream.info.dynamicMetadata) === false) return this.#disabled(stream);
    const rules = endStream || head.headers.has('upgrade') || head.method === 'CONNECT' || route?.noBody === true ? null : (route?.body ?? config.body);
    if (rules === null) {
      this.#ask(stream, null);
      return FilterStatus.stopIteration;
    }
    this.#gathering = rules;
    this.#limitBefore = stream.requestBufferLimit;
    stream.requestBufferLimit = rules.partial ? Math.max(stream.requestBufferLimit, rules.maxBytes + readAheadBytes) : rules.maxBytes;
    return FilterStatus.stopAndBuffer;
  }

  override decodeData(stream: StreamControls): void {
    const rules = this.#gathering;
    if (rules === null || !rules.partial || (stream.heldRequest?.bytes ?? 0) < rules.maxBytes) return;
    this.#gathering = null;
    this.#holding = true;
    stream.holdRequestBody();
    this.#askAbout(stream, rules, true);
  }

  override decodeEnd(stream: StreamControls): void {
    const rules = this.#gathering;
    if (rules === null) return;
    this.#gathering = null;
    this.#askAbout(stream, rules, false);
  }

  override encodeHead(_stream: StreamControls, head: ResponseHead): number {
    if (this.#response.length > 0) applyToResponse(this.#response, head.headers);
    return FilterStatus.continue;
  }

  override destroy(): void {
    this.#call?.cancel();
    this.#call = null;
  }

  #disabled(stream: StreamControls): number {
    const { config, counters } = this.#shared;
    counters.disabled.inc();
    if (!config.denyAtDisable) return FilterStatus.continue;
    stream.sendLocalReply({ status: config.statusOnError, body: '', details: 'ext_authz_error', flags: ResponseFlag.UAEX });
    return FilterStatus.stopIteration;
  }

  #askAbout(stream: StreamControls, { maxBytes }: BodyRules, more: boolean): void {
    const bytes = Buffer.concat(stream.heldRequest?.parts ?? []);
    this.#ask(stream, { bytes: bytes.subarray(0, maxBytes), partial: more || bytes.length > maxBytes });
  }

  #ask(stream: StreamControls, body: ShownBody | null): void {
    const { service, allowed, disallowed } = this.#shared.config;
    this.#startedMs = stream.clock.monotonic();
    if (service.kind === 'http') {
      const head = questionHead(service.target, { request: stream.request, info: stream.info, body, allowed, disallowed });
      const { cluster, timeoutMs } = service.target;
      this.#call = sendAsync({ cluster, head, body: body?.bytes ?? Buffer.alloc(0), timeoutMs, maxBytes: maxAnswerBytes, repeatable: true }, stream, (result) => this.#answered(stream, result.ok ? httpVerdict(service.target, result.value) : failed));
      return;
    }
    const { cluster, authority, timeoutMs, maxBytes } = service.target;
    const message = encodeCheck(this.#shared.config, stream, this.#extensions(stream), body);
    const call = { cluster, authority, path: checkMethod, message, metadata: metadataOf(service.target, stream.info), timeoutMs, maxBytes: maxBytes ?? maxAnswerBytes, repeatable: true };
    this.#call = callGrpc(call, stream, (result) => this.#answered(stream, result.ok ? decodeVerdict(result.value) : failed));
  }

  /** Those of all levels, the nearest first. */
  #extensions(stream: StreamControls): Readonly<Record<string, string>> {
    const levels = (stream.route()?.perFilter.get(this.#shared.filterName)?.levels ?? []) as readonly ExtAuthzRoute[];
    const found = levels.map((level) => (level.kind === 'check' ? level.extensions : {}));
    return found.length === 1 ? (found[0] ?? {}) : Object.assign({}, ...found.toReversed()) as Record<string, string>;
  }

  #answered(stream: StreamControls, verdict: Verdict): void {
    this.#call = null;
    const { config } = this.#shared;
    if (config.validateMutations && !validVerdict(verdict)) {
      this.#count(stream, 'invalid');
      return stream.sendLocalReply({ status: 500, body: '', details: 'ext_authz_invalid', flags: ResponseFlag.UAEX });
    }
    if (verdict.kind !== 'error' && verdict.metadata !== null) this.#tell(stream, verdict, verdict.metadata);
    if (verdict.kind === 'ok') return this.#allow(stream, verdict);
    if (verdict.kind === 'denied') return this.#deny(stream, verdict);
    this.#count(stream, 'error');
    if (!config.failureModeAllow) return stream.sendLocalReply({ status: config.statusOnError, body: '', details: 'ext_authz_error', flags: ResponseFlag.UAEX });
    this.#count(stream, 'failure_mode_allowed');
    if (config.failureModeHeader) stream.request.headers.set('x-envoy-auth-failure-mode-allowed', 'true');
    return this.#goOn(stream);
  }

  #tell({ info, clock }: StreamControls, { kind }: Verdict, metadata: Readonly<Record<string, unknown>>): void {
    if (!this.#shared.config.takeMetadata) return this.#shared.counters.ignored_dynamic_metadata.inc();
    for (const [key, value] of Object.entries(metadata)) info.setMetadata(metadataNamespace, key, value);
    if (kind === 'ok') info.setMetadata(metadataNamespace, 'ext_authz_duration', Math.floor(clock.monotonic() - this.#startedMs));
    return undefined;
  }

  #allow(stream: StreamControls, verdict: Allowed): void {
    this.#count(stream, 'ok');
    const changed = applyToRequest(verdict, stream.request);
    if (changed && this.#shared.config.clearRoute) stream.clearRoute();
    this.#response = verdict.response;
    this.#goOn(stream);
  }

  #deny(stream: StreamControls, { status, body, headers }: Denied): void {
    this.#count(stream, 'denied');
    const written = headers.filter(([name, value]) => validVerdict({ kind: 'denied', status, body, headers: [[name, value]], metadata: null }) && !name.startsWith(':'));
    stream.sendLocalReply({ status, body, headers: written, details: 'ext_authz_denied', flags: ResponseFlag.UAEX });
  }

  #goOn(stream: StreamControls): void {
    if (this.#limitBefore > 0) stream.requestBufferLimit = Math.max(this.#limitBefore, stream.heldRequest?.bytes ?? 0);
    stream.continueRequest();
    if (this.#holding) stream.releaseRequestBody();
    this.#holding = false;
  }

  #count({ info }: StreamControls, name: CounterName): void {
    this.#shared.counters[name].inc();
    if (info.upstreamCluster !== null) this.#shared.clusterCounter(info.upstreamCluster, name).inc();
  }
}
