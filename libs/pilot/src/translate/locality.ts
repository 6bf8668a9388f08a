import type { LocalityDistribute, LocalityFailover, LocalityLoadBalancerSetting, ZoneAwareLoadBalancerSetting } from '@meltemi/config';
import { Cluster_CommonLbConfig, Cluster_CommonLbConfig_LocalityWeightedLbConfig, Cluster_CommonLbConfig_ZoneAwareLbConfig, type Cluster } from '@meltemi/api/gen/envoy/config/cluster/v3/cluster.ts';
import type { PushContext } from '../push-context/push-context.ts';
import type { Proxy } from '../proxy/proxy.ts';
import type { Endpoint, EndpointLocality, Service } from '../registry/model.ts';
import type { PortPolicy } from './clusters/traffic-policy.ts';
import { create } from './message.ts';

/** How a client prefers localities. Absent altogether: every endpoint is as good as any other. */
export interface LocalityPreference {
  readonly from: EndpointLocality;
  /** Shares by locality pattern; others get nothing. */
  readonly distribute?: LocalityDistribute;
  /** Where to go when a nearer place has no healthy endpoint. */
  readonly failover?: LocalityFailovers;
}

export interface LocalityFailovers {
  /** By region, zone and subzone; by region alone (the proxy chooses among its zones); or not at all, since labels say it. */
  readonly places: 'zones' | 'regions' | 'none';
  readonly regions: readonly LocalityFailover[];
  /** "label" or "label=value", most important first. */
  readonly byLabels: readonly string[];
  /** The client's, topology included, for `byLabels`. */
  readonly labels: Readonly<Record<string, string>>;
}

/** Who asks, and for what. */
interface Asked {
  readonly policy: PortPolicy;
  readonly service: Pick<Service, 'trafficDistribution'>;
}

/** What is in force: at most one of the two settings. Forced failover needs no outlier detection. */
interface Effective {
  readonly locality?: LocalityLoadBalancerSetting;
  readonly zoneAware?: ZoneAwareLoadBalancerSetting;
  readonly forced: boolean;
}

const network = 'topology.istio.io/network';
const region = 'topology.kubernetes.io/region';
const zone = 'topology.kubernetes.io/zone';
const subzone = 'topology.istio.io/subzone';
const hostname = 'kubernetes.io/hostname';
const cluster = 'topology.istio.io/cluster';

const distributions = { zone: [network, region, zone], node: [network, region, zone, subzone, hostname] } as const;

/** The DestinationRule's setting, else what the service says, else the mesh's; each replaces the next whole. Source: Istio's GetEffectiveLbSetting. */
function effectiveSetting({ mesh }: PushContext, { policy, service }: Asked): Effective | undefined {
  const { zoneAwareLbSetting, localityLbSetting } = policy.loadBalancer ?? {};
  if (zoneAwareLbSetting) return zoneAware(zoneAwareLbSetting);
  if (localityLbSetting) return localityLbSetting.enabled === false ? undefined : { locality: localityLbSetting, forced: false };
  if (service.trafficDistribution !== 'any') {
    return { locality: { distribute: [], failover: [], failoverPriority: distributions[service.trafficDistribution] }, forced: true };
  }
  if (mesh.zoneAwareLbSetting) return zoneAware(mesh.zoneAwareLbSetting);
  if (mesh.localityLbSetting?.enabled === false) return undefined;
  return { locality: mesh.localityLbSetting ?? { distribute: [], failover: [], failoverPriority: [] }, forced: false };
}

function zoneAware(setting: ZoneAwareLoadBalancerSetting): Effective {
  return { zoneAware: setting, forced: setting.enabled !== false };
}

/** Whether and how the cluster's balancer looks at localities; call it when outlier detection stands. Source: Istio's loadbalancer.go ApplyToCluster. */
export function applyLocality(target: Cluster, push: PushContext, asked: Asked): void {
  const effective = effectiveSetting(push, asked);
  if (!effective) return;
  const set = (localityConfigSpecifier: Cluster_CommonLbConfig['localityConfigSpecifier']) => {
    target.commonLbConfig = create(Cluster_CommonLbConfig, { ...target.commonLbConfig, localityConfigSpecifier });
  };
  const { locality, zoneAware: zones } = effective;
  if (zones) {
    const config = create(Cluster_CommonLbConfig_ZoneAwareLbConfig, {
      ...(zones.enabled === false ? { routingEnabled: { value: 0 } } : {}),
      ...(zones.minClusterSize === undefined ? {} : { minClusterSize: BigInt(zones.minClusterSize) }),
    });
    set({ $case: 'zoneAwareLbConfig', value: config });
    return;
  }
  const fails = effective.forced || target.outlierDetection !== undefined;
  const ranked = fails && (locality?.failover.length ?? 0) + (locality?.failoverPriority.length ?? 0) > 0;
  if (ranked || (locality?.distribute.length ?? 0) > 0) set({ $case: 'localityWeightedLbConfig', value: create(Cluster_CommonLbConfig_LocalityWeightedLbConfig) });
}

/**
 * The preference of `proxy` for a cluster with this policy. Failover needs outlier detection, unless the setting is one that forces it: without
 * it nobody knows that a place has failed. Source: Istio's ApplyLocalityLoadBalancer and ApplyZoneAwareLoadBalancer.
 */
