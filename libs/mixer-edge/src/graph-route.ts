import { type FieldError, parseDurationMs } from '@meltemi/base';
import { maxWindowMs, type GraphView } from '@meltemi/mixer';
import { jsonResponse, type AdminRoute } from '@meltemi/observe-edge';

/** What the route needs of a ServiceGraph. */
export interface GraphReader {
  read(options: { windowMs?: number; namespace?: string }): GraphView;
}

const smallestWindowMs = 5000;

/** GET /graph?namespace=default&window=60s: the graph as JSON (GraphView); 400 with {errors: [{path, message}]} for a query it cannot follow. */
export function graphRoute(graph: GraphReader): AdminRoute {
  return {
    method: 'GET',
    path: '/graph',
    description: 'service graph as JSON; ?namespace=default&window=60s',
    handle({ query }) {
      const parsed = parseQuery(query);
      return 'errors' in parsed ? jsonResponse(parsed, 400) : jsonResponse(graph.read(parsed));
    },
  };
}

function parseQuery(query: URLSearchParams): { windowMs?: number; namespace?: string } | { errors: FieldError[] } {
  const errors: FieldError[] = [];
  for (const name of query.keys()) if (name !== 'namespace' && name !== 'window') errors.push({ path: name, message: 'is not a parameter; there are namespace and window' });
  const namespace = query.get('namespace');
  if (namespace !== null && !/^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$/.test(namespace)) errors.push({ path: 'namespace', message: 'is not a namespace: lower-case letters, digits and "-"' });
  const window = query.get('window');
  const windowMs = window === null ? undefined : parseDurationMs(window);
  if (windowMs && (!windowMs.ok || windowMs.value < smallestWindowMs || windowMs.value > maxWindowMs)) errors.push({ path: 'window', message: `must be a duration from ${smallestWindowMs / 1000}s to ${maxWindowMs / 1000}s, like 60s` });
  if (errors.length > 0) return { errors };
  return { ...(windowMs?.ok ? { windowMs: windowMs.value } : {}), ...(namespace === null ? {} : { namespace }) };
}
