import type { HeaderMap, ResponseHead } from '@meltemi/http';
import { DataStatus, FilterEvents, FilterStatus, type HttpStreamFilter, type HttpTerminalFilter, type LocalReply } from '../filter.ts';
import type { RequestReceiver } from '../stream.ts';
import { HeldBody } from './held-body.ts';
import { buildLocalReply } from './local-reply.ts';
import { prepareResponse } from './prepare-response.ts';
import type { Redirected, RedirectTrail } from './redirected.ts';
import { RequestPath } from './request-path.ts';
import type { ResponseTarget } from './response-target.ts';

/**
 * One HTTP request and its response on their way through the filters. Requests run filters[0] → router, responses run back.
 * A filter that throws ends this stream alone. @hot
 */
export class ActiveStream extends RequestPath implements RequestReceiver, ResponseTarget {
  heldResponse: HeldBody | null = null;
  redirects: RedirectTrail | null = null;
  /** The filter that holds the response's head; -1 when none does. */
  #encodeAt = -1;
  #bufferingResponse = false;
  #responseHolds = 0;
  /** The client, or a filter that holds the response's head, wants no more until `onWritable`. */
  #responseFull = false;
  #endStreamOfHead = false;
  /** Brings the answer in place of this one. */
  #successor: ActiveStream | null = null;

  protected get self(): ActiveStream {
    return this;
  }

  protected get successor(): ActiveStream | null {
    return this.#successor;
  }

  /** Runs the head through the chain. */
  start(): void {
    this.#start(false);
  }

