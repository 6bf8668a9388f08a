import { systemClock } from '@meltemi/base';
import { accessTemplate, createPrometheusHandler, edgeTemplate, metricTemplate, MetricOwner, ObservedAccesses, RecentRequests, ReportRuntime, requestTemplate, rule, ServiceGraph, type Disagreement, type Handler, type MetricInstance, type Rule } from '@meltemi/mixer';
import type { StatsRegistry } from '@meltemi/observe';
import type { Logger } from '@meltemi/observe-edge';

export interface Reports {
  readonly graph: ServiceGraph;
  readonly recent: RecentRequests;
  readonly observed: ObservedAccesses;
  readonly runtime: ReportRuntime;
}

/** What happens to a report: it is drawn into the graph, and counted when this program owns the standard metrics. */
export function createReports(parts: { stats: StatsRegistry; log: Logger; maxEdges: number; idleMs: number; maxRequests: number; maxAccesses: number; accessIdleMs: number; ownPrometheus: boolean }): Reports {
  const graph = new ServiceGraph({ clock: systemClock, maxEdges: parts.maxEdges, idleMs: parts.idleMs });
  const rules: Rule[] = [rule({ name: 'graph', template: edgeTemplate, handler: { name: 'graph', handle: (edge) => graph.record(edge) } })];
  const recent = new RecentRequests({ clock: systemClock, max: parts.maxRequests, idleMs: parts.idleMs });
  if (parts.maxRequests > 0) rules.push(rule({ name: 'requests', template: requestTemplate, handler: { name: 'requests', handle: (request) => recent.record(request) } }));
  const observed = new ObservedAccesses({ clock: systemClock, max: parts.maxAccesses, idleMs: parts.accessIdleMs });
  if (parts.maxAccesses > 0) rules.push(rule({ name: 'accesses', template: accessTemplate, handler: { name: 'accesses', handle: (access) => observed.record(access) } }));
  const owner = new MetricOwner({ owns: parts.ownPrometheus, onDisagreement: (kind, node) => parts.log.warn({ node }, disagreements[kind]) });
  const handler = parts.ownPrometheus ? createPrometheusHandler(parts.stats) : leftToProxies;
  rules.push(rule({ name: 'prometheus', match: (attributes) => owner.mustCount(attributes), template: metricTemplate, handler }));
  const failures = parts.stats.counter('meltemi_mixer_rule_failures_total', 'Reports on which a rule failed.', ['rule']);
  const edges = parts.stats.gauge('meltemi_graph_edges', 'Edges in the service graph.').labels();
  const dropped = parts.stats.counter('meltemi_graph_events_dropped_total', 'Events not drawn because the graph was full.').labels();
  parts.stats.beforeRead(() => {
    edges.set(graph.edgeCount);
    dropped.inc(graph.droppedEvents - dropped.value);
  });
  const runtime = new ReportRuntime(rules, (name, error) => {
    failures.labels(name).inc();
    parts.log.error({ err: error, rule: name }, 'a rule failed on a report');
  });
  return { graph, recent, observed, runtime };
}

const leftToProxies: Handler<MetricInstance> = { name: 'proxies', handle: () => undefined };

/** What to do about each; MeshConfig decides for the proxies. */
const disagreements: Readonly<Record<Disagreement, string>> = {
  both: 'a proxy counts the standard metrics itself, so its requests are not counted here: name a defaultProviders.metrics in MeshConfig that is not Prometheus, or start without --own-prometheus',
  nobody: 'nobody counts the standard metrics of a proxy: start with --own-prometheus, or let defaultProviders.metrics in MeshConfig name prometheus',
};
