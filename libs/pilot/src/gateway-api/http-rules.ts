import type { Config, GrpcBackendRef, HttpBackendRef, HttpMatchRequest, HttpRetry, HttpRoute, HttpRouteDestination, HttpRouteMatch, HttpRouteRule, HttpRouteSpec, StringMatch, ValueMatch } from '@meltemi/config';
import { backendDestination, type BackendContext } from './backends.ts';
import { backendHeaders, convertFilters } from './filters.ts';
import { joined, type Problem } from './problem.ts';
import { Refused } from './refused.ts';

/** A route's rules as routes of a VirtualService: one match each at most, so that they can be put in order. */
export interface ConvertedRules<Route> {
  readonly routes: readonly Route[];
  /** Why some requests are answered 500, or nothing is mirrored. */
  readonly problem?: Problem;
}

/** A match on nothing. */
export const anyRequest: HttpMatchRequest = {
  name: '', headers: {}, port: 0, sourceLabels: {}, gateways: [], queryParams: {}, ignoreUriCase: false, withoutHeaders: {}, sourceNamespace: '', statPrefix: '',
};

export function convertHttpRules(route: Config<HttpRouteSpec>, context: BackendContext): ConvertedRules<HttpRoute> {
  let problem: Problem | undefined;
  const routes = route.spec.rules.flatMap((rule, index) => {
    const path = `spec.rules[${index}]`;
    if (rule.sessionPersistence) throw new Refused(`${path}.sessionPersistence`, { reason: 'UnsupportedValue', message: 'sessionPersistence is not supported; a DestinationRule with consistentHash keeps clients at one endpoint' });
    const filters = convertFilters(rule.filters, `${path}.filters`, context);
    const backends = convertBackends(rule.backendRefs, `${path}.backendRefs`, context);
    problem = joined(problem, joined(backends.problem, filters.problem));
    const { problem: _, mirrors, ...rest } = filters;
    const converted: HttpRoute = { name: ruleName(route, rule, index), match: [], mirrors, ...rest, ...timing(rule), ...answer(backends.destinations, filters.redirect !== undefined) };
    return eachMatch(rule.matches, (match) => ({ ...converted, match: [match] }), converted, httpMatch);
  });
  return { routes, ...(problem ? { problem } : {}) };
}

/** As the user named it, else "namespace.name.position", as in Istio. */
export function ruleName({ meta }: Config, rule: { readonly name?: string }, index: number): string {
  return rule.name ?? `${meta.namespace}.${meta.name}.${index}`;
}

/** One route per match; one without any when the rule has none. */
export function eachMatch<Match, Route>(matches: readonly Match[], withMatch: (match: HttpMatchRequest) => Route, plain: Route, convert: (match: Match) => HttpMatchRequest): Route[] {
  return matches.length === 0 ? [plain] : matches.map((match) => withMatch(convert(match)));
}

/** Without a backend that has weight every request is answered 500. */
export function answer(destinations: readonly HttpRouteDestination[], redirects: boolean): Pick<HttpRoute, 'route' | 'directResponse'> {
  return destinations.length === 0 && !redirects ? { route: [], directResponse: { status: 500 } } : { route: redirects ? [] : destinations };
}

/** Backends with weight; a single one needs none. */
export function convertBackends(backends: readonly (HttpBackendRef | GrpcBackendRef)[], path: string, context: BackendContext): { readonly destinations: readonly HttpRouteDestination[]; readonly problem?: Problem } {
  const weighty = backends.map((backend, index) => ({ backend, index })).filter(({ backend }) => backend.weight > 0);
  let problem: Problem | undefined;
  const destinations = weighty.map(({ backend, index }): HttpRouteDestination => {
    const found = backendDestination(backend, `${path}[${index}]`, context);
    problem = joined(problem, found.problem);
    const headers = backendHeaders(backend.filters, `${path}[${index}].filters`);
    return { destination: found.destination, weight: weighty.length === 1 ? 0 : backend.weight, ...(headers ? { headers } : {}) };
  });
  return { destinations, ...(problem ? { problem } : {}) };
}

function timing({ timeouts, retry }: HttpRouteRule): Pick<HttpRoute, 'timeout' | 'retries'> {
  const request = timeouts?.request || undefined;
  const perTry = timeouts?.backendRequest || undefined;
  const retries: HttpRetry | undefined = retry && {
    attempts: retry.attempts ?? 2,
    retryOn: ['connect-failure', 'refused-stream', 'unavailable', 'cancelled', ...retry.codes].join(','),
    ...(retry.backoff === undefined ? {} : { backoff: retry.backoff }),
    ...(perTry === undefined ? {} : { perTryTimeout: perTry }),
  };
  // without retries one try is the whole request
  const timeout = retries ? request : (perTry ?? request);
  return { ...(timeout === undefined ? {} : { timeout }), ...(retries ? { retries } : {}) };
}

function httpMatch({ path, headers, queryParams, method }: HttpRouteMatch): HttpMatchRequest {
  return { ...anyRequest, uri: pathMatch(path), headers: valueMatches(headers), queryParams: valueMatches(queryParams), ...(method === undefined ? {} : { method: { exact: method } }) };
}

function pathMatch({ type, value }: HttpRouteMatch['path']): StringMatch {
  if (type === 'Exact') return { exact: value };
  if (type === 'RegularExpression') return { regex: value };
  return { prefix: value === '/' ? value : value.replace(/\/$/, '') };
}

export function valueMatches(values: readonly ValueMatch[]): Readonly<Record<string, StringMatch>> {
  return Object.fromEntries(values.map(({ type, name, value }) => [name, type === 'RegularExpression' ? { regex: value } : { exact: value }]));
}
