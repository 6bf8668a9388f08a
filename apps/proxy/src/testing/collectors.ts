import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { KeyValue } from '@meltemi/api/gen/opentelemetry/proto/common/v1/common.ts';
import { ExportTraceServiceRequest } from '@meltemi/api/gen/opentelemetry/proto/collector/trace/v1/trace_service.ts';
import { waitFor } from '@meltemi/base';

/** A span as either collector keeps it. */
export interface CollectedSpan {
  readonly traceId: string;
  readonly spanId: string;
  readonly parentId: string;
  readonly name: string;
  readonly kind: string;
  readonly shared: boolean;
  readonly service: string;
  readonly tags: Readonly<Record<string, string>>;
  readonly annotations: readonly string[];
  readonly durationUs: number;
  readonly error: boolean;
}

/** What an exporter posts is posted here. */
export interface Collector {
  readonly port: number;
  readonly spans: CollectedSpan[];
  /** Status of the answers from now on. */
  status: number;
  /** Headers of the last post. */
  readonly headers: () => Readonly<Record<string, string | string[] | undefined>>;
  span(wanted: (span: CollectedSpan) => boolean): Promise<CollectedSpan>;
  stop(): Promise<void>;
}

/** A collector of OTLP over HTTP and of Zipkin's JSON, by path. */
export async function collector(): Promise<Collector> {
  const spans: CollectedSpan[] = [];
  let headers: Collector['headers'] = () => ({});
  const server = createServer((request, response) => {
    const parts: Buffer[] = [];
    request.on('data', (part: Buffer) => parts.push(part));
    request.on('end', () => {
      headers = () => request.headers;
      const body = Buffer.concat(parts);
      if (self.status < 300) spans.push(...(request.url === '/v1/traces' ? otlp(body) : zipkin(body)));
      response.writeHead(self.status).end();
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const self: Collector = {
    port: (server.address() as AddressInfo).port, spans, status: 202, headers: () => headers(),
    span: (wanted) => waitFor('a span', () => spans.find(wanted)),
    stop: () => new Promise((resolve) => {
      server.close(() => resolve());
      server.closeAllConnections();
    }),
  };
  return self;
}

export function otlp(body: Uint8Array): CollectedSpan[] {
  const text = (pairs: readonly KeyValue[]) => Object.fromEntries(pairs.map(({ key, value }) => [key, value?.value?.$case === 'stringValue' ? value.value.value : '']));
  return ExportTraceServiceRequest.decode(body).resourceSpans.flatMap(({ resource, scopeSpans }) => scopeSpans.flatMap((scope) => scope.spans.map((span): CollectedSpan => ({
    traceId: Buffer.from(span.traceId).toString('hex'), spanId: Buffer.from(span.spanId).toString('hex'), parentId: Buffer.from(span.parentSpanId).toString('hex'),
    name: span.name, kind: span.kind === 3 ? 'CLIENT' : 'SERVER', shared: false, service: text(resource?.attributes ?? [])['service.name'] ?? '', tags: text(span.attributes), annotations: [],
    durationUs: Number(span.endTimeUnixNano - span.startTimeUnixNano) / 1000, error: span.status?.code === 2,
  }))));
}

interface ZipkinSpan {
  traceId: string; id: string; parentId?: string; name: string; kind: string; shared?: boolean; duration: number;
  localEndpoint: { serviceName: string }; tags: Record<string, string>; annotations?: { value: string }[];
}

function zipkin(body: Buffer): CollectedSpan[] {
  return (JSON.parse(body.toString()) as ZipkinSpan[]).map((span) => ({
    traceId: span.traceId, spanId: span.id, parentId: span.parentId ?? '', name: span.name, kind: span.kind, shared: span.shared ?? false, service: span.localEndpoint.serviceName, tags: span.tags,
    annotations: (span.annotations ?? []).map(({ value }) => value), durationUs: span.duration, error: span.tags['error'] === 'true',
  }));
}
