import { FlatStats, type Counter, type Gauge } from '@meltemi/observe';
import { http2ConnectionErrors as errors, http2StreamErrors as streamErrors, type Http2CodecError } from './errors.ts';

/**
 * What a codec counts under Envoy's names: http2.… for clients, cluster.<name>.http2.… for hosts. Left out is what does not exist here: METADATA
 * frames, callbacks without a stream.
 */
export interface Http2Stats {
  readonly rxReset: Counter;
  readonly txReset: Counter;
  readonly trailers: Counter;
  readonly goawaySent: Counter;
  readonly headerOverflow: Counter;
  readonly rxMessagingError: Counter;
  readonly streamRefusedErrors: Counter;
  readonly inboundEmptyFramesFlood: Counter;
  readonly inboundPriorityFramesFlood: Counter;
  readonly inboundWindowUpdateFramesFlood: Counter;
  readonly outboundFlood: Counter;
  readonly outboundControlFlood: Counter;
  readonly keepaliveTimeout: Counter;
  readonly txFlushTimeout: Counter;
  readonly requestsRejectedWithUnderscores: Counter;
  readonly droppedHeadersWithUnderscores: Counter;
  /** As of the last look, a second ago at most; so is the next. */
  readonly streamsActive: Gauge;
  /** Body bytes that wait for a window. */
  readonly pendingSendBytes: Gauge;
}

/** Handles for one prefix, "http2." or "cluster.x.http2.". Made when the first such connection opens, as in Envoy. */
export function http2Stats(stats: FlatStats, prefix: string): Http2Stats {
  const counter = (name: string) => stats.counter(prefix + name);
  return {
    rxReset: counter('rx_reset'),
    txReset: counter('tx_reset'),
    trailers: counter('trailers'),
    goawaySent: counter('goaway_sent'),
    headerOverflow: counter('header_overflow'),
    rxMessagingError: counter('rx_messaging_error'),
    streamRefusedErrors: counter('stream_refused_errors'),
    inboundEmptyFramesFlood: counter('inbound_empty_frames_flood'),
    inboundPriorityFramesFlood: counter('inbound_priority_frames_flood'),
    inboundWindowUpdateFramesFlood: counter('inbound_window_update_frames_flood'),
    outboundFlood: counter('outbound_flood'),
    outboundControlFlood: counter('outbound_control_flood'),
    keepaliveTimeout: counter('keepalive_timeout'),
    txFlushTimeout: counter('tx_flush_timeout'),
    requestsRejectedWithUnderscores: counter('requests_rejected_with_underscores_in_headers'),
    droppedHeadersWithUnderscores: counter('dropped_headers_with_underscores'),
    streamsActive: stats.gauge(`${prefix}streams_active`),
    pendingSendBytes: stats.gauge(`${prefix}pending_send_bytes`),
  };
}

/** For codecs that nobody asks: health checks, tests. */
export const unreadHttp2Stats: Http2Stats = http2Stats(new FlatStats(), '');

/** Counts why a stream or a connection was ended by us. */
export function countHttp2Error(stats: Http2Stats, error: Http2CodecError): void {
  if (error.malformed) return stats.rxMessagingError.inc();
  switch (error) {
    case streamErrors.tooManyHeaders:
    case errors.continuationFlood:
      return stats.headerOverflow.inc();
    case streamErrors.refused:
      return stats.streamRefusedErrors.inc();
    case errors.emptyFlood:
      return stats.inboundEmptyFramesFlood.inc();
    case errors.priorityFlood:
      return stats.inboundPriorityFramesFlood.inc();
    case errors.windowUpdateFlood:
      return stats.inboundWindowUpdateFramesFlood.inc();
    case errors.outboundFlood:
      return stats.outboundFlood.inc();
    case errors.controlFlood:
      return stats.outboundControlFlood.inc();
    case errors.pingTimeout:
      return stats.keepaliveTimeout.inc();
    default:
      return undefined;
  }
}
