import type { Counter, FlatStats } from '@meltemi/observe';
import type { AsyncPort } from '../http/async-request.ts';
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

/** Gathers spans, and sends them in batches within a bound: no request ever waits for a collector. */
export class SpanExporter {
  readonly #send: SendSpans;
  readonly #port: AsyncPort;
  readonly #stats: ExporterStats;
  #waiting: SpanRecord[] = [];
  #underWay = 0;
  #cancelTimer: (() => void) | null = null;
  #idle: (() => void)[] = [];

  constructor(send: SendSpans, port: AsyncPort, stats: ExporterStats) {
    this.#send = send;
    this.#port = port;
    this.#stats = stats;
  }

  add(span: SpanRecord): void {
    if (this.#waiting.length + this.#underWay >= maxSpans) return this.#stats.dropped.inc();
    this.#waiting.push(span);
    if (this.#waiting.length >= batchSpans) return this.flush();
    this.#cancelTimer ??= this.#port.clock.after(flushMs, () => {
      this.#cancelTimer = null;
      this.#stats.timerFlushed.inc();
      this.flush();
    });
    return undefined;
  }

  flush(): void {
    this.#cancelTimer?.();
    this.#cancelTimer = null;
    const spans = this.#waiting;
    if (spans.length === 0) return;
    this.#waiting = [];
    this.#underWay += spans.length;
    this.#send(spans, (taken) => {
      this.#underWay -= spans.length;
      if (taken) this.#stats.sent.inc(spans.length);
      else this.#stats.dropped.inc(spans.length);
      (taken ? this.#stats.reportsSent : this.#stats.reportsFailed).inc();
      if (this.#underWay > 0) return;
      const idle = this.#idle;
      this.#idle = [];
      for (const told of idle) told();
    });
  }

  /** Sends what waits, and resolves when collectors have answered for everything. */
  finished(): Promise<void> {
    this.flush();
    return this.#underWay === 0 ? Promise.resolve() : new Promise((resolve) => this.#idle.push(resolve));
  }
}
