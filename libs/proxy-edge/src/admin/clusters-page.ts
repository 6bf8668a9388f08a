import { Cluster } from '@meltemi/api/gen/envoy/config/cluster/v3/cluster.ts';
import type { ResourceStore } from '../control/resource-store.ts';
import type { HealthFlag, HostDescription } from '../control/worker-messages.ts';

/** Envoy's /clusters as text: "cluster::address:port::stat::value". */
export function clustersText(store: ResourceStore, hosts: readonly HostDescription[]): string {
  const lines: string[] = [];
  for (const { name, origin, bytes } of store.held('clusters')) {
    lines.push(`${name}::observability_name::${name}`, ...thresholds(name, bytes), `${name}::added_via_api::${origin === 'dynamic'}`);
    for (const host of hosts.filter((each) => each.cluster === name)) {
      const at = `${name}::${target(host)}`;
      lines.push(
        `${at}::cx_active::${host.activeConnections}`, `${at}::rq_active::${host.activeRequests}`, `${at}::rq_total::${host.requests}`, `${at}::hostname::${host.hostname}`,
        `${at}::health_flags::${flags(host)}`, `${at}::weight::${host.weight}`, `${at}::priority::${host.priority}`,
      );
    }
  }
  return `${lines.join('\n')}\n`;
}

/** Envoy's /clusters?format=json (envoy.admin.v3.Clusters). */
export function clustersJson(store: ResourceStore, hosts: readonly HostDescription[]): unknown {
  return {
    cluster_statuses: store.held('clusters').map(({ name, origin }) => ({
      name,
      added_via_api: origin === 'dynamic',
      observability_name: name,
      host_statuses: hosts.filter((host) => host.cluster === name).map((host) => ({
        address: host.port === 0 ? { pipe: { path: host.address } } : { socket_address: { address: host.address, port_value: host.port } },
        stats: [{ name: 'rq_total', value: String(host.requests) }, { name: 'rq_active', type: 'GAUGE', value: String(host.activeRequests) }, { name: 'cx_active', type: 'GAUGE', value: String(host.activeConnections) }],
        health_status: { eds_health_status: host.edsHealth.toUpperCase(), ...Object.fromEntries(host.flags.flatMap((flag) => jsonFlags[flag] ?? []).map((name) => [name, true])) },
        weight: host.weight,
        hostname: host.hostname,
        priority: host.priority,
      })),
    })),
  };
}

/** Circuit breaker limits by priority, Envoy's defaults where the cluster sets none. */
function thresholds(name: string, bytes: Uint8Array): string[] {
  const set = Cluster.decode(bytes).circuitBreakers?.thresholds ?? [];
  return ['default', 'high'].flatMap((priority, number) => {
    const at = `${name}::${priority}_priority`;
    const limits = set.find((each) => each.priority === number);
    return [
      `${at}::max_connections::${limits?.maxConnections ?? 1024}`, `${at}::max_pending_requests::${limits?.maxPendingRequests ?? 1024}`,
      `${at}::max_requests::${limits?.maxRequests ?? 1024}`, `${at}::max_retries::${limits?.maxRetries ?? 3}`,
    ];
  });
}

function target(host: HostDescription): string {
  return host.port === 0 ? host.address : `${host.address.includes(':') ? `[${host.address}]` : host.address}:${host.port}`;
}

function flags(host: HostDescription): string {
  return host.flags.length === 0 ? 'healthy' : host.flags.map((flag) => `/${flag}`).join('');
}

/** Names in envoy.admin.v3.HostHealthStatus; what EDS says has a field of its own. */
const jsonFlags: Readonly<Partial<Record<HealthFlag, string>>> = {
  failed_active_hc: 'failed_active_health_check', failed_outlier_check: 'failed_outlier_check', degraded_active_hc: 'failed_active_degraded_check', pending_dynamic_removal: 'pending_dynamic_removal',
  pending_active_hc: 'pending_active_hc', excluded_via_immediate_hc_fail: 'excluded_via_immediate_hc_fail',
};
