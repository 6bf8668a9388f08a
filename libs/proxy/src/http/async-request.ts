import { err, ok, type Clock, type Random, type Result } from '@meltemi/base';
import type { HeaderMap, RequestHead, ResponseHead } from '@meltemi/http';
import { plainPick, type Host } from '../balance/index.ts';
import { serverNameFor } from '../filters/http/router/server-name.ts';
import type { RequestWriter, UpstreamReset } from '../stream.ts';
import type { Clusters, PendingStream, PoolFailure, StreamCallbacks, UpstreamCluster } from '../upstream.ts';
import { HeldBody } from './held-body.ts';

/** What requests of filters go through; every FilterContext and StreamControls is one. */
export interface AsyncPort {
  readonly clusters: Clusters;
  readonly clock: Clock;
  readonly random: Random;
}

/** A whole request that a filter sends on its own account. */
export interface AsyncRequest {
  readonly cluster: string;
  /** Sent as it is; `content-length` is added where there is a body and none said. Not to be used again. */
  readonly head: RequestHead;
  readonly body: Uint8Array | null;
  /** From the call to the last byte of the answer; more than 0. */
  readonly timeoutMs: number;
  /** Bytes of the answer's body, beyond which it is a failure. */
  readonly maxBytes: number;
  /** Doing it twice does no harm: sent again when a reused connection turns out to be dead. Default: by the method. */
  readonly repeatable?: boolean;
}

/** A whole answer, whatever its status. */
export interface AsyncAnswer {
  readonly status: number;
  readonly head: ResponseHead;
  readonly body: Buffer;
  readonly trailers: HeaderMap | null;
}

/** Why there is no answer. `detail` is for logs. */
export interface AsyncFailure {
  readonly kind: 'no-cluster' | 'no-host' | 'overflow' | 'connect' | 'timeout' | 'reset' | 'too-large';
  readonly detail: string;
}

export interface AsyncCall {
  /** Gives it up: nothing is told afterwards. Also fine when it is over. */
  cancel(): void;
}

/** Sends the request and tells the answer or the failure, once, never before this returns. */
export function sendAsync(request: AsyncRequest, port: AsyncPort, done: (result: Result<AsyncAnswer, AsyncFailure>) => void): AsyncCall {
  const call = new Call(request, port, done);
  call.start();
  return call;
}

const repeatable = new Set(['GET', 'HEAD', 'OPTIONS', 'PUT', 'DELETE']);

/** One request under way. */
class Call implements AsyncCall, StreamCallbacks {
  readonly #request: AsyncRequest;
  readonly #port: AsyncPort;
  #done: ((result: Result<AsyncAnswer, AsyncFailure>) => void) | null;
  #cluster: UpstreamCluster | null = null;
  #host: Host | null = null;
  #writer: RequestWriter | null = null;
  /** Against the circuit breaker: from when it has a connection. */
  #counted = false;
  #pending: PendingStream | null = null;
  #cancelTimer: (() => void) | null = null;
  #starting = true;
  #fresh = false;
  #head: ResponseHead | null = null;
  #body: HeldBody | null = null;

  constructor(request: AsyncRequest, port: AsyncPort, done: (result: Result<AsyncAnswer, AsyncFailure>) => void) {
    this.#request = request;
    this.#port = port;
    this.#done = done;
  }

  start(): void {
    const { head, body, timeoutMs } = this.#request;
    if (body !== null && !head.headers.has('content-length')) head.headers.add('content-length', String(body.length));
    this.#cancelTimer = this.#port.clock.after(timeoutMs, () => this.#timeout());
    this.#attempt();
    this.#starting = false;
  }

  cancel(): void {
    this.#done = null;
    this.#abandon();
    this.#stopTimer();
  }

