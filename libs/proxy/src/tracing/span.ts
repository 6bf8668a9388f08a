import { fromWire } from '@meltemi/http';

/** What a collector needs of a finished span. Ids are lower-case hex: 16 or 32 digits of the trace, 16 of the span. */
export interface SpanRecord {
  readonly traceId: string;
  readonly spanId: string;
  /** "" for a root. */
  readonly parentId: string;
  readonly traceState: string;
  readonly name: string;
  readonly kind: 'server' | 'client';
  /** The span has its caller's id, as Zipkin lets a server join its client's span. */
  readonly shared: boolean;
  /** Microseconds since the epoch. */
  readonly startUs: number;
  readonly durationUs: number;
  readonly tags: ReadonlyMap<string, string>;
  readonly annotations: readonly { readonly atUs: number; readonly value: string }[];
  /** Address of this proxy that the request came to, "ip:port". */
  readonly localAddress: string;
}

/** Which trace a request belongs to, as its headers say. */
export interface TraceContext {
  readonly traceId: string;
  readonly spanId: string;
  readonly parentId: string;
  readonly sampled: boolean;
  readonly traceState: string;
}

/** A span under way. What is not sampled keeps no tags and is never told of. */
export class Span {
  readonly traceId: string;
  readonly spanId: string;
  readonly parentId: string;
  readonly traceState: string;
  readonly sampled: boolean;
  readonly kind: 'server' | 'client';
  readonly shared: boolean;
  readonly startUs: number;
  name: string;
  readonly tags = new Map<string, string>();
  readonly annotations: { atUs: number; value: string }[] = [];

  constructor(context: TraceContext, fields: { readonly name: string; readonly kind: 'server' | 'client'; readonly shared: boolean; readonly startUs: number }) {
    this.traceId = context.traceId;
    this.spanId = context.spanId;
    this.parentId = context.parentId;
    this.traceState = context.traceState;
    this.sampled = context.sampled;
    this.kind = fields.kind;
    this.shared = fields.shared;
    this.startUs = fields.startUs;
    this.name = fields.name;
  }

  /** `value`: a text, or what a field has. */
  tag(name: string, value: string): void {
    if (this.sampled) this.tags.set(name, fromWire(value));
  }

  record(endUs: number, localAddress: string): SpanRecord {
    const { traceId, spanId, parentId, traceState, name, kind, shared, startUs, tags, annotations } = this;
    return { traceId, spanId, parentId, traceState, name, kind, shared, startUs, durationUs: Math.max(0, endUs - startUs), tags, annotations, localAddress };
  }
}
