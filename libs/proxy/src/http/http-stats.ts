import type { Counter, FlatStats, Gauge } from '@meltemi/observe';

/** Counters of a connection manager under Envoy's names, http.<prefix>.… */
export interface HttpStats {
  readonly cxTotal: Counter;
  readonly cxActive: Gauge;
  readonly cxHttp1Total: Counter;
  readonly cxHttp2Total: Counter;
  readonly cxDestroy: Counter;
  readonly cxProtocolError: Counter;
  readonly cxIdleTimeout: Counter;
  readonly cxRxBytes: Counter;
  readonly cxTxBytes: Counter;
  readonly cxDrainClose: Counter;
  readonly rqTotal: Counter;
  readonly rqOverloadClose: Counter;
  readonly cxOverloadDisableKeepalive: Counter;
  readonly rqActive: Gauge;
  readonly rqCompleted: Counter;
  readonly rqRxReset: Counter;
  readonly rqTimeout: Counter;
  readonly rqHeaderTimeout: Counter;
  readonly rqIdleTimeout: Counter;
  readonly rqTooLarge: Counter;
  readonly rqMaxDuration: Counter;
  readonly nonRelativePath: Counter;
  readonly rqWsOnNonWsRoute: Counter;
  readonly rqResponseBeforeComplete: Counter;
  readonly noRoute: Counter;
  readonly noCluster: Counter;
  readonly rqRedirect: Counter;
  readonly rqDirectResponse: Counter;
  /** Of all HTTP/1 clients of this proxy. */
  readonly http1: { readonly requestsRejectedWithUnderscores: Counter; readonly droppedHeadersWithUnderscores: Counter };
  /** [1] 1xx … [5] 5xx. */
  readonly rqClass: readonly Counter[];
}

export function httpStats(stats: FlatStats, prefix: string): HttpStats {
  const counter = (name: string) => stats.counter(`http.${prefix}.${name}`);
  const gauge = (name: string) => stats.gauge(`http.${prefix}.${name}`);
  return {
    cxTotal: counter('downstream_cx_total'),
    cxActive: gauge('downstream_cx_active'),
    cxHttp1Total: counter('downstream_cx_http1_total'),
    cxHttp2Total: counter('downstream_cx_http2_total'),
    cxDestroy: counter('downstream_cx_destroy'),
    cxProtocolError: counter('downstream_cx_protocol_error'),
    cxIdleTimeout: counter('downstream_cx_idle_timeout'),
    cxRxBytes: counter('downstream_cx_rx_bytes_total'),
    cxTxBytes: counter('downstream_cx_tx_bytes_total'),
    cxDrainClose: counter('downstream_cx_drain_close'),
    rqTotal: counter('downstream_rq_total'),
    rqOverloadClose: counter('downstream_rq_overload_close'),
    cxOverloadDisableKeepalive: counter('downstream_cx_overload_disable_keepalive'),
    rqActive: gauge('downstream_rq_active'),
    rqCompleted: counter('downstream_rq_completed'),
    rqRxReset: counter('downstream_rq_rx_reset'),
    rqTimeout: counter('downstream_rq_timeout'),
    rqHeaderTimeout: counter('downstream_rq_header_timeout'),
    rqIdleTimeout: counter('downstream_rq_idle_timeout'),
    rqMaxDuration: counter('downstream_rq_max_duration_reached'),
    rqTooLarge: counter('downstream_rq_too_large'),
    nonRelativePath: counter('downstream_rq_non_relative_path'),
    rqWsOnNonWsRoute: counter('downstream_rq_ws_on_non_ws_route'),
    rqResponseBeforeComplete: counter('downstream_rq_response_before_rq_complete'),
    noRoute: counter('no_route'),
    noCluster: counter('no_cluster'),
    rqRedirect: counter('rq_redirect'),
    rqDirectResponse: counter('rq_direct_response'),
    http1: { requestsRejectedWithUnderscores: stats.counter('http1.requests_rejected_with_underscores_in_headers'), droppedHeadersWithUnderscores: stats.counter('http1.dropped_headers_with_underscores') },
    rqClass: [0, 1, 2, 3, 4, 5].map((hundreds) => counter(hundreds === 0 ? 'downstream_rq_other' : `downstream_rq_${hundreds}xx`)),
  };
}
