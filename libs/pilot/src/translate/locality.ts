import type { LocalityDistribute, LocalityFailover, LocalityLoadBalancerSetting } from '@meltemi/config';
import type { PushContext } from '../push-context/push-context.ts';
import type { Proxy } from '../proxy/proxy.ts';
import type { Endpoint, EndpointLocality } from '../registry/model.ts';
import type { PortPolicy } from './clusters/traffic-policy.ts';

/** How a client prefers localities. Absent altogether: every endpoint is as good as any other. */
export interface LocalityPreference {
  readonly from: EndpointLocality;
  /** Shares by locality pattern; others get nothing. */
  readonly distribute?: LocalityDistribute;
  /** Where to go when a nearer place has no healthy endpoint. */
  readonly failover?: { readonly regions: readonly LocalityFailover[]; readonly byLabels: readonly string[]; readonly labels: Readonly<Record<string, string>> };
}

/**
 * The preference of `proxy` for a cluster with this policy. Failover needs outlier detection: without it nobody knows that a place has failed.
 * The DestinationRule's block replaces the mesh's whole. Source: Istio's loadbalancer.go.
 */
export function localityPreference(push: PushContext, proxy: Pick<Proxy, 'locality' | 'labels'>, policy: PortPolicy): LocalityPreference | undefined {
  const settings: LocalityLoadBalancerSetting | undefined = policy.loadBalancer?.localityLbSetting ?? push.mesh.localityLbSetting;
  if (settings?.enabled === false) return undefined;
  const from = proxy.locality;
  const byLabels = settings?.failoverPriority ?? [];
  if (from.region === '' && byLabels.length === 0) return undefined;
  const distribute = settings?.distribute.find((entry) => fits(entry.from, from));
  if (distribute) return { from, distribute };
  if (!(policy.outlierDetection ?? push.mesh.defaultTrafficPolicy?.outlierDetection)) return undefined;
  return { from, failover: { regions: settings?.failover ?? [], byLabels, labels: byLabels.length > 0 ? proxy.labels : {} } };
}

/** 0 is best. Not dense: the caller closes the gaps. */
export function priorityOf(endpoint: Endpoint, preference: LocalityPreference | undefined): number {
  const failover = preference?.failover;
  if (!preference || !failover) return 0;
  if (failover.byLabels.length > 0) return failover.byLabels.length - leadingMatches(endpoint, preference.from, failover);
  const { region, zone, subZone } = endpoint.locality;
  if (region === preference.from.region) return zone !== preference.from.zone ? 2 : subZone !== preference.from.subZone ? 1 : 0;
  const wanted = failover.regions.find((entry) => entry.from === preference.from.region);
  return wanted && wanted.to !== region ? 4 : 3;
}

/** A locality's weight when shares are set: its part of the pattern's percentage. undefined: no share, so no traffic. `totals` is the weight behind each pattern. */
export function sharedWeight(locality: EndpointLocality, weight: number, shares: { readonly distribute: LocalityDistribute; readonly totals: ReadonlyMap<string, number> }): number | undefined {
  const pattern = patternOf(locality, shares.distribute);
  if (pattern === undefined) return undefined;
  const percent = shares.distribute.to[pattern] ?? 0;
  const part = Math.round((percent * 100 * weight) / (shares.totals.get(pattern) ?? weight));
  return part > 0 ? part : undefined;
}

/** The most specific pattern of `to` that a locality fits. */
export function patternOf(locality: EndpointLocality, distribute: LocalityDistribute): string | undefined {
  return Object.keys(distribute.to).filter((pattern) => fits(pattern, locality)).toSorted((a, b) => b.replace('*', '').length - a.replace('*', '').length)[0];
}

/** "region/zone/*" and shorter forms; "*" fits all. */
function fits(pattern: string, locality: EndpointLocality): boolean {
  const actual = [locality.region, locality.zone, locality.subZone];
  for (const [index, part] of pattern.split('/').entries()) {
    if (part === '*') return true;
    if (part !== actual[index]) return false;
  }
  return true;
}

function leadingMatches(endpoint: Endpoint, from: EndpointLocality, failover: NonNullable<LocalityPreference['failover']>): number {
  let matched = 0;
  for (const entry of failover.byLabels) {
    const [key = '', value] = entry.split('=');
    const wanted = value ?? labelOf(key, failover.labels, from);
    if (wanted === '' || labelOf(key, endpoint.labels, endpoint.locality) !== wanted) return matched;
    matched += 1;
  }
  return matched;
}

/** Topology labels are known from the locality even where no label says them. */
function labelOf(key: string, labels: Readonly<Record<string, string>>, locality: EndpointLocality): string {
  const known: Readonly<Record<string, string>> = { 'topology.kubernetes.io/region': locality.region, 'topology.kubernetes.io/zone': locality.zone, 'topology.istio.io/subzone': locality.subZone };
  return labels[key] ?? known[key] ?? '';
}
