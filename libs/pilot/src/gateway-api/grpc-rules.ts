import type { Config, GrpcMethodMatch, GrpcRouteMatch, GrpcRouteSpec, HttpMatchRequest, HttpRoute, StringMatch } from '@meltemi/config';
import type { BackendContext } from './backends.ts';
import { convertFilters } from './filters.ts';
import { answer, anyRequest, convertBackends, eachMatch, ruleName, valueMatches, type ConvertedRules } from './http-rules.ts';
import { joined, type Problem } from './problem.ts';
import { Refused } from './refused.ts';

/** gRPC over HTTP/2 asks for "/service/method": rules become rules on paths. */
export function convertGrpcRules(route: Config<GrpcRouteSpec>, context: BackendContext): ConvertedRules<HttpRoute> {
  let problem: Problem | undefined;
  const routes = route.spec.rules.flatMap((rule, index) => {
    const path = `spec.rules[${index}]`;
    if (rule.sessionPersistence) throw new Refused(`${path}.sessionPersistence`, { reason: 'UnsupportedValue', message: 'sessionPersistence is not supported; a DestinationRule with consistentHash keeps clients at one endpoint' });
    const { problem: filterProblem, mirrors, headers } = convertFilters(rule.filters, `${path}.filters`, context);
    const backends = convertBackends(rule.backendRefs, `${path}.backendRefs`, context);
    problem = joined(problem, joined(backends.problem, filterProblem));
    const converted: HttpRoute = { name: ruleName(route, rule, index), match: [], mirrors, ...(headers ? { headers } : {}), ...answer(backends.destinations, false) };
    return eachMatch(rule.matches, (match) => ({ ...converted, match: [match] }), converted, grpcMatch);
  });
  return { routes, ...(problem ? { problem } : {}) };
}

function grpcMatch({ method, headers }: GrpcRouteMatch): HttpMatchRequest {
  return { ...anyRequest, headers: valueMatches(headers), ...(method ? { uri: methodPath(method) } : {}) };
}

function methodPath({ type, service, method }: GrpcMethodMatch): StringMatch {
  if (service === undefined) return { regex: `/[^/]+/${method ?? ''}` };
  if (type === 'RegularExpression') return { regex: `/${service}/${method ?? '.+'}` };
  return method === undefined ? { prefix: `/${service}/` } : { exact: `/${service}/${method}` };
}
