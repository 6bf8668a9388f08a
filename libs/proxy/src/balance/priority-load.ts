import type { Host } from './host.ts';
import type { HostSet, PriorityHosts } from './host-set.ts';

/** How traffic spreads over priorities, in percent that add up to 100. */
export interface PriorityLoad {
  readonly healthy: readonly number[];
  readonly degraded: readonly number[];
  /** The priority ignores health and uses all of its hosts. */
  readonly panic: readonly boolean[];
}

/**
 * Envoy's rules: a priority's health is its healthy share times the overprovisioning factor, at most 100 %; traffic fills priorities in order,
 * healthy hosts before degraded ones. When all together cannot take 100 %, a priority whose available share is below the panic threshold uses
 * all its hosts; when every priority does, they share by their number of hosts.
 */
export function priorityLoad(set: HostSet, panicThreshold: number): PriorityLoad {
  const { healthy, degraded, total } = scoresOf(set);
  const none = healthy.map(() => 0);
  if (panicThreshold === 0 && total === 0) return { healthy: none.map((_load, i) => (i === 0 ? 100 : 0)), degraded: none, panic: none.map(() => false) };
  const panic = set.priorities.map((priority) => total < 100 && availablePercent(priority) < panicThreshold);
  if (panic.every(Boolean)) return { healthy: byHostCount(set), degraded: none, panic };
  return spreadOver({ healthy, degraded, total }, panic);
}

/** The same without some priorities, and without panic; null when the others have no host that can be used. */
export function loadWithout(set: HostSet, left: readonly number[]): PriorityLoad | null {
  const scores = scoresOf(set, left);
  return scores.total === 0 ? null : spreadOver(scores, set.priorities.map(() => false));
}

interface Scores {
  readonly healthy: readonly number[];
  readonly degraded: readonly number[];
  /** Of both, at most 100. */
  readonly total: number;
}

function scoresOf(set: HostSet, without: readonly number[] = []): Scores {
  const { priorities, overprovisioningFactor: factor } = set;
  const size = set.weightedPriorityHealth ? weightOf : (hosts: readonly Host[]) => hosts.length;
  const score = (part: readonly Host[], priority: PriorityHosts) => {
    const total = set.weightedPriorityHealth ? size(priority.all) : counted(priority);
    return total <= 0 ? 0 : Math.min(100, Math.floor((factor * size(part)) / total));
  };
  const scores = (list: 'healthy' | 'degraded') => priorities.map((priority, i) => (without.includes(i) ? 0 : score(priority[list], priority)));
  const healthy = scores('healthy');
  const degraded = scores('degraded');
  return { healthy, degraded, total: Math.min(100, sum(healthy) + sum(degraded)) };
}

function spreadOver({ healthy, degraded, total }: Scores, panic: readonly boolean[]): PriorityLoad {
  let left = 100;
  const spread = (scores: readonly number[]) => scores.map((value) => {
    const load = Math.min(left, total === 0 ? 0 : Math.floor((value * 100) / total));
    left -= load;
    return load;
  });
  const loads = { healthy: spread(healthy), degraded: spread(degraded), panic };
  return left === 0 ? loads : withRemainder(loads, healthy, left);
}

/** Hosts that count: not the excluded ones. */
function counted({ all, excluded }: PriorityHosts): number {
  return all.length - excluded;
}

function availablePercent(priority: PriorityHosts): number {
  const total = counted(priority);
  return total <= 0 ? 0 : (100 * (priority.healthy.length + priority.degraded.length)) / total;
}

/** Rounding leaves a few percent: the first priority with healthy hosts takes them, else the first with degraded ones. */
function withRemainder(loads: PriorityLoad, healthyScores: readonly number[], left: number): PriorityLoad {
  const list = healthyScores.some((value) => value > 0) ? 'healthy' : 'degraded';
  const first = Math.max(0, loads[list].findIndex((load) => load > 0));
  return { ...loads, [list]: loads[list].map((load, i) => (i === first ? load + left : load)) };
}

/** What is left after rounding goes to the first priority that has hosts. */
function byHostCount(set: HostSet): number[] {
  const counts = set.priorities.map((priority) => priority.all.length);
  const total = sum(counts);
  if (total === 0) return counts.map((_count, i) => (i === 0 ? 100 : 0));
  const loads = counts.map((count) => Math.floor((100 * count) / total));
  const first = counts.findIndex((count) => count > 0);
  return loads.map((load, i) => (i === first ? load + 100 - sum(loads) : load));
}

function weightOf(hosts: readonly Host[]): number {
  return sum(hosts.map(({ weight }) => weight));
}

function sum(values: readonly number[]): number {
  return values.reduce((a, b) => a + b, 0);
}
