import type { HostSet } from './host-set.ts';

/** How traffic spreads over priorities, in percent that add up to 100 (all zero: no hosts at all). */
export interface PriorityLoad {
  readonly healthy: readonly number[];
  readonly degraded: readonly number[];
  /** The priority ignores health and uses all of its hosts. */
  readonly panic: readonly boolean[];
}

/**
 * Envoy's rules: a priority's health is its healthy share times the overprovisioning factor, at most 100 %; traffic fills priorities in order,
 * healthy hosts before degraded ones. When all together cannot take 100 %, a priority whose available share is below the panic threshold uses all its hosts.
 */
export function priorityLoad(set: HostSet, panicThreshold: number): PriorityLoad {
  const { priorities, overprovisioningFactor: factor } = set;
  const score = (count: number, total: number) => (total === 0 ? 0 : Math.min(100, Math.floor((factor * count) / total)));
  const healthy = priorities.map((priority) => score(priority.healthy.length, priority.all.length));
  const degraded = priorities.map((priority) => score(priority.degraded.length, priority.all.length));
  const total = Math.min(100, sum(healthy) + sum(degraded));
  const panic = priorities.map(({ all, healthy: up, degraded: half }) =>
    total < 100 && all.length > 0 && (100 * (up.length + half.length)) / all.length < panicThreshold);
  if (total === 0) return { healthy: byHostCount(set, panic), degraded: degraded.map(() => 0), panic };
  let left = 100;
  const spread = (scores: readonly number[]) => scores.map((value) => {
    const load = Math.min(left, Math.floor((value * 100) / total));
    left -= load;
    return load;
  });
  const loads = { healthy: spread(healthy), degraded: spread(degraded), panic };
  return left === 0 ? loads : withRemainder(loads, healthy, left);
}

/** Rounding leaves a few percent: the first priority with healthy hosts takes them, else the first with degraded ones. */
function withRemainder(loads: PriorityLoad, healthyScores: readonly number[], left: number): PriorityLoad {
  const list = healthyScores.some((value) => value > 0) ? 'healthy' : 'degraded';
  const first = loads[list].findIndex((load) => load > 0);
  return { ...loads, [list]: loads[list].map((load, i) => (i === first ? load + left : load)) };
}

/** Nothing is available: panicking priorities share by their number of hosts. */
function byHostCount(set: HostSet, panic: readonly boolean[]): number[] {
  const counts = set.priorities.map((priority, i) => (panic[i] === true ? priority.all.length : 0));
  const total = sum(counts);
  return counts.map((count) => (total === 0 ? 0 : (100 * count) / total));
}

function sum(values: readonly number[]): number {
  return values.reduce((a, b) => a + b, 0);
}
