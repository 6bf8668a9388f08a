import type { Subset } from '@meltemi/config';
import { Cluster, Cluster_CommonLbConfig, Cluster_DiscoveryType, Cluster_EdsClusterConfig } from '@meltemi/api/gen/envoy/config/cluster/v3/cluster.ts';
import { Metadata } from '@meltemi/api/gen/envoy/config/core/v3/base.ts';
import { clusterSni, outboundCluster } from '@meltemi/xds';
import { findDestinationRule, type DestinationRule } from '../../push-context/destination-rules.ts';
import type { PushContext } from '../../push-context/push-context.ts';
import type { Proxy } from '../../proxy/proxy.ts';
import { isHttp2, serviceKey, type Resolution, type Service, type ServicePort } from '../../registry/model.ts';
import { adsSource, create, createAny, duration, typed } from '../message.ts';
import { istioMutualUpstream, originatedUpstream, tlsSocket } from '../tls.ts';
import { RawBuffer } from '@meltemi/api/gen/envoy/extensions/transport_sockets/raw_buffer/v3/raw_buffer.ts';
import { loadAssignment } from '../endpoints.ts';
import { localityPreference } from '../locality.ts';
import { protocolOptions, upgradesToHttp2, type ProtocolChoice } from './protocol-options.ts';
import { applyTrafficPolicy, effectivePolicy, type PortPolicy } from './traffic-policy.ts';

/** One cluster to build. */
interface Target {
  readonly service: Service;
  readonly port: ServicePort;
  readonly rule: DestinationRule | undefined;
  readonly subset: Subset | undefined;
}

/** All clusters of one service port: the whole service, then each subset of its DestinationRule. */
export function outboundClusters(push: PushContext, proxy: Proxy, service: Service): Cluster[] {
  const rule = destinationRuleOf(push, proxy, service);
  return service.ports.flatMap((port) => [undefined, ...(rule?.subsets ?? [])].map((subset) => outbound(push, proxy, { service, port, rule, subset })));
}

/** The DestinationRule in force for a service as seen by `proxy`. */
export function destinationRuleOf(push: PushContext, proxy: Pick<Proxy, 'namespace' | 'labels'>, service: Pick<Service, 'hostname' | 'namespace'>): DestinationRule | undefined {
  return findDestinationRule(push.destinationRules, service, proxy, push.mesh.rootNamespace);
}

/** How a cluster of `service` finds its hosts when `proxy` asks. */
export function discoveryOf(service: Service, proxy: Pick<Proxy, 'interception' | 'proxyless' | 'type'>): Resolution {
  if (service.resolution !== 'passthrough') return service.resolution;
  // Deviation: where nothing is intercepted there is no original destination, so the endpoints we know are sent instead
  const dialled = !proxy.proxyless && proxy.type === 'sidecar' && proxy.interception !== 'NONE';
  if (dialled) return 'passthrough';
  if (service.registry === 'kubernetes') return 'static';
  return service.hostname.startsWith('*') ? 'passthrough' : 'dns';
}

const discoveryTypes: Readonly<Record<Resolution, Cluster_DiscoveryType>> = {
  static: Cluster_DiscoveryType.EDS,
  dns: Cluster_DiscoveryType.STRICT_DNS,
  'dns-round-robin': Cluster_DiscoveryType.LOGICAL_DNS,
  passthrough: Cluster_DiscoveryType.ORIGINAL_DST,
};

function outbound(push: PushContext, proxy: Proxy, target: Target): Cluster {
  const { service, port, rule, subset } = target;
  const name = outboundCluster(port.number, service.hostname, subset?.name ?? '');
  const policy = effectivePolicy(rule?.trafficPolicy, subset?.trafficPolicy, port.number);
  const dialled = policy.loadBalancer?.simple === 'PASSTHROUGH' && proxy.interception !== 'NONE' && proxy.type === 'sidecar' && !proxy.proxyless;
  const resolution = dialled ? 'passthrough' : discoveryOf(service, proxy);
  const cluster = create(Cluster, { name, clusterDiscoveryType: { $case: 'type', value: discoveryTypes[resolution] }, metadata: metadata(target) });
  if (resolution === 'static') cluster.edsClusterConfig = create(Cluster_EdsClusterConfig, { edsConfig: adsSource(), serviceName: name });
  const preference = localityPreference(push, proxy, policy);
  if (resolution === 'dns' || resolution === 'dns-round-robin') {
    cluster.loadAssignment = loadAssignment(push, { name, service, port, labels: subset?.labels ?? {}, preference, fallbackToHostname: service.resolution === 'passthrough' });
    cluster.dnsRefreshRate = duration(push.mesh.dnsRefreshRate);
    cluster.respectDnsTtl = true;
    cluster.dnsLookupFamily = 1;
  }
  applyTrafficPolicy(cluster, policy, push.mesh);
  if (preference) cluster.commonLbConfig = create(Cluster_CommonLbConfig, { ...cluster.commonLbConfig, localityConfigSpecifier: { $case: 'localityWeightedLbConfig', value: {} } });
  applyTls(proxy.http2 ? push : { ...push, mesh: { ...push.mesh, h2UpgradePolicy: 'DO_NOT_UPGRADE' } }, cluster, { ...target, policy: proxy.http2 ? policy : withoutUpgrade(policy), resolution });
  return cluster;
}

