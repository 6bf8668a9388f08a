import type { Http1ProtocolOptions, Http2ProtocolOptions } from '@meltemi/api/gen/envoy/config/core/v3/protocol.ts';
import { PreserveCaseFormatterConfig } from '@meltemi/api/gen/envoy/extensions/http/header_formatters/preserve_case/v3/preserve_case.ts';
import type { Any } from '@meltemi/api/gen/google/protobuf/any.ts';
import { checkFields, durationMs, Report } from '@meltemi/route';
import { decodeAt } from './context.ts';
import { http1Fields, http2Fields } from './listener-tables.ts';
import type { Http1Options, Http2Options } from './listener-types.ts';

const preserveCaseUrl = 'type.googleapis.com/envoy.extensions.http.header_formatters.preserve_case.v3.PreserveCaseFormatterConfig';

/**
 * Deviation: what holds when unset. Envoy's old defaults (256 MiB windows, 2^31-1 streams) let one stalled reader fill the memory, and its edge guide
 * says to lower them; with these a stalled stream holds at most what perConnectionBufferLimit is by default.
 */
const http2Defaults = { maxConcurrentStreams: 1024, streamWindow: 1024 * 1024, connectionWindow: 24 * 1024 * 1024 };

/** HTTP/1 options with Envoy's defaults. */
export function compileHttp1(options: Http1ProtocolOptions | undefined, path: string, report: Report): Http1Options {
  if (options) checkFields(options, http1Fields, path, report);
  const format = options?.headerKeyFormat?.headerFormat;
  const formatter = format?.$case === 'statefulFormatter' ? compilePreserveCase(format.value.typedConfig, `${path}.header_key_format.stateful_formatter`, report) : null;
  return {
    allowAbsoluteUrl: options?.allowAbsoluteUrl ?? true,
    acceptHttp10: options?.acceptHttp10 ?? false,
    defaultHostForHttp10: options?.defaultHostForHttp10 ?? '',
    enableTrailers: options?.enableTrailers ?? false,
    allowChunkedLength: options?.allowChunkedLength ?? false,
    properCase: format?.$case === 'properCaseWords',
    preserveCase: formatter !== null,
    properCaseOwn: formatter?.formatterTypeOnEnvoyHeaders === 1,
    sendFullyQualifiedUrl: options?.sendFullyQualifiedUrl ?? false,
  };
}

function compilePreserveCase(any: Any | undefined, path: string, report: Report): PreserveCaseFormatterConfig | null {
  if (any?.typeUrl !== preserveCaseUrl) {
    report.refuse(path, 'only preserve_case is known');
    return null;
  }
  const config = decodeAt(PreserveCaseFormatterConfig, any.value, path, report);
  if (config?.forwardReasonPhrase === true) report.refuse(`${path}.forward_reason_phrase`, 'reason phrases of upstreams are not passed on: status codes have their standard ones');
  return config;
}

/** HTTP/2 options with Envoy's defaults; `streamErrors` is what the connection manager says of malformed messages, for options that say nothing. */
export function compileHttp2(options: Http2ProtocolOptions | undefined, path: string, report: Report, streamErrors?: boolean): Http2Options {
  if (options) checkFields(options, http2Fields, path, report);
  if (options) checkHttp2(options, path, report);
  const keepalive = options?.connectionKeepalive;
  return {
    hpackTableSize: options?.hpackTableSize ?? 4096,
    maxConcurrentStreams: options?.maxConcurrentStreams ?? http2Defaults.maxConcurrentStreams,
    initialStreamWindow: options?.initialStreamWindowSize ?? http2Defaults.streamWindow,
    initialConnectionWindow: options?.initialConnectionWindowSize ?? http2Defaults.connectionWindow,
    allowConnect: options?.allowConnect ?? false,
    keepaliveIntervalMs: durationMs(keepalive?.interval, 0),
    keepaliveTimeoutMs: durationMs(keepalive?.timeout, 0),
    keepaliveJitterPercent: keepalive?.intervalJitter?.value ?? 15,
    connectionIdleIntervalMs: durationMs(keepalive?.connectionIdleInterval, 0),
    maxOutboundFrames: options?.maxOutboundFrames ?? 10_000,
    maxOutboundControlFrames: options?.maxOutboundControlFrames ?? 1000,
    maxConsecutiveEmptyFrames: options?.maxConsecutiveInboundFramesWithEmptyPayload ?? 1,
    maxPriorityFramesPerStream: options?.maxInboundPriorityFramesPerStream ?? 100,
    maxWindowUpdatesPerDataFrame: options?.maxInboundWindowUpdateFramesPerDataFrameSent ?? 10,
    streamErrorOnMalformed: options?.overrideStreamErrorOnInvalidHttpMessage ?? streamErrors ?? options?.streamErrorOnInvalidHttpMessaging ?? false,
  };
}

/** Envoy's ranges. */
/** What holds where nothing is said. */
export const defaultHttp2: Http2Options = compileHttp2(undefined, '', new Report());

function checkHttp2(options: Http2ProtocolOptions, path: string, report: Report): void {
  const { maxConcurrentStreams, initialStreamWindowSize, initialConnectionWindowSize, connectionKeepalive } = options;
  if (maxConcurrentStreams !== undefined && (maxConcurrentStreams < 1 || maxConcurrentStreams > 2_147_483_647)) report.refuse(`${path}.max_concurrent_streams`, 'must be from 1 to 2147483647');
  for (const [field, bytes] of [['initial_stream_window_size', initialStreamWindowSize], ['initial_connection_window_size', initialConnectionWindowSize]] as const) {
    if (bytes !== undefined && (bytes < 65_535 || bytes > 2_147_483_647)) report.refuse(`${path}.${field}`, 'must be from 65535 to 2147483647 bytes');
  }
  if (connectionKeepalive !== undefined && durationMs(connectionKeepalive.timeout, 0) < 1) report.refuse(`${path}.connection_keepalive.timeout`, 'is required and must be at least 1ms: how long to wait for the answer to a PING');
}
