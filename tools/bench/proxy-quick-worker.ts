import { httpListener, must, routeTo, staticCluster } from '../../libs/proxy-edge/src/server/fixture.ts';
import { createWorkerServer } from '../../libs/proxy-edge/src/server/worker-server.ts';
import { FlatStats, StatsRegistry } from '../../libs/observe/src/index.ts';
import { nodeFacts, httpFilters } from '../../libs/proxy/src/index.ts';

const [port, origin] = [Number(process.argv[2]), Number(process.argv[3])];
const node = nodeFacts({ id: 'sidecar~127.0.0.1~bench.default~default.svc.cluster.local', cluster: 'bench.default', metadata: { NAMESPACE: 'default', WORKLOAD_NAME: 'bench', CLUSTER_ID: 'Kubernetes', LABELS: { app: 'bench', version: 'v1' } } });
const server = createWorkerServer({ node, stats: new FlatStats(), metrics: new StatsRegistry(), log: console });
must(server.setCluster(staticCluster('outbound|80||origin.default.svc.cluster.local', [origin], { circuitBreakers: { thresholds: [{ maxConnections: 4294967295, maxPendingRequests: 4294967295, maxRequests: 4294967295, maxRetries: 4294967295 }] } })));

/** What a sidecar has on, as far as it is registered. */
const wanted: readonly (readonly [string, string])[] = [
  ['istio.metadata_exchange', 'type.googleapis.com/io.istio.http.peer_metadata.Config'],
  ['envoy.filters.http.fault', 'type.googleapis.com/envoy.extensions.filters.http.fault.v3.HTTPFault'],
  ['envoy.filters.http.cors', 'type.googleapis.com/envoy.extensions.filters.http.cors.v3.Cors'],
  ['istio.stats', 'type.googleapis.com/stats.PluginConfig'],
];
const known = new Set(httpFilters.flatMap((filter) => filter.typeUrls));
const filters = wanted.filter(([, typeUrl]) => known.has(typeUrl)).map(([name, typeUrl]) => ({ name, typedConfig: { '@type': typeUrl, ...(name === 'istio.metadata_exchange' && { upstreamDiscovery: [{ istioHeaders: {} }], upstreamPropagation: [{ istioHeaders: {} }] }) } }));
const retryPolicy = { retryOn: 'connect-failure,refused-stream,unavailable,cancelled,retriable-status-codes', numRetries: 2, retriableStatusCodes: [503], retryHostPredicate: [{ name: 'envoy.retry_host_predicates.previous_hosts', typedConfig: { '@type': 'type.googleapis.com/envoy.extensions.retry.host.previous_hosts.v3.PreviousHostsPredicate' } }], hostSelectionRetryMaxAttempts: '5' };
must(await server.setListener(httpListener({ port, filters, routes: [routeTo('outbound|80||origin.default.svc.cluster.local', { retryPolicy })] })));
