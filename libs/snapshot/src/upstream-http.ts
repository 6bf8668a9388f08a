import type { Cluster as ClusterMessage } from '@meltemi/api/gen/envoy/config/cluster/v3/cluster.ts';
import type { Http1ProtocolOptions, Http2ProtocolOptions } from '@meltemi/api/gen/envoy/config/core/v3/protocol.ts';
import { HttpProtocolOptions } from '@meltemi/api/gen/envoy/extensions/upstreams/http/v3/http_protocol_options.ts';
import { checkFields, durationMs, fieldPath, type Report } from '@meltemi/route';
import { upstreamHttpFields } from './cluster-tables.ts';
import type { UpstreamHttp } from './cluster-types.ts';
import { decodeAt } from './context.ts';
import { compileErrorStatuses } from './error-statuses.ts';
import type { Extensions } from './extensions.ts';
import { compileHttp1, compileHttp2 } from './http-options.ts';
import { commonHttpFields } from './listener-tables.ts';

const extensionName = 'envoy.extensions.upstreams.http.v3.HttpProtocolOptions';
const extensionUrl = `type.googleapis.com/${extensionName}`;
const hourMs = 3_600_000;
/** ClusterProtocolSelection.USE_DOWNSTREAM_PROTOCOL. */
const useDownstreamProtocol = 1;

/** Compiles typed_extension_protocol_options with Envoy's defaults: HTTP/1.1, an hour idle. */
export function compileUpstreamHttp(message: ClusterMessage, extensions: Extensions, report: Report): UpstreamHttp {
  const { options, path } = decodeOptions(message, report);
  checkFields(options, upstreamHttpFields, path, report);
  const common = options.commonHttpProtocolOptions;
  if (common) checkFields(common, commonHttpFields, fieldPath(path, 'common_http_protocol_options'), report);
  const protocols = chooseProtocols(options);
  if (protocols.http3) report.refuse(`${path}.explicit_http_config.http3_protocol_options`, 'there is no HTTP/3');
  if (protocols.protocol === 'http2' && extensions.http2 !== true) report.refuse(path === '' ? 'http2_protocol_options' : `${path}.explicit_http_config.http2_protocol_options`, 'HTTP/2 towards upstreams is not supported yet');
  const upstream = options.upstreamHttpProtocolOptions;
  if ((upstream?.autoSni === true || upstream?.autoSanValidation === true) && extensions.autoTlsNames !== true) {
    report.refuse(fieldPath(path, 'upstream_http_protocol_options'), 'auto_sni and auto_san_validation are not supported yet: name sni and SANs in the TLS context');
  }
  return {
    protocol: protocols.protocol,
    http1: compileHttp1(protocols.http1, fieldPath(path, 'http_protocol_options'), report),
    http2: compileHttp2(protocols.http2, fieldPath(path, 'http2_protocol_options'), report),
    idleTimeoutMs: durationMs(common?.idleTimeout, hourMs),
    maxConnectionDurationMs: durationMs(common?.maxConnectionDuration, 0),
    maxStreamDurationMs: durationMs(common?.maxStreamDuration, 0),
    maxHeadersCount: common?.maxHeadersCount ?? 100,
    maxRequestsPerConnection: common?.maxRequestsPerConnection ?? message.maxRequestsPerConnection ?? 0,
    autoSni: upstream?.autoSni ?? false,
    autoSanValidation: upstream?.autoSanValidation ?? false,
    overrideAutoSniHeader: upstream?.overrideAutoSniHeader.toLowerCase() ?? '',
    errorStatuses: compileErrorStatuses(options.outlierDetection?.errorMatcher, fieldPath(path, 'outlier_detection.error_matcher'), report),
  };
}

interface GivenOptions {
  readonly options: HttpProtocolOptions;
  readonly path: string;
}

function decodeOptions(message: ClusterMessage, report: Report): GivenOptions {
  const path = `typed_extension_protocol_options[${extensionName}]`;
  let options: HttpProtocolOptions | null = null;
  for (const [name, any] of Object.entries(message.typedExtensionProtocolOptions)) {
    if (any.typeUrl === extensionUrl) options = decodeAt(HttpProtocolOptions, any.value, path, report);
    else report.refuse(`typed_extension_protocol_options[${name}]`, `${any.typeUrl} is not supported`);
  }
  return options ? { options, path } : { options: oldOptions(message), path: '' };
}

/** What a cluster says in its own deprecated fields, which hold where the extension is not there. */
function oldOptions(message: ClusterMessage): HttpProtocolOptions {
  return {
    commonHttpProtocolOptions: message.commonHttpProtocolOptions, upstreamHttpProtocolOptions: message.upstreamHttpProtocolOptions,
    upstreamProtocolOptions: oldProtocols(message), httpFilters: [],
  };
}

function oldProtocols({ protocolSelection, httpProtocolOptions, http2ProtocolOptions }: ClusterMessage): HttpProtocolOptions['upstreamProtocolOptions'] {
  if (protocolSelection === useDownstreamProtocol) return { $case: 'useDownstreamProtocolConfig', value: { httpProtocolOptions, http2ProtocolOptions } };
  if (http2ProtocolOptions) return { $case: 'explicitHttpConfig', value: { protocolConfig: { $case: 'http2ProtocolOptions', value: http2ProtocolOptions } } };
  return httpProtocolOptions && { $case: 'explicitHttpConfig', value: { protocolConfig: { $case: 'httpProtocolOptions', value: httpProtocolOptions } } };
}

interface Protocols {
  readonly protocol: UpstreamHttp['protocol'];
  readonly http1: Http1ProtocolOptions | undefined;
  readonly http2: Http2ProtocolOptions | undefined;
  readonly http3: boolean;
}

function chooseProtocols(options: HttpProtocolOptions): Protocols {
  const choice = options.upstreamProtocolOptions;
  if (choice?.$case === 'explicitHttpConfig') {
    const explicit = choice.value.protocolConfig;
    return {
      protocol: explicit?.$case === 'http2ProtocolOptions' ? 'http2' : 'http1',
      http1: explicit?.$case === 'httpProtocolOptions' ? explicit.value : undefined,
      http2: explicit?.$case === 'http2ProtocolOptions' ? explicit.value : undefined,
      http3: explicit?.$case === 'http3ProtocolOptions',
    };
  }
  if (!choice) return { protocol: 'http1', http1: undefined, http2: undefined, http3: false };
  const protocol = choice.$case === 'autoConfig' ? 'auto' : 'downstream';
  return { protocol, http1: choice.value.httpProtocolOptions, http2: choice.value.http2ProtocolOptions, http3: false };
}
