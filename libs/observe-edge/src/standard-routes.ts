import { expositionContentType, expositionText, negotiateExposition, type StatsRegistry } from '@meltemi/observe';
import { type AdminRoute, jsonResponse } from './admin-server.ts';
import type { Readiness } from './readiness.ts';

/** What every program answers: health, metrics, version. */
export function standardRoutes(parts: { name: string; version: string; readiness: Readiness; stats: StatsRegistry }): AdminRoute[] {
  return [
    {
      method: 'GET',
      path: '/healthz/ready',
      description: '200 when ready, 503 with what it waits for',
      anywhere: true,
      handle: () => ({ status: parts.readiness.ready ? 200 : 503, body: `${parts.readiness.describe()}\n` }),
    },
    { method: 'GET', path: '/healthz/live', description: '200 while the event loop turns', anywhere: true, handle: () => ({ body: 'live\n' }) },
    metricsRoute(parts.stats),
    { method: 'GET', path: '/version', description: 'version of this program and of Node', anywhere: true, handle: () => jsonResponse({ component: parts.name, version: parts.version, node: process.versions.node, pid: process.pid }) },
  ];
}

/** Prometheus or OpenMetrics text, as the scraper's Accept header asks. */
export function metricsRoute(stats: StatsRegistry, path = '/metrics'): AdminRoute {
  return {
    method: 'GET',
    path,
    description: 'metrics for Prometheus',
    anywhere: true,
    handle: ({ headers }) => {
      const format = negotiateExposition(headers.accept);
      return { contentType: expositionContentType[format], body: expositionText(stats, format) };
    },
  };
}
