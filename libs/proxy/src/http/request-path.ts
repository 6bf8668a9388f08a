import { ResponseFlag, type HeaderMap, type RequestHead } from '@meltemi/http';
import { DataStatus, FilterEvents, FilterStatus, type HttpStreamFilter } from '../filter.ts';
import type { ResponseWriter } from '../stream.ts';
import { HeldBody } from './held-body.ts';
import type { HttpSession } from './http-session.ts';
import { StreamBase } from './stream-base.ts';

/** Who wants no more of the request's body; reading goes on when nobody does. */
const PauseReason = { terminal: 1, iteration: 2, filter: 4 } as const;

/** The request's way through the filters: filters[0] → router. @hot */
export abstract class RequestPath extends StreamBase {
  heldRequest: HeldBody | null = null;
  requestBufferLimit: number;
  /** The filter that holds the request's head; the number of filters once all have it. */
  #decodeAt = 0;
  #bufferingRequest = false;
  #paused = 0;
  #requestHolds = 0;

  constructor(session: HttpSession, writer: ResponseWriter, head: RequestHead, endStream: boolean) {
    super(session, writer, head, endStream);
    this.requestBufferLimit = session.manager.deps.bufferLimit;
  }

  /** The stream that brings the answer in place of this one; null = none. */
  protected abstract get successor(): RequestPath | null;

  onData(buffer: Buffer, start: number, end: number): void {
    this.info.bytesReceived += end - start;
    if (this.finished) return;
    try {
      this.#passRequestData(0, buffer, start, end);
    } catch (error) {
      this.failed(error);
    }
  }

  onEnd(trailers: HeaderMap | null): void {
    if (this.finished) return;
    this.requestArrived();
    try {
      this.#passRequestEnd(0, trailers);
    } catch (error) {
      this.failed(error);
    }
  }

  onReset(reason: 'disconnect' | 'protocol', details?: string): void {
    if (this.finished) return this.successor?.onReset(reason, details);
    this.info.responseFlags |= reason === 'protocol' ? ResponseFlag.DPE : details === 'http2.remote_reset' ? ResponseFlag.DR : ResponseFlag.DC;
    this.info.responseCodeDetails ??= details ?? (reason === 'disconnect' ? 'downstream_remote_disconnect' : 'http1.codec_error');
    this.manager.stats.rqRxReset.inc();
    return this.finish();
  }

  continueRequest(): void {
    if (this.finished || this.local || this.#decodeAt >= this.filters.length) return;
    try {
      const at = this.#decodeAt;
      const held = this.heldRequest;
      const from = this.#bufferingRequest ? at + 1 : at;
      this.heldRequest = null;
      this.#bufferingRequest = false;
      this.decodeHead(at + 1);
      if (held !== null) this.#replayRequest(from, held);
      if (this.#decodeAt >= this.filters.length || this.#bufferingRequest) this.#unpause(PauseReason.iteration);
    } catch (error) {
      this.failed(error);
    }
  }

  pauseRequest(): void {
    this.#pause(PauseReason.terminal);
  }

  resumeRequest(): void {
    this.#unpause(PauseReason.terminal);
  }

  holdRequestBody(): void {
    this.#requestHolds++;
    this.#pause(PauseReason.filter);
  }

  releaseRequestBody(): void {
    if (this.#requestHolds > 0 && --this.#requestHolds === 0) this.#unpause(PauseReason.filter);
  }

  injectRequestData(from: HttpStreamFilter, buffer: Buffer, start: number, end: number): void {
    if (this.finished) return;
    try {
      this.#passRequestData(this.filters.indexOf(from) + 1, buffer, start, end);
    } catch (error) {
      this.failed(error);
    }
  }

  injectRequestEnd(from: HttpStreamFilter, trailers: HeaderMap | null): void {
    if (this.finished) return;
    try {
      this.#passRequestEnd(this.filters.indexOf(from) + 1, trailers);
    } catch (error) {
      this.failed(error);
    }
  }

  #pause(reason: number): void {
    if (this.requestComplete) return;
    if (this.#paused === 0) this.writer.pauseRequest();
    this.#paused |= reason;
  }

  #unpause(reason: number): void {
    if ((this.#paused & reason) === 0) return;
    this.#paused &= ~reason;
    if (this.#paused === 0 && !this.requestComplete && !this.finished) this.writer.resumeRequest();
  }

  protected decodeHead(from: number): void {
    const filters = this.filters;
    for (let i = from; i < filters.length; i++) {
      if (((this.events[i] ?? 0) & FilterEvents.decodeHead) === 0) continue;
      this.#decodeAt = i;
      const status = filters[i]?.decodeHead(this.self, this.request, this.noBody) ?? FilterStatus.continue;
      if (this.finished || this.local) return;
      if (status !== FilterStatus.continue && i < filters.length - 1) {
        this.#bufferingRequest = status === FilterStatus.stopAndBuffer;
        if (!this.#bufferingRequest) this.#pause(PauseReason.iteration);
        return;
      }
    }
    this.#decodeAt = filters.length;
  }

  #replayRequest(from: number, held: HeldBody): void {
    for (const part of held.parts) this.#passRequestData(from, part, 0, part.length);
    if (held.ended) this.#passRequestEnd(from, held.trailers);
  }

  /** From filter `from` on, as far as the head has come. */
  #passRequestData(from: number, buffer: Buffer, start: number, end: number): void {
    const filters = this.filters;
    const stop = this.#decodeAt;
    for (let i = from; i < stop; i++) {
      if (((this.events[i] ?? 0) & FilterEvents.decodeData) === 0) continue;
      if (filters[i]?.decodeData(this.self, buffer, start, end) === DataStatus.taken || this.finished) return;
    }
    if (stop < filters.length) this.#hold(buffer, start, end);
  }

  #passRequestEnd(from: number, trailers: HeaderMap | null): void {
    const filters = this.filters;
    const stop = this.#decodeAt;
    for (let i = from; i < stop; i++) {
      if (((this.events[i] ?? 0) & FilterEvents.decodeEnd) === 0) continue;
      if (filters[i]?.decodeEnd(this.self, trailers) === DataStatus.taken || this.finished) return;
    }
    if (stop >= filters.length || this.local) return;
    (this.heldRequest ??= new HeldBody()).end(trailers);
    if (this.#bufferingRequest && ((this.events[stop] ?? 0) & FilterEvents.decodeEnd) !== 0) filters[stop]?.decodeEnd(this.self, trailers);
  }

  #hold(buffer: Buffer, start: number, end: number): void {
    // Answered already: nobody will read it.
    if (this.local) return;
    const held = (this.heldRequest ??= new HeldBody());
    const stop = this.#decodeAt;
    if (held.add(buffer, start, end) <= this.requestBufferLimit) {
      if (this.#bufferingRequest && ((this.events[stop] ?? 0) & FilterEvents.decodeData) !== 0) this.filters[stop]?.decodeData(this.self, buffer, start, end);
      return;
    }
    this.manager.stats.rqTooLarge.inc();
    this.sendLocalReply({ status: 413, body: 'Payload Too Large', details: 'request_payload_too_large' });
  }
}
