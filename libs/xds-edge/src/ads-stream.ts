import type { ServerDuplexStream } from '@grpc/grpc-js';
import { status as grpcStatus } from '@grpc/grpc-js';
import type { Node } from '@meltemi/api/gen/envoy/config/core/v3/base.ts';
import { TokenBucket, type Clock, type Rate } from '@meltemi/base';
import type { PushSequencer, RequestFields, ResourceSet, SequencerEvent, SequencerOptions, SubscribedNames, Subscription, TypeStatus } from '@meltemi/xds';
import { healthInformationType, shortTypeName } from '@meltemi/xds';
import type { AdsConnection, AdsLog, ClientHandler, ClientHello, ConnectionRefusal, Push } from './server-types.ts';
import type { Chunks } from './wire/response-chunks.ts';
import { ResponseTooLarge, responseWriter, type ResponseWriter } from './wire/response-writer.ts';

/** What a stream needs of its server. */
export interface StreamPort {
  readonly clock: Clock;
  readonly log: AdsLog;
  readonly stepDeadlineMs: number;
  readonly firstRequestDeadlineMs: number;
  readonly stalledDeadlineMs: number;
  readonly maxStreamAgeMs: number;
  readonly maxNames: number;
  readonly requestRate: Rate;
  readonly maxResponseBytes: number;
  readonly identifier: string;
  /** The one type of a service that has its own: requests may leave it out, and others end the stream. Unset: all types. */
  readonly onlyType?: string;
  onConnect(hello: ClientHello, connection: AdsConnection): ClientHandler | ConnectionRefusal;
  onClosed(stream: AdsConnection): void;
}

/** Of a client's word on its application. */
const longestReason = 1024;

const expiryLookMs = 3_600_000;

/** What a client must have taken within the deadline to count as one that reads: more than answers to pings. */
const readsBytes = 1024;

/** How one of the two protocols is spoken. */
export interface Dialect<S extends Subscription, Request extends StreamRequest, Response> {
  readonly sequencer: (options: SequencerOptions) => PushSequencer<S, Request, Response>;
  readonly encode: (response: Response) => Chunks;
}

/** The request of either protocol, as far as the stream looks at it. */
export type StreamRequest = RequestFields & { readonly node?: Node | undefined };

/**
 * One client's stream: takes requests one by one, writes only while the client reads, and tells the handler what happened. The sequencer
 * decides what to send; this class owns the wire, the timers and the end.
 */
export class AdsStream<S extends Subscription, Request extends StreamRequest, Response extends object> implements AdsConnection {
  #hello: ClientHello;
  readonly #call: ServerDuplexStream<Request, Response>;
  readonly #port: StreamPort;
  readonly #dialect: Dialect<S, Request, Response>;
  readonly #writer: ResponseWriter<Response>;
  #sequencer: PushSequencer<S, Request, Response> | undefined;
  #handler: ClientHandler = {};
  #waitingPush: Push | undefined;
  #blocked = false;
  /** Asks more often than it may: its next requests wait. */
  #hasty = false;
  readonly #requests: TokenBucket;
  #working = false;
  #closed = false;
  #wakeAt: number | undefined;
  #cancelWake = () => {};
  #cancelStall = () => {};
  #cancelPace = () => {};
  #cancelExpiry = () => {};
  readonly #cancels: (() => void)[] = [];
  /** Set when something came up while a step was at work. */
  #again = false;

  constructor(call: ServerDuplexStream<Request, Response>, hello: ClientHello, port: StreamPort, dialect: Dialect<S, Request, Response>) {
    this.#call = call;
    this.#hello = hello;
    this.#port = port;
    this.#dialect = dialect;
    this.#requests = new TokenBucket(port.requestRate, port.clock.monotonic());
    this.#writer = responseWriter(call, dialect.encode, port.maxResponseBytes);
    this.#listen();
  }

  get hello(): ClientHello {
    return this.#hello;
  }

