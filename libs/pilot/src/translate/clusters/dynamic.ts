import type { ClientTlsSettings } from '@meltemi/config';
import { Cluster, Cluster_CustomClusterType, Cluster_LbPolicy } from '@meltemi/api/gen/envoy/config/cluster/v3/cluster.ts';
import { ClusterConfig } from '@meltemi/api/gen/envoy/extensions/clusters/dynamic_forward_proxy/v3/cluster.ts';
import { DnsCacheConfig } from '@meltemi/api/gen/envoy/extensions/common/dynamic_forward_proxy/v3/dns_cache.ts';
import { outboundCluster, wellKnownClusters } from '@meltemi/xds';
import type { DestinationRule } from '../../push-context/destination-rules.ts';
import type { PushContext } from '../../push-context/push-context.ts';
import type { Service, ServicePort } from '../../registry/model.ts';
import { lookupFamily } from '../dns-family.ts';
import { create, createAny } from '../message.ts';
import { istioMutualUpstream, originatedUpstream, tlsSocket } from '../tls.ts';
import type { Client } from '../views.ts';
import { protocolOptions, upgradesToHttp2, type ProtocolChoice } from './protocol-options.ts';
import { applyTrafficPolicy, effectivePolicy } from './traffic-policy.ts';

const clusterType = 'envoy.extensions.clusters.dynamic_forward_proxy.v3.ClusterConfig';
/** What names can be read from: the host of requests, and the server that TLS asks for. */
const protocols: ReadonlySet<string> = new Set(['HTTP', 'HTTP2', 'GRPC', 'TLS']);

/** The cache of a service's names. Name: Istio's BuildDNSCacheName. */
export function serviceDnsCache(push: PushContext, proxy: Client, { hostname }: Service): DnsCacheConfig {
  return create(DnsCacheConfig, { name: `${hostname}_dfp_dns_cache`, dnsLookupFamily: lookupFamily(push, proxy) });
}

/**
 * The cache of hosts that no object names. Deviation: with DNS capture Istio sends Envoy's resolver to the sidecar's DNS proxy; here names that
 * no object has are looked up by the system.
 */
export function anyHostDnsCache(push: PushContext, proxy: Client): DnsCacheConfig {
  return create(DnsCacheConfig, { name: 'allow_any_dfp_dns_cache', dnsLookupFamily: lookupFamily(push, proxy), maxHosts: push.features.dynamicDnsMaxHosts });
}

/** Clusters of a wildcard that is looked up name by name: subsets have none. */
export function dynamicClusters(push: PushContext, proxy: Client, service: Service, rule: DestinationRule | undefined): Cluster[] {
  return service.ports.filter(({ protocol }) => protocols.has(protocol)).map((port) => dynamicCluster(push, proxy, { service, port, rule }));
}

interface Target {
  readonly service: Service;
  readonly port: ServicePort;
  readonly rule: DestinationRule | undefined;
}

function dynamicCluster(push: PushContext, proxy: Client, { service, port, rule }: Target): Cluster {
  const policy = effectivePolicy(rule?.trafficPolicy, undefined, port.number, push.mesh.defaultTrafficPolicy);
  const cluster = create(Cluster, { name: outboundCluster(port.number, service.hostname) });
  applyTrafficPolicy(cluster, policy, push.mesh);
  secure(push, cluster, { cache: serviceDnsCache(push, proxy, service), tls: policy.tls, choice: { protocol: port.protocol, pool: policy.connectionPool, mesh: push.mesh, errorStatuses: policy.outlierDetection?.outlierDetectionHttpErrorCodes ?? [] }, identities: service.subjectAltNames });
  return cluster;
}

/** Where requests to hosts that no object names go under ALLOW_ANY_DYNAMIC_DNS. */
export function anyHostCluster(push: PushContext, proxy: Client): Cluster {
  const cluster = create(Cluster, { name: wellKnownClusters.anyDynamicDns });
  applyTrafficPolicy(cluster, {}, push.mesh);
  secure(push, cluster, { cache: anyHostDnsCache(push, proxy), tls: push.mesh.outboundTrafficPolicy.tls, choice: { protocol: 'AUTO', pool: undefined, mesh: push.mesh }, identities: [] });
  return cluster;
}

interface Secured {
  readonly cache: DnsCacheConfig;
  readonly tls: ClientTlsSettings | undefined;
  readonly choice: ProtocolChoice;
  readonly identities: readonly string[];
}

/** TLS asks for the name of each request and checks it, unless the settings say otherwise. */
function secure(push: PushContext, cluster: Cluster, { cache, tls, choice, identities }: Secured): void {
  const http2 = upgradesToHttp2(choice);
  const secured = tls !== undefined && tls.mode !== 'DISABLE';
  if (secured) {
    const upstream = tls.mode === 'ISTIO_MUTUAL' ? istioMutualUpstream({ sni: tls.sni, accounts: tls.subjectAltNames, http2, mesh: push.mesh }) : originatedUpstream(tls, { http2, fallbackNames: [...identities], mesh: push.mesh });
    cluster.transportSocket = tlsSocket({ upstream });
  }
  const autoSni = secured && tls.sni === '';
  const autoSanValidation = secured && tls.insecureSkipVerify !== true;
  const options = protocolOptions({ ...choice, autoSni, autoSanValidation });
  cluster.typedExtensionProtocolOptions = options;
  cluster.lbPolicy = Cluster_LbPolicy.CLUSTER_PROVIDED;
  cluster.lbConfig = undefined;
  const allowInsecureClusterOptions = Object.keys(options).length > 0 && !(autoSni && autoSanValidation);
  const config = createAny(clusterType, ClusterConfig, { clusterImplementationSpecifier: { $case: 'dnsCacheConfig', value: cache }, allowInsecureClusterOptions });
  cluster.clusterDiscoveryType = { $case: 'clusterType', value: create(Cluster_CustomClusterType, { name: 'envoy.clusters.dynamic_forward_proxy', typedConfig: config }) };
}
