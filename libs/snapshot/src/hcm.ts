import {
  HttpConnectionManager, type HttpConnectionManager_Tracing,
} from '@meltemi/api/gen/envoy/extensions/filters/network/http_connection_manager/v3/http_connection_manager.ts';
import { UuidRequestIdConfig } from '@meltemi/api/gen/envoy/extensions/request_id/uuid/v3/uuid.ts';
import { always, compileCidrs, percentFraction } from '@meltemi/match';
import { checkFields, compileCustomTags, durationMs, type Report } from '@meltemi/route';
import { compileAccessLogs } from './access-log.ts';
import { compileConfigSource } from './config-source.ts';
import { decodeAt, parseExtension, type Context } from './context.ts';
import { compileHttpFilters } from './http-filters.ts';
import { compileHttp1, compileHttp2 } from './http-options.ts';
import { commonHttpFields, hcmFields } from './listener-tables.ts';
import { compileIpDetection } from './ip-detection.ts';
import type { HcmConfig, TracingConfig } from './listener-types.ts';
import { compileLocalReply } from './local-reply.ts';
import { compileInline, compileScopedRoutes } from './scoped-routes.ts';

export const hcmUrl = 'type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager';
const uuidUrl = 'type.googleapis.com/envoy.extensions.request_id.uuid.v3.UuidRequestIdConfig';
const hourMs = 3_600_000;

const serverHeaders = ['overwrite', 'append-if-absent', 'pass-through'] as const;
const clientCert = ['sanitize', 'forward-only', 'append-forward', 'sanitize-set', 'always-forward-only'] as const;
const underscores = ['allow', 'reject', 'drop'] as const;
/** IMPLEMENTATION_SPECIFIC_DEFAULT is KEEP_UNCHANGED, as in Envoy without its runtime override. */
const escapedSlashes = ['keep', 'keep', 'reject', 'unescape-redirect', 'unescape-forward'] as const;

/** Compiles an HTTP connection manager; null when its bytes are broken or its routes are refused. */
export function compileHcm(bytes: Uint8Array, path: string, context: Context): HcmConfig | null {
  const { report } = context;
  const message = decodeAt(HttpConnectionManager, bytes, path, report);
  if (!message) return null;
  checkFields(message, hcmFields, path, report);
  const routes = compileRoutes(message, path, context);
  return routes && {
    statPrefix: message.statPrefix,
    codecType: codecType(message, path, context),
    routes,
    httpFilters: compileHttpFilters(message.httpFilters, `${path}.http_filters`, context),
    ...identity(message, path, report),
    ...timeouts(message),
    ...limits(message, path, report),
    ...paths(message, path, report),
    http1: compileHttp1(message.httpProtocolOptions, `${path}.http_protocol_options`, report),
    http2: compileHttp2(message.http2ProtocolOptions, `${path}.http2_protocol_options`, report, message.streamErrorOnInvalidHttpMessage),
    streamErrorOnInvalidMessage: message.httpProtocolOptions?.overrideStreamErrorOnInvalidHttpMessage ?? message.streamErrorOnInvalidHttpMessage ?? false,
    proxy100Continue: message.proxy100Continue,
    upgrades: compileUpgrades(message, path, report),
    accessLogs: compileAccessLogs(message.accessLog, `${path}.access_log`, context),
    appendLocalOverload: message.appendLocalOverload,
    flushAccessLogOnNewRequest: message.accessLogOptions?.flushAccessLogOnNewRequest ?? message.flushAccessLogOnNewRequest,
    accessLogFlushIntervalMs: durationMs(message.accessLogOptions?.accessLogFlushInterval ?? message.accessLogFlushInterval, 0),
    tracing: compileTracing(message.tracing, `${path}.tracing`, context),
    localReply: compileLocalReply(message.localReplyConfig, `${path}.local_reply_config`, report),
  };
}

function codecType(message: HttpConnectionManager, path: string, context: Context): HcmConfig['codecType'] {
  const type = message.codecType;
  if (type === 0 || type === 1) return type === 0 ? 'auto' : 'http1';
  if (type !== 2) context.report.refuse(`${path}.codec_type`, 'only AUTO, HTTP1 and HTTP2 exist here');
  else if (context.extensions.http2 !== true) context.report.refuse(`${path}.codec_type`, 'HTTP2 is not supported yet: use AUTO or HTTP1');
  return 'http2';
}

