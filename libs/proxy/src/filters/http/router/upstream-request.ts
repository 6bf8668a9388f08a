import { ResponseFlag, type HeaderMap, type RequestHead, type ResponseHead } from '@meltemi/http';
import { rewriteHost, type ForwardAction, type RouteMatch } from '@meltemi/route';
import type { LocalReply } from '../../../filter.ts';
import type { ResponseTarget } from '../../../http/response-target.ts';
import type { RequestWriter } from '../../../stream.ts';
import type { ClusterLimits, UpstreamCluster } from '../../../upstream.ts';
import { Attempt, type AttemptOwner, type AttemptTimeout } from './attempt.ts';
import { Attempts } from './attempts.ts';
import { askedBy, Asks, sayAttempt, takeAltName, takeRetryOverrides } from './control-headers.ts';
import { failureReply, failureStatus, isOverflow, isRefused, isStale, localReset, type AttemptFailure } from './failure-reply.ts';
import { HostChoice } from './host-choice.ts';
import { KeptBody } from './kept-body.ts';
import { chargeCanary, chargeStatus, prepareAnswer, reportAnswer, type CountedAs } from './outcome.ts';
import { Retries } from './retries.ts';
import { RetryState } from './retry-state.ts';
import { routeHeaders, type RouterShared } from './router-shared.ts';
import { serverNameFor } from './server-name.ts';
import { sendShadows } from './shadow-request.ts';
import { boundStream, requestTimeouts, sayTimeouts, type RequestTimeouts } from './timeouts.ts';
import type { VirtualClusterStats } from './virtual-cluster.ts';

const idempotent = new Set(['GET', 'HEAD', 'OPTIONS', 'TRACE', 'PUT', 'DELETE']);
/** How often a request that was surely not answered may be sent anew without a policy that says so. */
const mostReplays = 3;

/** One request towards a cluster: attempts, one after another or (hedged) side by side, until the answer of one goes back. @hot */
export class UpstreamRequest implements AttemptOwner {
  readonly #shared: RouterShared;
  readonly #target: ResponseTarget;
  readonly #route: RouteMatch;
  readonly #action: ForwardAction;
  readonly #cluster: UpstreamCluster;
  readonly #limits: ClusterLimits;
  readonly #head: RequestHead;
  readonly #choice: HostChoice;
  readonly #body: KeptBody;
  readonly #countedAs: CountedAs;
  #timeouts: RequestTimeouts | null;
  readonly #upgrade: boolean;
  #retries: Retries | null = null;
  #noBody = false;
  #complete = false;
  /** Monotonic milliseconds; 0 before the request is complete. */
  #completeMs = 0;
  #trailers: HeaderMap | null = null;
  readonly #attempts = new Attempts();
  /** The one whose answer goes to the client. */
  #answering: Attempt | null = null;
  /** Attempts so far, replays not counted. */
  #tries = 0;
  #replays = 0;
  #sent = false;
  #done = false;
  #timeoutRetry = false;
  #cancelTotal: (() => void) | null = null;

  constructor(shared: RouterShared, target: ResponseTarget, to: { route: RouteMatch; action: ForwardAction; cluster: UpstreamCluster; head: RequestHead; virtualCluster: VirtualClusterStats | null }) {
    const { action, cluster, head, virtualCluster } = to;
    this.#shared = shared;
    this.#target = target;
    this.#route = to.route;
    this.#action = action;
    this.#cluster = cluster;
    this.#head = head;
    this.#upgrade = head.upgrade !== '';
    this.#limits = cluster.limits[action.priority];
    this.#body = new KeptBody(action.bufferLimitBytes ?? shared.bufferLimit);
    this.#choice = new HostChoice(head, action, target);
    const asks = askedBy(head);
    const control = (asks & Asks.control) !== 0;
    this.#countedAs = { internal: (asks & Asks.internal) !== 0, altName: control ? takeAltName(head) : null, virtualCluster };
    if (action.timesStream) boundStream(action, head, target);
    this.#timeouts = action.timeoutMs > 0 || control || action.retry !== null || action.grpcTimeoutHeaderMaxMs !== null ? requestTimeouts(action, head, control, shared.config) : null;
    const state = action.retry === null && !control ? null : RetryState.create(action.retry, head, control ? takeRetryOverrides(head) : undefined);
    if (state !== null) this.#retries = new Retries(state, target, { cluster, limits: this.#limits, virtualCluster });
    virtualCluster?.rqTotal.inc();
  }

