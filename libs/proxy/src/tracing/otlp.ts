import type { KeyValue } from '@meltemi/api/gen/opentelemetry/proto/common/v1/common.ts';
import { ExportTraceServiceRequest, ExportTraceServiceResponse } from '@meltemi/api/gen/opentelemetry/proto/collector/trace/v1/trace_service.ts';
import { Span_SpanKind, Status_StatusCode, type Span as SpanMessage } from '@meltemi/api/gen/opentelemetry/proto/trace/v1/trace.ts';
import { HeaderMap, RequestHead, StreamInfo, unknownConnection } from '@meltemi/http';
import { sendAsync, type AsyncPort } from '../http/async-request.ts';
import { callGrpc } from '../http/grpc-call.ts';
import { metadataOf } from '../http/grpc-service.ts';
import type { OtlpProvider } from './providers.ts';
import type { SpanRecord } from './span.ts';
import type { SendSpans } from './span-exporter.ts';

const method = '/opentelemetry.proto.collector.trace.v1.TraceService/Export';
const maxAnswerBytes = 64 * 1024;

/** Sends spans to an OpenTelemetry collector over gRPC or HTTP; null when the provider names none. */
export function otlpSender(provider: OtlpProvider, environment: (name: string) => string | undefined, port: AsyncPort): SendSpans | null {
  const { exporter } = provider;
  if (exporter === null) return null;
  const resource = { attributes: resourceAttributes(provider, environment) };
  const encode = (spans: readonly SpanRecord[]) => ExportTraceServiceRequest.encode({ resourceSpans: [{ resource, scopeSpans: [{ scope: { name: 'meltemi', version: '' }, spans: spans.map(otlpSpan) }] }] }).finish();
  if (exporter.kind === 'grpc') {
    const { cluster, authority, timeoutMs } = exporter.target;
    return (spans, done) => void callGrpc({ cluster, authority, path: method, message: encode(spans), metadata: metadataOf(exporter.target, new StreamInfo(unknownConnection, 0, 0)), timeoutMs, maxBytes: maxAnswerBytes }, port, (result) => done(result.ok && tookAll(result.value)));
  }
  return (spans, done) => {
    const headers = new HeaderMap(['content-type', 'application/x-protobuf']);
    for (const [name, value] of exporter.headers) headers.add(name, value);
    const head = new RequestHead('POST', exporter.path, exporter.authority, headers);
    sendAsync({ cluster: exporter.cluster, head, body: encode(spans), timeoutMs: exporter.timeoutMs, maxBytes: maxAnswerBytes }, port, (result) => done(result.ok && result.value.status >= 200 && result.value.status < 300));
  };
}

function tookAll(answer: Buffer): boolean {
  try {
    return (ExportTraceServiceResponse.decode(answer).partialSuccess?.rejectedSpans ?? 0n) === 0n;
  } catch {
    return false;
  }
}

function resourceAttributes({ serviceName, attributes, readsEnvironment }: OtlpProvider, environment: (name: string) => string | undefined): KeyValue[] {
  const all = new Map<string, string>([['service.name', serviceName], ['telemetry.sdk.language', 'nodejs'], ['telemetry.sdk.name', 'meltemi']]);
  if (readsEnvironment)
    for (const pair of (environment('OTEL_RESOURCE_ATTRIBUTES') ?? '').split(',')) {
      const at = pair.indexOf('=');
      if (at > 0) all.set(pair.slice(0, at).trim(), pair.slice(at + 1).trim());
    }
  for (const [key, value] of attributes) all.set(key, value);
  return [...all].map(([key, value]) => textAttribute(key, value));
}

/** One span as OTLP has it. */
export function otlpSpan(span: SpanRecord): SpanMessage {
  const status = Number(span.tags.get('http.status_code') ?? '');
  const failed = status >= 500 || (status >= 400 && span.kind === 'client');
  return {
    traceId: Buffer.from(span.traceId.padStart(32, '0'), 'hex'), spanId: Buffer.from(span.spanId, 'hex'), parentSpanId: Buffer.from(span.parentId, 'hex'), traceState: span.traceState, name: span.name,
    kind: span.kind === 'client' ? Span_SpanKind.SPAN_KIND_CLIENT : Span_SpanKind.SPAN_KIND_SERVER,
    startTimeUnixNano: BigInt(span.startUs) * 1000n, endTimeUnixNano: BigInt(span.startUs + span.durationUs) * 1000n,
    attributes: [...span.tags].map(([key, value]) => textAttribute(key, value)),
    ...(failed ? { status: { message: '', code: Status_StatusCode.STATUS_CODE_ERROR } } : {}),
  };
}

function textAttribute(key: string, value: string): KeyValue {
  return { key, value: { value: { $case: 'stringValue', value } } };
}
