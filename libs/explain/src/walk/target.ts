import type { RequestHead } from '@meltemi/http';
import type { FaultConfig } from '@meltemi/proxy';
import type { ForwardAction, RouteMatch } from '@meltemi/route';
import type { Cluster, Endpoint, LoadAssignment } from '@meltemi/snapshot';
import type { Answer, ClusterWeight, EndpointAnswer, RouteSettings } from '../answer.ts';
import type { ProxyView } from '../view.ts';
import type { OnTheWay } from './on-the-way.ts';

/** What becomes of whoever cannot go on, in words, and the status of requests whose cluster is not there. */
export interface Ends {
  readonly what: 'requests' | 'connections';
  readonly withoutCluster: string;
  readonly withoutEndpoint: string;
  readonly missing: number;
}

/** `missing`: 503 unless the route says otherwise. */
export function requestEnds(missing = 503): Ends {
  return { what: 'requests', withoutCluster: `end with ${missing}`, withoutEndpoint: 'end with 503 UH', missing };
}

export const connectionEnds: Ends = { what: 'connections', withoutCluster: 'are closed', withoutEndpoint: 'are closed', missing: 503 };

/** Where requests with these weights go: the first of the heaviest is followed, of the others it is said whether they are there. `ends`: what becomes of one that cannot go on. */
export function targetOf(way: Pick<OnTheWay, 'view' | 'steps'>, clusters: readonly ClusterWeight[], ends: Ends): Pick<Answer, 'cluster' | 'clusters' | 'failing' | 'endpoints' | 'status' | 'details'> {
  const [heaviest = { name: '', weight: 100 }, ...others] = clusters.toSorted((a, b) => b.weight - a.weight);
  const total = clusters.reduce((sum, { weight }) => sum + weight, 0);
  const followed = lookAt(way, heaviest.name, { ends, which: ends.what });
  const looked = [[heaviest, followed.fails] as const, ...others.filter(({ weight }) => weight > 0).map((other) => [other, lookAt(way, other.name, { ends, which: `${round((other.weight / total) * 100)} % of ${ends.what}` }).fails] as const)];
  const failing = looked.flatMap(([cluster, fails]) => (fails ? [cluster] : []));
  return {
    ...(clusters.length > 0 && { cluster: heaviest.name }), clusters, ...(failing.length > 0 && { failing }),
    ...(followed.endpoints ? { endpoints: followed.endpoints } : { status: ends.missing, details: 'cluster_not_found' }),
  };
}

/** The cluster's endpoints as the proxy knows them; none when it does not know the cluster. */
function lookAt({ view, steps }: Pick<OnTheWay, 'view' | 'steps'>, name: string, { ends, which }: { readonly ends: Ends; readonly which: string }): { readonly endpoints?: readonly EndpointAnswer[]; readonly fails: boolean } {
  const cluster = view.clusters.get(name);
  if (cluster === undefined) {
    steps.push({ at: 'cluster', name, matched: false, detail: `the proxy has no cluster of this name, no service or subset stands behind it: ${which} ${ends.withoutCluster}` });
    return { fails: true };
  }
  const assignment = cluster.loadAssignment ?? view.assignments.get(cluster.edsServiceName || cluster.name) ?? null;
  const endpoints = assignment === null ? [] : endpointsOf(cluster, assignment);
  const chosen = cluster.discovery === 'dynamic_forward_proxy' ? 'looks up the host of the request, or the server that TLS asks for' : cluster.discovery === 'original_dst' ? 'goes to the address that the client dialled' : undefined;
  const fails = chosen === undefined && endpoints.length === 0;
  steps.push({ at: 'cluster', name, matched: true, detail: chosen ?? (fails ? `has no endpoint: ${which} ${ends.withoutEndpoint}` : `${endpoints.length} endpoint(s), ${cluster.lbPolicy.kind}`) });
  return { endpoints, fails };
}

const round = (percent: number): number => Math.round(percent * 10) / 10;

function endpointsOf(cluster: Cluster, assignment: LoadAssignment): EndpointAnswer[] {
  return assignment.priorities.flatMap((localities, priority) =>
    localities.flatMap(({ endpoints }) => endpoints.map((endpoint): EndpointAnswer => ({ address: endpoint.key, priority, weight: endpoint.weight, health: endpoint.health, tls: tlsTo(cluster, endpoint) }))));
}

/** The server name that the proxy asks for at an endpoint of the cluster; undefined without TLS, "" where each request's host decides. */
export function serverNameAt(view: Pick<ProxyView, 'clusters' | 'assignments'>, name: string, address: string): string | undefined {
  const cluster = view.clusters.get(name);
  const assignment = cluster?.loadAssignment ?? view.assignments.get(cluster?.edsServiceName || name);
  const endpoint = assignment?.priorities.flat().flatMap(({ endpoints }) => endpoints).find(({ key }) => key === address);
  return cluster && endpoint ? socketTo(cluster, endpoint)?.sni : undefined;
}

const matchNamespace = 'envoy.transport_socket_match';

function socketTo(cluster: Cluster, endpoint: Endpoint): Cluster['tls'] {
  const metadata = endpoint.metadata?.[matchNamespace] ?? {};
  const match = cluster.transportSocketMatches.find((one) => Object.entries(one.match).every(([key, value]) => metadata[key] === value));
  return match === undefined ? cluster.tls : match.tls;
}

function tlsTo(cluster: Cluster, endpoint: Endpoint): EndpointAnswer['tls'] {
  const tls = socketTo(cluster, endpoint);
  if (tls === null) return 'none';
  return tls.certificateSdsNames.length > 0 || tls.certificates.length > 0 ? 'mtls' : 'tls';
}

/** What is in force on the way there. */
export function settingsOf(match: RouteMatch, action: ForwardAction, request: RequestHead): RouteSettings {
  const fault = match.perFilter.get('envoy.filters.http.fault')?.config as FaultConfig | null | undefined;
  const percent = (one: { numerator: number; denominator: number }) => `${(one.numerator / one.denominator) * 100} %`;
  const faults = fault === undefined || fault === null ? [] : [
    ...(fault.delay === null ? [] : [`delay ${fault.delay.fixed ?? 0} ms, ${percent(fault.delay)}`]),
    ...(fault.abort === null ? [] : [`abort ${fault.abort.fixed?.status ?? 0}, ${percent(fault.abort)}`]),
  ];
  const mirrors = action.mirrors.map(({ cluster, clusterHeader, fraction }) => `${cluster ?? clusterHeader ?? ''}, ${fraction.perMillion / 10_000} %`);
  return {
    timeoutMs: action.timeoutMs, retries: action.retry === null ? null : { attempts: action.retry.numRetries, perTryTimeoutMs: action.retry.perTryTimeoutMs }, faults, mirrors,
    path: request.path, authority: request.authority,
  };
}
