import type { ClientTlsSettings, Subset } from '@meltemi/config';
import {
  Cluster, Cluster_DiscoveryType, Cluster_EdsClusterConfig, Cluster_OriginalDstLbConfig,
} from '@meltemi/api/gen/envoy/config/cluster/v3/cluster.ts';
import { Metadata, type TransportSocket } from '@meltemi/api/gen/envoy/config/core/v3/base.ts';
import { ProxyProtocolConfig, ProxyProtocolConfig_Version } from '@meltemi/api/gen/envoy/config/core/v3/proxy_protocol.ts';
import { ProxyProtocolUpstreamTransport } from '@meltemi/api/gen/envoy/extensions/transport_sockets/proxy_protocol/v3/upstream_proxy_protocol.ts';
import { RawBuffer } from '@meltemi/api/gen/envoy/extensions/transport_sockets/raw_buffer/v3/raw_buffer.ts';
import { clusterSni, outboundCluster } from '@meltemi/xds';
import { findDestinationRule, type DestinationRule } from '../../push-context/destination-rules.ts';
import { modeForPort, mtlsPolicyFor } from '../../push-context/peer-authentication.ts';
import type { PushContext } from '../../push-context/push-context.ts';
import type { Proxy } from '../../proxy/proxy.ts';
import { serviceKey, type Resolution, type Service, type ServicePort } from '../../registry/model.ts';
import { lookupFamily } from '../dns-family.ts';
import { adsSource, create, createAny, duration, typed } from '../message.ts';
import { istioMutualUpstream, originatedUpstream, tlsSocket } from '../tls.ts';
import { loadAssignment } from '../endpoints.ts';
import { applyLocality, localityPreference } from '../locality.ts';
import type { Client } from '../views.ts';
import { dynamicClusters } from './dynamic.ts';
import { protocolOptions, upgradesToHttp2, type ProtocolChoice } from './protocol-options.ts';
import { applyTrafficPolicy, effectivePolicy, type PortPolicy } from './traffic-policy.ts';

/** One cluster to build. */
interface Target {
  readonly service: Service;
  readonly port: ServicePort;
  readonly rule: DestinationRule | undefined;
  readonly subset: Subset | undefined;
}

/** All clusters of one service port: the whole service, then each subset of `rule`, its DestinationRule as the client sees it. */
export function outboundClusters(push: PushContext, proxy: Client, service: Service, rule: DestinationRule | undefined): Cluster[] {
  if (service.aliasOf !== undefined) return [];
  if (service.resolution === 'dynamic-dns') return proxy.proxyless ? [] : dynamicClusters(push, proxy, service, rule);
  return service.ports.flatMap((port) => [undefined, ...(rule?.subsets ?? [])].map((subset) => outbound(push, proxy, { service, port, rule, subset }))).filter(hasNames);
}

/** A cluster that looks up names is none without a name. Source: Istio's buildCluster. */
function hasNames({ loadAssignment: inline }: Cluster): boolean {
  return inline === undefined || inline.endpoints.length > 0;
}

/** The DestinationRule in force for a service as seen by `proxy`. */
export function destinationRuleOf(push: PushContext, proxy: Pick<Proxy, 'namespace' | 'labels'>, service: Pick<Service, 'hostname' | 'namespace'>): DestinationRule | undefined {
  return findDestinationRule(push.destinationRules, service, proxy, push.mesh.rootNamespace);
}

/** How a cluster of `service` finds its hosts when `proxy` asks. */
export function discoveryOf(push: PushContext, service: Service, proxy: Pick<Proxy, 'interception' | 'proxyless' | 'type'>): Resolution {
  if (service.resolution !== 'passthrough') return service.resolution;
  if (service.registry === 'kubernetes' && push.features.edsForHeadless) return 'static';
  // Deviation: where nothing is intercepted there is no original destination, so the endpoints we know are sent instead
  const dialled = !proxy.proxyless && proxy.type === 'sidecar' && proxy.interception !== 'NONE';
  if (dialled) return 'passthrough';
  if (service.registry === 'kubernetes') return 'static';
  return service.hostname.startsWith('*') ? 'passthrough' : 'dns';
}

const discoveryTypes: Readonly<Record<Exclude<Resolution, 'dynamic-dns'>, Cluster_DiscoveryType>> = {
  static: Cluster_DiscoveryType.EDS,
  dns: Cluster_DiscoveryType.STRICT_DNS,
  'dns-round-robin': Cluster_DiscoveryType.LOGICAL_DNS,
  passthrough: Cluster_DiscoveryType.ORIGINAL_DST,
};

