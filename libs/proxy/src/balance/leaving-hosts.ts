import type { LoadAssignment, LocalityEndpoints } from '@meltemi/snapshot';
import { healthOf, type HostSet } from './host-set.ts';
import type { Host } from './host.ts';

/**
 * Envoy's rule for discovery that may be wrong for a while: a host that is no longer listed but passes its active health checks stays where
 * it was. The keys of those that stay come along; once one fails, it goes.
 */
export function keepPassing(assignment: LoadAssignment, before: HostSet): { readonly assignment: LoadAssignment; readonly leaving: ReadonlySet<string> } {
  const listed = new Set(assignment.priorities.flatMap((localities) => localities.flatMap(({ endpoints }) => endpoints.map(({ key }) => key))));
  const staying = before.all.filter((host) => !listed.has(host.key) && host.endpoint.healthCheck?.disabled !== true && !host.state.failedHealthCheck && healthOf(host) !== 'unhealthy');
  if (staying.length === 0) return { assignment, leaving: new Set() };
  const priorities: LocalityEndpoints[][] = assignment.priorities.map((localities) => [...localities]);
  for (const host of staying) add(priorities, host);
  return { assignment: { ...assignment, priorities }, leaving: new Set(staying.map(({ key }) => key)) };
}

function add(priorities: LocalityEndpoints[][], { endpoint, priority }: Host): void {
  while (priorities.length <= priority) priorities.push([]);
  const localities = priorities[priority] ?? [];
  const at = localities.findIndex(({ locality }) => JSON.stringify(locality) === JSON.stringify(endpoint.locality));
  const found = localities[at];
  if (found === undefined) localities.push({ locality: endpoint.locality, weight: null, endpoints: [endpoint] });
  else localities[at] = { ...found, endpoints: [...found.endpoints, endpoint] };
}
