import type { Counter, FlatStats } from '@meltemi/observe';
import { CodeStats, codeStatsByPrefix, http2Stats, type ClusterStats, type Http2Stats } from '@meltemi/proxy';

/** Handles of a cluster's statistics, cluster.<name>.…; `name` is alt_stat_name or the cluster's. */
export function clusterStats(stats: FlatStats, name: string): ClusterStats {
  const counter = (stat: string) => stats.counter(`cluster.${name}.${stat}`);
  const gauge = (stat: string) => stats.gauge(`cluster.${name}.${stat}`);
  let http2: Http2Stats | null = null;
  const codes = new Map<number, Counter>();
  return {
    rqTotal: counter('upstream_rq_total'),
    rqActive: gauge('upstream_rq_active'),
    rqCompleted: counter('upstream_rq_completed'),
    rqClass: [0, 1, 2, 3, 4, 5].map((hundreds) => counter(hundreds === 0 ? 'upstream_rq_unknown' : `upstream_rq_${hundreds}xx`)),
    rqTimeout: counter('upstream_rq_timeout'),
    rqPerTryTimeout: counter('upstream_rq_per_try_timeout'),
    rqPerTryIdleTimeout: counter('upstream_rq_per_try_idle_timeout'),
    rqMaxDuration: counter('upstream_rq_max_duration_reached'),
    rqRetryBackoffExponential: counter('upstream_rq_retry_backoff_exponential'),
    rqRetryBackoffRateLimited: counter('upstream_rq_retry_backoff_ratelimited'),
    retryOrShadowAbandoned: counter('retry_or_shadow_abandoned'),
    rqCancelled: counter('upstream_rq_cancelled'),
    rqPendingFailureEject: counter('upstream_rq_pending_failure_eject'),
    rqRetry: counter('upstream_rq_retry'),
    rqRetrySuccess: counter('upstream_rq_retry_success'),
    rqRetryOverflow: counter('upstream_rq_retry_overflow'),
    rqRetryLimitExceeded: counter('upstream_rq_retry_limit_exceeded'),
    rqPendingTotal: counter('upstream_rq_pending_total'),
    rqPendingActive: gauge('upstream_rq_pending_active'),
    rqPendingOverflow: counter('upstream_rq_pending_overflow'),
    rqRxReset: counter('upstream_rq_rx_reset'),
    rqTxReset: counter('upstream_rq_tx_reset'),
    rqMaintenance: counter('upstream_rq_maintenance_mode'),
    cxTotal: counter('upstream_cx_total'),
    cxHttp1Total: counter('upstream_cx_http1_total'),
    cxHttp2Total: counter('upstream_cx_http2_total'),
    cxIdleTimeout: counter('upstream_cx_idle_timeout'),
    cxMaxRequests: counter('upstream_cx_max_requests'),
    cxMaxDuration: counter('upstream_cx_max_duration_reached'),
    cxActive: gauge('upstream_cx_active'),
    cxConnectFail: counter('upstream_cx_connect_fail'),
    cxConnectTimeout: counter('upstream_cx_connect_timeout'),
    cxDestroy: counter('upstream_cx_destroy'),
    cxOverflow: counter('upstream_cx_overflow'),
    cxRxBytes: counter('upstream_cx_rx_bytes_total'),
    cxTxBytes: counter('upstream_cx_tx_bytes_total'),
    noneHealthy: counter('upstream_cx_none_healthy'),
    codes: new CodeStats(stats, `cluster.${name}.`),
    internalCodes: new CodeStats(stats, `cluster.${name}.internal.`),
    externalCodes: new CodeStats(stats, `cluster.${name}.external.`),
    codesOf: codeStatsByPrefix(stats, `cluster.${name}.`),
    http2: () => (http2 ??= http2Stats(stats, `cluster.${name}.http2.`)),
    rqCode(status) {
      let found = codes.get(status);
      if (found === undefined) codes.set(status, (found = counter(`upstream_rq_${status}`)));
      return found;
    },
  };
}
