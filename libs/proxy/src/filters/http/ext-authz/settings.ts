import { ExtAuthz, ExtAuthzPerRoute, type BufferSettings } from '@meltemi/api/gen/envoy/extensions/filters/http/ext_authz/v3/ext_authz.ts';
import { err, fail, ok, type FieldError, type Result } from '@meltemi/base';
import { always, compileFraction, compileMetadataMatcher, type Fraction, type MetadataMatch, type StringMatch } from '@meltemi/match';
import { refuse, use, warn, type FieldTable } from '@meltemi/route';
import type { ParseContext } from '@meltemi/snapshot';
import { compileGrpcService, type GrpcTarget } from '../../../http/grpc-service.ts';
import { checkSettings } from '../../check-settings.ts';
import { compileNames } from './field-lists.ts';
import { compileHttpService, type HttpTarget } from './http-service.ts';

/** How much of the body the service sees. */
export interface BodyRules {
  readonly maxBytes: number;
  /** Ask when that much is there; else a longer body is refused. */
  readonly partial: boolean;
}

/** What an ext_authz config compiles to. */
export interface ExtAuthzConfig {
  readonly service: { readonly kind: 'grpc'; readonly target: GrpcTarget } | { readonly kind: 'http'; readonly target: HttpTarget };
  readonly statPrefix: string;
  readonly failureModeAllow: boolean;
  readonly failureModeHeader: boolean;
  readonly statusOnError: number;
  readonly body: BodyRules | null;
  readonly packAsBytes: boolean;
  readonly clearRoute: boolean;
  readonly validateMutations: boolean;
  readonly metadataNamespaces: readonly string[];
  readonly routeMetadataNamespaces: readonly string[];
  readonly enabled: Fraction;
  readonly enabledMetadata: MetadataMatch | null;
  readonly denyAtDisable: boolean;
  readonly includePeerCertificate: boolean;
  readonly includeTlsSession: boolean;
  readonly rawHeaders: boolean;
  readonly takeMetadata: boolean;
  /** Fields that the service is shown; null = all to a gRPC service, what its own list says to an HTTP one. */
  readonly allowed: readonly StringMatch[] | null;
  readonly disallowed: readonly StringMatch[];
}

/** What a route says. */
export type ExtAuthzRoute = { readonly kind: 'disabled' } | { readonly kind: 'check'; readonly extensions: Readonly<Record<string, string>>; readonly noBody: boolean; readonly body: BodyRules | null };

/** As in Envoy. */
const defaultTimeoutMs = 200;
const noTypedMetadata = warn('there is no typed metadata here to send');

const fields: FieldTable<ExtAuthz> = {
  services: { kind: 'oneof', cases: { grpcService: use, httpService: use } },
  transportApiVersion: refuse('only V3 is spoken', (value) => value === 2),
  failureModeAllow: use, failureModeAllowHeaderAdd: use, withRequestBody: use, clearRouteCache: use, statusOnError: use, validateMutations: use,
  metadataContextNamespaces: use, routeMetadataContextNamespaces: use, typedMetadataContextNamespaces: noTypedMetadata, routeTypedMetadataContextNamespaces: noTypedMetadata,
  filterEnabled: use, filterEnabledMetadata: use, denyAtDisable: use, includePeerCertificate: use, statPrefix: use, allowedHeaders: use, disallowedHeaders: use, includeTlsSession: use, encodeRawHeaders: use,
  enableDynamicMetadataIngestion: use,
  bootstrapMetadataLabelsKey: refuse('labels of the destination are not sent'),
  chargeClusterResponseStats: warn('denials are counted by the connection manager, not by the cluster'),
  decoderHeaderMutationRules: refuse('rules for header changes are not supported: fields that frame a message are never changed'),
};

