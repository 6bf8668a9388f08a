import { isGrpc, type RequestHead, type ResponseHead, type StreamInfo } from '@meltemi/http';
import { applyHeaderOps, type RouteMatch } from '@meltemi/route';
import type { Host } from '../../../balance/index.ts';
import { httpFromGrpc } from '../../../http/grpc-status.ts';
import type { UpstreamCluster } from '../../../upstream.ts';
import type { VirtualClusterStats } from './virtual-cluster.ts';

/** How requests are told apart when their answers are counted. */
export interface CountedAs {
  readonly internal: boolean;
  /** x-envoy-upstream-alt-stat-name of a caller inside. */
  readonly altName: string | null;
  readonly virtualCluster: VirtualClusterStats | null;
}

/** Counts what a client is answered. @hot */
export function chargeStatus({ stats }: UpstreamCluster, status: number, { internal, altName, virtualCluster }: CountedAs): void {
  stats.codes.charge(status);
  (internal ? stats.internalCodes : stats.externalCodes).charge(status);
  virtualCluster?.codes.charge(status);
  if (altName !== null) stats.codesOf(altName)?.charge(status);
}

/** Counts the answer of a canary host once more. */
export function chargeCanary({ stats }: UpstreamCluster, host: Host, { headers, status }: ResponseHead): void {
  if (host.lbMetadata?.['canary'] === true || headers.get('x-envoy-upstream-canary') === 'true') stats.codesOf('canary')?.charge(status);
}

/**
 * Tells outlier detection and health checks of an answer; one of gRPC whose head has the status (trailers only) counts as what that means. As in
 * Envoy, a status in real trailers comes too late: the head was an answer already. @hot
 */
export function reportAnswer(cluster: UpstreamCluster, host: Host, request: RequestHead, { headers, status }: ResponseHead): void {
  const grpc = isGrpc(request) ? headers.get('grpc-status') : null;
  cluster.report(host, grpc === null ? status : httpFromGrpc(Number(grpc)));
  if (cluster.config.healthCheck !== null && headers.has('x-envoy-immediate-health-check-fail')) cluster.failHealthCheck(host);
}

/** What is added to an upstream's answer. */
export interface AnswerAdditions {
  readonly route: RouteMatch;
  /** x-envoy-attempt-count; 0 = not told. */
  readonly tries: number;
  /** x-envoy-upstream-service-time; negative = not told. */
  readonly tookMs: number;
  readonly newCookies: readonly string[] | null;
}

/** Adds to the head of an answer what the route and the router want there. @hot */
export function prepareAnswer({ headers }: ResponseHead, info: StreamInfo, { route, tries, tookMs, newCookies }: AnswerAdditions): void {
  if (tookMs >= 0) headers.set('x-envoy-upstream-service-time', String(Math.floor(tookMs)));
  if (tries > 0) headers.set('x-envoy-attempt-count', String(tries));
  if (route.responseHeaders.length > 0) applyHeaderOps(route.responseHeaders, headers, info);
  if (newCookies !== null) for (const cookie of newCookies) headers.add('set-cookie', cookie);
}
