import type { Counter, FlatStats } from '@meltemi/observe';
import type { AsyncPort } from '../http/async-request.ts';
import { Batches } from '../reports/batches.ts';
import type { SpanRecord } from './span.ts';

/** Sends a batch to a collector; `done` says whether it took it. Never calls back before it returns. */
export type SendSpans = (spans: readonly SpanRecord[], done: (taken: boolean) => void) => void;

/** Spans that go together; Envoy's default is 5 (tracing.*.min_flush_spans). Deviation: larger, a request to the collector costs more than a span. */
const batchSpans = 100;
/** Longest wait of a span for others. Envoy's is 5 s. */
const flushMs = 1000;
/** Spans waiting or on their way, per tracer; beyond it the newest are dropped and counted. */
const maxSpans = 5000;

export interface ExporterStats {
  readonly sent: Counter;
  readonly timerFlushed: Counter;
  readonly dropped: Counter;
  readonly reportsSent: Counter;
  readonly reportsFailed: Counter;
}

/** Counters under Envoy's names: tracing.zipkin.spans_sent and their like. */
export function exporterStats(stats: FlatStats, provider: string): ExporterStats {
  const counter = (name: string) => stats.counter(`tracing.${provider}.${name}`);
  return { sent: counter('spans_sent'), timerFlushed: counter('timer_flushed'), dropped: counter('spans_dropped'), reportsSent: counter('reports_sent'), reportsFailed: counter('reports_failed') };
}

/** Gathers the spans of a tracer, and sends them in batches: no request ever waits for a collector. */
export class SpanExporter {
  readonly #stats: ExporterStats;
  readonly #batches: Batches<SpanRecord>;

  constructor(send: SendSpans, { clock }: AsyncPort, stats: ExporterStats) {
    this.#stats = stats;
    this.#batches = new Batches({
      maxHeld: maxSpans, maxItems: batchSpans, flushMs, clock, onTimer: () => stats.timerFlushed.inc(),
      send: (spans, over) => send(spans, (taken) => {
        (taken ? stats.sent : stats.dropped).inc(spans.length);
        (taken ? stats.reportsSent : stats.reportsFailed).inc();
        over();
      }),
    });
  }

  add(span: SpanRecord): void {
    if (this.#batches.full) this.#stats.dropped.inc();
    else this.#batches.add(span);
  }

  /** Sends what waits, and resolves when collectors have answered for everything. */
  finished(): Promise<void> {
    return this.#batches.finished();
  }
}
