import { ResponseFlag, StreamInfo, type HeaderMap, type RequestHead, type ResponseHead } from '@meltemi/http';
import type { Clock, Random } from '@meltemi/base';
import { clusterOf, type RouteMatch } from '@meltemi/route';
import { DataStatus, FilterEvents, FilterStatus, type HttpStreamFilter, type HttpTerminalFilter, type LocalReply, type StreamControls } from '../filter.ts';
import type { NodeFacts } from '../node.ts';
import type { RequestReceiver, ResponseWriter } from '../stream.ts';
import type { StreamTrace } from '../tracing/stream-trace.ts';
import type { Clusters } from '../upstream.ts';
import type { HttpConnectionManager } from './connection-manager.ts';
import type { HttpSession } from './http-session.ts';
import { HeldBody } from './held-body.ts';
import { buildLocalReply } from './local-reply.ts';
import { prepareResponse } from './prepare-response.ts';
import type { Redirected, RedirectTrail } from './redirected.ts';

/** What the terminal filter may do besides: bring the response. */
export interface ResponseTarget extends StreamControls {
  readonly session: HttpSession;
  /** Null where nothing is traced. */
  readonly trace: StreamTrace | null;
  interim(head: ResponseHead): void;
  encodeHead(head: ResponseHead, endStream: boolean): void;
  /** False: ask for no more until onDownstreamWritable. */
  encodeData(buffer: Buffer, start: number, end: number): boolean;
  encodeEnd(trailers: HeaderMap | null): void;
  /** Upstream cannot take more of the request, or can again. */
  pauseRequest(): void;
  resumeRequest(): void;
  /** How long the stream may last from its start, in place of the connection manager's max_stream_duration; Infinity = as long as it likes. */
  limitDuration(ms: number): void;
  /** Redirects followed so far; null = none. */
  readonly redirects: RedirectTrail | null;
  /** The route that another request would have. */
  routeOf(head: RequestHead): RouteMatch | null;
  /** Ends this stream without an answer; another with this request, which runs through the filters anew, brings it. The terminal filter has let go. */
  again(next: Redirected, body: { readonly held: HeldBody | null; readonly trailers: HeaderMap | null } | null): void;
}

const none: readonly unknown[] = [];

/** Who wants no more of the request's body; reading goes on when nobody does. */
const PauseReason = { terminal: 1, iteration: 2, filter: 4 } as const;

/**
 * One HTTP request and its response on their way through the filters. Requests run filters[0] → router, responses run back.
 * A filter that throws ends this stream alone. @hot
 */
