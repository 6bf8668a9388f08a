import type { OutlierDetection as OutlierMessage } from '@meltemi/api/gen/envoy/config/cluster/v3/outlier_detection.ts';
import { checkFields, durationMs, type Report } from '@meltemi/route';
import { outlierFields } from './cluster-tables.ts';
import type { OutlierDetection } from './cluster-types.ts';

const defaultMaxEjectionMs = 300_000;

/** Compiles outlier detection with Envoy's defaults; null when there is none. `errorStatuses` stand beside it, in the options for HTTP. */
export function compileOutlier(message: OutlierMessage | undefined, errorStatuses: ReadonlySet<number> | null, report: Report): OutlierDetection | null {
  if (!message) return null;
  checkFields(message, outlierFields, 'outlier_detection', report);
  const baseMs = durationMs(message.baseEjectionTime, 30_000);
  const intervalMs = durationMs(message.interval, 10_000);
  if (intervalMs <= 0) report.refuse('outlier_detection.interval', 'must be more than zero');
  return {
    errorStatuses, intervalMs, baseEjectionTimeMs: baseMs,
    maxEjectionTimeMs: Math.max(baseMs, durationMs(message.maxEjectionTime, defaultMaxEjectionMs)),
    maxEjectionTimeJitterMs: durationMs(message.maxEjectionTimeJitter, 0),
    maxEjectionPercent: Math.min(100, message.maxEjectionPercent ?? 10),
    alwaysEjectOneHost: message.alwaysEjectOneHost ?? false,
    consecutive5xx: message.consecutive5xx ?? 5,
    enforcingConsecutive5xx: message.enforcingConsecutive5xx ?? 100,
    consecutiveGatewayFailure: message.consecutiveGatewayFailure ?? 5,
    enforcingConsecutiveGatewayFailure: message.enforcingConsecutiveGatewayFailure ?? 0,
    splitExternalLocalOrigin: message.splitExternalLocalOriginErrors,
    consecutiveLocalOriginFailure: message.consecutiveLocalOriginFailure ?? 5,
    enforcingConsecutiveLocalOriginFailure: message.enforcingConsecutiveLocalOriginFailure ?? 100,
    enforcingSuccessRate: message.enforcingSuccessRate ?? 100,
    successRateMinimumHosts: message.successRateMinimumHosts ?? 5,
    successRateRequestVolume: message.successRateRequestVolume ?? 100,
    successRateStdevFactor: message.successRateStdevFactor ?? 1900,
    enforcingLocalOriginSuccessRate: message.enforcingLocalOriginSuccessRate ?? 100,
    failurePercentageThreshold: message.failurePercentageThreshold ?? 85,
    enforcingFailurePercentage: message.enforcingFailurePercentage ?? 0,
    enforcingFailurePercentageLocalOrigin: message.enforcingFailurePercentageLocalOrigin ?? 0,
    failurePercentageMinimumHosts: message.failurePercentageMinimumHosts ?? 5,
    failurePercentageRequestVolume: message.failurePercentageRequestVolume ?? 50,
    unejectByHealthCheck: message.successfulActiveHealthCheckUnejectHost ?? true,
  };
}