  push(push: Push): void {
    if (this.#closed) return;
    if (this.#sequencer) this.#sequencer.push(push);
    else this.#waitingPush = push;
    this.#work(() => {});
  }

  amend(set: ResourceSet): void {
    if (this.#closed || !this.#sequencer) return;
    this.#sequencer.amend(set);
    this.#work(() => {});
  }

  status(): readonly TypeStatus[] {
    return this.#sequencer?.status() ?? [];
  }

  followedRevision(): string | undefined {
    return this.#sequencer?.followedRevision();
  }

  subscriptions(): ReadonlyMap<string, SubscribedNames> {
    return this.#sequencer?.subscriptions() ?? new Map();
  }

  close(reason: string, code: number = grpcStatus.UNAVAILABLE): void {
    if (this.#closed) return;
    this.#call.emit('error', { code, details: reason });
    this.#finish(reason);
  }

  #listen(): void {
    const { clock, firstRequestDeadlineMs, maxStreamAgeMs } = this.#port;
    this.#call.on('data', (request: Request) => {
      this.#pace();
      this.#work(() => this.#receive(request));
    });
    this.#call.on('end', () => {
      this.#call.end();
      this.#finish('the client ended the stream');
    });
    this.#call.on('cancelled', () => this.#finish('the connection was lost or cancelled'));
    this.#call.on('close', () => this.#finish('the stream was closed'));
    this.#call.on('error', (cause: { message?: string; details?: string }) => this.#finish(cause.details ?? cause.message ?? 'stream error'));
    this.#cancels.push(
      clock.after(firstRequestDeadlineMs, () => {
        if (!this.#sequencer) this.close(`no first request within ${firstRequestDeadlineMs} ms`, grpcStatus.DEADLINE_EXCEEDED);
      }),
    );
    const { certificateEndsMs } = this.#hello.peer;
    if (certificateEndsMs !== undefined) this.#endAt(certificateEndsMs);
    if (maxStreamAgeMs > 0) this.#cancels.push(clock.after(maxStreamAgeMs, () => this.close('the stream reached its greatest age; connect again')));
  }

  /** Identity is checked when a stream begins; it may not outlive what proved it. A renewed client comes back at once. Looks again and again: wall clocks jump. */
  #endAt(certificateEndsMs: number): void {
    const leftMs = certificateEndsMs - this.#port.clock.now();
    if (leftMs <= 0) this.close('the client certificate has expired: connect again with a new one', grpcStatus.UNAUTHENTICATED);
    else this.#cancelExpiry = this.#port.clock.after(Math.min(leftMs + 1, expiryLookMs), () => this.#endAt(certificateEndsMs));
  }

  #receive(received: Request): void {
    const { onlyType } = this.#port;
    const request = onlyType !== undefined && received.typeUrl === '' ? { ...received, typeUrl: onlyType } : received;
    if (onlyType !== undefined && request.typeUrl !== onlyType) return this.close(`this service has resources of type ${onlyType} alone`, grpcStatus.INVALID_ARGUMENT);
    const sequencer = this.#sequencer ?? this.#greet(request);
    if (!sequencer) return;
    if (request.typeUrl === healthInformationType) {
      this.#handler.onHealth?.(request.errorDetail ? request.errorDetail.message.slice(0, longestReason) : undefined);
      return;
    }
    const events = sequencer.receive(request);
    const namesChanged = events.some(({ kind }) => kind === 'subscribe');
    if (namesChanged && this.#countNames(sequencer) > this.#port.maxNames) {
      this.close(`asks for more than ${this.#port.maxNames} names`, grpcStatus.RESOURCE_EXHAUSTED);
      return;
    }
    this.#tell(sequencer, events);
  }

  /** Takes the first request: who is it, and does the config side serve it? */
  #greet(request: Request): PushSequencer<S, Request, Response> | undefined {
    if (!request.node) {
      this.close('the first request of a stream must carry a node', grpcStatus.INVALID_ARGUMENT);
      return undefined;
    }
    this.#hello = { ...this.#hello, node: request.node };
    const answer = this.#port.onConnect(this.#hello, this);
    if ('refuse' in answer) {
      this.#port.log.warn({ client: request.node.id, peer: this.#hello.peer, reason: answer.refuse.message }, 'client refused');
      this.close(answer.refuse.message, answer.refuse.code);
      return undefined;
    }
    this.#handler = answer;
    this.#sequencer = this.#dialect.sequencer({ ordered: answer.ordered ?? true, stepDeadlineMs: this.#port.stepDeadlineMs, noncePrefix: `${this.#hello.connectionId}-` });
    if (this.#waitingPush) this.#sequencer.push(this.#waitingPush);
    this.#waitingPush = undefined;
    return this.#sequencer;
  }

  /** Runs a step, then sends what is due. Handlers may push from within: that is taken up in the same round. */
  #work(step: () => void): void {
    if (this.#closed) return;
    if (this.#working) {
      this.#again = true;
      return;
    }
    this.#working = true;
    try {
      step();
      do {
        this.#again = false;
        this.#flush();
      } while (this.#again && !this.#closed);
    } catch (cause) {
      const message = cause instanceof Error ? cause.message : String(cause);
      this.#port.log.warn({ client: this.#hello.node.id, cause: cause instanceof Error ? (cause.stack ?? message) : message }, 'a handler failed; its stream ends');
      if (cause instanceof ResponseTooLarge) this.close(message, grpcStatus.RESOURCE_EXHAUSTED);
      else this.close(`internal error: ${message}`, grpcStatus.INTERNAL);
    } finally {
      this.#working = false;
    }
  }

  #flush(): void {
    const sequencer = this.#sequencer;
    if (!sequencer || this.#blocked || this.#closed) return;
    const { responses, events } = sequencer.advance(this.#port.clock.monotonic());
    for (const response of responses) this.#write(response);
    this.#schedule(sequencer.wakeAt());
    this.#tell(sequencer, events);
  }

  #write(response: Response): void {
    const { identifier } = this.#port;
    const signed = identifier === '' ? response : { ...response, controlPlane: { identifier } };
    if (this.#writer.write(signed) || this.#blocked) return;
    this.#blocked = true;
    this.#call.pause();
    this.#watchReading(this.#writer.progress());
    this.#writer.onceDrained(() => {
      this.#blocked = false;
      this.#cancelStall();
      if (this.#closed) return;
      if (!this.#hasty) this.#call.resume();
      this.#work(() => {});
    });
  }

  /** Who asks too often is read later: HTTP/2 holds the client up, and nobody else. */
  #pace(): void {
    const waitMs = this.#requests.spend(1, this.#port.clock.monotonic());
    if (waitMs === 0 || this.#hasty) return;
    this.#hasty = true;
    this.#call.pause();
    this.#cancelPace = this.#port.clock.after(waitMs, () => {
      this.#hasty = false;
      if (!this.#blocked && !this.#closed) this.#call.resume();
    });
  }

  /** A client may be slow, as long as it reads. */
  #watchReading(before: number | undefined): void {
    const { clock, stalledDeadlineMs } = this.#port;
    this.#cancelStall = clock.after(stalledDeadlineMs, () => {
      const now = this.#writer.progress();
      if (before !== undefined && now !== undefined && now - before > readsBytes) {
        this.#watchReading(now);
        return;
      }
      this.close(`the client read nothing for ${stalledDeadlineMs} ms`);
      this.#call.destroy();
    });
  }

  #schedule(wakeAt: number | undefined): void {
    if (wakeAt === this.#wakeAt) return;
    this.#cancelWake();
    this.#wakeAt = wakeAt;
    if (wakeAt === undefined) return;
    this.#cancelWake = this.#port.clock.after(Math.max(0, wakeAt - this.#port.clock.monotonic()), () => {
      this.#wakeAt = undefined;
      this.#work(() => {});
    });
  }

  #tell(sequencer: PushSequencer<S, Request, Response>, events: readonly SequencerEvent[]): void {
    const client = this.#hello.node.id;
    for (const event of events) {
      if (this.#closed) return;
      if (event.kind === 'subscribe') {
        if (this.#handler.onSubscribe?.(event.typeUrl, event.subscribed) === 'more-comes') sequencer.holdMissing(event.typeUrl);
      } else if (event.kind === 'ack') this.#handler.onAck?.(event.typeUrl, event.version);
      else if (event.kind === 'follow') this.#handler.onFollow?.(event.revision);
      else if (event.kind === 'settle') this.#handler.onSettle?.(event.revision, event.refused);
      else if (event.kind === 'lagging') {
        this.#port.log.warn({ client, type: shortTypeName(event.typeUrl), revision: event.revision }, 'client lags: no answer within the deadline');
        this.#handler.onLagging?.(event.typeUrl, event.revision);
      } else {
        this.#port.log.warn({ client, type: shortTypeName(event.typeUrl), resources: event.refusal.resources.slice(0, 10), reason: event.refusal.message }, 'client refused resources');
        this.#handler.onNack?.(event.typeUrl, event.refusal);
      }
    }
  }

  #countNames(sequencer: PushSequencer<S, Request, Response>): number {
    let count = 0;
    for (const { names } of sequencer.subscriptions().values()) count += names.size;
    return count;
  }

  #finish(reason: string): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#cancelWake();
    this.#cancelStall();
    this.#cancelPace();
    this.#cancelExpiry();
    for (const cancel of this.#cancels) cancel();
    this.#port.onClosed(this);
    this.#port.log.info({ client: this.#hello.node.id, reason }, 'stream closed');
    try {
      this.#handler.onClose?.(reason);
    } catch (cause) {
      this.#port.log.warn({ client: this.#hello.node.id, cause: String(cause) }, 'a close handler failed');
    }
  }
}
