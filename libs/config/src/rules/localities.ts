import type { LocalityDistribute, LocalityFailover, LocalityLoadBalancerSetting, OutlierDetection, ZoneAwareLoadBalancerSetting } from '../kinds/destination-rule/types.ts';
import { item } from '../schema/schema.ts';
import type { Findings } from './findings.ts';

const topologyLabels = ['topology.kubernetes.io/region', 'topology.kubernetes.io/zone', 'topology.istio.io/subzone'];

export interface LocalityCheck {
  readonly path: string;
  readonly findings: Findings;
  /** Failover only works when unhealthy hosts are ejected. */
  readonly outlier: OutlierDetection | 'mesh' | undefined;
}

export function checkLocalityLb(lb: LocalityLoadBalancerSetting | undefined, check: LocalityCheck): void {
  if (!lb) return;
  const { path, findings } = check;
  if (lb.distribute.length > 0 && lb.failover.length > 0) findings.error(`${path}.failover`, 'cannot be set beside distribute');
  if (lb.failover.length > 0)
    for (const [i, label] of lb.failoverPriority.entries())
      if (topologyLabels.includes(label)) findings.error(item(`${path}.failoverPriority`, i), `"${label}" cannot be used beside failover, which orders regions already`);
  for (const [i, one] of lb.distribute.entries()) checkDistribute(one, item(`${path}.distribute`, i), findings);
  findings.check(`${path}.distribute`, overlapReason(lb.distribute.map((one) => one.from)));
  checkFailover(lb, check);
}

/** Region, zone and subzone are handled by Envoy itself here, so labels for them are refused. */
export function checkZoneAwareLb(lb: ZoneAwareLoadBalancerSetting | undefined, check: LocalityCheck): void {
  if (!lb) return;
  for (const [i, label] of lb.failoverPriority.entries())
    if (topologyLabels.includes(label)) check.findings.error(item(`${check.path}.failoverPriority`, i), `"${label}" is handled by itself: leave it out`);
  checkFailover(lb, check);
}

function checkDistribute(one: LocalityDistribute, path: string, findings: Findings): void {
  const weights = Object.values(one.to);
  if (weights.some((weight) => weight < 1 || weight > 100)) findings.error(`${path}.to`, 'each share must be in the range 1…100');
  const total = weights.reduce((sum, weight) => sum + weight, 0);
  if (total !== 100) findings.error(`${path}.to`, `the shares must add up to 100, found ${total}`);
  findings.check(`${path}.to`, overlapReason(Object.keys(one.to)));
}

function checkFailover(lb: { failover: readonly LocalityFailover[]; failoverPriority: readonly string[] }, { path, findings, outlier }: LocalityCheck): void {
  if (lb.failover.length + lb.failoverPriority.length > 0 && outlier === undefined) findings.warn(path, 'failover happens only with outlierDetection');
  for (const [i, { from, to }] of lb.failover.entries()) {
    const at = item(`${path}.failover`, i);
    if (from === to) findings.error(at, 'from and to must be different regions');
    if (`${from}${to}`.includes('/')) findings.error(at, 'from and to must be regions, without zone or subzone');
    if (`${from}${to}`.includes('*')) findings.error(at, 'from and to must not hold wildcards');
  }
}

// "us-west/zone1/*": one wildcard at the end; none may lie inside another.
function overlapReason(localities: readonly string[]): string | undefined {
  const seen: string[][] = [];
  for (const locality of localities) {
    const parts = locality.split('/');
    if (parts.includes('')) return `"${locality}" must be of the form region/zone/subzone, without empty parts`;
    if (/\*./.test(locality)) return `"${locality}" may have one "*", at its end`;
    const covered = parts.at(-1) === '*' ? parts.slice(0, -1) : parts;
    const inside = (a: string[], b: string[]): boolean => b.every((part, i) => a[i] === part);
    if (seen.some((other) => inside(covered, other) || inside(other, covered))) return `"${locality}" overlaps an earlier one`;
    seen.push(covered);
  }
  return undefined;
}
