import { systemClock } from '@meltemi/base';
import { createPrometheusHandler, edgeTemplate, metricTemplate, ReportRuntime, rule, ServiceGraph, type Rule } from '@meltemi/mixer';
import type { StatsRegistry } from '@meltemi/observe';
import type { Logger } from '@meltemi/observe-edge';

export interface Reports {
  readonly graph: ServiceGraph;
  readonly runtime: ReportRuntime;
}

/** What happens to a report: it is drawn into the graph, and counted when this program owns the standard metrics. */
export function createReports(parts: { stats: StatsRegistry; log: Logger; maxEdges: number; idleMs: number; ownPrometheus: boolean }): Reports {
  const graph = new ServiceGraph({ clock: systemClock, maxEdges: parts.maxEdges, idleMs: parts.idleMs });
  const rules: Rule[] = [rule({ name: 'graph', template: edgeTemplate, handler: { name: 'graph', handle: (edge) => graph.record(edge) } })];
  if (parts.ownPrometheus) rules.push(rule({ name: 'prometheus', template: metricTemplate, handler: createPrometheusHandler(parts.stats) }));
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
  return { graph, runtime };
}