  /** `again`: an earlier stream has made the request trustworthy. */
  #start(again: boolean): void {
    try {
      const manager = this.manager;
      if (this.requestComplete) this.info.requestCompleteMonoMs = this.info.startMonoMs;
      this.startDeadlines();
      const shed = again ? null : manager.shed();
      // Without filters: what is short is what they would take.
      if (shed !== null) return this.sendLocalReply(shed);
      const refusal = again ? null : manager.prepare(this);
      if (this.finished) return undefined;
      if (manager.tracer !== null && refusal === null) this.trace = manager.tracer.begin({ head: this.request, info: this.info, route: this.route() });
      this.startLogs();
      manager.chain.build(this, this);
      if (refusal !== null) this.sendLocalReply(refusal);
      else this.decodeHead(0);
    } catch (error) {
      this.failed(error);
    }
  }

  again({ request, trail }: Redirected, body: { readonly held: HeldBody | null; readonly trailers: HeaderMap | null } | null): void {
    if (this.finished) return;
    this.info.responseCodeDetails = 'internal_redirect';
    this.finish();
    const next = this.session.begin(this.writer, request, body === null);
    this.#successor = next;
    next.redirects = trail;
    next.info.requestId = this.info.requestId;
    next.info.downstreamRemoteAddress = this.info.downstreamRemoteAddress;
    next.#start(true);
    if (body === null) return;
    if (body.held !== null) for (const part of body.held.parts) next.onData(part, 0, part.length);
    next.onEnd(body.trailers);
  }

  onWritable(): void {
    if (this.#successor !== null) return this.#successor.onWritable();
    this.#responseFull = false;
    if (this.#responseHolds > 0) return undefined;
    try {
      (this.filters[this.filters.length - 1] as HttpTerminalFilter | undefined)?.onDownstreamWritable();
    } catch (error) {
      this.failed(error);
    }
  }

  interim(head: ResponseHead): void {
    if (!this.finished && !this.responseStarted && (head.status !== 100 || this.manager.config.proxy100Continue)) this.writer.interim(head);
  }

  encodeHead(head: ResponseHead, endStream: boolean): void {
    if (this.finished) return;
    try {
      this.response = head;
      this.info.response = head;
      this.responseStarted = true;
      this.#endStreamOfHead = endStream;
      this.#encodeHead(this.filters.length - 1);
    } catch (error) {
      this.failed(error);
    }
  }

  encodeData(buffer: Buffer, start: number, end: number): boolean {
    if (this.finished) return true;
    try {
      return this.#passResponseData(this.filters.length - 1, buffer, start, end);
    } catch (error) {
      this.failed(error);
      return true;
    }
  }

  encodeEnd(trailers: HeaderMap | null): void {
    if (this.finished) return;
    try {
      this.#passResponseEnd(this.filters.length - 1, trailers);
    } catch (error) {
      this.failed(error);
    }
  }

  continueResponse(): void {
    if (this.finished || this.#encodeAt < 0) return;
    try {
      const at = this.#encodeAt;
      const held = this.heldResponse;
      const from = this.#bufferingResponse ? at - 1 : at;
      this.heldResponse = null;
      this.#encodeAt = -1;
      this.#bufferingResponse = false;
      this.#responseFull = false;
      this.#encodeHead(at - 1);
      if (held !== null) for (const part of held.parts) this.#passResponseData(from, part, 0, part.length);
      if (held?.ended === true) this.#passResponseEnd(from, held.trailers);
      else if (this.#encodeAt < 0 && !this.#responseFull && !this.finished) this.onWritable();
    } catch (error) {
      this.failed(error);
    }
  }

  discardHeldResponse(): void {
    const ended = this.heldResponse?.ended === true;
    this.heldResponse = null;
    if (ended) (this.heldResponse = new HeldBody()).end(null);
  }

  holdResponseBody(): void {
    this.#responseHolds++;
  }

  releaseResponseBody(): void {
    if (this.#responseHolds > 0 && --this.#responseHolds === 0 && !this.#responseFull && !this.finished) this.onWritable();
  }

  injectResponseData(from: HttpStreamFilter, buffer: Buffer, start: number, end: number): void {
    if (this.finished) return;
    try {
      this.#passResponseData(this.filters.indexOf(from) - 1, buffer, start, end);
    } catch (error) {
      this.failed(error);
    }
  }

  injectResponseEnd(from: HttpStreamFilter, trailers: HeaderMap | null): void {
    if (this.finished) return;
    try {
      this.#passResponseEnd(this.filters.indexOf(from) - 1, trailers);
    } catch (error) {
      this.failed(error);
    }
  }

  sendLocalReply(reply: LocalReply): void {
    if (this.finished || this.local) return;
    this.info.responseCodeDetails = reply.details;
    this.info.responseFlags |= reply.flags ?? 0;
    if (this.headSent) return this.resetStream();
    this.local = true;
    // A response that a filter holds is replaced; the answer goes past the filters, which have seen that response.
    if (this.responseStarted) this.#dropHeldResponse();
    const { head, body } = buildLocalReply(this.manager.config, this.info, reply, this.random.next());
    const empty = body.length === 0 || this.request.method === 'HEAD';
    this.encodeHead(head, empty);
    if (empty || this.finished) return undefined;
    this.encodeData(body, 0, body.length);
    this.encodeEnd(null);
    return undefined;
  }

  resetStream(): void {
    if (this.finished) return;
    this.writer.reset();
    this.finish();
  }

  #dropHeldResponse(): void {
    this.heldResponse = null;
    this.#encodeAt = -1;
    this.#bufferingResponse = false;
    const { length } = this.filters;
    this.events = Array.from({ length }, (_, i) => (this.events[i] ?? 0) & (FilterEvents.destroy | FilterEvents.complete));
  }

  #encodeHead(from: number): void {
    const head = this.response;
    if (head === null) return;
    for (let i = from; i >= 0; i--) {
      if (((this.events[i] ?? 0) & FilterEvents.encodeHead) === 0) continue;
      const status = this.filters[i]?.encodeHead(this, head, this.#endStreamOfHead) ?? FilterStatus.continue;
      if (this.finished || this.headSent) return;
      if (status !== FilterStatus.continue) {
        this.#encodeAt = i;
        this.#bufferingResponse = status === FilterStatus.stopAndBuffer;
        return;
      }
    }
    this.info.responseCode = head.status;
    prepareResponse(this.manager, this, head);
    if (!this.requestComplete && head.status !== 101) this.manager.stats.rqResponseBeforeComplete.inc();
    if (this.info.downstreamFirstSentMonoMs < 0) this.info.downstreamFirstSentMonoMs = this.clock.monotonic();
    const endStream = this.#endStreamOfHead;
    this.headSent = true;
    if (endStream) this.#ended();
    this.writer.head(head, endStream);
    if (endStream) this.finish();
  }

  /** From filter `from` down to the client, or to the filter that holds the head. */
  #passResponseData(from: number, buffer: Buffer, start: number, end: number): boolean {
    const filters = this.filters;
    for (let i = from; i > this.#encodeAt; i--) {
      if (((this.events[i] ?? 0) & FilterEvents.encodeData) === 0) continue;
      if (filters[i]?.encodeData(this, buffer, start, end) === DataStatus.taken) return this.#responseWanted;
    }
    if (this.#encodeAt >= 0) {
      this.#responseFull = !this.#holdResponse(buffer, start, end);
      return this.#responseWanted;
    }
    if (this.finished) return true;
    this.info.bytesSent += end - start;
    this.#responseFull = !this.writer.data(buffer, start, end);
    return this.#responseWanted;
  }

  get #responseWanted(): boolean {
    return !this.#responseFull && this.#responseHolds === 0;
  }

  #passResponseEnd(from: number, trailers: HeaderMap | null): void {
    for (let i = from; i > this.#encodeAt; i--) {
      if (((this.events[i] ?? 0) & FilterEvents.encodeEnd) === 0) continue;
      if (this.filters[i]?.encodeEnd(this, trailers) === DataStatus.taken || this.finished) return;
    }
    if (this.#encodeAt >= 0) {
      (this.heldResponse ??= new HeldBody()).end(trailers);
      const at = this.#encodeAt;
      if (this.#bufferingResponse && ((this.events[at] ?? 0) & FilterEvents.encodeEnd) !== 0) this.filters[at]?.encodeEnd(this, trailers);
      return;
    }
    if (trailers !== null) this.info.responseTrailers = trailers.flat;
    this.#ended();
    this.writer.end(trailers);
    this.finish();
  }

  #holdResponse(buffer: Buffer, start: number, end: number): boolean {
    const held = (this.heldResponse ??= new HeldBody());
    const bytes = held.add(buffer, start, end);
    if (!this.#bufferingResponse) return false;
    if (bytes > this.manager.deps.bufferLimit) {
      this.sendLocalReply({ status: 500, body: 'Internal Server Error', details: 'response_payload_too_large' });
      return true;
    }
    const at = this.#encodeAt;
    if (((this.events[at] ?? 0) & FilterEvents.encodeData) !== 0) this.filters[at]?.encodeData(this, buffer, start, end);
    return true;
  }

  #ended(): void {
    this.info.downstreamLastSentMonoMs = this.clock.monotonic();
  }
}
