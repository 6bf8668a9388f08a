import { err, ok, type Result } from '@meltemi/base';
import { HealthCheck } from '@meltemi/api/gen/envoy/extensions/filters/http/health_check/v3/health_check.ts';
import { ResponseFlag, type RequestHead, type ResponseHead } from '@meltemi/http';
import { compileHeaderMatchers, type HeaderMatch } from '@meltemi/match';
import { durationMs, Report, use, type FieldTable } from '@meltemi/route';
import type { ParseContext } from '@meltemi/snapshot';
import { healthOf } from '../../../balance/host-set.ts';
import { FilterEvents, FilterStatus, HttpStreamFilter, type FilterContext, type HttpFilterFactory, type StreamControls } from '../../../filter.ts';
import type { Clusters } from '../../../upstream.ts';
import { checkSettings } from '../../check-settings.ts';

/** What a health_check config compiles to. */
export interface HealthCheckConfig {
  /** All must match a health check. */
  readonly headers: readonly HeaderMatch[];
  /** The upstream answers, unless this proxy is failed or has a fresh answer. */
  readonly passThrough: boolean;
  /** 0 = nothing is kept. */
  readonly cacheMs: number;
  /** Cluster and the least percentage of its hosts that must be healthy. */
  readonly clusters: readonly (readonly [string, number])[];
}

/** Answers health checks of this proxy, and passes on how it is to who checks by traffic. The kept answer is this worker's. */
export const healthCheckFilter: HttpFilterFactory = {
  name: 'envoy.filters.http.health_check',
  typeUrls: ['type.googleapis.com/envoy.extensions.filters.http.health_check.v3.HealthCheck'],
  stage: 'traffic',
  trust: 'untrusted-downstream-and-upstream',
  parse,
  bind(config, ctx) {
    const shared: Shared = { config: config as HealthCheckConfig, ctx, kept: null };
    return { events: FilterEvents.decodeHead | FilterEvents.encodeHead, create: () => new HealthCheckStream(shared) };
  },
};

interface Shared {
  readonly config: HealthCheckConfig;
  readonly ctx: FilterContext;
  /** The upstream's last answer. */
  kept: { readonly status: number; readonly degraded: boolean; readonly untilMs: number } | null;
}

const settings: FieldTable<HealthCheck> = { passThroughMode: use, cacheTime: use, clusterMinHealthyPercentages: use, headers: use };

function parse(bytes: Uint8Array, ctx: ParseContext): Result<HealthCheckConfig> {
  const message = HealthCheck.decode(bytes);
  const report = new Report();
  report.errors.push(...checkSettings(message, settings, ctx));
  const passThrough = message.passThroughMode ?? false;
  const cacheMs = durationMs(message.cacheTime, 0);
  const clusters = Object.entries(message.clusterMinHealthyPercentages).map(([name, { value }]) => [name, value] as const);
  if (message.passThroughMode === undefined) report.refuse(`${ctx.path}.pass_through_mode`, 'is required');
  if (!passThrough && cacheMs > 0) report.refuse(`${ctx.path}.cache_time`, 'needs pass_through_mode: without it there is nothing to keep');
  if (passThrough && clusters.length > 0) report.refuse(`${ctx.path}.cluster_min_healthy_percentages`, 'needs pass_through_mode to be false: with it the upstream answers');
  for (const [name, percent] of clusters) if (!(percent >= 0 && percent <= 100)) report.refuse(`${ctx.path}.cluster_min_healthy_percentages[${name}]`, 'must be 0 to 100');
  const headers = report.take(compileHeaderMatchers(message.headers, `${ctx.path}.headers`), []);
  return report.errors.length > 0 ? err(report.errors) : ok({ headers, passThrough, cacheMs, clusters });
}

class HealthCheckStream extends HttpStreamFilter {
  readonly #shared: Shared;
  #check = false;
  /** The upstream answers this one. */
  #passed = false;

  constructor(shared: Shared) {
    super();
    this.#shared = shared;
  }

  override decodeHead(stream: StreamControls, head: RequestHead): number {
    const { config, ctx } = this.#shared;
    if (!config.headers.every((match) => match.matches(head))) return FilterStatus.continue;
    this.#check = true;
    stream.info.healthCheck = true;
    stream.info.traceSampled = false;
    if (ctx.shared.healthFailed) return this.#answer(stream, 503, 'health_check_failed');
    if (!config.passThrough) {
      const details = clustersSay(config.clusters, stream.clusters);
      return this.#answer(stream, details.startsWith('health_check_ok') ? 200 : 503, details);
    }
    const { kept } = this.#shared;
    if (kept !== null && stream.clock.monotonic() < kept.untilMs) return this.#answer(stream, kept.status, 'health_check_cached', kept.degraded);
    this.#passed = true;
    return FilterStatus.continue;
  }

  override encodeHead(stream: StreamControls, { headers, status }: ResponseHead): number {
    const { config, ctx } = this.#shared;
    if (this.#check) {
      if (this.#passed && config.cacheMs > 0) this.#shared.kept = { status, degraded: headers.has('x-envoy-degraded'), untilMs: stream.clock.monotonic() + config.cacheMs };
      headers.set('x-envoy-upstream-healthchecked-cluster', ctx.node.cluster);
    } else if (ctx.shared.healthFailed) headers.set('x-envoy-immediate-health-check-fail', 'true');
    return FilterStatus.continue;
  }

  #answer(stream: StreamControls, status: number, details: string, degraded = false): number {
    const flags = status >= 200 && status <= 299 ? 0 : ResponseFlag.LH;
    stream.sendLocalReply({ status, body: '', details, flags, headers: degraded ? [['x-envoy-degraded', '']] : [] });
    return FilterStatus.stopIteration;
  }
}

/** The details of the answer that the hosts of these clusters ask for. */
function clustersSay(wanted: HealthCheckConfig['clusters'], clusters: Clusters): string {
  if (wanted.length === 0) return 'health_check_ok';
  for (const [name, percent] of wanted) {
    const cluster = clusters.get(name);
    if (cluster === null) return 'health_check_failed_no_cluster_found';
    const hosts = cluster.hosts;
    if (hosts.length === 0 && percent > 0) return 'health_check_failed_cluster_empty';
    const healthy = hosts.reduce((count, host) => count + (healthOf(host) === 'unhealthy' ? 0 : 1), 0);
    if (healthy * 100 < hosts.length * percent) return 'health_check_failed_cluster_unhealthy';
  }
  return 'health_check_ok_cluster_healthy';
}