function compileRoutes(message: HttpConnectionManager, path: string, context: Context): HcmConfig['routes'] | null {
  const specifier = message.routeSpecifier;
  if (specifier?.$case === 'rds') {
    const name = specifier.value.routeConfigName;
    const source = compileConfigSource(specifier.value.configSource, `${path}.rds.config_source`, context.report);
    if (name === '') context.report.refuse(`${path}.rds.route_config_name`, 'is required');
    context.rdsNames.add(name);
    if (source) context.references.push({ kind: 'routes', name, source, path: `${path}.rds`, statPrefix: `http.${message.statPrefix}.rds.${name}.` });
    return { kind: 'rds', name };
  }
  if (specifier?.$case === 'scopedRoutes') return compileScopedRoutes(specifier.value, { path: `${path}.scoped_routes`, statPrefix: message.statPrefix }, context);
  if (!specifier) {
    context.report.refuse(path, 'needs rds, route_config or scoped_routes');
    return null;
  }
  const table = compileInline(specifier.value, `${path}.route_config`, context);
  return table && { kind: 'inline', table };
}

type Identity = Pick<HcmConfig,
  'serverName' | 'serverHeader' | 'schemeToOverwrite' | 'useRemoteAddress' | 'xffNumTrustedHops' | 'ipDetectors' | 'skipXffAppend' | 'appendXForwardedPort' | 'internalAddresses' | 'via' |
  'addUserAgent' | 'forwardClientCert' | 'setCurrentClientCert' | 'generateRequestId' | 'preserveExternalRequestId' | 'alwaysSetRequestIdInResponse' | 'packTraceReason' | 'sampleByRequestId'>;

function identity(message: HttpConnectionManager, path: string, report: Report): Identity {
  const details = message.setCurrentClientCertDetails;
  const scheme = message.schemeHeaderTransformation;
  if (scheme?.matchUpstream === true) report.refuse(`${path}.scheme_header_transformation.match_upstream`, 'is not supported');
  const overwrite = scheme?.transformation?.value;
  if (overwrite !== undefined && overwrite !== 'http' && overwrite !== 'https') report.refuse(`${path}.scheme_header_transformation.scheme_to_overwrite`, 'must be http or https');
  const internal = message.internalAddressConfig;
  return {
    serverName: message.serverName || 'envoy',
    serverHeader: known(serverHeaders, message.serverHeaderTransformation, `${path}.server_header_transformation`, report),
    schemeToOverwrite: overwrite === 'http' || overwrite === 'https' ? overwrite : null,
    useRemoteAddress: message.useRemoteAddress ?? false,
    xffNumTrustedHops: message.xffNumTrustedHops,
    ipDetectors: compileIpDetection(message, path, report),
    skipXffAppend: message.skipXffAppend,
    appendXForwardedPort: message.appendXForwardedPort,
    internalAddresses: internal && internal.cidrRanges.length > 0 ? report.take(compileCidrs(internal.cidrRanges, `${path}.internal_address_config.cidr_ranges`), null) : null,
    via: message.via,
    addUserAgent: message.addUserAgent ?? false,
    forwardClientCert: known(clientCert, message.forwardClientCertDetails, `${path}.forward_client_cert_details`, report),
    setCurrentClientCert: {
      subject: details?.subject ?? false, cert: details?.cert ?? false, chain: details?.chain ?? false, dns: details?.dns ?? false, uri: details?.uri ?? false,
    },
    generateRequestId: message.generateRequestId ?? true,
    preserveExternalRequestId: message.preserveExternalRequestId,
    alwaysSetRequestIdInResponse: message.alwaysSetRequestIdInResponse,
    ...requestIds(message, `${path}.request_id_extension`, report),
  };
}

function requestIds(message: HttpConnectionManager, path: string, report: Report): Pick<HcmConfig, 'packTraceReason' | 'sampleByRequestId'> {
  const any = message.requestIdExtension?.typedConfig;
  if (any && any.typeUrl !== uuidUrl) report.refuse(path, `${any.typeUrl} is not supported: only UUID request ids are`);
  const config = any?.typeUrl === uuidUrl ? decodeAt(UuidRequestIdConfig, any.value, path, report) : null;
  return { packTraceReason: config?.packTraceReason ?? true, sampleByRequestId: config?.useRequestIdForTraceSampling ?? true };
}

type Timeouts = Pick<HcmConfig,
  'idleTimeoutMs' | 'streamIdleTimeoutMs' | 'requestTimeoutMs' | 'requestHeadersTimeoutMs' | 'maxConnectionDurationMs' | 'maxStreamDurationMs' | 'drainTimeoutMs' | 'delayedCloseTimeoutMs'>;

