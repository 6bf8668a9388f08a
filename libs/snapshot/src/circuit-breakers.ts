import type { CircuitBreakers, CircuitBreakers_Thresholds } from '@meltemi/api/gen/envoy/config/cluster/v3/circuit_breaker.ts';
import { checkFields, durationMs, type Report } from '@meltemi/route';
import { retryBudgetFields, thresholdFields } from './cluster-tables.ts';
import type { CircuitBreaker, Cluster } from './cluster-types.ts';

/** Compiles circuit breakers with Envoy's defaults; the first threshold of a priority counts. */
export function compileCircuitBreakers(message: CircuitBreakers | undefined, report: Report): Cluster['circuitBreakers'] {
  for (const [i, threshold] of (message?.thresholds ?? []).entries()) {
    const path = `circuit_breakers.thresholds[${i}]`;
    checkFields(threshold, thresholdFields, path, report);
    if (threshold.retryBudget) checkFields(threshold.retryBudget, retryBudgetFields, `${path}.retry_budget`, report);
  }
  const perHost = message?.perHostThresholds[0];
  if (perHost && (perHost.maxPendingRequests !== undefined || perHost.maxRequests !== undefined || perHost.maxRetries !== undefined)) {
    report.refuse('circuit_breakers.per_host_thresholds[0]', 'only max_connections is supported per host');
  }
  return {
    default: breaker(message?.thresholds.find((threshold) => threshold.priority === 0)),
    high: breaker(message?.thresholds.find((threshold) => threshold.priority === 1)),
    perHostMaxConnections: perHost?.maxConnections ?? Number.MAX_SAFE_INTEGER,
  };
}

function breaker(threshold: CircuitBreakers_Thresholds | undefined): CircuitBreaker {
  const budget = threshold?.retryBudget;
  return {
    maxConnections: threshold?.maxConnections ?? 1024,
    maxPendingRequests: threshold?.maxPendingRequests ?? 1024,
    maxRequests: threshold?.maxRequests ?? 1024,
    maxRetries: threshold?.maxRetries ?? 3,
    trackRemaining: threshold?.trackRemaining ?? false,
    retryBudget: budget ? { percent: budget.budgetPercent?.value ?? 20, minConcurrency: budget.minRetryConcurrency ?? 3, intervalMs: durationMs(budget.budgetInterval, 0) } : null,
  };
}
