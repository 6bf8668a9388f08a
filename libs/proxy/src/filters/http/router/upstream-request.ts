import { ResponseFlag, type HeaderMap, type RequestHead, type ResponseHead } from '@meltemi/http';
import type { Hash64, Random } from '@meltemi/base';
import { applyHeaderOps, cookieValue, requestHash, rewriteHost, type CookieHash, type ForwardAction, type HashSource, type MetadataCriteria, type RouteMatch } from '@meltemi/route';
import type { Host, PickContext } from '../../../balance/index.ts';
import type { ResponseTarget } from '../../../http/active-stream.ts';
import { HeldBody } from '../../../http/held-body.ts';
import type { RequestWriter, UpstreamReset } from '../../../stream.ts';
import { originalDestination, type ClusterLimits, type PendingStream, type PoolFailure, type StreamCallbacks, type UpstreamCluster, type UpstreamConnectionInfo } from '../../../upstream.ts';
import type { AttemptTrace } from '../../../tracing/stream-trace.ts';
import { failureReply, type AttemptFailure } from './failure-reply.ts';
import { RetryState } from './retry-state.ts';
import type { RouterShared } from './router.ts';
import { serverNameFor } from './server-name.ts';
import { sendShadow } from './shadow-request.ts';
import { openTcpTunnel } from './tcp-tunnel.ts';
import { requestTimeouts } from './timeouts.ts';

const idempotent = new Set(['GET', 'HEAD', 'OPTIONS', 'TRACE', 'PUT', 'DELETE']);

/** One request towards a cluster: attempts one after another until a response goes back. Receives for the attempt under way. @hot */
export class UpstreamRequest implements StreamCallbacks, PickContext, HashSource {
  // PickContext: this object is handed to pickers as it is.
  readonly metadataMatch: MetadataCriteria | null;
  readonly maxAttempts: number;
  readonly random: Random;

  readonly #shared: RouterShared;
  readonly #target: ResponseTarget;
  readonly #route: RouteMatch;
  readonly #action: ForwardAction;
  readonly #cluster: UpstreamCluster;
  readonly #limits: ClusterLimits;
  readonly #bufferLimit: number;
  #head: RequestHead | null = null;
  #retry: RetryState | null = null;
  #perTryMs = 0;
  #totalMs = 0;
  #upgrade = false;
  #noBody = false;
  #complete = false;
  #trailers: HeaderMap | null = null;
  /** The body as long as an attempt may need it. */
  #body: HeldBody | null = null;
  #keepBody = false;
  #overLimit = false;
  #writer: RequestWriter | null = null;
  #pending: PendingStream | null = null;
  #host: Host | null = null;
  /** The attempt's own span. */
  #trace: AttemptTrace | null = null;
  #lastHost: Host | null = null;
  #attempts = 0;
  #sent = false;
  #started = false;
  #done = false;
  #fresh = false;
  /** For the response: cookies that the client did not have and that pick its host from now on. */
  #newCookies: string[] | null = null;
  #retrying = false;
  #cancelTotal: (() => void) | null = null;
  #cancelTry: (() => void) | null = null;
  #cancelBackoff: (() => void) | null = null;

  constructor(shared: RouterShared, target: ResponseTarget, to: { route: RouteMatch; action: ForwardAction; cluster: UpstreamCluster }) {
    this.#shared = shared;
    this.#target = target;
    this.#route = to.route;
    this.#action = to.action;
    this.#cluster = to.cluster;
    this.#limits = to.cluster.limits[to.action.priority];
    this.#bufferLimit = to.action.bufferLimitBytes ?? shared.bufferLimit;
    this.metadataMatch = to.action.metadataMatch;
    this.maxAttempts = to.action.retry?.hostSelectionMaxAttempts ?? 1;
    this.random = target.random;
  }

  get previousHosts(): readonly Host[] | null {
    return this.#retry !== null && this.#retry.previousHosts.length > 0 ? this.#retry.previousHosts : null;
  }

