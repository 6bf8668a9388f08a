import type { Counter, Histogram } from './child.ts';
import type { Family } from './family.ts';
import { latencyBucketsMs, type StatsRegistry } from './registry.ts';

const peerLabels = (side: 'source' | 'destination') => [
  `${side}_workload`,
  `${side}_canonical_service`,
  `${side}_canonical_revision`,
  `${side}_workload_namespace`,
  `${side}_principal`,
  `${side}_app`,
  `${side}_version`,
  `${side}_cluster`,
];

/** Labels of the TCP metrics, in the order `labels()` takes them. Source: Istio's standard metrics reference. */
export const istioTcpLabels: readonly string[] = [
  'reporter',
  ...peerLabels('source'),
  ...peerLabels('destination'),
  'destination_service',
  'destination_service_name',
  'destination_service_namespace',
  'request_protocol',
  'response_flags',
  'connection_security_policy',
];

/** Labels of the counters of gRPC messages: who talks to whom and to which service, since streams are counted while nothing else is known. Source: istio/proxy. */
export const istioMessageLabels: readonly string[] = istioTcpLabels.slice(0, istioTcpLabels.indexOf('request_protocol'));

/** Labels of the HTTP and gRPC metrics, in the order `labels()` takes them: the TCP ones, then the response's. */
export const istioHttpLabels: readonly string[] = [...istioTcpLabels, 'response_code', 'grpc_response_status'];

/** Bytes, powers of ten: sizes of requests and responses. */
export const sizeBucketsBytes: readonly number[] = [1, 10, 100, 1000, 10_000, 100_000, 1_000_000, 10_000_000, 100_000_000, 1_000_000_000];

export interface IstioMetrics {
  readonly requests: Family<Counter>;
  readonly requestDuration: Family<Histogram>;
  readonly requestBytes: Family<Histogram>;
  readonly responseBytes: Family<Histogram>;
  readonly requestMessages: Family<Counter>;
  readonly responseMessages: Family<Counter>;
  readonly tcpSentBytes: Family<Counter>;
  readonly tcpReceivedBytes: Family<Counter>;
  readonly tcpOpened: Family<Counter>;
  readonly tcpClosed: Family<Counter>;
}

/** Declares Istio's standard metrics: one declaration for the proxies and for the telemetry program, of which only one counts at a time. */
export function declareIstioMetrics(stats: StatsRegistry): IstioMetrics {
  const http = istioHttpLabels;
  const tcp = istioTcpLabels;
  const messages = istioMessageLabels;
  return {
    requests: stats.counter('istio_requests_total', 'Requests handled.', http),
    requestDuration: stats.histogram('istio_request_duration_milliseconds', 'Duration of requests in milliseconds.', http, latencyBucketsMs),
    requestBytes: stats.histogram('istio_request_bytes', 'Size of request bodies in bytes.', http, sizeBucketsBytes),
    responseBytes: stats.histogram('istio_response_bytes', 'Size of response bodies in bytes.', http, sizeBucketsBytes),
    requestMessages: stats.counter('istio_request_messages_total', 'gRPC messages sent by clients.', messages),
    responseMessages: stats.counter('istio_response_messages_total', 'gRPC messages sent by servers.', messages),
    tcpSentBytes: stats.counter('istio_tcp_sent_bytes_total', 'Bytes sent in response over TCP connections.', tcp),
    tcpReceivedBytes: stats.counter('istio_tcp_received_bytes_total', 'Bytes received in request over TCP connections.', tcp),
    tcpOpened: stats.counter('istio_tcp_connections_opened_total', 'TCP connections opened.', tcp),
    tcpClosed: stats.counter('istio_tcp_connections_closed_total', 'TCP connections closed.', tcp),
  };
}

/** Sets `istio_build{component,tag}` to 1: what runs here, in which version. */
export function declareIstioBuild(stats: StatsRegistry, component: string, tag: string): void {
  stats.gauge('istio_build', 'Component and version that run here.', ['component', 'tag']).labels(component, tag).set(1);
}
