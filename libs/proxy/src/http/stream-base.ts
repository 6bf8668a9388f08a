import { ResponseFlag, StreamInfo, type RequestHead, type ResponseHead } from '@meltemi/http';
import type { Clock, Random } from '@meltemi/base';
import { clusterOf, type RouteMatch } from '@meltemi/route';
import { FilterEvents, type HttpStreamFilter, type LocalReply } from '../filter.ts';
import type { NodeFacts } from '../node.ts';
import type { ResponseWriter } from '../stream.ts';
import type { StreamTrace } from '../tracing/stream-trace.ts';
import type { Clusters } from '../upstream.ts';
import type { ActiveStream } from './active-stream.ts';
import type { HttpConnectionManager } from './connection-manager.ts';
import type { HttpSession } from './http-session.ts';

const none: readonly unknown[] = [];

/** One HTTP request and its response: the filters it runs through, its route, its deadlines and its end. @hot */
export abstract class StreamBase {
  readonly info: StreamInfo;
  readonly request: RequestHead;
  response: ResponseHead | null = null;
  readonly session: HttpSession;
  trace: StreamTrace | null = null;
  requestComplete: boolean;
  responseStarted = false;
  readonly clock: Clock;
  readonly random: Random;
  protected readonly manager: HttpConnectionManager;
  protected readonly writer: ResponseWriter;
  protected filters: readonly HttpStreamFilter[] = [];
  protected events: readonly number[] = [];
  /** The head has no body behind it. */
  protected readonly noBody: boolean;
  protected headSent = false;
  /** The proxy itself answers. */
  protected local = false;
  /** The answer tells the request id, whatever the connection manager's config says. */
  tellsRequestId = false;
  #route: RouteMatch | null | undefined = undefined;
  #finished = false;
  /** What had moved when the stream was last looked at, and when that was. */
  #progress = -1;
  #lastActiveMs = 0;
  #cancelTimeout: (() => void) | null = null;
  #cancelDuration: (() => void) | null = null;
  #cancelLogs: (() => void) | null = null;

  constructor(session: HttpSession, writer: ResponseWriter, head: RequestHead, endStream: boolean) {
    const manager = session.manager;
    this.manager = manager;
    this.session = session;
    this.clock = manager.deps.clock;
    this.random = manager.deps.random;
    this.info = new StreamInfo(session.info, this.clock.now(), this.clock.monotonic());
    this.info.request = head;
    this.request = head;
    this.requestComplete = endStream;
    this.noBody = endStream;
    this.writer = writer;
  }

  abstract sendLocalReply(reply: LocalReply): void;
  abstract resetStream(): void;
  /** This stream, as filters know it. */
  protected abstract get self(): ActiveStream;

  /** Whether this is the connection manager that the request began under. */
  servedBy(manager: HttpConnectionManager): boolean {
    return manager === this.manager;
  }

  get clusters(): Clusters {
    return this.manager.deps.clusters;
  }

  get node(): NodeFacts {
    return this.manager.deps.node;
  }

  /** The stream is over. */
  get finished(): boolean {
    return this.#finished;
  }

  /** Takes the filters of this stream: called by the chain. */
  use(filters: readonly HttpStreamFilter[], events: readonly number[]): void {
    this.filters = filters;
    this.events = events;
  }

  // Route

  route(): RouteMatch | null {
    if (this.#route !== undefined) return this.#route;
    const found = this.manager.tableOf(this.request)?.match(this.request, this.random.next(), this.info) ?? null;
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
    return this.manager.tableOf(head)?.match(head, this.random.next(), this.info) ?? null;
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

  // Deadlines

  protected startDeadlines(): void {
    const { requestTimeoutMs, maxStreamDurationMs } = this.manager.config;
    if (requestTimeoutMs > 0 && !this.requestComplete) this.#cancelTimeout = this.clock.after(requestTimeoutMs, () => this.#requestTimeout());
    if (maxStreamDurationMs > 0) this.#cancelDuration = this.clock.after(maxStreamDurationMs, () => this.#tooLong());
  }

  protected startLogs(): void {
    this.#cancelLogs = this.manager.logsOnTheWay(this.self);
  }

  protected requestArrived(): void {
    this.requestComplete = true;
    this.#cancelTimeout?.();
    this.#cancelTimeout = null;
    this.info.requestCompleteMonoMs = this.clock.monotonic();
  }

  limitDuration(ms: number): void {
    this.#cancelDuration?.();
    this.#cancelDuration = null;
    if (Number.isFinite(ms)) this.#cancelDuration = this.clock.after(Math.max(0, this.info.startMonoMs + ms - this.clock.monotonic()), () => this.#tooLong());
  }

  #requestTimeout(): void {
    this.manager.stats.rqTimeout.inc();
    this.sendLocalReply({ status: 408, body: 'request timeout', details: 'request_overall_timeout' });
  }

  #tooLong(): void {
    this.manager.stats.rqMaxDuration.inc();
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
    const configured = (action?.kind === 'forward' ? action.idleTimeoutMs : null) ?? this.manager.config.streamIdleTimeoutMs;
    const limit = this.manager.deps.overload?.timeout('stream-idle', configured) ?? configured;
    if (limit <= 0 || nowMs - this.#lastActiveMs <= limit) return;
    this.manager.stats.rqIdleTimeout.inc();
    this.sendLocalReply({ status: this.requestComplete ? 504 : 408, body: 'stream timeout', details: 'stream_idle_timeout', flags: ResponseFlag.SI });
  }

  // End

  protected finish(): void {
    if (this.#finished) return;
    this.#finished = true;
    this.#cancelTimeout?.();
    this.#cancelDuration?.();
    this.#cancelLogs?.();
    this.info.endMonoMs = this.clock.monotonic();
    const filters = this.filters;
    for (let i = 0; i < filters.length; i++) {
      const events = this.events[i] ?? 0;
      if ((events & (FilterEvents.destroy | FilterEvents.complete)) !== 0) this.#end(filters[i], events);
    }
    this.manager.completed(this.self);
  }

  #end(filter: HttpStreamFilter | undefined, events: number): void {
    try {
      if ((events & FilterEvents.destroy) !== 0) filter?.destroy(this.self);
    } catch (error) {
      this.manager.deps.onBug(error);
    }
    try {
      if ((events & FilterEvents.complete) !== 0) filter?.complete(this.self);
    } catch (error) {
      this.manager.deps.onBug(error);
    }
  }

  protected failed(error: unknown): void {
    this.manager.deps.onBug(error);
    if (this.#finished) return;
    if (this.headSent || this.local) return this.resetStream();
    return this.sendLocalReply({ status: 500, body: 'Internal Server Error', details: 'filter_failure' });
  }
}
