import type { OutlierDetection } from '@meltemi/snapshot';

/** Requests of one interval. */
export interface Volume {
  total: number;
  good: number;
}

/** Hosts whose success rate lies too many standard deviations below the others' mean; none while too few hosts have enough requests. */
export function successRateOutliers<T extends Volume>(seen: readonly T[], config: OutlierDetection): T[] {
  const enough = seen.filter(({ total }) => total > 0 && total >= config.successRateRequestVolume);
  if (enough.length === 0 || enough.length < config.successRateMinimumHosts) return [];
  const rates = enough.map(({ total, good }) => (100 * good) / total);
  const mean = rates.reduce((sum, rate) => sum + rate, 0) / rates.length;
  const deviation = Math.sqrt(rates.reduce((sum, rate) => sum + (rate - mean) ** 2, 0) / rates.length);
  const limit = mean - deviation * (config.successRateStdevFactor / 1000);
  return enough.filter((_one, i) => (rates[i] ?? 0) < limit);
}

/** Hosts that fail at least the given part of their requests; none while too few hosts have enough requests. */
export function failurePercentageOutliers<T extends Volume>(seen: readonly T[], config: OutlierDetection): T[] {
  const enough = seen.filter(({ total }) => total > 0 && total >= config.failurePercentageRequestVolume);
  if (enough.length === 0 || enough.length < config.failurePercentageMinimumHosts) return [];
  return enough.filter(({ total, good }) => (100 * (total - good)) / total >= config.failurePercentageThreshold);
}
