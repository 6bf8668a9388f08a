import type { ConnectionEvent } from './vocabulary.ts';

interface Seen {
  receivedBytes: number;
  sentBytes: number;
}

export interface ConnectionReport {
  readonly event: ConnectionEvent;
  /** Since the connection's previous report. */
  readonly receivedBytes: number;
  readonly sentBytes: number;
}

/**
 * Open TCP connections of one reporting stream. Proxies report running totals and may report a connection only at its end; this turns
 * both into events with what was added. Past the limit the oldest is forgotten, and its end counts as if heard of for the first time.
 */
export class ConnectionTracker {
  readonly #open = new Map<string, Seen>();
  readonly #max: number;

  constructor(maxConnections = 10_000) {
    this.#max = maxConnections;
  }

  observe(id: string, now: { ended: boolean; receivedBytes: number; sentBytes: number }): ConnectionReport[] {
    const before = this.#open.get(id);
    const added = { receivedBytes: Math.max(0, now.receivedBytes - (before?.receivedBytes ?? 0)), sentBytes: Math.max(0, now.sentBytes - (before?.sentBytes ?? 0)) };
    if (!now.ended) {
      this.#remember(id, now);
      return [{ event: before ? 'continue' : 'open', ...added }];
    }
    this.#open.delete(id);
    const close: ConnectionReport = { event: 'close', ...added };
    return before ? [close] : [{ event: 'open', receivedBytes: 0, sentBytes: 0 }, close];
  }

  #remember(id: string, seen: Seen): void {
    if (id === '') return;
    this.#open.delete(id);
    this.#open.set(id, { receivedBytes: seen.receivedBytes, sentBytes: seen.sentBytes });
    if (this.#open.size <= this.#max) return;
    const oldest = this.#open.keys().next().value;
    if (oldest !== undefined) this.#open.delete(oldest);
  }
}