  #attempt(): void {
    const { cluster: name, head } = this.#request;
    const { clusters, random } = this.#port;
    const cluster = clusters.get(name);
    if (cluster === null) return this.#fail('no-cluster', `no cluster ${name}`);
    const host = cluster.pick({ metadataMatch: null, previousHosts: null, maxAttempts: 1, random, ...plainPick }, '');
    if (host === null) {
      cluster.stats.noneHealthy.inc();
      return this.#fail('no-host', `cluster ${name} has no healthy host`);
    }
    if (!cluster.limits.default.canRequest) {
      cluster.stats.rqPendingOverflow.inc();
      return this.#fail('overflow', `cluster ${name} has too many requests under way`);
    }
    this.#take(cluster, host);
    const pending = cluster.newStream(host, { priority: 'default', upgrade: false, fresh: this.#fresh, method: head.method, serverName: serverNameFor(cluster.config, head), http2: head.protocol === 'HTTP/2' }, this);
    if (this.#writer === null && this.#host === host) this.#pending = pending;
    return undefined;
  }

  #take(cluster: UpstreamCluster, host: Host): void {
    this.#cluster = cluster;
    this.#host = host;
    cluster.stats.rqTotal.inc();
    cluster.stats.rqActive.inc();
    host.state.activeRequests++;
    host.state.requests++;
  }

  /** Gives back what the attempt counted against. Once per attempt. */
  #release(): void {
    const [cluster, host] = [this.#cluster, this.#host];
    this.#host = null;
    if (cluster === null || host === null) return;
    if (this.#counted) cluster.limits.default.requests--;
    this.#counted = false;
    cluster.stats.rqActive.dec();
    cluster.stats.rqCompleted.inc();
    host.state.activeRequests--;
  }

  onReady(writer: RequestWriter): void {
    const { head, body } = this.#request;
    this.#pending = null;
    this.#writer = writer;
    if (this.#cluster !== null) this.#cluster.limits.default.requests++;
    this.#counted = true;
    const empty = body === null || body.length === 0;
    writer.head(head, empty);
    if (empty) return;
    writer.data(Buffer.from(body.buffer, body.byteOffset, body.byteLength), 0, body.length);
    writer.end(null);
  }

  onPoolFailure({ kind, transportFailure }: PoolFailure): void {
    this.#pending = null;
    if (kind !== 'overflow') this.#report(0);
    this.#release();
    this.#fail(kind === 'overflow' ? 'overflow' : 'connect', transportFailure ?? (kind === 'timeout' ? 'connection timeout' : `connection ${kind}`));
  }

  onInterim(): void {}

  onHead(head: ResponseHead, endStream: boolean): void {
    this.#head = head;
    const { status } = head;
    this.#cluster?.stats.rqClass[(status / 100) | 0]?.inc();
    this.#cluster?.stats.rqCode(status).inc();
    this.#report(status);
    if (endStream) this.onEnd(null);
  }

  onData(buffer: Buffer, start: number, end: number): void {
    const { maxBytes } = this.#request;
    if (this.#done === null || (this.#body ??= new HeldBody()).add(buffer, start, end) <= maxBytes) return;
    this.#abandon();
    this.#fail('too-large', `the answer has more than ${maxBytes} bytes`);
  }

  onEnd(trailers: HeaderMap | null): void {
    const head = this.#head;
    this.#writer = null;
    this.#release();
    if (head !== null) this.#finish(ok({ status: head.status, head, body: Buffer.concat(this.#body?.parts ?? []), trailers }));
  }

  onReset(reset: UpstreamReset): void {
    this.#writer = null;
    this.#cluster?.stats.rqRxReset.inc();
    if (reset.stale && this.#head === null && !this.#fresh && (this.#request.repeatable ?? repeatable.has(this.#request.head.method))) {
      this.#release();
      this.#fresh = true;
      return this.#attempt();
    }
    this.#report(this.#head === null ? 0 : 502);
    this.#release();
    return this.#fail('reset', reset.detail);
  }

  onWritable(): void {}

  #report(status: number): void {
    if (this.#host !== null) this.#cluster?.report(this.#host, status);
  }

  #timeout(): void {
    this.#cancelTimer = null;
    this.#cluster?.stats.rqTimeout.inc();
    this.#report(0);
    this.#abandon();
    this.#fail('timeout', `no answer within ${this.#request.timeoutMs} ms`);
  }

  /** Ends the attempt under way without being told about it. */
  #abandon(): void {
    this.#pending?.cancel();
    this.#pending = null;
    const writer = this.#writer;
    this.#writer = null;
    if (writer !== null) {
      this.#cluster?.stats.rqTxReset.inc();
      writer.reset();
    }
    this.#release();
  }

  #fail(kind: AsyncFailure['kind'], detail: string): void {
    const failure = err({ kind, detail });
    if (!this.#starting) return this.#finish(failure);
    this.#stopTimer();
    this.#cancelTimer = this.#port.clock.after(0, () => this.#finish(failure));
    return undefined;
  }

  #finish(result: Result<AsyncAnswer, AsyncFailure>): void {
    const done = this.#done;
    this.#done = null;
    this.#stopTimer();
    done?.(result);
  }

  #stopTimer(): void {
    this.#cancelTimer?.();
    this.#cancelTimer = null;
  }
}
