import type { ConnectionSettings, ProxyConfig } from '@meltemi/config';
import { Http2ProtocolOptions, HttpProtocolOptions, HttpProtocolOptions_HeadersWithUnderscoresAction as Underscores } from '@meltemi/api/gen/envoy/config/core/v3/protocol.ts';
import {
  HttpConnectionManager_PathWithEscapedSlashesAction as EscapedSlashes, type HttpConnectionManager,
} from '@meltemi/api/gen/envoy/extensions/filters/network/http_connection_manager/v3/http_connection_manager.ts';
import type { PushContext } from '../../push-context/push-context.ts';
import { effectiveProxyConfig } from '../../push-context/proxy-config.ts';
import type { Proxy } from '../../proxy/proxy.ts';
import { create, duration } from '../message.ts';

/** A connection manager with the limits of its proxy's ProxyConfig. Source: Istio's connection_settings.go. */
export function withConnectionSettings(manager: HttpConnectionManager, { push, proxy }: { readonly push: Pick<PushContext, 'mesh'>; readonly proxy: Proxy }): HttpConnectionManager {
  const settings = connectionSettings(effectiveProxyConfig(push, proxy), proxy);
  return settings ? { ...manager, ...limits(manager, settings) } : manager;
}

/** Envoy's advice for the edge, where the profile asks for it. */
const edge: Partial<ConnectionSettings> = {
  listenerPerConnectionBufferLimitBytes: 32_768,
  httpIdleTimeout: 3_600_000,
  httpStreamIdleTimeout: 300_000,
  httpRequestTimeout: 300_000,
  httpRequestHeadersTimeout: 60_000,
  httpMaxConcurrentStreams: 100,
  http2InitialStreamWindowSize: 65_536,
  http2InitialConnectionWindowSize: 1_048_576,
  httpMergeSlashes: true,
};

/** The settings in force; the profile EDGE fills in what a gateway was not told. */
export function connectionSettings({ connectionSettings: written }: ProxyConfig, proxy: Proxy): ConnectionSettings | undefined {
  if (!written || written.profile !== 'EDGE' || proxy.type !== 'router') return written;
  return {
    ...edge,
    ...written,
    httpHeadersWithUnderscoresAction: written.httpHeadersWithUnderscoresAction === 'HEADERS_WITH_UNDERSCORES_UNSPECIFIED' ? 'HEADERS_WITH_UNDERSCORES_REJECT_REQUEST' : written.httpHeadersWithUnderscoresAction,
    httpPathWithEscapedSlashesAction: written.httpPathWithEscapedSlashesAction === 'PATH_WITH_ESCAPED_SLASHES_UNSPECIFIED' ? 'UNESCAPE_AND_REDIRECT' : written.httpPathWithEscapedSlashesAction,
  };
}

const underscores = {
  HEADERS_WITH_UNDERSCORES_UNSPECIFIED: undefined,
  HEADERS_WITH_UNDERSCORES_ALLOW: Underscores.ALLOW,
  HEADERS_WITH_UNDERSCORES_REJECT_REQUEST: Underscores.REJECT_REQUEST,
  HEADERS_WITH_UNDERSCORES_DROP_HEADER: Underscores.DROP_HEADER,
} as const;

function limits(manager: HttpConnectionManager, settings: ConnectionSettings): Partial<HttpConnectionManager> {
  const { httpMergeSlashes: mergeSlashes, httpPathWithEscapedSlashesAction: slashes } = settings;
  const common = defined<HttpProtocolOptions>({
    idleTimeout: time(settings.httpIdleTimeout),
    maxConnectionDuration: time(settings.httpMaxConnectionDuration),
    maxStreamDuration: time(settings.httpMaxStreamDuration),
    headersWithUnderscoresAction: underscores[settings.httpHeadersWithUnderscoresAction],
  });
  const http2 = defined<Http2ProtocolOptions>({
    maxConcurrentStreams: settings.httpMaxConcurrentStreams,
    initialStreamWindowSize: settings.http2InitialStreamWindowSize,
    initialConnectionWindowSize: settings.http2InitialConnectionWindowSize,
  });
  return {
    ...defined<HttpConnectionManager>({
      streamIdleTimeout: time(settings.httpStreamIdleTimeout),
      requestTimeout: time(settings.httpRequestTimeout),
      requestHeadersTimeout: time(settings.httpRequestHeadersTimeout),
      drainTimeout: time(settings.httpDrainTimeout),
      mergeSlashes,
      pathWithEscapedSlashesAction: slashes === 'PATH_WITH_ESCAPED_SLASHES_UNSPECIFIED' ? undefined : EscapedSlashes[slashes],
    }),
    ...(Object.keys(common).length > 0 ? { commonHttpProtocolOptions: { ...(manager.commonHttpProtocolOptions ?? create(HttpProtocolOptions)), ...common } } : {}),
    ...(Object.keys(http2).length > 0 ? { http2ProtocolOptions: { ...(manager.http2ProtocolOptions ?? create(Http2ProtocolOptions)), ...http2 } } : {}),
  };
}

function time(ms: number | undefined) {
  return ms === undefined ? undefined : duration(ms);
}

/** Without the fields that nobody set. */
function defined<T extends object>(fields: { readonly [K in keyof T]?: T[K] | undefined }): Partial<T> {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined)) as Partial<T>;
}
