import type { Counter, Family, Gauge, StatsRegistry } from '@meltemi/observe';

/** What the access log service counts of itself. */
export interface AccessLogStats {
  readonly streams: Gauge;
  /** reason: identity, node, limit, draining; client, rate and connection: one client had enough */
  readonly streamsRefused: Family<Counter>;
  /** kind: http, tcp */
  readonly entries: Family<Counter>;
  /** reason: invalid (a lie about the sender, or not readable) */
  readonly entriesRefused: Family<Counter>;
}

export function declareAccessLogStats(stats: StatsRegistry): AccessLogStats {
  return {
    streams: stats.gauge('meltemi_als_streams', 'Open access log streams.').labels(),
    streamsRefused: stats.counter('meltemi_als_streams_refused_total', 'Access log streams that were turned away.', ['reason']),
    entries: stats.counter('meltemi_als_entries_total', 'Access log entries received.', ['kind']),
    entriesRefused: stats.counter('meltemi_als_entries_refused_total', 'Access log entries that were not used.', ['reason']),
  };
}
