import type { EdgeInstance } from './edge-instance.ts';
import { LogHistogram } from './log-histogram.ts';

/** Everything counted about an edge in one span of time. Spans add up. */
export class EdgeCounts {
  requests = 0;
  errors = 0;
  clientErrors = 0;
  requestBytes = 0;
  responseBytes = 0;
  connectionsOpened = 0;
  connectionsClosed = 0;
  mtlsYes = 0;
  mtlsNo = 0;
  readonly flags = new Map<string, number>();
  latency: LogHistogram | null = null;

  count(instance: EdgeInstance): void {
    const { event, outcome } = instance;
    if (event === 'request') {
      this.requests++;
      (this.latency ??= new LogHistogram()).record(instance.durationMs);
    }
    if (event === 'open') this.connectionsOpened++;
    if (event === 'close') this.connectionsClosed++;
    if (event === 'request' || event === 'close') {
      if (outcome === 'error') this.errors++;
      if (outcome === 'clientError') this.clientErrors++;
      for (const flag of instance.responseFlags) if (this.flags.has(flag) || this.flags.size < 32) this.flags.set(flag, (this.flags.get(flag) ?? 0) + 1);
    }
    this.requestBytes += instance.requestBytes;
    this.responseBytes += instance.responseBytes;
  }

  /** Whether the connection was mutually authenticated; only some reporters can say. */
  countSecurity(mtls: boolean): void {
    if (mtls) this.mtlsYes++;
    else this.mtlsNo++;
  }

  add(other: EdgeCounts): void {
    this.requests += other.requests;
    this.errors += other.errors;
    this.clientErrors += other.clientErrors;
    this.requestBytes += other.requestBytes;
    this.responseBytes += other.responseBytes;
    this.connectionsOpened += other.connectionsOpened;
    this.connectionsClosed += other.connectionsClosed;
    this.mtlsYes += other.mtlsYes;
    this.mtlsNo += other.mtlsNo;
    for (const [flag, count] of other.flags) this.flags.set(flag, (this.flags.get(flag) ?? 0) + count);
    if (other.latency) (this.latency ??= new LogHistogram()).add(other.latency);
  }
}

/** A ring of spans, so that any window up to `slots × slotMs` can be summed. */
export class SlidingCounts {
  readonly #slotMs: number;
  readonly #slots: ({ number: number; counts: EdgeCounts } | undefined)[];

  constructor(slotMs: number, slots: number) {
    this.#slotMs = slotMs;
    this.#slots = Array.from({ length: slots });
  }

  at(nowMs: number): EdgeCounts {
    const number = Math.floor(nowMs / this.#slotMs);
    const index = number % this.#slots.length;
    const slot = this.#slots[index];
    if (slot?.number === number) return slot.counts;
    const counts = new EdgeCounts();
    this.#slots[index] = { number, counts };
    return counts;
  }

  /** The sum over the slots that end within the last `windowMs`; the slot under way counts whole. */
  sum(nowMs: number, windowMs: number): EdgeCounts {
    const last = Math.floor(nowMs / this.#slotMs);
    const first = Math.floor((nowMs - windowMs) / this.#slotMs) + 1;
    const total = new EdgeCounts();
    for (const slot of this.#slots) if (slot && slot.number >= first && slot.number <= last) total.add(slot.counts);
    return total;
  }
}

/** Milliseconds that `SlidingCounts.sum(nowMs, windowMs)` really covers. */
export function coveredMs(nowMs: number, windowMs: number, slotMs: number): number {
  return nowMs - (Math.floor((nowMs - windowMs) / slotMs) + 1) * slotMs;
}