  start(endStream: boolean): void {
    this.#noBody = endStream;
    // Without a policy: what may be sent twice, and what a HTTP/2 host may refuse unseen.
    const replay = idempotent.has(this.#head.method) || this.#cluster.config.http.protocol !== 'http1';
    if (!endStream && !this.#upgrade) this.#body.keep(this.#retries !== null || this.#action.mirrors.length > 0 || this.#action.internalRedirect !== null ? 'policy' : replay ? 'replay' : 'none');
    this.#nextAttempt();
    if (endStream) this.#requestComplete();
  }

  // Request side

  sendData(buffer: Buffer, start: number, end: number): void {
    if (this.#done) return;
    const writer = this.#attempts.newest?.writer ?? null;
    const body = this.#body;
    if ((body.kept || writer === null) && !body.add(buffer, start, end, writer === null)) this.#bodyTooLarge();
    if (this.#done) return;
    if (writer !== null ? !writer.data(buffer, start, end) : body.nearlyFull) this.#target.pauseRequest();
  }

  sendEnd(trailers: HeaderMap | null): void {
    if (this.#done) return;
    this.#trailers = trailers;
    this.#complete = true;
    this.#attempts.newest?.writer?.end(trailers);
    this.#requestComplete();
  }

  resumeResponse(): void {
    this.#answering?.writer?.resumeResponse();
  }

  /** The stream is over: gives up what is under way. */
  destroy(): void {
    if (!this.#done) this.#finish();
  }

  #requestComplete(): void {
    this.#complete = true;
    if (this.#done) return;
    const { clock } = this.#target;
    this.#completeMs = clock.monotonic();
    const timeouts = this.#timeouts;
    if (timeouts !== null && timeouts.totalMs > 0) this.#cancelTotal = clock.after(timeouts.totalMs, () => this.#timeout(timeouts));
    const attempt = this.#attempts.newest;
    if (attempt !== null && attempt.writer !== null) this.#startTimers(attempt);
    // A body that is not held whole is not mirrored.
    if (this.#action.mirrors.length > 0 && this.#hasWholeBody) sendShadows(this.#action.mirrors, this.#head, this.#body.held, this.#target);
  }

  #startTimers(attempt: Attempt): void {
    const timeouts = this.#timeouts;
    if (timeouts !== null) attempt.startTimers(this.#answering === null ? timeouts.perTryMs : 0, timeouts.perTryIdleMs);
  }

  /** More than may be kept: no attempt after this one, no mirror. Between two attempts it cannot go on at all. */
  #bodyTooLarge(): void {
    if (this.#body.reason === 'policy') this.#cluster.stats.retryOrShadowAbandoned.inc();
    this.#body.keep('none');
    if (this.#retries?.waiting === true) return this.#reply({ status: 507, body: 'exceeded request buffer limit while retrying upstream', details: 'request_payload_exceeded_retry_buffer_limit' });
    return this.#noMoreRetries();
  }

  // Attempts

  #nextAttempt(): void {
    const target = this.#target;
    const cluster = this.#cluster;
    const head = this.#head;
    if (this.#tries > 0) this.#choice.retry = this.#retries?.state ?? null;
    const host = this.#choice.pick(cluster);
    if (host === null) {
      cluster.stats.noneHealthy.inc();
      chargeStatus(cluster, 503, this.#countedAs);
      return this.#reply({ status: 503, body: 'no healthy upstream', details: 'no_healthy_upstream', flags: ResponseFlag.UH });
    }
    this.#tries++;
    target.info.attemptCount = this.#tries;
    const attempt = new Attempt(this, host, { cluster, limits: this.#limits, clock: target.clock });
    this.#attempts.add(attempt);
    attempt.describe(target.info);
    sayAttempt(this.#action, head, { tries: this.#tries, timeoutRetry: this.#timeoutRetry });
    if (this.#timeouts !== null) sayTimeouts(this.#timeouts, head, this.#completeMs > 0 ? target.clock.monotonic() - this.#completeMs : 0, this.#shared.config.suppressEnvoyHeaders);
    // An idle connection broke once already: no second try on another that may be as old.
    const options = { priority: this.#action.priority, upgrade: this.#upgrade, fresh: this.#replays > 0, method: head.method, serverName: serverNameFor(cluster.config, head), http2: head.protocol === 'HTTP/2' };
    attempt.begin(options, (this.#action.terminatesConnect && head.method === 'CONNECT') || (this.#action.terminatesPost && head.method === 'POST'));
    return undefined;
  }

  attemptReady(attempt: Attempt, writer: RequestWriter): void {
    const { info, clock } = this.#target;
    const head = this.#head;
    attempt.describe(info);
    const { hostname } = attempt.host.endpoint;
    if (this.#action.hostRewrite?.kind === 'auto' && hostname !== '') rewriteHost(this.#action, head, hostname, !this.#shared.config.suppressEnvoyHeaders);
    const now = clock.monotonic();
    info.upstreamFirstSentMonoMs = now;
    this.#sent = true;
    attempt.trace = this.#target.trace?.toUpstream(head, this.#tries) ?? null;
    writer.head(head, this.#noBody);
    // The head may have met a connection that is gone.
    if (attempt.writer === null) return;
    if (this.#noBody) info.upstreamLastSentMonoMs = now;
    else this.#sendHeldBody(attempt, writer);
    if (this.#completeMs > 0 && attempt.writer !== null) this.#startTimers(attempt);
  }

  #sendHeldBody(attempt: Attempt, writer: RequestWriter): void {
    const held = this.#body.held;
    let room = true;
    if (held !== null) for (const part of held.parts) if (attempt.writer !== null) room = writer.data(part, 0, part.length) && room;
    if (attempt.writer === null) return;
    this.#body.written();
    if (this.#complete) writer.end(this.#trailers);
    else if (room) this.#target.resumeRequest();
    else this.#target.pauseRequest();
  }

  attemptWritable(attempt: Attempt): void {
    if (!this.#complete && attempt === this.#attempts.newest) this.#target.resumeRequest();
  }

  // Response side

  attemptInterim(_attempt: Attempt, head: ResponseHead): void {
    this.#target.interim(head);
  }

  attemptHead(attempt: Attempt, head: ResponseHead, endStream: boolean): void {
    this.#target.info.upstreamFirstReceivedMonoMs = this.#target.clock.monotonic();
    reportAnswer(this.#cluster, attempt.host, this.#head, head);
    const retries = this.#retries;
    if (retries !== null) {
      const wants = retries.state.wantsAfterResponse(head);
      if (!attempt.hedged && retries.take(wants, true)) {
        this.#cluster.stats.codesOf('retry')?.charge(head.status);
        return this.#retryLater(attempt, head, false);
      }
      // Another attempt may do better.
      if (wants && this.#othersMayAnswer(attempt)) return this.#attempts.drop(attempt);
    }
    return this.#redirected(head) ? undefined : this.#answer(attempt, head, endStream);
  }

  /** Follows a redirect in place of the client, where the route says so. */
  #redirected(response: ResponseHead): boolean {
    const policy = this.#action.internalRedirect;
    if (policy === null || !policy.codes.includes(response.status) || this.#upgrade) return false;
    const whole = this.#complete && this.#hasWholeBody;
    const next = this.#shared.redirects.next({ policy, route: this.#route, cluster: this.#cluster, request: this.#head, response, whole }, this.#target);
    if (next === null) return false;
    this.#finish();
    this.#target.info.responseCode = response.status;
    this.#target.again(next, next.keepsBody && !this.#noBody ? { held: this.#body.held, trailers: this.#trailers } : null);
    return true;
  }

  #answer(attempt: Attempt, head: ResponseHead, endStream: boolean): void {
    const { info, clock } = this.#target;
    this.#answering = attempt;
    attempt.used = true;
    this.#noMoreRetries();
    if (this.#attempts.keepOnly(attempt)) attempt.describe(info);
    attempt.stopTryTimer();
    this.#body.answered(this.#complete || attempt.writer === null);
    const { status } = head;
    chargeStatus(this.#cluster, status, this.#countedAs);
    chargeCanary(this.#cluster, attempt.host, head);
    info.responseCode = status;
    info.responseCodeDetails = 'via_upstream';
    const tookMs = info.requestCompleteMonoMs >= 0 && !this.#shared.config.suppressEnvoyHeaders ? clock.monotonic() - info.requestCompleteMonoMs : -1;
    prepareAnswer(head, info, { route: this.#route, tries: this.#action.includeAttemptCountInResponse ? this.#tries : 0, tookMs, newCookies: this.#choice.newCookies });
    if (endStream) this.#answered(attempt);
    // A tunnel lasts as long as its ends want: the route's timeout was for the answer.
    if (this.#upgrade && (status === 101 || (this.#head.method === 'CONNECT' && status < 300))) {
      this.#timeouts = null;
      this.#cancelTotal?.();
    }
    this.#target.encodeHead(head, endStream);
  }

  attemptData(attempt: Attempt, buffer: Buffer, start: number, end: number): void {
    if (!this.#target.encodeData(buffer, start, end)) attempt.writer?.pauseResponse();
  }

  attemptEnd(attempt: Attempt, trailers: HeaderMap | null): void {
    this.#answered(attempt);
    this.#target.encodeEnd(trailers);
  }

  #answered(attempt: Attempt): void {
    this.#target.info.upstreamLastReceivedMonoMs = this.#target.clock.monotonic();
    attempt.release();
    this.#finish();
  }

  // Failing and retrying

  attemptFailed(attempt: Attempt, failed: AttemptFailure): void {
    if (failed.kind === 'pool' && failed.failure.transportFailure !== null) this.#target.info.upstreamTransportFailureReason = failed.failure.transportFailure;
    const after = { retried: this.#tries > 1, responseStarted: attempt === this.#answering };
    if (!after.responseStarted && this.#replayStale(attempt, failed)) return undefined;
    if (!isOverflow(failed)) this.#cluster.report(attempt.host, 0);
    if (after.responseStarted) return this.#reply(failureReply(failed, after));
    if (this.#mayRetry(attempt, failed)) return this.#retryLater(attempt, null, false);
    this.#attempts.drop(attempt);
    if (this.#replayRefused(failed)) return undefined;
    chargeStatus(this.#cluster, failureStatus(failed), this.#countedAs);
    if (this.#othersMayAnswer(attempt)) return undefined;
    const reply = failureReply(failed, after);
    return this.#reply(isOverflow(failed) && !this.#shared.config.suppressEnvoyHeaders ? { ...reply, headers: [['x-envoy-overloaded', 'true']] } : reply);
  }

  /** What may be sent twice is sent again, on a new connection. */
  #replayStale(attempt: Attempt, failed: AttemptFailure): boolean {
    if (!isStale(failed) || !idempotent.has(this.#head.method) || !this.#canSendAgain || this.#replays >= mostReplays || attempt !== this.#attempts.newest) return false;
    this.#attempts.drop(attempt);
    this.#sendAgain();
    return true;
  }

  /** Any method may be sent again, once. */
  #replayRefused(failed: AttemptFailure): boolean {
    if (!isRefused(failed) || this.#replays > 0 || !this.#canSendAgain || this.#attempts.newest !== null || this.#retries?.waiting === true) return false;
    this.#sendAgain();
    return true;
  }

  get #canSendAgain(): boolean {
    return !this.#upgrade && this.#hasWholeBody;
  }

  get #hasWholeBody(): boolean {
    return this.#noBody || this.#body.kept;
  }

  #sendAgain(): void {
    this.#replays++;
    this.#tries--;
    this.#nextAttempt();
  }

  /** The policy wants another attempt and one is left; takes it. */
  #mayRetry(attempt: Attempt, failed: AttemptFailure): boolean {
    const retries = this.#retries;
    return retries !== null && !attempt.hedged && retries.take(retries.state.wantsAfterFailure(failed, this.#sent), false);
  }

  /** `after`: the attempt that failed; one that may still answer (hedged) goes on. */
  #retryLater(after: Attempt, response: ResponseHead | null, timeout: boolean): void {
    if (!after.hedged) this.#attempts.drop(after);
    this.#timeoutRetry = timeout;
    this.#retries?.wait(after.host, response, () => this.#nextAttempt());
  }

  #othersMayAnswer(than: Attempt): boolean {
    return this.#retries?.waiting === true || this.#attempts.awaitsOther(than);
  }

  #noMoreRetries(): void {
    this.#retries?.stop();
    this.#retries = null;
  }

  attemptTimedOut(attempt: Attempt, timeout: AttemptTimeout): void {
    const { stats } = this.#cluster;
    if (timeout === 'duration') return this.#tookTooLong(attempt);
    if (attempt.awaiting) this.#cluster.report(attempt.host, 0);
    if (this.#timeouts?.hedge === true && this.#answering === null) return this.#hedge(attempt);
    (timeout === 'try' ? stats.rqPerTryTimeout : stats.rqPerTryIdleTimeout).inc();
    if (this.#mayRetry(attempt, localReset)) return this.#retryLater(attempt, null, true);
    if (this.#answering === null) chargeStatus(this.#cluster, this.#timeouts?.status ?? 504, this.#countedAs);
    return this.#timeoutReply(timeout === 'try' ? 'upstream_per_try_timeout' : 'upstream_per_try_idle_timeout');
  }

  /** The try goes on; the next starts beside it. */
  #hedge(attempt: Attempt): void {
    if (this.#retries?.take(true, false) !== true) return;
    attempt.hedged = true;
    this.#retryLater(attempt, null, true);
  }

  #tookTooLong(attempt: Attempt): void {
    this.#cluster.stats.rqMaxDuration.inc();
    if (this.#mayRetry(attempt, localReset)) return this.#retryLater(attempt, null, false);
    return this.#reply({ status: this.#complete ? 504 : 408, body: 'upstream max stream duration reached', details: 'upstream_max_stream_duration_reached', flags: ResponseFlag.UMSDR });
  }

  #timeout(timeouts: RequestTimeouts): void {
    if (this.#done) return;
    for (const attempt of this.#attempts.all()) this.#chargeTimeout(attempt, timeouts);
    this.#timeoutReply('upstream_response_timeout');
  }

  #chargeTimeout(attempt: Attempt, { status }: RequestTimeouts): void {
    this.#cluster.stats.rqTimeout.inc();
    this.#countedAs.virtualCluster?.rqTimeout.inc();
    if (!attempt.awaiting) return;
    if (!attempt.hedged) this.#cluster.report(attempt.host, 0);
    chargeStatus(this.#cluster, status, this.#countedAs);
  }

  #timeoutReply(details: string): void {
    const status = this.#timeouts?.status ?? 504;
    this.#reply({ status, body: status === 504 ? 'upstream request timeout' : '', details, flags: ResponseFlag.UT });
  }

  /** Answers, or resets the stream when an answer has begun. */
  #reply(reply: LocalReply): void {
    const headers = [...(reply.headers ?? []), ...routeHeaders(this.#route, this.#target)];
    if (this.#action.includeAttemptCountInResponse && this.#tries > 0) headers.push(['x-envoy-attempt-count', String(this.#tries)]);
    this.#finish();
    this.#target.sendLocalReply(headers.length > 0 ? { ...reply, headers } : reply);
  }

  /** Nothing goes on after this. */
  #finish(): void {
    this.#done = true;
    this.#cancelTotal?.();
    this.#retries?.stop();
    this.#attempts.abandon();
  }
}
