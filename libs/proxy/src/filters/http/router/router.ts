import { err, ok, type Result } from '@meltemi/base';
import { ResponseFlag, type HeaderMap, type RequestHead } from '@meltemi/http';
import { Router } from '@meltemi/api/gen/envoy/extensions/filters/http/router/v3/router.ts';
import { applyHeaderOps, clusterOf, redirectLocation, refuse, rewriteRequest, use, warn, type DirectAction, type FieldTable, type ForwardAction, type RedirectAction, type RouteMatch } from '@meltemi/route';
import type { ParseContext } from '@meltemi/snapshot';
import { FilterEvents, FilterStatus, HttpTerminalFilter, type FilterContext, type HttpFilterFactory, type LocalReply, type StreamControls } from '../../../filter.ts';
import type { ResponseTarget } from '../../../http/response-target.ts';
import { httpStats } from '../../../http/http-stats.ts';
import { checkSettings } from '../../check-settings.ts';
import { malformedHeader, strictHeaders } from './control-headers.ts';
import { InternalRedirects } from './internal-redirects.ts';
import { routeHeaders, type RouterConfig, type RouterShared } from './router-shared.ts';
import { UpstreamRequest } from './upstream-request.ts';
import { VirtualClusters } from './virtual-cluster.ts';

/** Sends the request where its route says, and brings the response. Always the last filter. */
export const routerFilter: HttpFilterFactory = {
  name: 'envoy.filters.http.router',
  typeUrls: ['type.googleapis.com/envoy.extensions.filters.http.router.v3.Router'],
  stage: 'terminal',
  trust: 'untrusted-downstream-and-upstream',
  terminal: true,
  parse(bytes: Uint8Array, ctx: ParseContext): Result<RouterConfig> {
    const message = Router.decode(bytes);
    const errors = checkSettings(message, settings, ctx);
    // A wrapper: its default is true.
    if (message.dynamicStats === false) ctx.warn(`${ctx.path}.dynamic_stats`, 'counters of status codes are kept all the same');
    const known = strictHeaders.filter((name) => message.strictCheckHeaders.includes(name));
    for (const [i, name] of message.strictCheckHeaders.entries()) {
      if (!strictHeaders.some((one) => one === name)) errors.push({ path: `${ctx.path}.strict_check_headers[${i}]`, message: `"${name}" cannot be checked: use ${strictHeaders.join(', ')}` });
    }
    return errors.length > 0 ? err(errors) : ok({ suppressEnvoyHeaders: message.suppressEnvoyHeaders, strictHeaders: known, respectExpectedTimeout: message.respectExpectedRqTimeout });
  },
  bind(config, ctx: FilterContext) {
    const shared: RouterShared = {
      config: config as RouterConfig,
      stats: httpStats(ctx.stats, ctx.hcm.statPrefix),
      bufferLimit: defaultBufferLimit,
      virtualClusters: new VirtualClusters(ctx.stats),
      redirects: new InternalRedirects(ctx.stats, ctx.hcm.statPrefix),
    };
    const events = FilterEvents.decodeHead | FilterEvents.decodeData | FilterEvents.decodeEnd | FilterEvents.destroy;
    return { events, create: () => new RouterStream(shared) };
  },
};

const settings: FieldTable<Router> = {
  dynamicStats: use, suppressEnvoyHeaders: use,
  startChildSpan: warn("attempts have spans of their own when the connection manager's tracing says spawn_upstream_span"),
  upstreamLog: warn('upstream access logs are not written'),
  upstreamLogOptions: warn('upstream access logs are not written'),
  strictCheckHeaders: use, respectExpectedRqTimeout: use,
  suppressGrpcRequestFailureCodeStats: warn('failed gRPC requests are counted with the others'),
  upstreamHttpFilters: refuse('filters of upstream requests are not supported: put them before the router'),
};

const defaultBufferLimit = 1024 * 1024;

/** Decides what happens to one request; an UpstreamRequest does it when it goes to a cluster. @hot */
class RouterStream extends HttpTerminalFilter {
  readonly #shared: RouterShared;
  #upstream: UpstreamRequest | null = null;

