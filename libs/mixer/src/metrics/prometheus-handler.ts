import { declareIstioMetrics, istioMessageLabels, type StatsRegistry } from '@meltemi/observe';
import { numberOf, type Attributes } from '../attributes/vocabulary.ts';
import type { Handler, Template } from '../runtime.ts';
import { httpLabelValues, tcpLabelValues } from './istio-labels.ts';

/** One event as Istio's standard metrics count it. */
export type MetricInstance =
  | { readonly kind: 'request'; readonly labels: readonly string[]; readonly durationMs: number; readonly requestBytes: number; readonly responseBytes: number; readonly requestMessages: number; readonly responseMessages: number }
  | { readonly kind: 'connection'; readonly labels: readonly string[]; readonly event: string; readonly receivedBytes: number; readonly sentBytes: number };

export const metricTemplate: Template<MetricInstance> = {
  name: 'metric',
  instance(attributes: Attributes): MetricInstance {
    const event = attributes.get('connection.event');
    if (typeof event === 'string') return { kind: 'connection', labels: tcpLabelValues(attributes), event, receivedBytes: numberOf(attributes, 'connection.received.bytes'), sentBytes: numberOf(attributes, 'connection.sent.bytes') };
    return {
      kind: 'request',
      labels: httpLabelValues(attributes),
      durationMs: numberOf(attributes, 'response.duration'),
      requestBytes: numberOf(attributes, 'request.size'),
      responseBytes: numberOf(attributes, 'response.size'),
      requestMessages: numberOf(attributes, 'request.messages'),
      responseMessages: numberOf(attributes, 'response.messages'),
    };
  },
};

/** Counts Istio's standard metrics here instead of in the proxies. Behind a MetricOwner, which keeps out what they counted. */
export function createPrometheusHandler(stats: StatsRegistry): Handler<MetricInstance> {
  const metrics = declareIstioMetrics(stats);
  return {
    name: 'prometheus',
    handle(instance) {
      const { labels } = instance;
      if (instance.kind === 'connection') {
        if (instance.event === 'open') metrics.tcpOpened.labels(...labels).inc();
        if (instance.event === 'close') metrics.tcpClosed.labels(...labels).inc();
        metrics.tcpReceivedBytes.labels(...labels).inc(instance.receivedBytes);
        metrics.tcpSentBytes.labels(...labels).inc(instance.sentBytes);
        return;
      }
      metrics.requests.labels(...labels).inc();
      metrics.requestDuration.labels(...labels).observe(instance.durationMs);
      metrics.requestBytes.labels(...labels).observe(instance.requestBytes);
      metrics.responseBytes.labels(...labels).observe(instance.responseBytes);
      if (instance.requestMessages > 0) metrics.requestMessages.labels(...labels.slice(0, istioMessageLabels.length)).inc(instance.requestMessages);
      if (instance.responseMessages > 0) metrics.responseMessages.labels(...labels.slice(0, istioMessageLabels.length)).inc(instance.responseMessages);
    },
  };
}
