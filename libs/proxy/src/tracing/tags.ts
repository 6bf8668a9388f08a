import { addressWithoutPort, formatResponseFlags, isGrpc, type StreamInfo } from '@meltemi/http';
import type { CustomTag } from '@meltemi/route';
import type { Span } from './span.ts';

/** What tags may take from elsewhere. */
export interface TagSource {
  readonly maxPathTagLength: number;
  readonly verbose: boolean;
  readonly customTags: readonly CustomTag[];
  readonly routeTags: readonly CustomTag[];
  readonly environment: (name: string) => string | undefined;
}

/** Envoy's tags of a finished request, on the span of the downstream side. */
export function tagDownstream(span: Span, info: StreamInfo, source: TagSource): void {
  const { request } = info;
  if (request !== null) {
    const { headers } = request;
    if (info.requestId !== null) span.tag('guid:x-request-id', info.requestId);
    const path = headers.get('x-envoy-original-path') ?? request.path;
    span.tag('http.url', `${headers.get('x-forwarded-proto') ?? request.scheme}://${request.authority}${path.slice(0, source.maxPathTagLength)}`);
    span.tag('http.method', request.method);
    span.tag('downstream_cluster', headers.get('x-envoy-downstream-service-cluster') ?? '-');
    span.tag('user_agent', headers.get('user-agent') ?? '-');
    span.tag('http.protocol', request.protocol);
    span.tag('peer.address', addressWithoutPort(info.connection.directRemoteAddress));
    const client = headers.get('x-client-trace-id');
    if (client !== null) span.tag('guid:x-client-trace-id', client);
    if (isGrpc(request)) tagGrpc(span, info);
  }
  span.tag('request_size', String(info.bytesReceived));
  span.tag('response_size', String(info.bytesSent));
  tagCommon(span, info, source);
  if (source.verbose) annotate(span, info);
}

/** Those of an attempt, on a span of its own. */
export function tagUpstream(span: Span, info: StreamInfo, source: TagSource, host: string | null): void {
  span.tag('http.protocol', info.upstreamProtocol ?? '-');
  if (host !== null) {
    span.tag('upstream_address', host);
    span.tag('peer.address', host);
  }
  tagCommon(span, info, source);
}

function tagCommon(span: Span, info: StreamInfo, source: TagSource): void {
  span.tag('component', 'proxy');
  if (info.upstreamCluster !== null) {
    span.tag('upstream_cluster', info.upstreamCluster);
    span.tag('upstream_cluster.name', info.upstreamClusterAlt ?? info.upstreamCluster);
  }
  span.tag('http.status_code', String(info.responseCode));
  span.tag('response_flags', formatResponseFlags(info.responseFlags));
  for (const tags of [source.customTags, source.routeTags])
    for (const custom of tags) {
      const text = custom.value(info, source.environment);
      if (text !== null && text !== '') span.tag(custom.tag, text);
    }
  if (info.responseCode === 0 || info.responseCode >= 500) span.tag('error', 'true');
}

function tagGrpc(span: Span, info: StreamInfo): void {
  const { request } = info;
  if (request === null) return;
  span.tag('grpc.path', request.path);
  span.tag('grpc.authority', request.authority);
  span.tag('grpc.content_type', request.headers.get('content-type') ?? '');
  const timeout = request.headers.get('grpc-timeout');
  if (timeout !== null) span.tag('grpc.timeout', timeout);
  const trailers = info.responseTrailers ?? [];
  const answer = (name: string) => {
    const at = trailers.indexOf(name);
    return at >= 0 && at % 2 === 0 ? (trailers[at + 1] ?? null) : (info.response?.headers.get(name) ?? null);
  };
  const status = answer('grpc-status');
  const message = answer('grpc-message');
  if (status !== null) span.tag('grpc.status_code', status);
  if (message !== null) span.tag('grpc.message', message);
}

function annotate(span: Span, info: StreamInfo): void {
  const at = (monoMs: number, value: string) => {
    if (monoMs >= 0 && span.sampled) span.annotations.push({ atUs: Math.round((info.startTimeMs + monoMs - info.startMonoMs) * 1000), value });
  };
  at(info.requestCompleteMonoMs, 'last_downstream_rx_byte_received');
  at(info.upstreamFirstSentMonoMs, 'first_upstream_tx_byte_sent');
  at(info.upstreamLastSentMonoMs, 'last_upstream_tx_byte_sent');
  at(info.upstreamFirstReceivedMonoMs, 'first_upstream_rx_byte_received');
  at(info.upstreamLastReceivedMonoMs, 'last_upstream_rx_byte_received');
  at(info.downstreamFirstSentMonoMs, 'first_downstream_tx_byte_sent');
  at(info.downstreamLastSentMonoMs, 'last_downstream_tx_byte_sent');
}
