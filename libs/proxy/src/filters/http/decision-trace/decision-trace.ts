import { ok } from '@meltemi/base';
import { DecisionTrace } from '@meltemi/api/gen/meltemi/filters/http/decision_trace/v1/decision_trace.ts';
import { formatResponseFlags, type RequestHead, type ResponseHead, type StreamInfo } from '@meltemi/http';
import { FilterEvents, FilterStatus, HttpStreamFilter, type FilterContext, type HttpFilterFactory, type StreamControls } from '../../../filter.ts';

/** Asked with by a request, answered in by each proxy on the way, the nearest to the service first. */
export const traceHeader = 'x-meltemi-trace';
/** Where the answer is for access logs: %DYNAMIC_METADATA(meltemi:trace)%. */
export const traceMetadata = { namespace: 'meltemi', key: 'trace' } as const;

/** What a decision_trace config compiles to. */
export interface DecisionTraceConfig {
  /** Without "spiffe://"; "*" at an end stands for anything. */
  readonly principals: readonly string[];
  readonly allowLocal: boolean;
}

/** Tells a caller who may know what this proxy decided about its request: in a response header, and in the access log. Nobody else notices. */
export const decisionTraceFilter: HttpFilterFactory = {
  name: 'meltemi.filters.http.decision_trace',
  typeUrls: ['type.googleapis.com/meltemi.filters.http.decision_trace.v1.DecisionTrace'],
  stage: 'metadata',
  trust: 'untrusted-downstream-and-upstream',
  parse(bytes) {
    const { principals, allowLocal } = DecisionTrace.decode(bytes);
    return ok({ principals, allowLocal });
  },
  bind(config, ctx) {
    const filter = new TraceStream(config as DecisionTraceConfig, ctx);
    return { events: FilterEvents.decodeHead | FilterEvents.encodeHead, create: () => filter };
  },
};

/** Keeps nothing between calls: one for all streams. @hot */
class TraceStream extends HttpStreamFilter {
  readonly #config: DecisionTraceConfig;
  readonly #context: FilterContext;

  constructor(config: DecisionTraceConfig, context: FilterContext) {
    super();
    this.#config = config;
    this.#context = context;
  }

  override decodeHead({ info }: StreamControls, head: RequestHead): number {
    if (!head.headers.has(traceHeader)) return FilterStatus.continue;
    if (this.#mayAsk(info)) info.setMetadata(traceMetadata.namespace, traceMetadata.key, '');
    // who may not ask here does not ask further on under this proxy's name
    else head.headers.remove(traceHeader);
    return FilterStatus.continue;
  }

  override encodeHead({ info }: StreamControls, head: ResponseHead): number {
    if (info.dynamicMetadata?.[traceMetadata.namespace]?.[traceMetadata.key] === undefined) return FilterStatus.continue;
    const told = asciiJson(decisions(info, this.#context));
    info.setMetadata(traceMetadata.namespace, traceMetadata.key, told);
    head.headers.add(traceHeader, told);
    return FilterStatus.continue;
  }

  #mayAsk({ connection: { tls } }: StreamInfo): boolean {
    if (tls === null || !tls.peerValidated) return this.#config.allowLocal;
    return tls.peerUriSans.some((uri) => {
      const name = uri.replace(/^spiffe:\/\//, '');
      return this.#config.principals.some((pattern) => (pattern.endsWith('*') ? name.startsWith(pattern.slice(0, -1)) : pattern === name));
    });
  }
}

/** Names as in the configuration and in the access log; what was not decided is left out. */
function decisions(info: StreamInfo, { node, listenerName, direction }: FilterContext): Readonly<Record<string, unknown>> {
  const rbac = info.dynamicMetadata?.['envoy.filters.http.rbac'] ?? {};
  const flags = formatResponseFlags(info.responseFlags);
  return Object.fromEntries(Object.entries({
    proxy: node.id, direction, listener: listenerName, peer: info.connection.tls?.peerUriSans[0], client: info.downstreamRemoteAddress,
    virtualHost: info.virtualHostName, route: info.routeName, config: info.routeMetadata?.['istio']?.['config'],
    allowedBy: rbac['enforced_effective_policy_id'], cluster: info.upstreamCluster, upstream: info.upstreamHost, attempts: info.attemptCount,
    details: info.responseCodeDetails, flags: flags === '-' ? undefined : flags,
  }).filter(([, value]) => value !== undefined && value !== null && value !== ''));
}

/** JSON that a header can hold: other characters are escaped. */
function asciiJson(value: unknown): string {
  return JSON.stringify(value).replaceAll(/[^\x20-\x7e]/g, (letter) => `\\u${letter.charCodeAt(0).toString(16).padStart(4, '0')}`);
}
