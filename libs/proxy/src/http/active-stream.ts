import { ResponseFlag, StreamInfo, type HeaderMap, type RequestHead, type ResponseHead } from '@meltemi/http';
import type { Clock, Random } from '@meltemi/base';
import { clusterOf, type RouteMatch } from '@meltemi/route';
import { FilterEvents, FilterStatus, type HttpStreamFilter, type HttpTerminalFilter, type LocalReply, type StreamControls } from '../filter.ts';
import type { NodeFacts } from '../node.ts';
import type { RequestReceiver, ResponseWriter } from '../stream.ts';
import type { Clusters } from '../upstream.ts';
import type { HttpConnectionManager, HttpSession } from './connection-manager.ts';
import { HeldBody } from './held-body.ts';
import { buildLocalReply } from './local-reply.ts';
import { prepareResponse } from './prepare-response.ts';

/** What the terminal filter may do besides: bring the response. */
export interface ResponseTarget extends StreamControls {
  readonly session: HttpSession;
  interim(head: ResponseHead): void;
  encodeHead(head: ResponseHead, endStream: boolean): void;
  /** False: ask for no more until onDownstreamWritable. */
  encodeData(buffer: Buffer, start: number, end: number): boolean;
  encodeEnd(trailers: HeaderMap | null): void;
  /** Upstream cannot take more of the request, or can again. */
  pauseRequest(): void;
  resumeRequest(): void;
}

/**
 * One HTTP request and its response on their way through the filters. Requests run filters[0] → router, responses run back.
 * A filter that throws ends this stream alone. @hot
 */
export class ActiveStream implements RequestReceiver, ResponseTarget {
  readonly info: StreamInfo;
  readonly request: RequestHead;
  response: ResponseHead | null = null;
  readonly session: HttpSession;
  requestComplete: boolean;
  responseStarted = false;
  readonly clock: Clock;
  readonly random: Random;
  readonly #manager: HttpConnectionManager;
  readonly #writer: ResponseWriter;
  #filters: readonly HttpStreamFilter[] = [];
  #events: readonly number[] = [];
  #decodeAt = 0;
  #encodeAt = -1;
  #encodeHeld = false;
  #heldRequest: HeldBody | null = null;
  #heldResponse: HeldBody | null = null;
  #noBody: boolean;
  #endStreamOfHead = false;
  #route: RouteMatch | null | undefined = undefined;
  #finished = false;
  #local = false;
  #cancelTimeout: (() => void) | null = null;
  #cancelDuration: (() => void) | null = null;

  constructor(session: HttpSession, writer: ResponseWriter, head: RequestHead, endStream: boolean) {
    const manager = session.manager;
    this.#manager = manager;
    this.session = session;
    this.clock = manager.deps.clock;
    this.random = manager.deps.random;
    this.info = new StreamInfo(session.info, this.clock.now(), this.clock.monotonic());
    this.info.request = head;
    this.request = head;
    this.requestComplete = endStream;
    this.#noBody = endStream;
    this.#writer = writer;
  }

  get clusters(): Clusters {
    return this.#manager.deps.clusters;
  }

  get node(): NodeFacts {
    return this.#manager.deps.node;
  }

  /** The stream is over. */
  get finished(): boolean {
    return this.#finished;
  }

  /** Runs the head through the chain. */
  start(): void {
    try {
      const manager = this.#manager;
      if (this.requestComplete) this.info.requestCompleteMonoMs = this.info.startMonoMs;
      if (manager.config.requestTimeoutMs > 0 && !this.requestComplete) this.#cancelTimeout = this.clock.after(manager.config.requestTimeoutMs, () => this.#requestTimeout());
      if (manager.config.maxStreamDurationMs > 0) this.#cancelDuration = this.clock.after(manager.config.maxStreamDurationMs, () => this.#tooLong());
      const refusal = manager.prepare(this);
      manager.chain.build(this, this);
      if (refusal !== null) this.sendLocalReply(refusal);
      else this.#decodeHead(0);
    } catch (error) {
      this.#failed(error);
    }
  }

  /** Takes the filters of this stream: called by the chain. */
  use(filters: readonly HttpStreamFilter[], events: readonly number[]): void {
    this.#filters = filters;
    this.#events = events;
  }

  // Request side