  hash(into: Hash64): boolean {
    return requestHash(this.#action.hashPolicy, this, into);
  }

  field(name: string): string | null {
    return this.#head?.field(name) ?? null;
  }

  get head(): RequestHead | null {
    return this.#head;
  }

  get clientAddress(): string {
    return this.#target.info.downstreamRemoteAddress;
  }

  newCookie({ name, suffix }: CookieHash): string {
    const { directRemoteAddress, localAddress } = this.#target.info.connection;
    const value = cookieValue(directRemoteAddress, localAddress);
    const cookie = `${name}="${value}"${suffix}`;
    // A retry asks again.
    if (this.#newCookies?.includes(cookie) !== true) (this.#newCookies ??= []).push(cookie);
    return value;
  }

  start(head: RequestHead, endStream: boolean): void {
    this.#head = head;
    this.#noBody = endStream;
    let control = false;
    const flat = head.headers.flat;
    for (let i = 0; i < flat.length; i += 2) {
      const name = flat[i] ?? '';
      if (name.charCodeAt(0) === 120 && name.startsWith('x-envoy-')) control = true;
    }
    this.#upgrade = head.upgrade !== '';
    const action = this.#action;
    if (action.retry !== null || control) this.#retry = RetryState.create(action.retry, head, overridesOf(head, control));
    if (action.timeoutMs > 0 || control || action.retry !== null || action.grpcTimeoutHeaderMaxMs !== null) this.#readTimeouts(head, control);
    this.#keepBody = !endStream && !this.#upgrade && (this.#retry !== null || action.mirrors.length > 0);
    this.#attempt();
    if (endStream) this.#requestComplete();
  }

  // Request side

  sendData(buffer: Buffer, start: number, end: number): void {
    if (this.#done || this.#overLimit) return;
    const writer = this.#writer;
    if (this.#keepBody || writer === null) {
      const held = (this.#body ??= new HeldBody());
      if (held.add(buffer, start, end) > this.#bufferLimit) this.#bodyTooLarge(held);
    }
    if (writer === null) {
      // While no connection is there, only what the buffer may hold is read.
      if ((this.#body?.bytes ?? 0) > this.#bufferLimit / 2) this.#target.pauseRequest();
    } else if (!writer.data(buffer, start, end)) this.#target.pauseRequest();
  }

  sendEnd(trailers: HeaderMap | null): void {
    if (this.#done) return;
    this.#trailers = trailers;
    this.#complete = true;
    this.#writer?.end(trailers);
    this.#requestComplete();
  }

  resumeResponse(): void {
    this.#writer?.resumeResponse();
  }

  /** The stream is over: gives up what is under way. */
  destroy(): void {
    if (this.#done) return;
    this.#done = true;
    this.#cancelTotal?.();
    this.#cancelBackoff?.();
    this.#abandon();
    this.#releaseRetry();
  }

  #readTimeouts(head: RequestHead, control: boolean): void {
    const { totalMs, perTryMs } = requestTimeouts(this.#action, this.#action.retry, head, control);
    this.#totalMs = totalMs;
    this.#perTryMs = perTryMs;
    const expected = perTryMs > 0 ? perTryMs : totalMs;
    if (expected > 0 && !this.#shared.config.suppressEnvoyHeaders) head.headers.set('x-envoy-expected-rq-timeout-ms', String(expected));
  }

  #requestComplete(): void {
    this.#complete = true;
    if (this.#done) return;
    if (this.#totalMs > 0) this.#cancelTotal = this.#target.clock.after(this.#totalMs, () => this.#timeout());
    if (this.#action.mirrors.length > 0) this.#mirror();
  }

  #mirror(): void {
    const { clock, clusters, random } = this.#target;
    // A body that is not held whole is not mirrored.
    if (this.#head === null || (!this.#noBody && !this.#keepBody)) return;
    for (const policy of this.#action.mirrors) sendShadow({ policy, request: this.#head, body: this.#body, clusters, random, after: (delayMs, task) => clock.after(delayMs, task) });
  }

  /** More than may be kept: no attempt after this one, no mirror. Without a connection yet it cannot go on at all. */
  #bodyTooLarge(held: HeldBody): void {
    this.#keepBody = false;
    this.#retry = null;
    if (this.#writer !== null) {
      this.#body = null;
      return;
    }
    if (held.bytes <= this.#bufferLimit * 2) return;
    this.#overLimit = true;
    this.#target.sendLocalReply({ status: 507, body: 'exceeded request buffer limit while retrying upstream', details: 'request_payload_exceeded_retry_buffer_limit' });
  }

  // Attempts

  #attempt(): void {
    const target = this.#target;
    const cluster = this.#cluster;
    const host = cluster.pick(this, originalDestination(target.info.connection));
    if (host === null) {
      cluster.stats.noneHealthy.inc();
      return this.#reply({ status: 503, body: 'no healthy upstream', details: 'no_healthy_upstream', flags: ResponseFlag.UH, grpcStatus: 14 });
    }
    if (!this.#limits.canRequest) {
      cluster.stats.rqPendingOverflow.inc();
      return this.#reply(failureReply({ kind: 'pool', failure: { kind: 'overflow', transportFailure: null } }, this.#attempts > 0));
    }
    this.#attempts++;
    target.info.attemptCount = this.#attempts;
    this.#host = host;
    this.#sent = false;
    this.#limits.requests++;
    host.state.activeRequests++;
    host.state.requests++;
    cluster.stats.rqTotal.inc();
    cluster.stats.rqActive.inc();
    target.info.upstreamHost = host.key;
    target.info.upstreamMetadata = host.metadata;
    if (this.#perTryMs > 0) this.#cancelTry = target.clock.after(this.#perTryMs, () => this.#perTryTimeout());
    const pending = this.#terminates ? openTcpTunnel(cluster, host, this) : cluster.newStream(host, { priority: this.#action.priority, upgrade: this.#upgrade, fresh: this.#fresh, method: this.#head?.method ?? '', serverName: this.#head === null ? '' : serverNameFor(cluster.config, this.#head), http2: this.#head?.protocol === 'HTTP/2' }, this);
    if (this.#writer === null && this.#host === host) this.#pending = pending;
    return undefined;
  }

  onReady(writer: RequestWriter, connection: UpstreamConnectionInfo): void {
    this.#pending = null;
    this.#writer = writer;
    const { info } = this.#target;
    const head = this.#head;
    if (head === null) return;
    info.upstreamLocalAddress = connection.localAddress;
    info.upstreamHost = connection.remoteAddress === '' ? info.upstreamHost : connection.remoteAddress;
    info.upstreamTls = connection.tls;
    info.upstreamConnectionId = connection.id;
    info.upstreamProtocol = connection.protocol;
    const hostname = this.#host?.endpoint.hostname ?? '';
    if (this.#action.hostRewrite?.kind === 'auto' && hostname !== '') rewriteHost(this.#action, head, hostname);
    if (this.#action.includeAttemptCountInRequest) head.headers.set('x-envoy-attempt-count', String(this.#attempts));
    const now = this.#target.clock.monotonic();
    info.upstreamFirstSentMonoMs = now;
    this.#sent = true;
    this.#trace = this.#target.trace?.toUpstream(head, this.#attempts) ?? null;
    writer.head(head, this.#noBody);
    if (this.#noBody) {
      info.upstreamLastSentMonoMs = now;
      return;
    }
    this.#sendHeldBody(writer);
  }

  #sendHeldBody(writer: RequestWriter): void {
    const held = this.#body;
    let room = true;
    if (held !== null) for (const part of held.parts) room = writer.data(part, 0, part.length) && room;
    if (!this.#keepBody) this.#body = null;
    if (this.#complete) writer.end(this.#trailers);
    else if (room) this.#target.resumeRequest();
  }

  onPoolFailure(failure: PoolFailure): void {
    this.#pending = null;
    const { info } = this.#target;
    if (failure.transportFailure !== null) info.upstreamTransportFailureReason = failure.transportFailure;
    this.#failed({ kind: 'pool', failure });
  }

  onWritable(): void {
    if (!this.#complete) this.#target.resumeRequest();
  }

  // Response side

  onInterim(head: ResponseHead): void {
    this.#target.interim(head);
  }

  onHead(head: ResponseHead, endStream: boolean): void {
    const { info, clock } = this.#target;
    const now = clock.monotonic();
    info.upstreamFirstReceivedMonoMs = now;
    this.#count(head.status);
    if (this.#cluster.config.healthCheck !== null && this.#host !== null && head.headers.has('x-envoy-immediate-health-check-fail')) this.#cluster.failHealthCheck(this.#host);
    if (this.#retry !== null && this.#wantsRetry(head)) {
      if (endStream) this.#writer = null;
      this.#abandon();
      this.#retryAfter(head);
      return;
    }
    this.#started = true;
    this.#cancelTry?.();
    this.#cancelTry = null;
    if (!this.#keepBody || this.#complete) this.#body = null;
    this.#keepBody = false;
    if (!this.#shared.config.suppressEnvoyHeaders) {
      const since = info.requestCompleteMonoMs >= 0 ? info.requestCompleteMonoMs : info.upstreamFirstSentMonoMs;
      head.headers.set('x-envoy-upstream-service-time', String(Math.max(0, Math.floor(now - since))));
    }
    if (this.#action.includeAttemptCountInResponse) head.headers.set('x-envoy-attempt-count', String(this.#attempts));
    info.responseCode = head.status;
    info.responseCodeDetails = 'via_upstream';
    if (this.#route.responseHeaders.length > 0) applyHeaderOps(this.#route.responseHeaders, head.headers, info);
    if (this.#newCookies !== null) for (const cookie of this.#newCookies) head.headers.add('set-cookie', cookie);
    if (endStream) this.#responseDone(now);
    // A tunnel lasts as long as its ends want: the route's timeout was for the answer.
    if (this.#upgrade && (head.status === 101 || (this.#head?.method === 'CONNECT' && head.status < 300))) this.#untimed();
    this.#target.encodeHead(head, endStream);
  }

  onData(buffer: Buffer, start: number, end: number): void {
    if (!this.#target.encodeData(buffer, start, end)) this.#writer?.pauseResponse();
  }

  onEnd(trailers: HeaderMap | null): void {
    this.#responseDone(this.#target.clock.monotonic());
    this.#target.encodeEnd(trailers);
  }

  onReset(reset: UpstreamReset): void {
    this.#writer = null;
    this.#cluster.stats.rqRxReset.inc();
    if (this.#started) {
      const { info } = this.#target;
      info.responseFlags |= reset.kind === 'protocol' ? ResponseFlag.UPE : ResponseFlag.UC;
      info.responseCodeDetails = `upstream_reset_after_response_started{${reset.kind === 'protocol' ? 'protocol_error' : 'connection_termination'}}`;
      this.#report(502);
      this.#release();
      this.#target.resetStream();
      return;
    }
    if ((reset.stale && this.#canReplay()) || (reset.refused && this.#canRefuse())) {
      this.#release();
      this.#attempts--;
      this.#fresh = true;
      this.#attempt();
      return;
    }
    this.#failed({ kind: 'reset', reset });
  }

  #untimed(): void {
    this.#totalMs = 0;
    this.#cancelTotal?.();
  }

  /** The payload of a CONNECT goes to the host as plain TCP. */
  get #terminates(): boolean {
    return this.#action.terminatesConnect && this.#head?.method === 'CONNECT';
  }

  /** The request can be sent again as it was, and doing it twice does no harm. */
  #canReplay(): boolean {
    return !this.#upgrade && idempotent.has(this.#head?.method ?? '') && (this.#noBody || (this.#keepBody && this.#body !== null));
  }

  /** The upstream has surely not processed it (REFUSED_STREAM, GOAWAY): any method may be sent again, once without a policy. */
  #canRefuse(): boolean {
    return !this.#fresh && !this.#upgrade && this.#retry === null && (this.#noBody || (this.#keepBody && this.#body !== null));
  }

  #responseDone(now: number): void {
    const { info } = this.#target;
    info.upstreamLastReceivedMonoMs = now;
    this.#writer = null;
    this.#done = true;
    this.#cancelTotal?.();
    if (this.#retrying) this.#cluster.stats.rqRetrySuccess.inc();
    this.#release();
  }

  #count(status: number): void {
    const { stats } = this.#cluster;
    stats.rqClass[(status / 100) | 0]?.inc();
    stats.rqCode(status).inc();
    this.#report(status);
  }

  #report(status: number): void {
    if (this.#host !== null) this.#cluster.report(this.#host, status);
  }

  // Failing and retrying

  #failed(failed: AttemptFailure): void {
    this.#report(failed.kind === 'pool' && failed.failure.kind === 'overflow' ? -1 : 0);
    const wants = this.#retry?.wantsAfterFailure(failed, this.#sent) ?? false;
    this.#abandon();
    if (wants && this.#mayRetry()) this.#retryAfter(null);
    else this.#reply(failureReply(failed, this.#attempts > 1));
  }

  #wantsRetry(head: ResponseHead): boolean {
    return this.#retry !== null && this.#retry.wantsAfterResponse(head) && this.#mayRetry();
  }

  #mayRetry(): boolean {
    const { stats } = this.#cluster;
    if (this.#retry === null) return false;
    if (this.#retry.exhausted) {
      stats.rqRetryLimitExceeded.inc();
      this.#target.info.responseFlags |= ResponseFlag.URX;
      return false;
    }
    if (this.#limits.canRetry) return true;
    stats.rqRetryOverflow.inc();
    return false;
  }

  #retryAfter(response: ResponseHead | null): void {
    const retry = this.#retry;
    if (retry === null) return;
    const { clock, random } = this.#target;
    this.#cluster.stats.rqRetry.inc();
    if (retry.policy.avoidPreviousHosts && this.#lastHost !== null) retry.previousHosts.push(this.#lastHost);
    this.#limits.retries++;
    this.#retrying = true;
    this.#cancelBackoff = clock.after(retry.take(random, response, clock.now()), () => {
      this.#cancelBackoff = null;
      this.#attempt();
    });
  }

  #reply(reply: Parameters<ResponseTarget['sendLocalReply']>[0]): void {
    this.#done = true;
    this.#cancelTotal?.();
    this.#release();
    this.#releaseRetry();
    if (reply.status >= 500) {
      this.#cluster.stats.rqClass[5]?.inc();
      this.#cluster.stats.rqCode(reply.status).inc();
    }
    this.#target.sendLocalReply(reply);
  }

  #timeout(): void {
    if (this.#done) return;
    this.#cluster.stats.rqTimeout.inc();
    this.#target.info.responseFlags |= ResponseFlag.UT;
    this.#report(0);
    this.#cancelBackoff?.();
    this.#abandon();
    if (this.#started) {
      this.#done = true;
      this.#target.info.responseCodeDetails = 'upstream_response_timeout';
      this.#target.resetStream();
    } else this.#reply({ status: 504, body: 'upstream request timeout', details: 'upstream_response_timeout', flags: ResponseFlag.UT, grpcStatus: 14 });
  }

  #perTryTimeout(): void {
    if (this.#done || this.#started) return;
    this.#cluster.stats.rqPerTryTimeout.inc();
    this.#report(0);
    const wants = this.#retry?.wantsAfterFailure('per-try-timeout', this.#sent) ?? false;
    this.#abandon();
    if (wants && this.#mayRetry()) this.#retryAfter(null);
    else this.#reply({ status: 504, body: 'upstream request timeout', details: 'upstream_per_try_timeout', flags: ResponseFlag.UT, grpcStatus: 14 });
  }

  /** Ends the attempt under way, if any, without being told about it. */
  #abandon(): void {
    this.#pending?.cancel();
    this.#pending = null;
    if (this.#writer !== null) {
      this.#cluster.stats.rqTxReset.inc();
      const writer = this.#writer;
      this.#writer = null;
      writer.reset();
    }
    this.#release();
  }

  /** Gives back what the attempt counted against. Once per attempt. */
  #release(): void {
    const host = this.#host;
    if (host === null) return;
    this.#host = null;
    this.#lastHost = host;
    this.#trace?.finish(host.key, this.#started ? null : 'it brought no answer that was used');
    this.#trace = null;
    this.#cancelTry?.();
    this.#cancelTry = null;
    host.state.activeRequests--;
    this.#limits.requests--;
    this.#cluster.stats.rqActive.dec();
    this.#cluster.stats.rqCompleted.inc();
    this.#releaseRetry();
  }

  #releaseRetry(): void {
    if (!this.#retrying) return;
    this.#retrying = false;
    this.#limits.retries--;
  }
}

const noOverrides = { on: null, max: null };

/** What an internal caller asks by header. The headers end here. */
function overridesOf(head: RequestHead, control: boolean): { on: string | null; max: string | null } {
  if (!control) return noOverrides;
  const on = [head.headers.getAll('x-envoy-retry-on'), head.headers.getAll('x-envoy-retry-grpc-on')].filter((value) => value !== null).join(',');
  const max = head.headers.get('x-envoy-max-retries');
  for (const name of ['x-envoy-retry-on', 'x-envoy-retry-grpc-on', 'x-envoy-max-retries']) head.headers.remove(name);
  return { on: on === '' ? null : on, max };
}