export function localityPreference(push: PushContext, proxy: Pick<Proxy, 'locality' | 'labels' | 'network' | 'clusterId' | 'node'>, asked: Asked): LocalityPreference | undefined {
  const effective = effectiveSetting(push, asked);
  if (!effective) return undefined;
  const from = proxy.locality;
  const byLabels = (setting: { readonly failoverPriority: readonly string[] }) => ({ byLabels: setting.failoverPriority, labels: setting.failoverPriority.length > 0 ? clientLabels(proxy, setting.failoverPriority) : {} });
  const { locality, zoneAware: zones } = effective;
  if (zones) return zones.enabled === false ? undefined : { from, failover: { places: 'regions', regions: zones.failover, ...byLabels(zones) } };
  if (!locality) return undefined;
  if (locality.distribute.length > 0) {
    const distribute = locality.distribute.find((entry) => fits(entry.from, from));
    return distribute ? { from, distribute } : undefined;
  }
  if (!effective.forced && !asked.policy.outlierDetection) return undefined;
  const labelsOnly = locality.failoverPriority.length > 0 && locality.failover.length === 0;
  return { from, failover: { places: labelsOnly ? 'none' : 'zones', regions: locality.failover, ...byLabels(locality) } };
}

/** 0 is best. Not dense: the caller closes the gaps. Places divide what labels have ranked. */
export function priorityOf(endpoint: Endpoint, preference: LocalityPreference | undefined): number {
  const failover = preference?.failover;
  if (!preference || !failover) return 0;
  const rank = labelRank(endpoint, failover);
  if (failover.places === 'none') return rank;
  return failover.places === 'zones' ? rank * 5 + zoneRank(endpoint.locality, preference.from, failover.regions) : rank * 3 + regionRank(endpoint.locality, preference.from, failover.regions);
}

/** Same place, same zone, same region, elsewhere, and last what a rule for this region does not name. */
function zoneRank(to: EndpointLocality, from: EndpointLocality, regions: readonly LocalityFailover[]): number {
  if (to.region === from.region) return to.zone !== from.zone ? 2 : to.subZone !== from.subZone ? 1 : 0;
  const wanted = regions.find((entry) => entry.from === from.region);
  return wanted && wanted.to !== to.region ? 4 : 3;
}

/** Same region, the one a rule names, elsewhere. */
function regionRank(to: EndpointLocality, from: EndpointLocality, regions: readonly LocalityFailover[]): number {
  if (to.region === from.region) return 0;
  return regions.find((entry) => entry.from === from.region)?.to === to.region ? 1 : 2;
}

/** How many labels from the first that differs on. A network that differs ranks behind all others, and what follows still counts. */
function labelRank(endpoint: Endpoint, { byLabels, labels }: LocalityFailovers): number {
  let behind = 0;
  for (const [index, entry] of byLabels.entries()) {
    const [key = '', value] = entry.split('=');
    if ((value ?? labels[key] ?? '') === endpointLabel(endpoint, key)) continue;
    if (index > 0 || key !== network) return behind + byLabels.length - index;
    behind = byLabels.length;
  }
  return behind;
}

/** Only the labels that are asked for: proxies that agree in them share their endpoints. */
function clientLabels(proxy: Pick<Proxy, 'locality' | 'labels' | 'network' | 'clusterId' | 'node'>, wanted: readonly string[]): Record<string, string> {
  const known = topologyLabels({ ...proxy, cluster: proxy.clusterId });
  return Object.fromEntries(wanted.map((entry) => entry.split('=')[0] ?? '').map((key) => [key, known[key] ?? proxy.labels[key] ?? '']));
}

function endpointLabel(endpoint: Endpoint, key: string): string {
  return topologyLabels(endpoint)[key] ?? endpoint.labels[key] ?? '';
}

/** Known from what a workload is, even where no label says it. */
function topologyLabels(of: { readonly locality: EndpointLocality; readonly network: string; readonly cluster: string; readonly node: string }): Readonly<Record<string, string | undefined>> {
  return {
    [region]: of.locality.region || undefined,
    [zone]: of.locality.zone || undefined,
    [subzone]: of.locality.subZone || undefined,
    [network]: of.network || undefined,
    [cluster]: of.cluster || undefined,
    [hostname]: of.node || undefined,
  };
}

/** A locality's weight when shares are set: its part of the pattern's percentage. undefined: no share, so no traffic. `totals` is the weight behind each pattern. */
export function sharedWeight(locality: EndpointLocality, weight: number, shares: { readonly distribute: LocalityDistribute; readonly totals: ReadonlyMap<string, number> }): number | undefined {
  const pattern = patternOf(locality, shares.distribute);
  if (pattern === undefined) return undefined;
  const percent = shares.distribute.to[pattern] ?? 0;
  const part = Math.ceil((percent * weight) / (shares.totals.get(pattern) ?? weight));
  // Deviation: Istio leaves a place with share 0 at its own weight, which sends it traffic
  return part > 0 ? part : undefined;
}

/** The most specific pattern of `to` that a locality fits. */
export function patternOf(locality: EndpointLocality, distribute: LocalityDistribute): string | undefined {
  return Object.keys(distribute.to).filter((pattern) => fits(pattern, locality)).toSorted((a, b) => b.replace('*', '').length - a.replace('*', '').length)[0];
}

/** "region/zone/*" and shorter forms; "*" fits all. */
function fits(pattern: string, locality: EndpointLocality): boolean {
  const actual = [locality.region, locality.zone, locality.subZone];
  return pattern.split('/').every((part, index) => part === '*' || part === '' || part === actual[index]);
}