function outbound(push: PushContext, proxy: Client, target: Target): Cluster {
  const { service, port, rule, subset } = target;
  const name = outboundCluster(port.number, service.hostname, subset?.name ?? '');
  const policy = effectivePolicy(rule?.trafficPolicy, subset?.trafficPolicy, port.number, push.mesh.defaultTrafficPolicy);
  const dialled = policy.loadBalancer?.simple === 'PASSTHROUGH' && proxy.interception !== 'NONE' && proxy.type === 'sidecar' && !proxy.proxyless;
  const resolution = dialled ? 'passthrough' : discoveryOf(push, service, proxy);
  const cluster = create(Cluster, { name, clusterDiscoveryType: { $case: 'type', value: discoveryTypes[resolution === 'dynamic-dns' ? 'dns' : resolution] }, metadata: metadata(target, policy) });
  if (resolution === 'static') cluster.edsClusterConfig = create(Cluster_EdsClusterConfig, { edsConfig: adsSource(), serviceName: name });
  if (resolution === 'dns' || resolution === 'dns-round-robin') {
    // names have no node: what prefers one would only keep proxies from sharing their clusters
    const preference = localityPreference(push, { ...proxy, node: '' }, { policy, service });
    cluster.loadAssignment = loadAssignment(push, { name, service, port, labels: subset?.labels ?? {}, preference, client: { node: '', network: proxy.network }, tlsMode: policy.tls?.mode, fallbackToHostname: service.resolution === 'passthrough' });
    cluster.dnsRefreshRate = duration(push.mesh.dnsRefreshRate);
    cluster.respectDnsTtl = true;
    cluster.dnsLookupFamily = lookupFamily(push, proxy);
  }
  applyTrafficPolicy(cluster, policy, push.mesh);
  applyLocality(cluster, push, { policy, service });
  if (resolution === 'passthrough') applyPortOverride(cluster, service, port);
  applyTls(proxy.http2 ? push : { ...push, mesh: { ...push.mesh, h2UpgradePolicy: 'DO_NOT_UPGRADE' } }, cluster, { ...target, proxy, policy: proxy.http2 ? policy : withoutUpgrade(policy), resolution });
  if (policy.proxyProtocol) announceClients(cluster, policy.proxyProtocol.version);
  return cluster;
}

/** A ServiceEntry without endpoints may still say that its workloads listen elsewhere than clients call. */
function applyPortOverride(cluster: Cluster, service: Service, port: ServicePort): void {
  if (service.registry !== 'service-entry' || port.targetPort === port.number || typeof port.targetPort !== 'number') return;
  cluster.lbConfig = { $case: 'originalDstLbConfig', value: create(Cluster_OriginalDstLbConfig, { upstreamPortOverride: port.targetPort }) };
}

/** The policy for a proxy that cannot upgrade to HTTP/2. */
function withoutUpgrade(policy: PortPolicy): PortPolicy {
  const http = policy.connectionPool?.http;
  return http === undefined ? policy : { ...policy, connectionPool: { ...policy.connectionPool, http: { ...http, h2UpgradePolicy: 'DO_NOT_UPGRADE' } } };
}

/** Istio's own notes on a cluster: the stats filter reads the service from here, the ALPN filter whether TLS is the user's. */
function metadata({ service, port, rule, subset }: Target, policy: PortPolicy): Metadata {
  const istio: Record<string, unknown> = {
    default_original_port: port.number,
    services: [{ host: service.hostname, name: service.name, namespace: service.namespace }],
  };
  if (rule) istio['config'] = `/apis/networking.istio.io/v1alpha3/namespaces/${rule.namespace}/destination-rule/${rule.name}`;
  if (rule && (policy.tls?.mode === 'SIMPLE' || policy.tls?.mode === 'MUTUAL')) istio['alpn_override'] = 'false';
  if (subset) istio['subset'] = subset.name;
  else if (service.meshExternal) istio['external'] = true;
  return create(Metadata, { filterMetadata: { istio } });
}

type TlsTarget = Target & { readonly proxy: Client; readonly policy: PortPolicy; readonly resolution: Resolution };

