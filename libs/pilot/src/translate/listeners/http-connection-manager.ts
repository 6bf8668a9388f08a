import type { MeshConfigSpec } from '@meltemi/config';
import { Filter } from '@meltemi/api/gen/envoy/config/listener/v3/listener_components.ts';
import { Http1ProtocolOptions, Http2ProtocolOptions } from '@meltemi/api/gen/envoy/config/core/v3/protocol.ts';
import type { RouteConfiguration } from '@meltemi/api/gen/envoy/config/route/v3/route.ts';
import {
  HttpConnectionManager, HttpConnectionManager_ForwardClientCertDetails as ForwardCert, HttpConnectionManager_PathWithEscapedSlashesAction as EscapedSlashes,
  HttpConnectionManager_SetCurrentClientCertDetails, HttpConnectionManager_UpgradeConfig,
} from '@meltemi/api/gen/envoy/extensions/filters/network/http_connection_manager/v3/http_connection_manager.ts';
import { UuidRequestIdConfig } from '@meltemi/api/gen/envoy/extensions/request_id/uuid/v3/uuid.ts';
import type { PushContext } from '../../push-context/push-context.ts';
import type { Proxy } from '../../proxy/proxy.ts';
import { accessLogs } from '../access-log.ts';
import { managerTracing } from '../telemetry/tracing.ts';
import { httpFilters } from '../features/http-filters.ts';
import type { Direction } from '../features/feature.ts';
import { adsSource, create, createAny, duration, typed } from '../message.ts';

/** One HTTP connection manager. */
export interface HttpOptions {
  readonly push: PushContext;
  readonly proxy: Proxy;
  readonly direction: Direction;
  readonly statPrefix: string;
  /** A name to ask the control plane for, or the table itself. */
  readonly routes: string | RouteConfiguration;
  /** The port is declared HTTP/2 or gRPC. Default false. */
  readonly http2?: boolean;
  /** Clients send absolute URLs: this is their http_proxy. Default false. */
  readonly explicitProxy?: boolean;
}

const typeName = 'envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager';

/** The network filter that speaks HTTP. Settings are Istio's for each direction. */
export function httpConnectionManager(options: HttpOptions): Filter {
  const { push, proxy, direction } = options;
  const { tracing, useRequestId } = managerTracing(push, proxy, direction);
  const manager = create(HttpConnectionManager, {
    statPrefix: options.statPrefix,
    routeSpecifier:
      typeof options.routes === 'string' ? { $case: 'rds', value: { configSource: adsSource(), routeConfigName: options.routes } } : { $case: 'routeConfig', value: options.routes },
    httpFilters: httpFilters({ push, proxy, mesh: push.mesh, direction }),
    accessLog: accessLogs(options, 'http'),
    streamIdleTimeout: duration(0),
    ...(tracing ? { tracing } : {}),
    upgradeConfigs: [create(HttpConnectionManager_UpgradeConfig, { upgradeType: 'websocket' })],
    requestIdExtension: { typedConfig: createAny('envoy.extensions.request_id.uuid.v3.UuidRequestIdConfig', UuidRequestIdConfig, { useRequestIdForTraceSampling: useRequestId }) },
    generateRequestId: true,
    useRemoteAddress: direction === 'gateway',
    ...pathNormalization(push.mesh),
    ...clientCertificate(direction, push.mesh),
    // likely an accident of Istio's, kept for compatibility: only outbound listeners say "envoy"
    ...(direction === 'outbound' ? {} : { serverName: 'istio-envoy' }),
    ...(options.http2 === true ? { http2ProtocolOptions: create(Http2ProtocolOptions) } : {}),
    ...(options.explicitProxy === true ? { httpProtocolOptions: create(Http1ProtocolOptions, { allowAbsoluteUrl: true }) } : {}),
  });
  return create(Filter, typed('envoy.filters.network.http_connection_manager', createAny(typeName, HttpConnectionManager, manager)));
}

function pathNormalization({ pathNormalization: { normalization } }: MeshConfigSpec): Partial<HttpConnectionManager> {
  if (normalization === 'NONE') return {};
  if (normalization === 'MERGE_SLASHES') return { normalizePath: true, mergeSlashes: true };
  if (normalization === 'DECODE_AND_MERGE_SLASHES') return { normalizePath: true, mergeSlashes: true, pathWithEscapedSlashesAction: EscapedSlashes.UNESCAPE_AND_FORWARD };
  return { normalizePath: true, pathWithEscapedSlashesAction: EscapedSlashes.KEEP_UNCHANGED };
}

/** Who vouches for x-forwarded-client-cert: a sidecar adds its peer, a gateway starts afresh. */
function clientCertificate(direction: Direction, mesh: MeshConfigSpec): Partial<HttpConnectionManager> {
  if (direction === 'outbound') return {};
  const setCurrentClientCertDetails = create(HttpConnectionManager_SetCurrentClientCertDetails, { subject: true, dns: true, uri: true, cert: direction === 'gateway' });
  if (direction === 'inbound') return { forwardClientCertDetails: ForwardCert.APPEND_FORWARD, setCurrentClientCertDetails };
  const topology = mesh.defaultConfig.gatewayTopology;
  const wanted = topology?.forwardClientCertDetails ?? 'UNDEFINED';
  return {
    forwardClientCertDetails: wanted === 'UNDEFINED' ? ForwardCert.SANITIZE_SET : ForwardCert[wanted],
    setCurrentClientCertDetails,
    xffNumTrustedHops: topology?.numTrustedProxies ?? 0,
  };
}
