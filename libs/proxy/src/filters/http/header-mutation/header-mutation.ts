import { err, ok, type Result } from '@meltemi/base';
import { HeaderMutation, HeaderMutationPerRoute, type Mutations } from '@meltemi/api/gen/envoy/extensions/filters/http/header_mutation/v3/header_mutation.ts';
import type { HeaderMap, RequestHead, ResponseHead } from '@meltemi/http';
import { applyHeaderOps, compileHeaderMutations, Report, type HeaderOps } from '@meltemi/route';
import type { ParseContext } from '@meltemi/snapshot';
import { FilterEvents, FilterStatus, HttpStreamFilter, type HttpFilterFactory, type StreamControls } from '../../../filter.ts';

/** What a list of mutations compiles to. */
export interface MutationOps {
  readonly request: HeaderOps;
  readonly response: HeaderOps;
}

export interface HeaderMutationConfig extends MutationOps {
  /** The levels of a route run from the least specific one, so that the nearest has the last word. */
  readonly mostSpecificWins: boolean;
}

/** Adds, changes and removes header fields. All levels of a route that say something act, after the filter's own. */
export const headerMutationFilter: HttpFilterFactory = {
  name: 'envoy.filters.http.header_mutation',
  typeUrls: ['type.googleapis.com/envoy.extensions.filters.http.header_mutation.v3.HeaderMutation'],
  routeTypeUrls: ['type.googleapis.com/envoy.extensions.filters.http.header_mutation.v3.HeaderMutationPerRoute'],
  stage: 'traffic',
  trust: 'untrusted-downstream-and-upstream',
  parse(bytes, ctx) {
    const message = HeaderMutation.decode(bytes);
    const ops = compile(message.mutations, ctx);
    return ops.ok ? ok({ ...ops.value, mostSpecificWins: message.mostSpecificHeaderMutationsWins }) : ops;
  },
  parseRoute: (bytes, ctx) => compile(HeaderMutationPerRoute.decode(bytes).mutations, ctx),
  bind(config, ctx) {
    const base = config as HeaderMutationConfig;
    const shared = new MutationFilter(base, ctx.filterName);
    return { events: FilterEvents.decodeHead | FilterEvents.encodeHead, create: () => shared };
  },
};

function compile(mutations: Mutations | undefined, ctx: ParseContext): Result<MutationOps> {
  const report = new Report(ctx.extensions.formats);
  const path = `${ctx.path}.mutations`;
  const ops = {
    request: compileHeaderMutations(mutations?.requestMutations ?? [], `${path}.request_mutations`, report),
    response: compileHeaderMutations(mutations?.responseMutations ?? [], `${path}.response_mutations`, report),
  };
  return report.errors.length > 0 ? err(report.errors) : ok(ops);
}

/** Keeps nothing: one for all streams. @hot */
class MutationFilter extends HttpStreamFilter {
  readonly #base: HeaderMutationConfig;
  readonly #name: string;

  constructor(base: HeaderMutationConfig, name: string) {
    super();
    this.#base = base;
    this.#name = name;
  }

  override decodeHead(stream: StreamControls, head: RequestHead): number {
    this.#apply(stream, head.headers, 'request');
    return FilterStatus.continue;
  }

  override encodeHead(stream: StreamControls, head: ResponseHead): number {
    this.#apply(stream, head.headers, 'response');
    return FilterStatus.continue;
  }

  #apply(stream: StreamControls, headers: HeaderMap, side: 'request' | 'response'): void {
    const { info } = stream;
    const base = this.#base;
    applyHeaderOps(base[side], headers, info);
    const levels = stream.perRouteLevels(this.#name) as readonly MutationOps[];
    const last = levels.length - 1;
    for (let i = 0; i <= last; i++) applyHeaderOps(levels[base.mostSpecificWins ? last - i : i]?.[side] ?? [], headers, info);
  }
}
