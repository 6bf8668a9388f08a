import { HeaderMap, portOf, addressWithoutPort, RequestHead } from '@meltemi/http';
import { sendAsync, type AsyncPort } from '../http/async-request.ts';
import type { ZipkinProvider } from './providers.ts';
import type { SpanRecord } from './span.ts';
import type { SendSpans } from './span-exporter.ts';

const timeoutMs = 5000;
const maxAnswerBytes = 64 * 1024;

/** Posts spans as Zipkin's JSON v2. `serviceName` is the node's cluster. */
export function zipkinSender(provider: ZipkinProvider, serviceName: string, port: AsyncPort): SendSpans {
  return (spans, done) => {
    const head = new RequestHead('POST', provider.path, provider.authority, new HeaderMap(['content-type', 'application/json']));
    const body = Buffer.from(JSON.stringify(spans.map((span) => zipkinSpan(span, serviceName))));
    sendAsync({ cluster: provider.cluster, head, body, timeoutMs, maxBytes: maxAnswerBytes }, port, (result) => done(result.ok && result.value.status >= 200 && result.value.status < 300));
  };
}

/** One span in Zipkin's words. */
export function zipkinSpan(span: SpanRecord, serviceName: string): Record<string, unknown> {
  const ip = addressWithoutPort(span.localAddress);
  return {
    traceId: span.traceId, id: span.spanId, ...(span.parentId === '' ? {} : { parentId: span.parentId }), name: span.name, kind: span.kind === 'client' ? 'CLIENT' : 'SERVER',
    timestamp: span.startUs, duration: Math.max(1, span.durationUs),
    localEndpoint: { serviceName, ...(ip === '' ? {} : ip.includes(':') ? { ipv6: ip } : { ipv4: ip }), ...(portOf(span.localAddress) > 0 ? { port: portOf(span.localAddress) } : {}) },
    ...(span.annotations.length === 0 ? {} : { annotations: span.annotations.map(({ atUs, value }) => ({ timestamp: atUs, value })) }),
    tags: Object.fromEntries(span.tags), ...(span.shared ? { shared: true } : {}),
  };
}
