import type { Http2Options } from '@meltemi/snapshot';
import { http2ConnectionErrors as errors, type Http2CodecError } from './errors.ts';
import type { FrameWriter } from './frame-writer.ts';

/** Share of premature resets that ends a connection is judged after this many requests (Envoy's overload.premature_reset_total_stream_count). */
const prematureResetTotal = 500;
/** A request reset before this age without an answer is premature (overload.premature_reset_min_stream_lifetime_seconds). */
export const prematureResetMs = 1000;

/** Envoy's limits against peers that make work for nothing. Each call gives the reason to end the connection, or null. @hot */
export class FloodGuard {
  readonly #limits: Http2Options;
  readonly #writer: FrameWriter;
  /** Streams opened on the connection, by either side. */
  opened = 0;
  #emptyFrames = 0;
  #priorities = 0;
  #windowUpdates = 0;
  #closed = 0;
  #premature = 0;

  constructor(limits: Http2Options, writer: FrameWriter) {
    this.#limits = limits;
    this.#writer = writer;
  }

  /** Frames that wait to be sent, most of all answers that the peer asks for and does not read. */
  outbound(): Http2CodecError | null {
    const { outstanding, control } = this.#writer;
    if (control > this.#limits.maxOutboundControlFrames) return errors.controlFlood;
    return outstanding > this.#limits.maxOutboundFrames ? errors.outboundFlood : null;
  }

  /** A HEADERS, CONTINUATION or DATA frame; `idle`: without payload and without END_STREAM. */
  payload(idle: boolean): Http2CodecError | null {
    if (!idle) this.#emptyFrames = 0;
    else if (++this.#emptyFrames > this.#limits.maxConsecutiveEmptyFrames) return errors.emptyFlood;
    return null;
  }

  priority(): Http2CodecError | null {
    return ++this.#priorities > this.#limits.maxPriorityFramesPerStream * (1 + this.opened) ? errors.priorityFlood : null;
  }

  windowUpdate(): Http2CodecError | null {
    const most = 5 + 2 * (this.opened + this.#limits.maxWindowUpdatesPerDataFrame * this.#writer.dataFrames);
    return ++this.#windowUpdates > most ? errors.windowUpdateFlood : null;
  }

  /** A request is over. Rapid resets (CVE-2023-44487, CVE-2025-8671) end the connection when they are half of many. */
  requestOver(premature: boolean): Http2CodecError | null {
    this.#closed++;
    if (!premature) return null;
    this.#premature++;
    return this.#premature * 2 >= Math.max(this.#closed, prematureResetTotal) ? errors.prematureResets : null;
  }
}
