import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ExportTraceServiceRequest, TraceServiceService, type TraceServiceServer } from '@meltemi/api/gen/opentelemetry/proto/collector/trace/v1/trace_service.ts';
import { waitFor } from '@meltemi/base';
import { backend } from '../testing/backend.ts';
import { request } from '../testing/client.ts';
import { collector, otlp, type CollectedSpan } from '../testing/collectors.ts';
import { grpcServer } from '../testing/grpc-server.ts';
import { startProxy } from '../testing/proxy-process.ts';
import { sample, statsOf } from '../testing/samples.ts';

test('tracing-opentelemetry.yaml: a collector that speaks OTLP over gRPC gets the spans of all requests', async () => {
  const spans: CollectedSpan[] = [];
  let refusing = false;
  await using collecting = await grpcServer((server) => server.addService(TraceServiceService, {
    export: ({ request: batch }, done) => {
      if (refusing) return done(null, { partialSuccess: { rejectedSpans: 1n, errorMessage: 'full' } });
      spans.push(...otlp(ExportTraceServiceRequest.encode(batch).finish()));
      return done(null, {});
    },
  } satisfies TraceServiceServer));
  await using app = await backend('app');
  await using proxy = await startProxy(sample('tracing-opentelemetry.yaml', { 8001: app.port, 4317: collecting.port }));
  const parent = '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01';
  const replies = await Promise.all(Array.from({ length: 250 }, (_, i) => request(proxy.port('web'), { path: i === 0 ? '/checkout' : `/${i}`, headers: { host: 'shop.example', ...(i === 0 ? { traceparent: parent } : {}) } })));
  await waitFor('all spans', () => spans.length === 250, { deadlineMs: 10_000 });
  const [checkout] = spans.filter(({ name }) => name === 'checkout');
  assert.deepEqual([checkout?.traceId, checkout?.parentId, checkout?.service, checkout?.kind], ['4bf92f3577b34da6a3ce929d0e0e4736', '00f067aa0ba902b7', 'front', 'CLIENT']);
  assert.equal(replies[0]?.seen().headers['traceparent'], `00-${checkout?.traceId}-${checkout?.spanId}-01`);
  assert.deepEqual(new Set(spans.map(({ tags }) => tags['http.url'])), new Set(['http://shop.example/checkout', ...Array.from({ length: 249 }, (_, i) => `http://shop.example/${i + 1}`)]));
  refusing = true;
  const told = async (name: string) => (await statsOf(proxy)).get(`tracing.opentelemetry.${name}`) ?? 0;
  await waitFor('every span to be told of', async () => (await told('spans_sent')) + (await told('spans_dropped')) === 250);
  const dropped = await told('spans_dropped');
  await request(proxy.port('web'));
  await waitFor('the span that was not taken to be counted', async () => (await told('spans_dropped')) === dropped + 1);
});

test('tracing-zipkin.yaml: each hop has a span of its own', async () => {
  const traces = await collector();
  await using app = await backend('app');
  try {
    await using proxy = await startProxy(sample('tracing-zipkin.yaml', { 8001: app.port, 9411: traces.port }));
    const reply = await request(proxy.port('web'), { path: '/checkout', headers: { host: 'shop.example', 'x-b3-traceid': '0000000000000001', 'x-b3-spanid': '0000000000000002', 'x-b3-sampled': '1' } });
    const span = await traces.span(({ name }) => name === 'checkout');
    assert.deepEqual([span.traceId, span.parentId, span.tags['upstream_cluster']], ['0000000000000001', '0000000000000002', 'app']);
    assert.equal(reply.seen().headers['x-b3-spanid'], span.spanId);
  } finally {
    await traces.stop();
  }
});