function timeouts(message: HttpConnectionManager): Timeouts {
  const common = message.commonHttpProtocolOptions;
  return {
    idleTimeoutMs: durationMs(common?.idleTimeout, hourMs),
    streamIdleTimeoutMs: durationMs(message.streamIdleTimeout, 300_000),
    requestTimeoutMs: durationMs(message.requestTimeout, 0),
    requestHeadersTimeoutMs: durationMs(message.requestHeadersTimeout, 0),
    maxConnectionDurationMs: durationMs(common?.maxConnectionDuration, 0),
    maxStreamDurationMs: durationMs(common?.maxStreamDuration, 0),
    drainTimeoutMs: durationMs(message.drainTimeout, 5000),
    delayedCloseTimeoutMs: durationMs(message.delayedCloseTimeout, 1000),
  };
}

function limits(message: HttpConnectionManager, path: string, report: Report): Pick<HcmConfig, 'maxRequestsPerConnection' | 'maxRequestHeadersBytes' | 'maxHeadersCount' | 'headersWithUnderscores'> {
  const common = message.commonHttpProtocolOptions;
  const at = `${path}.common_http_protocol_options`;
  if (common) checkFields(common, commonHttpFields, at, report);
  const kilobytes = message.maxRequestHeadersKb ?? 60;
  if (kilobytes < 1 || kilobytes > 8192) report.refuse(`${path}.max_request_headers_kb`, 'must be 1 to 8192');
  return {
    maxRequestsPerConnection: common?.maxRequestsPerConnection ?? 0,
    maxRequestHeadersBytes: kilobytes * 1024,
    maxHeadersCount: common?.maxHeadersCount ?? 100,
    headersWithUnderscores: known(underscores, common?.headersWithUnderscoresAction ?? 0, `${at}.headers_with_underscores_action`, report),
  };
}

function paths(message: HttpConnectionManager, path: string, report: Report): Pick<HcmConfig, 'normalizePath' | 'mergeSlashes' | 'escapedSlashes' | 'stripPort' | 'stripTrailingHostDot'> {
  const any = message.stripPortMode?.value === true;
  if (any && message.stripMatchingHostPort) report.refuse(`${path}.strip_any_host_port`, 'only one of strip_any_host_port and strip_matching_host_port may be set');
  return {
    normalizePath: message.normalizePath ?? false,
    mergeSlashes: message.mergeSlashes,
    escapedSlashes: known(escapedSlashes, message.pathWithEscapedSlashesAction, `${path}.path_with_escaped_slashes_action`, report),
    stripPort: any ? 'any' : message.stripMatchingHostPort ? 'matching' : 'none',
    stripTrailingHostDot: message.stripTrailingHostDot,
  };
}

function compileUpgrades(message: HttpConnectionManager, path: string, report: Report): ReadonlyMap<string, boolean> {
  const upgrades = new Map<string, boolean>();
  for (const [i, upgrade] of message.upgradeConfigs.entries()) {
    const at = `${path}.upgrade_configs[${i}]`;
    const type = upgrade.upgradeType.toLowerCase();
    if (type === '') report.refuse(`${at}.upgrade_type`, 'is required');
    if (upgrades.has(type)) report.refuse(`${at}.upgrade_type`, `"${upgrade.upgradeType}" is listed twice`);
    if (upgrade.filters.length > 0) report.refuse(`${at}.filters`, 'filter chains of their own for upgrades are not supported');
    upgrades.set(type, upgrade.enabled ?? true);
  }
  return upgrades;
}

function compileTracing(tracing: HttpConnectionManager_Tracing | undefined, path: string, context: Context): TracingConfig | null {
  if (!tracing) return null;
  const sampling = (percent: { value: number } | undefined) => (percent ? percentFraction(percent.value) : always);
  return {
    clientSampling: sampling(tracing.clientSampling), randomSampling: sampling(tracing.randomSampling), overallSampling: sampling(tracing.overallSampling),
    verbose: tracing.verbose, maxPathTagLength: tracing.maxPathTagLength ?? 256, spawnUpstreamSpan: tracing.spawnUpstreamSpan ?? false,
    customTags: compileCustomTags(tracing.customTags, `${path}.custom_tags`, context.report),
    provider: compileProvider(tracing, `${path}.provider`, context),
  };
}

function compileProvider({ provider }: HttpConnectionManager_Tracing, path: string, context: Context): TracingConfig['provider'] {
  const any = provider?.configType?.value;
  if (!provider || !any) return null;
  const parsed = parseExtension(context.extensions.tracers ?? new Map(), any, { path, optional: false, what: 'tracing provider' }, context);
  return parsed ? { name: provider.name, typeUrl: any.typeUrl, config: parsed.config } : null;
}

/** The word for an enum's number; unknown numbers are refused. */
function known<T extends string>(words: readonly [T, ...T[]], value: number, path: string, report: Report): T {
  const word = words[value];
  if (word === undefined) report.refuse(path, `${value} is not known`);
  return word ?? words[0];
}
