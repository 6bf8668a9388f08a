import type { RequestHead, ResponseHead, StreamInfo } from '@meltemi/http';
import type { Span } from './span.ts';
import { tagDownstream, tagUpstream, type TagSource } from './tags.ts';
import type { HttpTracer, TracedRequest } from './tracer.ts';

const operationHeader = 'x-envoy-decorator-operation';

/** The trace of one stream: its span, those of its attempts, and the operation's name on its way between proxies. */
export class StreamTrace {
  readonly #tracer: HttpTracer;
  /** Null: nothing takes spans, or the caller's context cannot be read. */
  readonly #span: Span | null;
  readonly #request: TracedRequest;
  /** What the route calls the operation and the other side is told; null when it is not. */
  #operation: string | null;

  constructor(tracer: HttpTracer, span: Span | null, request: TracedRequest) {
    this.#tracer = tracer;
    this.#span = span;
    this.#request = request;
    const operation = request.route?.decoratorOperation ?? null;
    this.#operation = request.route?.decoratorPropagate === false ? null : operation;
    if (operation !== null && span !== null) span.name = operation;
    const { headers } = request.head;
    if (tracer.egress) {
      if (this.#operation !== null) headers.set(operationHeader, this.#operation);
      return;
    }
    const told = headers.get(operationHeader);
    if (told === null) return;
    headers.remove(operationHeader);
    if (told === '') return;
    if (span !== null) span.name = told;
    this.#operation = null;
  }

  /** Writes the context into a request that leaves; the attempt's own span, where it has one, is to be ended. */
  toUpstream(head: RequestHead, attempt: number): AttemptTrace | null {
    const parent = this.#span;
    if (parent === null) return null;
    if (!this.#tracer.split) {
      this.#tracer.inject(head, parent);
      return null;
    }
    const { info } = this.#request;
    const child = this.#tracer.child(parent, `router ${info.upstreamClusterAlt ?? info.upstreamCluster ?? ''} egress`, this.#nowUs());
    if (attempt > 1) child.tag('retry.count', String(attempt - 1));
    this.#tracer.inject(head, child);
    return new AttemptTrace(this, child);
  }

  /** The response's head, on its way to the client. */
  onResponse(head: ResponseHead): void {
    const { headers } = head;
    if (!this.#tracer.egress) {
      if (this.#operation !== null) headers.set(operationHeader, this.#operation);
      return;
    }
    const told = headers.get(operationHeader);
    if (told === null) return;
    headers.remove(operationHeader);
    if (told !== '' && this.#span !== null) this.#span.name = told;
  }

  finish(): void {
    const { info } = this.#request;
    const span = this.#span;
    if (span === null || !span.sampled) return;
    tagDownstream(span, info, this.#tags());
    this.#tracer.finish(span, span.startUs + Math.round((info.endMonoMs - info.startMonoMs) * 1000), info);
  }

  finishAttempt(span: Span, host: string | null): void {
    if (!span.sampled) return;
    tagUpstream(span, this.#info, this.#tags(), host);
    this.#tracer.finish(span, this.#nowUs(), this.#info);
  }

  get #info(): StreamInfo {
    return this.#request.info;
  }

  #tags(): TagSource {
    const { config, environment } = this.#tracer;
    return { maxPathTagLength: config.maxPathTagLength, verbose: config.verbose, customTags: config.customTags, routeTags: this.#request.route?.tracing?.customTags ?? [], environment };
  }

  #nowUs(): number {
    const { startTimeMs, startMonoMs } = this.#info;
    return Math.round((startTimeMs + this.#tracer.parts.clock.monotonic() - startMonoMs) * 1000);
  }
}

/** The span of one attempt. */
export class AttemptTrace {
  readonly #stream: StreamTrace;
  readonly #span: Span;

  constructor(stream: StreamTrace, span: Span) {
    this.#stream = stream;
    this.#span = span;
  }

  /** `failure`: why no answer came, or null. */
  finish(host: string | null, failure: string | null): void {
    if (failure !== null) {
      this.#span.tag('error', 'true');
      this.#span.tag('error.reason', failure);
    }
    this.#stream.finishAttempt(this.#span, host);
  }
}
