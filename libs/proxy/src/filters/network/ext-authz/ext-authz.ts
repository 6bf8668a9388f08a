import { ExtAuthz } from '@meltemi/api/gen/envoy/extensions/filters/network/ext_authz/v3/ext_authz.ts';
import { err, ok, type FieldError, type Result } from '@meltemi/base';
import { ResponseFlag } from '@meltemi/http';
import { compileMetadataMatcher, type MetadataMatch } from '@meltemi/match';
import type { Counter, Gauge } from '@meltemi/observe';
import { refuse, use, type FieldTable } from '@meltemi/route';
import type { ParseContext } from '@meltemi/snapshot';
import { FilterStatus, NetworkStreamFilter, type ConnectionControls, type NetworkFilterContext, type NetworkFilterFactory } from '../../../filter.ts';
import type { AsyncCall } from '../../../http/async-request.ts';
import { callGrpc } from '../../../http/grpc-call.ts';
import { compileGrpcService, metadataOf, type GrpcTarget } from '../../../http/grpc-service.ts';
import { checkSettings } from '../../check-settings.ts';
import { encodeConnectionCheck } from '../../http/ext-authz/check-request.ts';
import { decodeVerdict } from '../../http/ext-authz/grpc-verdict.ts';

interface ExtAuthzConfig {
  readonly target: GrpcTarget;
  readonly statPrefix: string;
  readonly failureModeAllow: boolean;
  readonly includePeerCertificate: boolean;
  readonly includeTlsSession: boolean;
  /** Null asks about every connection. */
  readonly enabledMetadata: MetadataMatch | null;
}

/**
 * Asks a gRPC service whether a connection may pass. Deviation: when it opens, not at its first bytes as Envoy does: nothing of an upstream
 * that speaks first reaches a client that is not let in.
 */
export const networkExtAuthzFilter: NetworkFilterFactory = {
  name: 'envoy.filters.network.ext_authz',
  typeUrls: ['type.googleapis.com/envoy.extensions.filters.network.ext_authz.v3.ExtAuthz'],
  trust: 'untrusted-downstream-and-upstream',
  parse,
  bind(config, ctx) {
    const shared = new Shared(config as ExtAuthzConfig, ctx);
    return { create: () => new AskedConnection(shared) };
  },
};

const settings: FieldTable<ExtAuthz> = {
  statPrefix: use, grpcService: use, failureModeAllow: use, includePeerCertificate: use, includeTlsSession: use, filterEnabledMetadata: use,
  transportApiVersion: refuse('only V3 is spoken', (value) => value === 2),
  bootstrapMetadataLabelsKey: refuse('labels of the destination are not sent'),
};

/** As in Envoy. */
const defaultTimeoutMs = 200;
const checkMethod = '/envoy.service.auth.v3.Authorization/Check';
/** Of a service's answer. */
const maxAnswerBytes = 64 * 1024;

function parse(bytes: Uint8Array, ctx: ParseContext): Result<ExtAuthzConfig> {
  const message = ExtAuthz.decode(bytes);
  const errors: FieldError[] = checkSettings(message, settings, ctx);
  const target = compileGrpcService(message.grpcService, defaultTimeoutMs, { path: `${ctx.path}.grpc_service`, warn: (at, reason) => ctx.warn(at, reason) });
  const metadata = message.filterEnabledMetadata === undefined ? ok(null) : compileMetadataMatcher(message.filterEnabledMetadata, `${ctx.path}.filter_enabled_metadata`);
  for (const result of [target, metadata]) if (!result.ok) errors.push(...result.error);
  if (message.statPrefix === '') errors.push({ path: `${ctx.path}.stat_prefix`, message: 'is required' });
  if (errors.length > 0 || !target.ok || !metadata.ok) return err(errors);
  const { statPrefix, failureModeAllow, includePeerCertificate, includeTlsSession } = message;
  return ok({ target: target.value, statPrefix, failureModeAllow, includePeerCertificate, includeTlsSession, enabledMetadata: metadata.value });
}

class Shared {
  readonly config: ExtAuthzConfig;
  readonly ctx: NetworkFilterContext;
  readonly total: Counter;
  readonly ok: Counter;
  readonly denied: Counter;
  readonly error: Counter;
  readonly disabled: Counter;
  readonly failureModeAllowed: Counter;
  readonly closed: Counter;
  readonly active: Gauge;

  constructor(config: ExtAuthzConfig, ctx: NetworkFilterContext) {
    this.config = config;
    this.ctx = ctx;
    // A dot at the end, as Istio writes it, is not doubled.
    const prefix = `ext_authz.${config.statPrefix.replace(/\.$/, '')}`;
    const counter = (name: string) => ctx.stats.counter(`${prefix}.${name}`);
    this.total = counter('total');
    this.ok = counter('ok');
    this.denied = counter('denied');
    this.error = counter('error');
    this.disabled = counter('disabled');
    this.failureModeAllowed = counter('failure_mode_allowed');
    this.closed = counter('cx_closed');
    this.active = ctx.stats.gauge(`${prefix}.active`);
  }
}

class AskedConnection extends NetworkStreamFilter {
  readonly #shared: Shared;
  #call: AsyncCall | null = null;

  constructor(shared: Shared) {
    super();
    this.#shared = shared;
  }

  override onNewConnection(controls: ConnectionControls): number {
    const { config, ctx, disabled, total, active } = this.#shared;
    const { info } = controls;
    if (config.enabledMetadata?.matches(info.dynamicMetadata) === false) {
      disabled.inc();
      return FilterStatus.continue;
    }
    total.inc();
    active.inc();
    const { cluster, authority, timeoutMs, maxBytes } = config.target;
    const call = { cluster, authority, path: checkMethod, message: encodeConnectionCheck(info, config), metadata: metadataOf(config.target, info), timeoutMs, maxBytes: maxBytes ?? maxAnswerBytes, repeatable: true };
    this.#call = callGrpc(call, ctx, (result) => this.#answered(controls, result.ok ? decodeVerdict(result.value).kind : 'error'));
    return FilterStatus.stopIteration;
  }

  override onClose(): void {
    this.#call?.cancel();
    this.#settle();
  }

  #answered(controls: ConnectionControls, outcome: 'ok' | 'denied' | 'error'): void {
    const { config, closed, failureModeAllowed } = this.#shared;
    this.#settle();
    this.#shared[outcome].inc();
    if (outcome === 'error' && config.failureModeAllow) failureModeAllowed.inc();
    else if (outcome !== 'ok') {
      closed.inc();
      return controls.close(`ext_authz_${outcome}`, ResponseFlag.UAEX);
    }
    return controls.continueReading();
  }

  #settle(): void {
    if (this.#call !== null) this.#shared.active.dec();
    this.#call = null;
  }
}
