import type { BackendRef, Config, RouteDestination, TcpRoute, TcpRouteSpec, TlsRoute, TlsRouteSpec } from '@meltemi/config';
import { backendDestination, type BackendContext } from './backends.ts';
import type { ConvertedRules } from './http-rules.ts';
import { joined, type Problem } from './problem.ts';

/** A destination that nobody has: connections to it are closed. Istio's name for it. */
const nobody: RouteDestination = { destination: { host: 'internal.cluster.local', subset: 'zero-weight', port: { number: 65535 } }, weight: 0 };

export function convertTcpRules(route: Config<TcpRouteSpec>, context: BackendContext): ConvertedRules<TcpRoute> {
  return convertRules(route, context, (destinations) => ({ match: [], route: destinations }));
}

/** No hostname means every name. */
export function convertTlsRules(route: Config<TlsRouteSpec>, context: BackendContext): ConvertedRules<TlsRoute> {
  const { hostnames } = route.spec;
  const match = { sniHosts: hostnames.length === 0 ? ['*'] : hostnames, destinationSubnets: [], port: 0, sourceLabels: {}, gateways: [], sourceNamespace: '' };
  return convertRules(route, context, (destinations) => ({ match: [match], route: destinations }));
}

function convertRules<Route>(route: Config<TcpRouteSpec>, context: BackendContext, make: (destinations: readonly RouteDestination[]) => Route): ConvertedRules<Route> {
  let problem: Problem | undefined;
  const routes = route.spec.rules.map((rule, index) => {
    const found = destinationsOf(rule.backendRefs, `spec.rules[${index}].backendRefs`, context);
    problem = joined(problem, found.problem);
    return make(found.destinations);
  });
  return { routes, ...(problem ? { problem } : {}) };
}

function destinationsOf(backends: readonly BackendRef[], path: string, context: BackendContext): { readonly destinations: readonly RouteDestination[]; readonly problem?: Problem } {
  const weighty = backends.map((backend, index) => ({ backend, index })).filter(({ backend }) => backend.weight > 0);
  if (weighty.length === 0) return { destinations: [nobody] };
  let problem: Problem | undefined;
  const destinations = weighty.map(({ backend, index }): RouteDestination => {
    const found = backendDestination(backend, `${path}[${index}]`, context);
    problem = joined(problem, found.problem);
    return { destination: found.destination, weight: weighty.length === 1 ? 0 : backend.weight };
  });
  return { destinations, ...(problem ? { problem } : {}) };
}
