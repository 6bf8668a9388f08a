import type { Http1ProtocolOptions, Http2ProtocolOptions } from '@meltemi/api/gen/envoy/config/core/v3/protocol.ts';
import { checkFields, durationMs, type Report } from '@meltemi/route';
import { http1Fields, http2Fields } from './listener-tables.ts';
import type { Http1Options, Http2Options } from './listener-types.ts';

const preserveCaseUrl = 'type.googleapis.com/envoy.extensions.http.header_formatters.preserve_case.v3.PreserveCaseFormatterConfig';
const defaultWindow = 268_435_456;

/** HTTP/1 options with Envoy's defaults. */
export function compileHttp1(options: Http1ProtocolOptions | undefined, path: string, report: Report): Http1Options {
  if (options) checkFields(options, http1Fields, path, report);
  const format = options?.headerKeyFormat?.headerFormat;
  const stateful = format?.$case === 'statefulFormatter';
  if (stateful && format.value.typedConfig?.typeUrl !== preserveCaseUrl) report.refuse(`${path}.header_key_format.stateful_formatter`, 'only preserve_case is known');
  else if (stateful) report.warn(`${path}.header_key_format`, 'header names are written in lower case');
  if (options?.allowAbsoluteUrl === false) report.refuse(`${path}.allow_absolute_url`, 'false is not supported: absolute targets are always understood');
  return {
    allowAbsoluteUrl: options?.allowAbsoluteUrl ?? true,
    acceptHttp10: options?.acceptHttp10 ?? false,
    defaultHostForHttp10: options?.defaultHostForHttp10 ?? '',
    enableTrailers: options?.enableTrailers ?? false,
    allowChunkedLength: options?.allowChunkedLength ?? false,
    properCase: format?.$case === 'properCaseWords',
    preserveCase: stateful,
    sendFullyQualifiedUrl: options?.sendFullyQualifiedUrl ?? false,
  };
}

/** HTTP/2 options with Envoy's defaults. */
export function compileHttp2(options: Http2ProtocolOptions | undefined, path: string, report: Report): Http2Options {
  if (options) checkFields(options, http2Fields, path, report);
  return {
    maxConcurrentStreams: options?.maxConcurrentStreams ?? 2_147_483_647,
    initialStreamWindow: options?.initialStreamWindowSize ?? defaultWindow,
    initialConnectionWindow: options?.initialConnectionWindowSize ?? defaultWindow,
    allowConnect: options?.allowConnect ?? false,
    keepaliveIntervalMs: durationMs(options?.connectionKeepalive?.interval, 0),
    keepaliveTimeoutMs: durationMs(options?.connectionKeepalive?.timeout, 0),
  };
}
