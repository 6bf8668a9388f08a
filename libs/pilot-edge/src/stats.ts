import type { StatsRegistry } from '@meltemi/observe';

/** Pilot's metrics under the names Istio's dashboards ask for. */
export function pilotStats(stats: StatsRegistry) {
  return {
    connected: stats.gauge('pilot_xds', 'Number of endpoints connected to this pilot using XDS.', []).labels(),
    pushes: stats.counter('pilot_xds_pushes', 'Pushes with something new in them, by type.', ['type']),
    rejects: stats.counter('pilot_total_xds_rejects', 'Total number of XDS responses from pilot rejected by proxy.', ['type']),
    services: stats.gauge('pilot_services', 'Total services known to pilot.', []).labels(),
    virtualServices: stats.gauge('pilot_virt_services', 'Total virtual services known to pilot.', []).labels(),
    quarantined: stats.gauge('pilot_quarantined_objects', 'Objects set aside because they are wrong; their last good versions stay in force.', []).labels(),
    pushTime: stats.histogram('pilot_xds_push_time', 'Total time in seconds pilot takes to compute one push for one proxy.', [], [0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 3, 5, 10]).labels(),
    contextTime: stats.histogram('pilot_pushcontext_init_seconds', 'Total time in seconds pilot takes to build a push context.', [], [0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 3, 5]).labels(),
    convergence: stats.histogram('pilot_proxy_convergence_time', 'Delay in seconds between config change and a proxy receiving all required configuration.', [], [0.01, 0.05, 0.1, 0.5, 1, 3, 5, 10, 20, 30]).labels(),
    keysFetched: stats.counter('pilot_jwks_resolver_network_fetch_success_total', 'Key sets of issuers that were fetched.', []).labels(),
    keysFailed: stats.counter('pilot_jwks_resolver_network_fetch_fail_total', 'Key sets of issuers that could not be fetched.', []).labels(),
    secretsWithheld: stats.counter('pilot_sds_certificate_errors_total', 'Total number of failures to fetch SDS key and certificate.', []).labels(),
    proxiesRefused: stats.counter('meltemi_pilot_proxies_refused_total', 'Proxies that are not who they say, or may not register, by reason.', ['reason']),
    limited: stats.counter('meltemi_pilot_clients_limited_total', 'Connections, streams and calls refused because their client had enough already, by door and reason.', ['door', 'reason']),
    changes: stats.counter('meltemi_pilot_config_changes_total', 'Changes asked of the config API, by verb and outcome.', ['verb', 'outcome']),
    events: stats.counter('pilot_config_events', 'Changes of configuration and registry objects seen, by kind and event.', ['kind', 'event']),
  };
}

export type PilotStats = ReturnType<typeof pilotStats>;