  onData(buffer: Buffer, start: number, end: number): void {
    this.info.bytesReceived += end - start;
    if (this.#finished) return;
    try {
      if (this.#decodeAt < this.#filters.length) this.#hold(buffer, start, end);
      else this.#decodeData(buffer, start, end);
    } catch (error) {
      this.#failed(error);
    }
  }

  onEnd(trailers: HeaderMap | null): void {
    if (this.#finished) return;
    this.requestComplete = true;
    this.#cancelTimeout?.();
    this.#cancelTimeout = null;
    this.info.requestCompleteMonoMs = this.clock.monotonic();
    try {
      if (this.#decodeAt < this.#filters.length) (this.#heldRequest ??= new HeldBody()).end(trailers);
      else this.#decodeEnd(trailers);
    } catch (error) {
      this.#failed(error);
    }
  }

  onReset(reason: 'disconnect' | 'protocol'): void {
    if (this.#finished) return;
    this.info.responseFlags |= reason === 'disconnect' ? ResponseFlag.DC : ResponseFlag.DPE;
    this.info.responseCodeDetails ??= reason === 'disconnect' ? 'downstream_remote_disconnect' : 'http1.codec_error';
    this.#manager.stats.rqRxReset.inc();
    this.#finish();
  }

  onWritable(): void {
    try {
      (this.#filters[this.#filters.length - 1] as HttpTerminalFilter | undefined)?.onDownstreamWritable();
    } catch (error) {
      this.#failed(error);
    }
  }

  continueRequest(): void {
    if (this.#finished || this.responseStarted || this.#decodeAt >= this.#filters.length) return;
    try {
      this.#decodeHead(this.#decodeAt + 1);
    } catch (error) {
      this.#failed(error);
    }
  }

  pauseRequest(): void {
    this.#writer.pauseRequest();
  }

  resumeRequest(): void {
    this.#writer.resumeRequest();
  }

  #decodeHead(from: number): void {
    const filters = this.#filters;
    for (let i = from; i < filters.length; i++) {
      if (((this.#events[i] ?? 0) & FilterEvents.decodeHead) === 0) continue;
      this.#decodeAt = i;
      const status = filters[i]?.decodeHead(this, this.request, this.#noBody) ?? FilterStatus.continue;
      if (this.#finished || this.#local) return;
      if (status === FilterStatus.stopIteration && i < filters.length - 1) {
        if (!this.requestComplete) this.pauseRequest();
        return;
      }
    }
    this.#decodeAt = filters.length;
    this.#releaseRequest(from > 0);
  }

  #releaseRequest(resume: boolean): void {
    const held = this.#heldRequest;
    this.#heldRequest = null;
    if (held !== null) {
      for (const part of held.parts) this.#decodeData(part, 0, part.length);
      if (held.ended) this.#decodeEnd(held.trailers);
    }
    if (resume && !this.requestComplete) this.resumeRequest();
  }

  #decodeData(buffer: Buffer, start: number, end: number): void {
    const filters = this.#filters;
    for (let i = 0; i < filters.length; i++) if (((this.#events[i] ?? 0) & FilterEvents.decodeData) !== 0) filters[i]?.decodeData(this, buffer, start, end);
  }

  #decodeEnd(trailers: HeaderMap | null): void {
    const filters = this.#filters;
    for (let i = 0; i < filters.length; i++) if (((this.#events[i] ?? 0) & FilterEvents.decodeEnd) !== 0) filters[i]?.decodeEnd(this, trailers);
  }

  #hold(buffer: Buffer, start: number, end: number): void {
    const held = (this.#heldRequest ??= new HeldBody());
    if (held.add(buffer, start, end) <= this.#manager.deps.bufferLimit) return;
    this.#manager.stats.rqTooLarge.inc();
    this.sendLocalReply({ status: 413, body: 'Payload Too Large', details: 'request_payload_too_large' });
  }

  // Route

  route(): RouteMatch | null {
    if (this.#route !== undefined) return this.#route;
    const found = this.#manager.routes.table?.match(this.request, this.random.next(), this.info) ?? null;
    this.#route = found;
    if (found !== null) {
      // As in Envoy the stream belongs to its route's cluster from here on, also when a filter answers it.
      this.info.upstreamCluster = found.action.kind === 'forward' ? clusterOf(found.action, this.request) : null;
      this.info.routeName = found.routeName;
      this.info.virtualHostName = found.virtualHostName;
      this.info.routeMetadata = found.metadata;
    }
    return found;
  }

  clearRoute(): void {
    this.#route = undefined;
  }

  perRoute(filterName: string): unknown {
    const route = this.route();
    return route === null || route.perFilter.size === 0 ? null : (route.perFilter.get(filterName)?.config ?? null);
  }

  // Response side

  interim(head: ResponseHead): void {
    if (!this.#finished && !this.responseStarted && (head.status !== 100 || this.#manager.config.proxy100Continue)) this.#writer.interim(head);
  }

  encodeHead(head: ResponseHead, endStream: boolean): void {
    if (this.#finished) return;
    try {
      this.response = head;
      this.info.response = head;
      this.responseStarted = true;
      this.#endStreamOfHead = endStream;
      this.#encodeHead(this.#filters.length - 1);
    } catch (error) {
      this.#failed(error);
    }
  }

  encodeData(buffer: Buffer, start: number, end: number): boolean {
    if (this.#finished) return true;
    try {
      if (this.#encodeHeld) {
        (this.#heldResponse ??= new HeldBody()).add(buffer, start, end);
        return false;
      }
      return this.#encodeData(buffer, start, end);
    } catch (error) {
      this.#failed(error);
      return true;
    }
  }

  encodeEnd(trailers: HeaderMap | null): void {
    if (this.#finished) return;
    try {
      if (this.#encodeHeld) (this.#heldResponse ??= new HeldBody()).end(trailers);
      else this.#encodeEnd(trailers);
    } catch (error) {
      this.#failed(error);
    }
  }

  continueResponse(): void {
    if (this.#finished || !this.#encodeHeld) return;
    try {
      this.#encodeHeld = false;
      this.#encodeHead(this.#encodeAt - 1);
      const held = this.#heldResponse;
      this.#heldResponse = null;
      if (held === null || this.#encodeHeld || this.#finished) return;
      for (const part of held.parts) this.#encodeData(part, 0, part.length);
      if (held.ended) this.#encodeEnd(held.trailers);
      else this.onWritable();
    } catch (error) {
      this.#failed(error);
    }
  }

  sendLocalReply(reply: LocalReply): void {
    if (this.#finished || this.#local) return;
    if (this.responseStarted) return this.resetStream();
    this.#local = true;
    this.info.responseCodeDetails = reply.details;
    this.info.responseFlags |= reply.flags ?? 0;
    const { head, body } = buildLocalReply(this.#manager.config, this.info, reply, this.random.next());
    const empty = body.length === 0 || this.request.method === 'HEAD';
    this.encodeHead(head, empty);
    if (empty || this.#finished) return undefined;
    this.encodeData(body, 0, body.length);
    this.encodeEnd(null);
    return undefined;
  }

  resetStream(): void {
    if (this.#finished) return;
    this.#writer.reset();
    this.#finish();
  }

  #encodeHead(from: number): void {
    const head = this.response;
    if (head === null) return;
    for (let i = from; i >= 0; i--) {
      if (((this.#events[i] ?? 0) & FilterEvents.encodeHead) === 0) continue;
      const status = this.#filters[i]?.encodeHead(this, head, this.#endStreamOfHead) ?? FilterStatus.continue;
      if (this.#finished) return;
      if (status === FilterStatus.stopIteration) {
        this.#encodeAt = i;
        this.#encodeHeld = true;
        return;
      }
    }
    this.info.responseCode = head.status;
    prepareResponse(this.#manager, this, head);
    if (this.info.downstreamFirstSentMonoMs < 0) this.info.downstreamFirstSentMonoMs = this.clock.monotonic();
    const endStream = this.#endStreamOfHead;
    if (endStream) this.#ended();
    this.#writer.head(head, endStream);
    if (endStream) this.#finish();
  }

  #encodeData(buffer: Buffer, start: number, end: number): boolean {
    for (let i = this.#filters.length - 1; i >= 0; i--) if (((this.#events[i] ?? 0) & FilterEvents.encodeData) !== 0) this.#filters[i]?.encodeData(this, buffer, start, end);
    this.info.bytesSent += end - start;
    return this.#finished || this.#writer.data(buffer, start, end);
  }

  #encodeEnd(trailers: HeaderMap | null): void {
    for (let i = this.#filters.length - 1; i >= 0; i--) if (((this.#events[i] ?? 0) & FilterEvents.encodeEnd) !== 0) this.#filters[i]?.encodeEnd(this, trailers);
    if (trailers !== null) this.info.responseTrailers = trailers.flat;
    this.#ended();
    this.#writer.end(trailers);
    this.#finish();
  }

  #ended(): void {
    this.info.downstreamLastSentMonoMs = this.clock.monotonic();
  }

  // End

  #finish(): void {
    if (this.#finished) return;
    this.#finished = true;
    this.#cancelTimeout?.();
    this.#cancelDuration?.();
    this.info.endMonoMs = this.clock.monotonic();
    const filters = this.#filters;
    for (let i = 0; i < filters.length; i++) {
      const events = this.#events[i] ?? 0;
      if ((events & FilterEvents.destroy) !== 0) this.#safely(filters[i], 'destroy');
      if ((events & FilterEvents.complete) !== 0) this.#safely(filters[i], 'complete');
    }
    this.#manager.completed(this);
  }

  #safely(filter: HttpStreamFilter | undefined, method: 'destroy' | 'complete'): void {
    try {
      filter?.[method](this);
    } catch (error) {
      this.#manager.deps.onBug(error);
    }
  }

  #failed(error: unknown): void {
    this.#manager.deps.onBug(error);
    if (this.#finished) return;
    if (this.responseStarted || this.#local) return this.resetStream();
    return this.sendLocalReply({ status: 500, body: 'Internal Server Error', details: 'filter_failure' });
  }

  #requestTimeout(): void {
    this.#manager.stats.rqTimeout.inc();
    this.sendLocalReply({ status: 408, body: 'request timeout', details: 'request_overall_timeout' });
  }

  #tooLong(): void {
    this.sendLocalReply({ status: 408, body: 'downstream duration timeout', details: 'max_duration_timeout', flags: ResponseFlag.DT });
  }

  /** No byte either way for the stream idle timeout. */
  idleTimeout(): void {
    this.#manager.stats.rqIdleTimeout.inc();
    this.sendLocalReply({ status: this.requestComplete ? 504 : 408, body: 'stream timeout', details: 'stream_idle_timeout', flags: ResponseFlag.SI });
  }
}