export class ActiveStream implements RequestReceiver, ResponseTarget {
  readonly info: StreamInfo;
  readonly request: RequestHead;
  response: ResponseHead | null = null;
  readonly session: HttpSession;
  trace: StreamTrace | null = null;
  requestComplete: boolean;
  responseStarted = false;
  readonly clock: Clock;
  readonly random: Random;
  readonly #manager: HttpConnectionManager;
  readonly #writer: ResponseWriter;
  #filters: readonly HttpStreamFilter[] = [];
  #events: readonly number[] = [];
  /** The filter that holds the request's head; the number of filters once all have it. */
  #decodeAt = 0;
  /** The filter that holds the response's head; -1 when none does. */
  #encodeAt = -1;
  #bufferingRequest = false;
  #bufferingResponse = false;
  heldRequest: HeldBody | null = null;
  heldResponse: HeldBody | null = null;
  requestBufferLimit: number;
  #paused = 0;
  #requestHolds = 0;
  #responseHolds = 0;
  #headSent = false;
  /** The client, or a filter that holds the response's head, wants no more until `onWritable`. */
  #responseFull = false;
  /** What had moved when the stream was last looked at, and when that was. */
  #progress = -1;
  #lastActiveMs = 0;
  #noBody: boolean;
  #endStreamOfHead = false;
  #route: RouteMatch | null | undefined = undefined;
  #finished = false;
  #local = false;
  redirects: RedirectTrail | null = null;
  /** Brings the answer in place of this one. */
  #successor: ActiveStream | null = null;
  #cancelTimeout: (() => void) | null = null;
  #cancelDuration: (() => void) | null = null;
  #cancelLogs: (() => void) | null = null;

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
    this.requestBufferLimit = manager.deps.bufferLimit;
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
    this.#start(false);
  }

  /** `again`: an earlier stream has made the request trustworthy. */
  #start(again: boolean): void {
    try {
      const manager = this.#manager;
      if (this.requestComplete) this.info.requestCompleteMonoMs = this.info.startMonoMs;
      if (manager.config.requestTimeoutMs > 0 && !this.requestComplete) this.#cancelTimeout = this.clock.after(manager.config.requestTimeoutMs, () => this.#requestTimeout());
      if (manager.config.maxStreamDurationMs > 0) this.#cancelDuration = this.clock.after(manager.config.maxStreamDurationMs, () => this.#tooLong());
      const shed = again ? null : manager.shed();
      // Without filters: what is short is what they would take.
      if (shed !== null) return this.sendLocalReply(shed);
      const refusal = again ? null : manager.prepare(this);
      if (this.#finished) return undefined;
      if (manager.tracer !== null && refusal === null) this.trace = manager.tracer.begin({ head: this.request, info: this.info, route: this.route() });
      this.#cancelLogs = manager.logsOnTheWay(this);
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
      this.#passRequestData(0, buffer, start, end);
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
      this.#passRequestEnd(0, trailers);
    } catch (error) {
      this.#failed(error);
    }
  }

  onReset(reason: 'disconnect' | 'protocol', details?: string): void {
    if (this.#finished) return this.#successor?.onReset(reason, details);
    this.info.responseFlags |= reason === 'protocol' ? ResponseFlag.DPE : details === 'http2.remote_reset' ? ResponseFlag.DR : ResponseFlag.DC;
    this.info.responseCodeDetails ??= details ?? (reason === 'disconnect' ? 'downstream_remote_disconnect' : 'http1.codec_error');
    this.#manager.stats.rqRxReset.inc();
    return this.#finish();
  }

  onWritable(): void {
    if (this.#successor !== null) return this.#successor.onWritable();
    this.#responseFull = false;
    if (this.#responseHolds > 0) return undefined;
    try {
      (this.#filters[this.#filters.length - 1] as HttpTerminalFilter | undefined)?.onDownstreamWritable();
    } catch (error) {
      this.#failed(error);
    }
  }

  continueRequest(): void {
    if (this.#finished || this.#local || this.#decodeAt >= this.#filters.length) return;
    try {
      const at = this.#decodeAt;
      const held = this.heldRequest;
      const from = this.#bufferingRequest ? at + 1 : at;
      this.heldRequest = null;
      this.#bufferingRequest = false;
      this.#decodeHead(at + 1);
      if (held !== null) this.#replayRequest(from, held);
      if (this.#decodeAt >= this.#filters.length || this.#bufferingRequest) this.#unpause(PauseReason.iteration);
    } catch (error) {
      this.#failed(error);
    }
  }

  pauseRequest(): void {
    this.#pause(PauseReason.terminal);
  }

  resumeRequest(): void {
    this.#unpause(PauseReason.terminal);
  }

  limitDuration(ms: number): void {
    this.#cancelDuration?.();
    this.#cancelDuration = null;
    if (Number.isFinite(ms)) this.#cancelDuration = this.clock.after(Math.max(0, this.info.startMonoMs + ms - this.clock.monotonic()), () => this.#tooLong());
  }

  holdRequestBody(): void {
    this.#requestHolds++;
    this.#pause(PauseReason.filter);
  }

  releaseRequestBody(): void {
    if (this.#requestHolds > 0 && --this.#requestHolds === 0) this.#unpause(PauseReason.filter);
  }

  injectRequestData(from: HttpStreamFilter, buffer: Buffer, start: number, end: number): void {
    if (this.#finished) return;
    try {
      this.#passRequestData(this.#filters.indexOf(from) + 1, buffer, start, end);
    } catch (error) {
      this.#failed(error);
    }
  }

  injectRequestEnd(from: HttpStreamFilter, trailers: HeaderMap | null): void {
    if (this.#finished) return;
    try {
      this.#passRequestEnd(this.#filters.indexOf(from) + 1, trailers);
    } catch (error) {
      this.#failed(error);
    }
  }

  #pause(reason: number): void {
    if (this.requestComplete) return;
    if (this.#paused === 0) this.#writer.pauseRequest();
    this.#paused |= reason;
  }

  #unpause(reason: number): void {
    if ((this.#paused & reason) === 0) return;
    this.#paused &= ~reason;
    if (this.#paused === 0 && !this.requestComplete && !this.#finished) this.#writer.resumeRequest();
  }

  #decodeHead(from: number): void {
    const filters = this.#filters;
    for (let i = from; i < filters.length; i++) {
      if (((this.#events[i] ?? 0) & FilterEvents.decodeHead) === 0) continue;
      this.#decodeAt = i;
      const status = filters[i]?.decodeHead(this, this.request, this.#noBody) ?? FilterStatus.continue;
      if (this.#finished || this.#local) return;
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
    const filters = this.#filters;
    const stop = this.#decodeAt;
    for (let i = from; i < stop; i++) {
      if (((this.#events[i] ?? 0) & FilterEvents.decodeData) === 0) continue;
      if (filters[i]?.decodeData(this, buffer, start, end) === DataStatus.taken || this.#finished) return;
    }
    if (stop < filters.length) this.#hold(buffer, start, end);
  }

  #passRequestEnd(from: number, trailers: HeaderMap | null): void {
    const filters = this.#filters;
    const stop = this.#decodeAt;
    for (let i = from; i < stop; i++) {
      if (((this.#events[i] ?? 0) & FilterEvents.decodeEnd) === 0) continue;
      if (filters[i]?.decodeEnd(this, trailers) === DataStatus.taken || this.#finished) return;
    }
    if (stop >= filters.length || this.#local) return;
    (this.heldRequest ??= new HeldBody()).end(trailers);
    if (this.#bufferingRequest && ((this.#events[stop] ?? 0) & FilterEvents.decodeEnd) !== 0) filters[stop]?.decodeEnd(this, trailers);
  }

  #hold(buffer: Buffer, start: number, end: number): void {
    // Answered already: nobody will read it.
    if (this.#local) return;
    const held = (this.heldRequest ??= new HeldBody());
    const stop = this.#decodeAt;
    if (held.add(buffer, start, end) <= this.requestBufferLimit) {
      if (this.#bufferingRequest && ((this.#events[stop] ?? 0) & FilterEvents.decodeData) !== 0) this.#filters[stop]?.decodeData(this, buffer, start, end);
      return;
    }
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

  routeOf(head: RequestHead): RouteMatch | null {
    return this.#manager.routes.table?.match(head, this.random.next(), this.info) ?? null;
  }

  again({ request, trail }: Redirected, body: { readonly held: HeldBody | null; readonly trailers: HeaderMap | null } | null): void {
    if (this.#finished) return;
    this.info.responseCodeDetails = 'internal_redirect';
    this.#finish();
    const next = this.session.begin(this.#writer, request, body === null);
    this.#successor = next;
    next.redirects = trail;
    next.info.requestId = this.info.requestId;
    next.info.downstreamRemoteAddress = this.info.downstreamRemoteAddress;
    next.#start(true);
    if (body === null) return;
    if (body.held !== null) for (const part of body.held.parts) next.onData(part, 0, part.length);
    next.onEnd(body.trailers);
  }

  clearRoute(): void {
    this.#route = undefined;
  }

  perRoute(filterName: string): unknown {
    const route = this.route();
    return route === null || route.perFilter.size === 0 ? null : (route.perFilter.get(filterName)?.config ?? null);
  }

  perRouteLevels(filterName: string): readonly unknown[] {
    return this.route()?.perFilter.get(filterName)?.levels ?? none;
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
      return this.#passResponseData(this.#filters.length - 1, buffer, start, end);
    } catch (error) {
      this.#failed(error);
      return true;
    }
  }

  encodeEnd(trailers: HeaderMap | null): void {
    if (this.#finished) return;
    try {
      this.#passResponseEnd(this.#filters.length - 1, trailers);
    } catch (error) {
      this.#failed(error);
    }
  }

  continueResponse(): void {
    if (this.#finished || this.#encodeAt < 0) return;
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
      else if (this.#encodeAt < 0 && !this.#responseFull && !this.#finished) this.onWritable();
    } catch (error) {
      this.#failed(error);
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
    if (this.#responseHolds > 0 && --this.#responseHolds === 0 && !this.#responseFull && !this.#finished) this.onWritable();
  }

  injectResponseData(from: HttpStreamFilter, buffer: Buffer, start: number, end: number): void {
    if (this.#finished) return;
    try {
      this.#passResponseData(this.#filters.indexOf(from) - 1, buffer, start, end);
    } catch (error) {
      this.#failed(error);
    }
  }

  injectResponseEnd(from: HttpStreamFilter, trailers: HeaderMap | null): void {
    if (this.#finished) return;
    try {
      this.#passResponseEnd(this.#filters.indexOf(from) - 1, trailers);
    } catch (error) {
      this.#failed(error);
    }
  }

  sendLocalReply(reply: LocalReply): void {
    if (this.#finished || this.#local) return;
    this.info.responseCodeDetails = reply.details;
    this.info.responseFlags |= reply.flags ?? 0;
    if (this.#headSent) return this.resetStream();
    this.#local = true;
    // A response that a filter holds is replaced; the answer goes past the filters, which have seen that response.
    if (this.responseStarted) this.#dropHeldResponse();
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

  #dropHeldResponse(): void {
    this.heldResponse = null;
    this.#encodeAt = -1;
    this.#bufferingResponse = false;
    const { length } = this.#filters;
    this.#events = Array.from({ length }, (_, i) => (this.#events[i] ?? 0) & (FilterEvents.destroy | FilterEvents.complete));
  }

  #encodeHead(from: number): void {
    const head = this.response;
    if (head === null) return;
    for (let i = from; i >= 0; i--) {
      if (((this.#events[i] ?? 0) & FilterEvents.encodeHead) === 0) continue;
      const status = this.#filters[i]?.encodeHead(this, head, this.#endStreamOfHead) ?? FilterStatus.continue;
      if (this.#finished || this.#headSent) return;
      if (status !== FilterStatus.continue) {
        this.#encodeAt = i;
        this.#bufferingResponse = status === FilterStatus.stopAndBuffer;
        return;
      }
    }
    this.info.responseCode = head.status;
    prepareResponse(this.#manager, this, head);
    if (!this.requestComplete && head.status !== 101) this.#manager.stats.rqResponseBeforeComplete.inc();
    if (this.info.downstreamFirstSentMonoMs < 0) this.info.downstreamFirstSentMonoMs = this.clock.monotonic();
    const endStream = this.#endStreamOfHead;
    this.#headSent = true;
    if (endStream) this.#ended();
    this.#writer.head(head, endStream);
    if (endStream) this.#finish();
  }

  /** From filter `from` down to the client, or to the filter that holds the head. */
  #passResponseData(from: number, buffer: Buffer, start: number, end: number): boolean {
    const filters = this.#filters;
    for (let i = from; i > this.#encodeAt; i--) {
      if (((this.#events[i] ?? 0) & FilterEvents.encodeData) === 0) continue;
      if (filters[i]?.encodeData(this, buffer, start, end) === DataStatus.taken) return this.#responseWanted;
    }
    if (this.#encodeAt >= 0) {
      this.#responseFull = !this.#holdResponse(buffer, start, end);
      return this.#responseWanted;
    }
    if (this.#finished) return true;
    this.info.bytesSent += end - start;
    this.#responseFull = !this.#writer.data(buffer, start, end);
    return this.#responseWanted;
  }

  get #responseWanted(): boolean {
    return !this.#responseFull && this.#responseHolds === 0;
  }

  #passResponseEnd(from: number, trailers: HeaderMap | null): void {
    for (let i = from; i > this.#encodeAt; i--) {
      if (((this.#events[i] ?? 0) & FilterEvents.encodeEnd) === 0) continue;
      if (this.#filters[i]?.encodeEnd(this, trailers) === DataStatus.taken || this.#finished) return;
    }
    if (this.#encodeAt >= 0) {
      (this.heldResponse ??= new HeldBody()).end(trailers);
      const at = this.#encodeAt;
      if (this.#bufferingResponse && ((this.#events[at] ?? 0) & FilterEvents.encodeEnd) !== 0) this.#filters[at]?.encodeEnd(this, trailers);
      return;
    }
    if (trailers !== null) this.info.responseTrailers = trailers.flat;
    this.#ended();
    this.#writer.end(trailers);
    this.#finish();
  }

  #holdResponse(buffer: Buffer, start: number, end: number): boolean {
    const held = (this.heldResponse ??= new HeldBody());
    const bytes = held.add(buffer, start, end);
    if (!this.#bufferingResponse) return false;
    if (bytes > this.#manager.deps.bufferLimit) {
      this.sendLocalReply({ status: 500, body: 'Internal Server Error', details: 'response_payload_too_large' });
      return true;
    }
    const at = this.#encodeAt;
    if (((this.#events[at] ?? 0) & FilterEvents.encodeData) !== 0) this.#filters[at]?.encodeData(this, buffer, start, end);
    return true;
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
    this.#cancelLogs?.();
    this.info.endMonoMs = this.clock.monotonic();
    const filters = this.#filters;
    for (let i = 0; i < filters.length; i++) {
      const events = this.#events[i] ?? 0;
      if ((events & (FilterEvents.destroy | FilterEvents.complete)) !== 0) this.#end(filters[i], events);
    }
    this.#manager.completed(this);
  }

  #end(filter: HttpStreamFilter | undefined, events: number): void {
    try {
      if ((events & FilterEvents.destroy) !== 0) filter?.destroy(this);
    } catch (error) {
      this.#manager.deps.onBug(error);
    }
    try {
      if ((events & FilterEvents.complete) !== 0) filter?.complete(this);
    } catch (error) {
      this.#manager.deps.onBug(error);
    }
  }

  #failed(error: unknown): void {
    this.#manager.deps.onBug(error);
    if (this.#finished) return;
    if (this.#headSent || this.#local) return this.resetStream();
    return this.sendLocalReply({ status: 500, body: 'Internal Server Error', details: 'filter_failure' });
  }

  #requestTimeout(): void {
    this.#manager.stats.rqTimeout.inc();
    this.sendLocalReply({ status: 408, body: 'request timeout', details: 'request_overall_timeout' });
  }

  #tooLong(): void {
    this.#manager.stats.rqMaxDuration.inc();
    this.sendLocalReply({ status: this.requestComplete ? 504 : 408, body: 'downstream duration timeout', details: 'max_duration_timeout', flags: ResponseFlag.DT, grpcStatus: 4 });
  }

  /** Called now and then with the worker's coarse time: no byte either way for the stream idle timeout ends it. */
  tick(nowMs: number): void {
    const { info } = this;
    const progress = info.bytesReceived + info.bytesSent + (this.requestComplete ? 1 : 0) + (this.responseStarted ? 1 : 0);
    if (progress !== this.#progress) {
      this.#progress = progress;
      this.#lastActiveMs = nowMs;
      return;
    }
    const action = this.route()?.action;
    const configured = (action?.kind === 'forward' ? action.idleTimeoutMs : null) ?? this.#manager.config.streamIdleTimeoutMs;
    const limit = this.#manager.deps.overload?.timeout('stream-idle', configured) ?? configured;
    if (limit <= 0 || nowMs - this.#lastActiveMs <= limit) return;
    this.#manager.stats.rqIdleTimeout.inc();
    this.sendLocalReply({ status: this.requestComplete ? 504 : 408, body: 'stream timeout', details: 'stream_idle_timeout', flags: ResponseFlag.SI });
  }
}
