import type { Clock } from '@meltemi/base';
import type { StreamInfo } from '@meltemi/http';
import type { Counter } from '@meltemi/observe';
import { HttpStreamFilter, type StreamControls } from '../../../filter.ts';
import { grpcMessagesKey, type GrpcMessages } from '../grpc-stats/grpc-stats.ts';

/** The series that a stream's messages go to; null for what is dropped. */
export interface MessageHandles {
  readonly request: Counter | null;
  readonly response: Counter | null;
}

/** What the messages of gRPC streams are counted for. */
export interface MessageOwner {
  /** The stream is over. */
  complete(stream: StreamControls): void;
  /** Null while `ended` is false and the other side is not known yet. */
  messageHandles(stream: StreamControls, ended: boolean): MessageHandles | null;
}

/** Counts messages of gRPC streams in each interval while they live, and the rest at their end. One timer serves all streams; it ends with an interval that leaves none. */
export class MessageReporter {
  readonly #owner: MessageOwner;
  readonly #clock: Clock;
  /** 0: at the end alone. */
  readonly #intervalMs: number;
  readonly #live = new Set<GrpcStream>();
  #ticking = false;

  constructor(owner: MessageOwner, clock: Clock, intervalMs: number) {
    this.#owner = owner;
    this.#clock = clock;
    this.#intervalMs = intervalMs;
  }

  stream(controls: StreamControls): HttpStreamFilter {
    const stream = new GrpcStream(this, this.#owner, controls);
    if (this.#intervalMs > 0) {
      this.#live.add(stream);
      if (!this.#ticking) this.#nextTick();
    }
    return stream;
  }

  ended(stream: GrpcStream): void {
    this.#live.delete(stream);
  }

  #nextTick(): void {
    this.#ticking = this.#live.size > 0;
    if (this.#ticking) this.#clock.after(this.#intervalMs, this.#tick);
  }

  readonly #tick = (): void => {
    this.#nextTick();
    for (const stream of this.#live) stream.report(false);
  };
}

/** One stream of gRPC. @hot */
class GrpcStream extends HttpStreamFilter {
  readonly #reporter: MessageReporter;
  readonly #owner: MessageOwner;
  readonly #controls: StreamControls;
  #handles: MessageHandles | null = null;
  #requests = 0;
  #responses = 0;

  constructor(reporter: MessageReporter, owner: MessageOwner, controls: StreamControls) {
    super();
    this.#reporter = reporter;
    this.#owner = owner;
    this.#controls = controls;
  }

  override complete(stream: StreamControls): void {
    this.report(true);
    this.#owner.complete(stream);
  }

  override destroy(): void {
    this.#reporter.ended(this);
  }

  report(ended: boolean): void {
    const counts = messagesOf(this.#controls.info);
    if (counts === null) return;
    const handles = (this.#handles ??= this.#owner.messageHandles(this.#controls, ended));
    if (handles === null) return;
    handles.request?.inc(counts.request_message_count - this.#requests);
    handles.response?.inc(counts.response_message_count - this.#responses);
    this.#requests = counts.request_message_count;
    this.#responses = counts.response_message_count;
  }
}

/** What grpc_stats has counted of a stream; null where there is none in front. */
export function messagesOf(info: StreamInfo): GrpcMessages | null {
  return (info.filterState?.get(grpcMessagesKey) as GrpcMessages | undefined) ?? null;
}