/** The rule's TLS when it has one, else mutual TLS with whoever can. */
function applyTls(push: PushContext, cluster: Cluster, target: TlsTarget): void {
  const { service, port, policy, subset, resolution } = target;
  const settings = policy.tls;
  const choice: ProtocolChoice = { protocol: port.protocol, pool: policy.connectionPool, mesh: push.mesh, errorStatuses: policy.outlierDetection?.outlierDetectionHttpErrorCodes ?? [] };
  const http2 = upgradesToHttp2(choice);
  const sni = clusterSni(port.number, service.hostname, subset?.name ?? '');
  let options = choice;
  if ((settings?.mode === 'SIMPLE' || settings?.mode === 'MUTUAL') && mayRead(settings, target)) {
    const fallbackNames = service.registry === 'service-entry' ? service.subjectAltNames : [];
    cluster.transportSocket = tlsSocket({ upstream: originatedUpstream(settings, { http2, fallbackNames, mesh: push.mesh }) });
    const autoSni = settings.sni === '';
    const autoSanValidation = autoSni && settings.subjectAltNames.length === 0 && settings.insecureSkipVerify !== true;
    options = { ...choice, autoSni, autoSanValidation };
  } else if (settings?.mode === 'ISTIO_MUTUAL') {
    const accounts = settings.subjectAltNames.length > 0 ? settings.subjectAltNames : acceptedIdentities(push, service);
    cluster.transportSocket = tlsSocket({ upstream: istioMutualUpstream({ sni: settings.sni || sni, accounts, http2, mesh: push.mesh }) });
  } else if (settings === undefined && wantsAutoMtls(push, target)) {
    const socket = tlsSocket({ upstream: istioMutualUpstream({ sni, accounts: acceptedIdentities(push, service), http2, mesh: push.mesh }) });
    // nobody chooses among hosts that were dialled: it was found out that all of them can
    if (resolution === 'passthrough') cluster.transportSocket = socket;
    else cluster.transportSocketMatches = [{ name: 'tlsMode-istio', match: { tlsMode: 'istio' }, transportSocket: socket }, { name: 'tlsMode-disabled', match: {}, transportSocket: rawBuffer() }];
  }
  cluster.typedExtensionProtocolOptions = protocolOptions(options);
}

/** Secrets are for gateways, and for the workloads that a rule selects by label: others have no right to read them. ConfigMaps are for all. */
function mayRead({ credentialName }: ClientTlsSettings, { proxy, rule }: TlsTarget): boolean {
  return credentialName === '' || credentialName.startsWith('configmap://') || proxy.type !== 'sidecar' || rule?.selector !== undefined;
}

function wantsAutoMtls(push: PushContext, { service, port, resolution }: TlsTarget): boolean {
  if (!push.mesh.enableAutoMtls || service.meshExternal) return false;
  if (resolution === 'passthrough' && !allSpeakMutualTls(push, service, port)) return false;
  return modeForPort(mtlsPolicyFor(push.peerAuthentications, { namespace: service.namespace, labels: {} }), 0) !== 'DISABLE';
}

function allSpeakMutualTls(push: PushContext, service: Service, port: ServicePort): boolean {
  const endpoints = push.services.inline.get(serviceKey(service))?.find(([number]) => number === port.number)?.[1] ?? [];
  return endpoints.length > 0 && endpoints.every(({ mutualTls }) => mutualTls);
}

/** A PROXY header goes in front of everything, whichever way the connection is secured. */
function announceClients(cluster: Cluster, version: 'V1' | 'V2'): void {
  const wrapped = (transportSocket: TransportSocket) =>
    typed('envoy.transport_sockets.upstream_proxy_protocol', createAny('envoy.extensions.transport_sockets.proxy_protocol.v3.ProxyProtocolUpstreamTransport', ProxyProtocolUpstreamTransport, {
      config: create(ProxyProtocolConfig, { version: version === 'V2' ? ProxyProtocolConfig_Version.V2 : ProxyProtocolConfig_Version.V1 }),
      transportSocket,
    }));
  if (cluster.transportSocketMatches.length === 0) cluster.transportSocket = wrapped(cluster.transportSocket ?? rawBuffer());
  cluster.transportSocketMatches = cluster.transportSocketMatches.map((match) => ({ ...match, transportSocket: wrapped(match.transportSocket ?? rawBuffer()) }));
}

function rawBuffer(): TransportSocket {
  return typed('envoy.transport_sockets.raw_buffer', createAny('envoy.extensions.transport_sockets.raw_buffer.v3.RawBuffer', RawBuffer));
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
