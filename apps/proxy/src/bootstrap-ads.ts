import { credentials } from '@grpc/grpc-js';
import type { Bootstrap } from '@meltemi/api/gen/envoy/config/bootstrap/v3/bootstrap.ts';
import { ApiConfigSource_ApiType } from '@meltemi/api/gen/envoy/config/core/v3/config_source.ts';
import type { Node } from '@meltemi/api/gen/envoy/config/core/v3/base.ts';
import { isLoopback, StartError } from '@meltemi/observe-edge';
import type { AdsClientOptions } from '@meltemi/xds-edge';

type AdsTarget = Omit<AdsClientOptions, 'onUpdate' | 'onConnected' | 'onDisconnected'>;

/** The ADS server a bootstrap's dynamic_resources name; undefined without any. Throws StartError for what this proxy cannot follow. */
export function adsFromBootstrap(bootstrap: Bootstrap, node: Node): AdsTarget | undefined {
  const dynamic = bootstrap.dynamicResources;
  if (!dynamic) return undefined;
  for (const [field, source] of [['lds_config', dynamic.ldsConfig], ['cds_config', dynamic.cdsConfig]] as const)
    if (source && source.configSourceSpecifier?.$case !== 'ads') throw new StartError(`dynamic_resources.${field}: only \`ads: {}\` is supported: name the server in dynamic_resources.ads_config`);
  const ads = dynamic.adsConfig;
  if (!ads) return undefined;
  const incremental = ads.apiType === ApiConfigSource_ApiType.DELTA_GRPC || ads.apiType === ApiConfigSource_ApiType.AGGREGATED_DELTA_GRPC;
  if (!incremental && ads.apiType !== ApiConfigSource_ApiType.GRPC && ads.apiType !== ApiConfigSource_ApiType.AGGREGATED_GRPC) throw new StartError('dynamic_resources.ads_config.api_type: use GRPC or DELTA_GRPC');
  const service = ads.grpcServices[0]?.targetSpecifier;
  if (service?.$case !== 'envoyGrpc') throw new StartError('dynamic_resources.ads_config.grpc_services[0]: only envoy_grpc with a cluster_name is supported');
  return { address: clusterAddress(bootstrap, service.value.clusterName), credentials: () => credentials.createInsecure(), node, protocol: incremental ? 'delta' : 'sotw' };
}

/** host:port of a static cluster's first endpoint. TLS to a control plane that is not a mesh's pilot is not offered: it must be on loopback. */
function clusterAddress(bootstrap: Bootstrap, name: string): string {
  const at = `static_resources.clusters "${name}"`;
  const cluster = bootstrap.staticResources?.clusters.find((each) => each.name === name);
  if (!cluster) throw new StartError(`dynamic_resources.ads_config names cluster "${name}", which static_resources.clusters does not have`);
  const identifier = cluster.loadAssignment?.endpoints[0]?.lbEndpoints[0]?.hostIdentifier;
  const address = identifier?.$case === 'endpoint' ? identifier.value.address?.address : undefined;
  if (address?.$case === 'pipe') return `unix:${address.value.path}`;
  if (address?.$case !== 'socketAddress' || address.value.portSpecifier?.$case !== 'portValue') throw new StartError(`${at}: its first endpoint needs a socket_address with port_value`);
  const host = address.value.address;
  if (cluster.transportSocket) throw new StartError(`${at}: transport_socket: TLS to an ADS server is not supported here: run from pilot with --discovery-address`);
  if (!isLoopback(host) && host !== 'localhost') throw new StartError(`${at}: plaintext xDS is followed on loopback only, not to ${host}`);
  return `${host.includes(':') ? `[${host}]` : host}:${address.value.portSpecifier.value}`;
}
