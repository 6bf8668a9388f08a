import type { StatsRegistry } from '@meltemi/observe';

/** Under the names of Istio's agent. */
export function dnsStats(registry: StatsRegistry) {
  return {
    requests: registry.counter('istio_agent_dns_requests_total', 'Total number of DNS requests.').labels(),
    upstreamRequests: registry.counter('istio_agent_dns_upstream_requests_total', 'Total number of DNS requests forwarded to upstream.').labels(),
    upstreamFailures: registry.counter('istio_agent_dns_upstream_failures_total', 'Total number of DNS requests that no upstream answered.').labels(),
    upstreamSeconds: registry.histogram('istio_agent_dns_upstream_request_duration_seconds', 'Total time in seconds it takes to get a DNS response from upstream.', [], [0.001, 0.005, 0.01, 0.1, 1, 5]).labels(),
  };
}

export type DnsStats = ReturnType<typeof dnsStats>;
