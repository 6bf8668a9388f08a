import type { MeshConfigSpec } from '@meltemi/config';
import { Filter } from '@meltemi/api/gen/envoy/config/listener/v3/listener_components.ts';
import { Http2ProtocolOptions } from '@meltemi/api/gen/envoy/config/core/v3/protocol.ts';
import type { DnsCacheConfig } from '@meltemi/api/gen/envoy/extensions/common/dynamic_forward_proxy/v3/dns_cache.ts';
import type { RouteConfiguration } from '@meltemi/api/gen/envoy/config/route/v3/route.ts';
import {
  HttpConnectionManager, HttpConnectionManager_InternalAddressConfig, HttpConnectionManager_PathWithEscapedSlashesAction as EscapedSlashes, HttpConnectionManager_UpgradeConfig,
} from '@meltemi/api/gen/envoy/extensions/filters/network/http_connection_manager/v3/http_connection_manager.ts';
import { UuidRequestIdConfig } from '@meltemi/api/gen/envoy/extensions/request_id/uuid/v3/uuid.ts';
import type { PushContext } from '../../push-context/push-context.ts';
import type { Proxy } from '../../proxy/proxy.ts';
import { accessLogs } from '../access-log.ts';
import { managerTracing } from '../telemetry/tracing.ts';
import { withConnectionSettings } from '../proxy-config/connection-settings.ts';
import type { Protocol } from '../../registry/model.ts';
import { httpFilters } from '../features/http-filters.ts';
import type { Direction } from '../features/feature.ts';
import { adsSource, cidr, create, createAny, duration, typed } from '../message.ts';
import { http1Options, ownHeaders } from './proxy-headers.ts';

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
  /** What the port is declared to speak. Default HTTP. */
  readonly protocol?: Protocol;
  /** Caches of names that its requests may be looked up in. Default none. */
  readonly dnsCaches?: readonly DnsCacheConfig[];
  /** Clients send absolute URLs: this is their http_proxy. Default false. */
  readonly explicitProxy?: boolean;
}

const typeName = 'envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager';

/** The network filter that speaks HTTP. Settings are Istio's for each direction. */
export function httpConnectionManager(options: HttpOptions): Filter {
  const { push, proxy, direction } = options;
  const useRemoteAddress = direction === 'gateway' || (direction === 'outbound' && options.explicitProxy !== true && push.features.sidecarUseRemoteAddress);
  const { tracing, useRequestId } = managerTracing(push, proxy, direction);
  const manager = create(HttpConnectionManager, {
    statPrefix: options.statPrefix,
    routeSpecifier:
      typeof options.routes === 'string' ? { $case: 'rds', value: { configSource: adsSource(), routeConfigName: options.routes } } : { $case: 'routeConfig', value: options.routes },
    httpFilters: httpFilters({ push, proxy, mesh: push.mesh, direction, ...grpcOf(options), dnsCaches: options.dnsCaches ?? [] }),
    accessLog: accessLogs(options, 'http'),
    streamIdleTimeout: duration(0),
    ...(tracing ? { tracing } : {}),
    upgradeConfigs: [create(HttpConnectionManager_UpgradeConfig, { upgradeType: 'websocket' })],
    requestIdExtension: { typedConfig: createAny('envoy.extensions.request_id.uuid.v3.UuidRequestIdConfig', UuidRequestIdConfig, { useRequestIdForTraceSampling: useRequestId }) },
    useRemoteAddress,
    ...internalAddresses(push, useRemoteAddress),
    proxy100Continue: options.explicitProxy !== true && push.features.continue100,
    ...pathNormalization(push.mesh),
    ...ownHeaders(push, proxy, direction),
    ...(options.http2 === true ? { http2ProtocolOptions: create(Http2ProtocolOptions) } : {}),
    httpProtocolOptions: http1Options(push, proxy, options.explicitProxy === true),
  });
  return create(Filter, typed('envoy.filters.network.http_connection_manager', createAny(typeName, HttpConnectionManager, withConnectionSettings(manager, options))));
}

function grpcOf({ protocol }: HttpOptions): { readonly grpc: boolean; readonly grpcWeb: boolean } {
  const grpcWeb = protocol === 'GRPC_WEB';
  return { grpc: grpcWeb || protocol === 'GRPC', grpcWeb };
}

/** Clients of the mesh's own networks are internal, once somebody says which those are. Source: Istio's MeshNetworksToEnvoyInternalAddressConfig. */
function internalAddresses({ registry, features }: PushContext, useRemoteAddress: boolean): Partial<HttpConnectionManager> {
  const { ranges } = registry.gateways;
  if (ranges.length === 0 || !(useRemoteAddress || features.internalNetworks)) return {};
  return { internalAddressConfig: create(HttpConnectionManager_InternalAddressConfig, { cidrRanges: ranges.map(cidr) }) };
}

function pathNormalization({ pathNormalization: { normalization } }: MeshConfigSpec): Partial<HttpConnectionManager> {
  if (normalization === 'NONE') return {};
  if (normalization === 'MERGE_SLASHES') return { normalizePath: true, mergeSlashes: true };
  if (normalization === 'DECODE_AND_MERGE_SLASHES') return { normalizePath: true, mergeSlashes: true, pathWithEscapedSlashesAction: EscapedSlashes.UNESCAPE_AND_FORWARD };
  return { normalizePath: true, pathWithEscapedSlashesAction: EscapedSlashes.KEEP_UNCHANGED };
}