/** The policy for a proxy that cannot upgrade to HTTP/2. */
function withoutUpgrade(policy: PortPolicy): PortPolicy {
  const http = policy.connectionPool?.http;
  return http === undefined ? policy : { ...policy, connectionPool: { ...policy.connectionPool, http: { ...http, h2UpgradePolicy: 'DO_NOT_UPGRADE' } } };
}

/** Istio's own notes on a cluster: the stats filter reads the service from here. */
function metadata({ service, port, rule, subset }: Target): Metadata {
  const istio: Record<string, unknown> = {
    default_original_port: port.number,
    services: [{ host: service.hostname, name: service.name, namespace: service.namespace }],
  };
  if (rule) istio['config'] = `/apis/networking.istio.io/v1alpha3/namespaces/${rule.namespace}/destination-rule/${rule.name}`;
  if (subset) istio['subset'] = subset.name;
  return create(Metadata, { filterMetadata: { istio } });
}

type TlsTarget = Target & { readonly policy: PortPolicy; readonly resolution: Resolution };

/** The rule's TLS when it has one, else mutual TLS with whoever can. */
function applyTls(push: PushContext, cluster: Cluster, target: TlsTarget): void {
  const { service, port, policy, subset } = target;
  const settings = policy.tls;
  const choice: ProtocolChoice = { protocol: port.protocol, pool: policy.connectionPool, mesh: push.mesh };
  const http2 = upgradesToHttp2(choice);
  const sni = clusterSni(port.number, service.hostname, subset?.name ?? '');
  let options = choice;
  if (settings?.mode === 'SIMPLE' || settings?.mode === 'MUTUAL') {
    cluster.transportSocket = tlsSocket({ upstream: originatedUpstream(settings, { http2, fallbackNames: service.subjectAltNames }) });
    const autoSni = settings.sni === '';
    const autoSanValidation = autoSni && settings.subjectAltNames.length === 0 && settings.insecureSkipVerify !== true;
    options = { ...choice, autoSni, autoSanValidation };
  } else if (settings?.mode === 'ISTIO_MUTUAL') {
    const accounts = settings.subjectAltNames.length > 0 ? settings.subjectAltNames : acceptedIdentities(push, service);
    cluster.transportSocket = tlsSocket({ upstream: istioMutualUpstream({ sni: settings.sni || sni, accounts, http2: isHttp2(port.protocol) || http2 }) });
  } else if (settings === undefined && wantsAutoMtls(push, target)) {
    const socket = tlsSocket({ upstream: istioMutualUpstream({ sni, accounts: acceptedIdentities(push, service), http2 }) });
    cluster.transportSocketMatches = [
      { name: 'tlsMode-istio', match: { tlsMode: 'istio' }, transportSocket: socket },
      { name: 'tlsMode-disabled', match: {}, transportSocket: typed('envoy.transport_sockets.raw_buffer', createAny('envoy.extensions.transport_sockets.raw_buffer.v3.RawBuffer', RawBuffer)) },
    ];
  }
  cluster.typedExtensionProtocolOptions = protocolOptions(options);
}

/** Decided per endpoint, by its metadata; never for strangers, nor for addresses we do not choose. */
function wantsAutoMtls(push: PushContext, { service, resolution }: TlsTarget): boolean {
  return push.mesh.enableAutoMtls && !service.meshExternal && resolution !== 'passthrough';
}

/** SPIFFE ids of the service's workloads, in the trust domain and its aliases. */
function acceptedIdentities(push: PushContext, service: Service): string[] {
  const domains = [push.mesh.trustDomain, ...push.mesh.trustDomainAliases];
  const accounts = push.services.accounts.get(serviceKey(service)) ?? [];
  const ids = accounts.flatMap((account) => {
    const [namespace = '', name = ''] = account.split('/');
    return domains.map((domain) => `spiffe://${domain}/ns/${namespace}/sa/${name}`);
  });
  return [...new Set([...ids, ...service.subjectAltNames])].sort();
}
