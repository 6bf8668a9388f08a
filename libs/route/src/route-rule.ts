import type { RouteMatch as RouteMatchMessage } from '@meltemi/api/gen/envoy/config/route/v3/route_components.ts';
import type { RequestHead, StreamInfo } from '@meltemi/http';
import { isGrpc, queryOf, queryParameter } from '@meltemi/http';
import {
  always, compileAll, compileFraction, compileHeaderMatcher, compileMetadataMatcher, compileQueryMatcher, type Fraction, type HeaderMatch, type MetadataMatch,
  type QueryMatch,
} from '@meltemi/match';
import { checkFields } from './fields.ts';
import { headerMatcherFields, queryMatcherFields, routeMatchFields } from './field-tables.ts';
import { compilePathMatch, pathMatches, type PathMatch } from './path-match.ts';
import type { Report } from './report.ts';
import type { Route, RouteMatch } from './types.ts';

/** The compiled conditions of one route. */
export interface Conditions {
  readonly path: PathMatch;
  readonly fraction: Fraction | null;
  readonly headers: readonly HeaderMatch[];
  readonly query: readonly QueryMatch[];
  readonly grpc: boolean;
  readonly tlsPresented: boolean | null;
  readonly tlsValidated: boolean | null;
  readonly metadata: readonly MetadataMatch[];
}

/** Compiles a RouteMatch message; null when it was refused. */
export function compileConditions(match: RouteMatchMessage, path: string, report: Report): Conditions | null {
  checkFields(match, routeMatchFields, path, report);
  for (const [i, matcher] of match.headers.entries()) checkFields(matcher, headerMatcherFields, `${path}.headers[${i}]`, report);
  for (const [i, matcher] of match.queryParameters.entries()) checkFields(matcher, queryMatcherFields, `${path}.query_parameters[${i}]`, report);
  const pathMatch = report.take(compilePathMatch(match, path), null);
  if (!pathMatch) return null;
  return {
    path: pathMatch,
    fraction: match.runtimeFraction ? compileFraction(match.runtimeFraction.defaultValue, always) : null,
    headers: report.take(compileAll(match.headers, `${path}.headers`, compileHeaderMatcher), []),
    query: report.take(compileAll(match.queryParameters, `${path}.query_parameters`, compileQueryMatcher), []),
    grpc: match.grpc !== undefined,
    tlsPresented: match.tlsContext?.presented ?? null,
    tlsValidated: match.tlsContext?.validated ?? null,
    metadata: report.take(compileAll(match.dynamicMetadata, `${path}.dynamic_metadata`, compileMetadataMatcher), []),
  };
}

/** One route of a virtual host: its conditions and what it leads to. */
export class RouteRule implements Route {
  readonly name: string;
  readonly describe: string;
  readonly outcomes: readonly RouteMatch[];
  readonly weights: readonly number[];
  readonly #when: Conditions;
  readonly #plain: boolean;
  /** Running sums of the outcomes' weights. */
  readonly #upTo: readonly number[];
  readonly #total: number;

  constructor(name: string, when: Conditions, outcomes: readonly RouteMatch[], weights: readonly number[]) {
    this.name = name;
    this.describe = when.path.describe;
    this.outcomes = outcomes;
    this.weights = weights;
    this.#when = when;
    this.#plain = when.fraction === null && when.query.length === 0 && !when.grpc && when.tlsPresented === null && when.tlsValidated === null && when.metadata.length === 0;
    let sum = 0;
    this.#upTo = weights.map((weight) => (sum += weight));
    this.#total = sum;
  }

  get path(): PathMatch {
    return this.#when.path;
  }

  /** `path` is without query. @hot */
  matches(request: RequestHead, path: string, random: number, info: StreamInfo | null): boolean {
    const when = this.#when;
    if (!pathMatches(when.path, path, request.method)) return false;
    const headers = when.headers;
    for (let i = 0; i < headers.length; i++) if (headers[i]?.matches(request) !== true) return false;
    return this.#plain || this.#matchesRest(request, random, info);
  }

  whyNot(request: RequestHead, path: string, random: number, info: StreamInfo | null): string | null {
    const when = this.#when;
    if (!pathMatches(when.path, path, request.method)) return `path ${path} is not ${when.path.describe}`;
    const header = when.headers.find((match) => !match.matches(request));
    if (header !== undefined) return `${header.name} ${found(request.field(header.name))}`;
    const query = queryOf(request.path);
    const parameter = when.query.find((match) => !match.matches(query));
    if (parameter !== undefined) return `query parameter ${parameter.name} ${found(queryParameter(query, parameter.name))}`;
    if (this.matches(request, path, random, info)) return null;
    return when.fraction?.hit(random) === false ? `only ${when.fraction.perMillion / 10_000} % of requests match` : when.grpc && !isGrpc(request) ? 'the request is not gRPC' : 'the client\'s certificate or token does not match';
  }

  /** The outcome that `random` falls on. @hot */
  choose(random: number): RouteMatch | null {
    if (this.outcomes.length === 1) return this.outcomes[0] ?? null;
    // Lower digits than runtime_fraction looks at, so that both stay independent.
    const draw = ((random * 65_536) % 1) * this.#total;
    for (let i = 0; i < this.#upTo.length; i++) if (draw < (this.#upTo[i] ?? 0)) return this.outcomes[i] ?? null;
    return this.outcomes.at(-1) ?? null;
  }

  #matchesRest(request: RequestHead, random: number, info: StreamInfo | null): boolean {
    const when = this.#when;
    if (when.fraction !== null && !when.fraction.hit(random)) return false;
    if (when.grpc && !isGrpc(request)) return false;
    if (when.query.length > 0) {
      const query = queryOf(request.path);
      if (!when.query.every((match) => match.matches(query))) return false;
    }
    const tls = info?.connection.tls ?? null;
    if (when.tlsPresented !== null && (tls?.peerPresented ?? false) !== when.tlsPresented) return false;
    if (when.tlsValidated !== null && (tls?.peerValidated ?? false) !== when.tlsValidated) return false;
    return when.metadata.every((match) => match.matches(info?.dynamicMetadata ?? null));
  }
}

function found(value: string | null): string {
  return value === null ? 'is not there' : `"${value}" does not match`;
}