  constructor(shared: RouterShared) {
    super();
    this.#shared = shared;
  }

  override decodeHead(stream: StreamControls, head: RequestHead, endStream: boolean): number {
    const route = stream.route();
    if (route === null) {
      this.#shared.stats.noRoute.inc();
      stream.sendLocalReply({ status: 404, body: '', details: 'route_not_found', flags: ResponseFlag.NR });
      return FilterStatus.stopIteration;
    }
    const action = route.action;
    if (action.kind === 'forward') this.#forward(stream, { route, action, head, endStream });
    else if (action.kind === 'redirect') this.#answer(stream, route, this.#redirect(action, head));
    else if (action.kind === 'direct') this.#answer(stream, route, this.#direct(action));
    else stream.sendLocalReply({ status: 500, body: '', details: 'non_forwarding_route' });
    return FilterStatus.continue;
  }

  override decodeData(_stream: StreamControls, buffer: Buffer, start: number, end: number): void {
    this.#upstream?.sendData(buffer, start, end);
  }

  override decodeEnd(_stream: StreamControls, trailers: HeaderMap | null): void {
    this.#upstream?.sendEnd(trailers);
  }

  override onDownstreamWritable(): void {
    this.#upstream?.resumeResponse();
  }

  override destroy(): void {
    this.#upstream?.destroy();
    this.#upstream = null;
  }

  #forward(stream: StreamControls, { route, action, head, endStream }: { route: RouteMatch; action: ForwardAction; head: RequestHead; endStream: boolean }): void {
    const name = clusterOf(action, head);
    const cluster = name === null ? null : stream.clusters.get(name);
    stream.info.upstreamCluster = name;
    if (cluster === null) {
      this.#shared.stats.noCluster.inc();
      stream.sendLocalReply({ status: action.clusterNotFoundStatus, body: '', details: 'cluster_not_found', flags: ResponseFlag.NC });
      return;
    }
    stream.info.upstreamClusterAlt = cluster.config.altStatName;
    const { config } = this.#shared;
    const malformed = config.strictHeaders.length === 0 ? null : malformedHeader(config.strictHeaders, head);
    if (malformed !== null) {
      stream.sendLocalReply({ status: 400, body: `invalid header '${malformed.name}' with value '${malformed.value}'`, details: `request_headers_failed_strict_check{${malformed.name}}`, flags: ResponseFlag.IH });
      return;
    }
    if (cluster.drops(stream.random) !== null) {
      cluster.stats.rqMaintenance.inc();
      stream.sendLocalReply({ status: 503, body: 'drop overload', details: 'drop_overload', flags: ResponseFlag.DO, ...(!config.suppressEnvoyHeaders && { headers: [['x-envoy-overloaded', 'true']] as const }) });
      return;
    }
    const virtualCluster = route.virtualClusters.length > 0 ? this.#shared.virtualClusters.of(head, route.virtualClusters) : null;
    if (virtualCluster !== null) stream.info.virtualClusterName = virtualCluster.name;
    if (route.requestHeaders.length > 0) applyHeaderOps(route.requestHeaders, head.headers, stream.info);
    rewriteRequest(action, head, !config.suppressEnvoyHeaders);
    this.#upstream = new UpstreamRequest(this.#shared, stream as ResponseTarget, { route, action, cluster, head, virtualCluster });
    this.#upstream.start(endStream);
  }

  #answer(stream: StreamControls, route: RouteMatch, reply: LocalReply): void {
    stream.sendLocalReply({ ...reply, headers: [...(reply.headers ?? []), ...routeHeaders(route, stream)] });
  }

  #redirect(action: RedirectAction, head: RequestHead): LocalReply {
    this.#shared.stats.rqRedirect.inc();
    return { status: action.status, body: '', details: 'direct_response', headers: [['location', redirectLocation(action, head)]] };
  }

  #direct(action: DirectAction): LocalReply {
    this.#shared.stats.rqDirectResponse.inc();
    return { status: action.status, body: action.body ?? '', details: 'direct_response' };
  }
}