export function parseExtAuthz(bytes: Uint8Array, ctx: ParseContext): Result<ExtAuthzConfig> {
  const message = ExtAuthz.decode(bytes);
  const { path } = ctx;
  const errors: FieldError[] = checkSettings(message, fields, ctx);
  const take = <T>(result: Result<T>): T | null => (result.ok ? result.value : (errors.push(...result.error), null));
  const service = take(compileService(message, ctx));
  const body = message.withRequestBody === undefined ? null : take(compileBody(message.withRequestBody, `${path}.with_request_body`));
  const enabledMetadata = message.filterEnabledMetadata === undefined ? null : take(compileMetadataMatcher(message.filterEnabledMetadata, `${path}.filter_enabled_metadata`));
  const allowed = message.allowedHeaders === undefined ? null : take(compileNames(message.allowedHeaders, `${path}.allowed_headers`));
  const disallowed = take(compileNames(message.disallowedHeaders, `${path}.disallowed_headers`)) ?? [];
  const statusOnError: number = message.statusOnError?.code ?? 0;
  if (message.statusOnError !== undefined && (statusOnError < 200 || statusOnError > 599)) errors.push({ path: `${path}.status_on_error`, message: 'must be an HTTP status from 200 to 599' });
  if (errors.length > 0 || service === null) return err(errors);
  return ok({
    service, statPrefix: message.statPrefix, failureModeAllow: message.failureModeAllow, failureModeHeader: message.failureModeAllowHeaderAdd, statusOnError: statusOnError || 403,
    body, packAsBytes: message.withRequestBody?.packAsBytes ?? false, clearRoute: message.clearRouteCache, validateMutations: message.validateMutations,
    metadataNamespaces: message.metadataContextNamespaces, routeMetadataNamespaces: message.routeMetadataContextNamespaces,
    enabled: compileFraction(message.filterEnabled?.defaultValue, always), enabledMetadata, denyAtDisable: message.denyAtDisable?.defaultValue ?? false,
    includePeerCertificate: message.includePeerCertificate, includeTlsSession: message.includeTlsSession, rawHeaders: message.encodeRawHeaders,
    takeMetadata: message.enableDynamicMetadataIngestion ?? true, allowed, disallowed,
  });
}

function compileService({ services }: ExtAuthz, ctx: ParseContext): Result<ExtAuthzConfig['service']> {
  switch (services?.$case) {
    case 'grpcService': {
      const target = compileGrpcService(services.value, defaultTimeoutMs, { path: `${ctx.path}.grpc_service`, warn: (at, reason) => ctx.warn(at, reason) });
      return target.ok ? ok({ kind: 'grpc', target: target.value }) : target;
    }
    case 'httpService': {
      const target = compileHttpService(services.value, defaultTimeoutMs, `${ctx.path}.http_service`);
      return target.ok ? ok({ kind: 'http', target: target.value }) : target;
    }
    case undefined:
      return fail(ctx.path, 'needs grpc_service or http_service');
  }
}

function compileBody({ maxRequestBytes, allowPartialMessage }: BufferSettings, path: string): Result<BodyRules> {
  return maxRequestBytes === 0 ? fail(`${path}.max_request_bytes`, 'must be greater than 0') : ok({ maxBytes: maxRequestBytes, partial: allowPartialMessage });
}

export function parseExtAuthzRoute(bytes: Uint8Array, { path }: ParseContext): Result<ExtAuthzRoute> {
  const { override } = ExtAuthzPerRoute.decode(bytes);
  if (override?.$case === 'disabled') return override.value ? ok({ kind: 'disabled' }) : fail(`${path}.disabled`, 'must be true: leave the settings out instead');
  const { contextExtensions = {}, disableRequestBodyBuffering = false, withRequestBody } = override?.value ?? {};
  if (withRequestBody === undefined) return ok({ kind: 'check', extensions: contextExtensions, noBody: disableRequestBodyBuffering, body: null });
  const at = `${path}.check_settings.with_request_body`;
  if (disableRequestBodyBuffering) return fail(at, 'and disable_request_body_buffering exclude each other');
  const body = compileBody(withRequestBody, at);
  return body.ok ? ok({ kind: 'check', extensions: contextExtensions, noBody: false, body: body.value }) : body;
}
