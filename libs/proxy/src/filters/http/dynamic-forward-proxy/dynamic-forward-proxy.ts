import { err, ok, type Result } from '@meltemi/base';
import { FilterConfig, PerRouteConfig } from '@meltemi/api/gen/envoy/extensions/filters/http/dynamic_forward_proxy/v3/dynamic_forward_proxy.ts';
import { ResponseFlag, type RequestHead } from '@meltemi/http';
import { checkFields, clusterOf, oneof, refuse, Report, use, warn, type FieldTable } from '@meltemi/route';
import { compileDnsCache, type ParseContext } from '@meltemi/snapshot';
import type { Lookup, WaitingLookup } from '../../../dynamic-hosts.ts';
import { FilterEvents, FilterStatus, HttpStreamFilter, type HttpFilterFactory, type LocalReply, type StreamControls } from '../../../filter.ts';

/** What a route changes of the host that is looked up and sent. */
export type HostOverride = { readonly kind: 'literal'; readonly host: string } | { readonly kind: 'header'; readonly name: string };

/**
 * Holds requests to a dynamic forward proxy cluster until the name of their host is looked up. The names are kept by the cluster: the settings of
 * its cache are in force, those here only have to be right.
 */
export const dynamicForwardProxyFilter: HttpFilterFactory = {
  name: 'envoy.filters.http.dynamic_forward_proxy',
  typeUrls: ['type.googleapis.com/envoy.extensions.filters.http.dynamic_forward_proxy.v3.FilterConfig'],
  routeTypeUrls: ['type.googleapis.com/envoy.extensions.filters.http.dynamic_forward_proxy.v3.PerRouteConfig'],
  stage: 'traffic',
  trust: 'untrusted-downstream-and-upstream',
  parse,
  parseRoute,
  bind: (_config, ctx) => ({
    events: FilterEvents.decodeHead | FilterEvents.destroy,
    create: (stream) => new DynamicForwardProxy(stream.perRoute(ctx.filterName) as HostOverride | null),
  }),
};

const settings: FieldTable<FilterConfig> = {
  implementationSpecifier: oneof({ dnsCacheConfig: use, subClusterConfig: refuse('sub clusters are not supported: use dns_cache_config') }),
  saveUpstreamAddress: warn('the address is in %UPSTREAM_HOST%, not in filter state'),
};

function parse(bytes: Uint8Array, ctx: ParseContext): Result<null> {
  const message = FilterConfig.decode(bytes);
  const report = new Report();
  checkFields(message, settings, ctx.path, report);
  const specifier = message.implementationSpecifier;
  if (specifier?.$case === 'dnsCacheConfig') compileDnsCache(specifier.value, `${ctx.path}.dns_cache_config`, report);
  else if (specifier === undefined) report.refuse(`${ctx.path}.dns_cache_config`, 'is required');
  for (const { path, message: reason } of report.warnings) ctx.warn(path, reason);
  return report.errors.length > 0 ? err(report.errors) : ok(null);
}

function parseRoute(bytes: Uint8Array): Result<HostOverride | null> {
  const { hostRewriteSpecifier: rewrite } = PerRouteConfig.decode(bytes);
  if (rewrite === undefined) return ok(null);
  return ok(rewrite.$case === 'hostRewriteLiteral' ? { kind: 'literal', host: rewrite.value } : { kind: 'header', name: rewrite.value.toLowerCase() });
}

const replies = {
  failed: { status: 503, body: 'DNS resolution failure', details: 'dns_resolution_failure', flags: ResponseFlag.DF },
  full: { status: 503, body: 'DNS cache overflow', details: 'dns_cache_overflow' },
  busy: { status: 503, body: 'Dynamic forward proxy pending request overflow', details: 'dynamic_forward_proxy_pending_request_overflow' },
} as const satisfies Record<string, LocalReply>;

class DynamicForwardProxy extends HttpStreamFilter {
  readonly #override: HostOverride | null;
  #waiting: WaitingLookup | null = null;

  constructor(override: HostOverride | null) {
    super();
    this.#override = override;
  }

  override decodeHead(stream: StreamControls, head: RequestHead): number {
    const action = stream.route()?.action;
    const cluster = action?.kind === 'forward' ? clusterOf(action, head) : null;
    const hosts = cluster === null ? null : (stream.clusters.get(cluster)?.dynamicHosts ?? null);
    if (hosts === null) return FilterStatus.continue;
    if (this.#override !== null) head.authority = this.#override.kind === 'literal' ? this.#override.host : (head.headers.get(this.#override.name) ?? head.authority);
    const found = hosts.lookUp(head.authority, (outcome) => this.#found(stream, outcome));
    if (found === 'ready') return FilterStatus.continue;
    if (typeof found === 'string') stream.sendLocalReply(replies[found]);
    else this.#waiting = found;
    return FilterStatus.stopIteration;
  }

  #found(stream: StreamControls, outcome: Lookup): void {
    this.#waiting = null;
    if (outcome === 'ready') stream.continueRequest();
    else stream.sendLocalReply(replies.failed);
  }

  override destroy(): void {
    this.#waiting?.cancel();
    this.#waiting = null;
  }
}
