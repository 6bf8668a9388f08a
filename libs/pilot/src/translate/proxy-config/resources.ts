import type { Cluster } from '@meltemi/api/gen/envoy/config/cluster/v3/cluster.ts';
import type { Listener } from '@meltemi/api/gen/envoy/config/listener/v3/listener.ts';
import { ListenerFilter } from '@meltemi/api/gen/envoy/config/listener/v3/listener_components.ts';
import { ProxyProtocol } from '@meltemi/api/gen/envoy/extensions/filters/listener/proxy_protocol/v3/proxy_protocol.ts';
import { HttpProtocolOptions } from '@meltemi/api/gen/envoy/extensions/upstreams/http/v3/http_protocol_options.ts';
import type { PushContext } from '../../push-context/push-context.ts';
import { effectiveProxyConfig } from '../../push-context/proxy-config.ts';
import type { Proxy } from '../../proxy/proxy.ts';
import { create, createAny, typed } from '../message.ts';
import { asWritten } from '../listeners/proxy-headers.ts';
import { connectionSettings } from './connection-settings.ts';

/** A gateway's listeners: behind a balancer that speaks the PROXY protocol, and with its buffer limit. */
export function gatewayListenersConfigured(push: PushContext, proxy: Proxy, listeners: readonly Listener[]): readonly Listener[] {
  const config = effectiveProxyConfig(push, proxy);
  const limit = connectionSettings(config, proxy)?.listenerPerConnectionBufferLimitBytes;
  const behindProxy = config.gatewayTopology?.proxyProtocol !== undefined;
  if (limit === undefined && !behindProxy) return listeners;
  return listeners.map((listener) => ({
    ...listener,
    ...(limit === undefined ? {} : { perConnectionBufferLimitBytes: limit }),
    // first: everything behind it reads what follows its header
    ...(behindProxy ? { listenerFilters: [proxyProtocol(), ...listener.listenerFilters] } : {}),
  }));
}

function proxyProtocol(): ListenerFilter {
  return create(ListenerFilter, typed('envoy.filters.listener.proxy_protocol', createAny('envoy.extensions.filters.listener.proxy_protocol.v3.ProxyProtocol', ProxyProtocol)));
}

const optionsKey = 'envoy.extensions.upstreams.http.v3.HttpProtocolOptions';

/** Clusters: the case of header names towards upstreams, and the buffer limit. */
export function clustersConfigured(push: PushContext, proxy: Proxy, clusters: readonly Cluster[]): readonly Cluster[] {
  const config = effectiveProxyConfig(push, proxy);
  const limit = connectionSettings(config, proxy)?.clusterPerConnectionBufferLimitBytes;
  const keepCase = config.proxyHeaders?.preserveHttp1HeaderCase === true;
  if (limit === undefined && !keepCase) return clusters;
  return clusters.map((cluster) => ({
    ...cluster,
    ...(limit === undefined ? {} : { perConnectionBufferLimitBytes: limit }),
    ...(keepCase ? { typedExtensionProtocolOptions: withPreservedCase(cluster.typedExtensionProtocolOptions) } : {}),
  }));
}

function withPreservedCase(written: Cluster['typedExtensionProtocolOptions']): Cluster['typedExtensionProtocolOptions'] {
  const any = written[optionsKey];
  if (!any) return written;
  const options = HttpProtocolOptions.decode(any.value);
  const chosen = options.upstreamProtocolOptions;
  if (chosen?.$case === 'explicitHttpConfig' && chosen.value.protocolConfig?.$case === 'httpProtocolOptions') chosen.value.protocolConfig = { $case: 'httpProtocolOptions', value: { ...chosen.value.protocolConfig.value, headerKeyFormat: asWritten() } };
  else if (chosen?.$case === 'useDownstreamProtocolConfig' && chosen.value.httpProtocolOptions) chosen.value.httpProtocolOptions = { ...chosen.value.httpProtocolOptions, headerKeyFormat: asWritten() };
  return { ...written, [optionsKey]: createAny(optionsKey, HttpProtocolOptions, options) };
}
