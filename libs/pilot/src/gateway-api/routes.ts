import { keyText, type Config, type GrpcRouteSpec, type HttpRoute, type HttpRouteSpec, type ParentReference, type TcpRoute, type TcpRouteSpec, type TlsRoute, type TlsRouteSpec, type VirtualServiceSpec } from '@meltemi/config';
import { hostCovers, hostsOverlap } from '../push-context/hosts.ts';
import type { ConvertedGateway } from './gateways.ts';
import { convertGrpcRules } from './grpc-rules.ts';
import { convertHttpRules, type ConvertedRules } from './http-rules.ts';
import { convertTcpRules, convertTlsRules } from './l4-rules.ts';
import type { Lookups } from './lookups.ts';
import { generatedSuffix, notes } from './names.ts';
import { belongsHere, routeParents, type RouteParent } from './parents.ts';
import { byPrecedence } from './precedence.ts';
import type { Problem } from './problem.ts';
import { Refused } from './refused.ts';

/** The kinds of routes, by name. */
export interface RouteConfigs {
  readonly http: readonly Config<HttpRouteSpec>[];
  readonly grpc: readonly Config<GrpcRouteSpec>[];
  readonly tls: readonly Config<TlsRouteSpec>[];
  readonly tcp: readonly Config<TcpRouteSpec>[];
}

/** What became of one route. */
export interface ConvertedRoute {
  readonly config: Config;
  readonly parents: readonly RouteParent[];
  /** Of the rules, for gateways and for the mesh: they differ in which backends need a grant. */
  readonly problems: { readonly gateway?: Problem; readonly mesh?: Problem };
  /** Set aside whole. */
  readonly refused?: Refused;
}

export interface ConvertedRoutes {
  readonly routes: readonly ConvertedRoute[];
  readonly virtualServices: readonly Config<VirtualServiceSpec>[];
}

interface Context {
  readonly gateways: readonly ConvertedGateway[];
  readonly lookups: Lookups;
}

/** Routes as VirtualServices: one per gateway (or namespace, for the mesh) and host, because the Gateway API orders rules over all routes of a host. */
export function convertRoutes({ http, grpc, tls, tcp }: RouteConfigs, context: Context): ConvertedRoutes {
  const parts: Part[] = [];
  const l4: Config<VirtualServiceSpec>[] = [];
  const routes = [
    ...http.map((config) => convert(config, { hostnames: config.spec.hostnames, context, rules: (route) => convertHttpRules(config, route) }, (bound) => parts.push(...httpParts(config, config.spec.hostnames, bound)))),
    ...grpc.map((config) => convert(config, { hostnames: config.spec.hostnames, context, rules: (route) => convertGrpcRules(config, route) }, (bound) => parts.push(...httpParts(config, config.spec.hostnames, bound)))),
    ...tls.map((config) => convert(config, { hostnames: config.spec.hostnames, context, rules: (route) => convertTlsRules(config, route) }, (bound) => l4.push(...tlsServices(config, bound)))),
    ...tcp.map((config) => convert(config, { hostnames: [], context, rules: (route) => convertTcpRules(config, route) }, (bound) => l4.push(...tcpServices(config, bound)))),
  ];
  return { routes, virtualServices: [...merged(parts), ...l4] };
}

/** A route's rules at one of its parents. */
interface Bound<Route> {
  readonly parent: RouteParent;
  readonly routes: readonly Route[];
}

interface Conversion<Route> {
  readonly hostnames: readonly string[];
  readonly context: Context;
  readonly rules: (context: { readonly route: Config; readonly lookups: Lookups; readonly needsGrant: boolean }) => ConvertedRules<Route>;
}

function convert<Spec extends { readonly parentRefs: readonly ParentReference[] }, Route>(config: Config<Spec>, { hostnames, context, rules }: Conversion<Route>, done: (bound: readonly Bound<Route>[]) => void): ConvertedRoute {
  const { lookups } = context;
  const parents = routeParents({ config, parentRefs: config.spec.parentRefs, hostnames }, context.gateways, lookups);
  const isMesh = (parent: RouteParent) => parent.gateway === 'mesh';
  try {
    const mesh = parents.some(isMesh) ? rules({ route: config, lookups, needsGrant: false }) : undefined;
    const gateway = parents.some((parent) => !isMesh(parent)) ? rules({ route: config, lookups, needsGrant: true }) : undefined;
    const open = parents.filter(({ denied }) => !denied).toSorted((a, b) => (a.gateway < b.gateway ? -1 : a.gateway > b.gateway ? 1 : 0));
    done(open.map((parent) => ({ parent, routes: (isMesh(parent) ? mesh : gateway)?.routes ?? [] })).filter(({ routes }) => routes.length > 0));
    return { config, parents, problems: { ...(gateway?.problem ? { gateway: gateway.problem } : {}), ...(mesh?.problem ? { mesh: mesh.problem } : {}) } };
  } catch (error) {
    const refused = error instanceof Refused ? error : new Refused('', { reason: 'Invalid', message: `cannot be converted: ${error instanceof Error ? error.message : String(error)}` });
    return { config, parents, problems: { gateway: refused.problem, mesh: refused.problem }, refused };
  }
}

/** Rules of one route for one host at one place, before those of other routes join them. */
interface Part {
  readonly key: string;
  readonly config: Config;
  readonly host: string;
  readonly gateway: string;
  readonly routes: readonly HttpRoute[];
}

function httpParts(config: Config, hostnames: readonly string[], bound: readonly Bound<HttpRoute>[]): Part[] {
  return bound.flatMap(({ parent, routes }) => {
    const { gateway, reference } = parent;
    const port = gateway === 'mesh' ? reference.port : undefined;
    const place = gateway === 'mesh' ? `${config.meta.namespace}${port === undefined ? '' : `/${port}`}` : gateway;
    const hosts = gateway === 'mesh' ? parent.meshHosts : hostnames.length === 0 ? ['*'] : hostnames;
    return hosts.filter((host) => belongsHere(parent, host)).map((host) => ({ key: `${place}/${host}`, config, host, gateway, routes: port === undefined ? routes : routes.map((route) => onPort(route, port)) }));
  });
}

function onPort(route: HttpRoute, port: number): HttpRoute {
  return { ...route, match: route.match.length === 0 ? [{ name: '', headers: {}, port, sourceLabels: {}, gateways: [], queryParams: {}, ignoreUriCase: false, withoutHeaders: {}, sourceNamespace: '', statPrefix: '' }] : route.match.map((match) => ({ ...match, port })) };
}

function merged(parts: readonly Part[]): Config<VirtualServiceSpec>[] {
  const groups = new Map<string, Part[]>();
  for (const part of parts) groups.set(part.key, [...(groups.get(part.key) ?? []), part]);
  return [...groups].map(([key, group]) => {
    const ordered = group.toSorted((a, b) => seniority(a.config, b.config));
    const [first] = ordered as [Part, ...Part[]];
    const routes = byPrecedence(ordered.flatMap((part) => part.routes));
    return virtualService(key.replaceAll('/', '~'), ordered.map(({ config }) => config), { hosts: [first.host], gateways: [first.gateway], http: routes });
  });
}

/** The Gateway API's order of equals: the older, then by namespace and name. */
function seniority(a: Config, b: Config): number {
  const [left, right] = [a, b].map(({ key, meta }) => [meta.creationTimestamp, meta.namespace, meta.name, keyText(key)].join('\0')) as [string, string];
  return left < right ? -1 : left > right ? 1 : 0;
}

function tcpServices(config: Config, bound: readonly Bound<TcpRoute>[]): Config<VirtualServiceSpec>[] {
  const services = bound.flatMap(({ parent, routes }) => {
    const { port } = parent.reference;
    const tcp = parent.gateway === 'mesh' && port !== undefined ? routes.map((route) => ({ ...route, match: [{ destinationSubnets: [], port, sourceSubnet: '', sourceLabels: {}, gateways: [], sourceNamespace: '' }] })) : routes;
    // each listener of raw bytes has one route at most
    return (parent.gateway === 'mesh' ? parent.meshHosts : ['*']).map((host) => ({ hosts: [host], gateways: [parent.gateway], tcp }));
  });
  return services.map((spec, index) => virtualService(`${config.meta.name}~tcp~${index}~${generatedSuffix}`, [config], spec));
}

function tlsServices(config: Config<TlsRouteSpec>, bound: readonly Bound<TlsRoute>[]): Config<VirtualServiceSpec>[] {
  const services = bound.flatMap(({ parent, routes }) => (parent.gateway === 'mesh' ? meshTls(parent, routes) : listenerTls(parent, routes)));
  return services.map((spec, index) => virtualService(`${config.meta.name}~tls~${index}~${generatedSuffix}`, [config], spec));
}

function meshTls({ meshHosts, reference }: RouteParent, routes: readonly TlsRoute[]): Partial<VirtualServiceSpec>[] {
  return meshHosts.map((host) => {
    const tls = withSniHosts(routes, (names) => {
      if (names.length === 1 && names[0] === '*') return meshHosts;
      return names.length > 1 ? names.filter((name) => hostsOverlap(host, name)) : names;
    });
    const { port } = reference;
    return { hosts: [host], gateways: ['mesh'], tls: port === undefined ? tls : tls.map((route) => ({ ...route, match: route.match.map((match) => ({ ...match, port })) })) };
  });
}

/** Names the listener does not serve are not routed there, and wider ones only as far as it does. */
function listenerTls({ gateway, hostname }: RouteParent, routes: readonly TlsRoute[]): Partial<VirtualServiceSpec>[] {
  const narrowed = (names: readonly string[]) => (hostname === '' ? names : names.flatMap((name) => (hostCovers(hostname, name) ? [name] : hostCovers(name, hostname) ? [hostname] : [])));
  const tls = withSniHosts(routes, narrowed);
  const hosts = [...new Set(routes.flatMap((route) => route.match.flatMap((match) => narrowed(match.sniHosts))))];
  // rules without weight match nothing of themselves
  const names = hosts.length === 0 ? [hostname === '' ? '*' : hostname] : hosts;
  return names.map((host) => ({ hosts: [host], gateways: [gateway], tls }));
}

function withSniHosts(routes: readonly TlsRoute[], narrow: (names: readonly string[]) => readonly string[]): TlsRoute[] {
  const all = routes.map((route) => ({ ...route, match: route.match.map((match) => ({ ...match, sniHosts: narrow(match.sniHosts) })).filter((match) => match.sniHosts.length > 0) }));
  return all.filter((route, index) => route.match.length > 0 || routes[index]?.match.length === 0);
}

function virtualService(name: string, parents: readonly Config[], spec: Partial<VirtualServiceSpec>): Config<VirtualServiceSpec> {
  const [first] = parents as readonly [Config, ...Config[]];
  const { namespace } = first.meta;
  const annotations = { [notes.parents]: [...new Set(parents.map(({ key, meta }) => `${key.kind}/${meta.name}.${meta.namespace}`))].join(','), [notes.routeSemantics]: 'gateway' };
  return {
    key: { group: 'networking.istio.io', kind: 'VirtualService', namespace, name },
    apiVersion: 'networking.istio.io/v1',
    meta: { name, namespace, labels: {}, annotations, creationTimestamp: first.meta.creationTimestamp },
    spec: { hosts: [], gateways: [], http: [], tls: [], tcp: [], exportTo: [], ...spec },
  };
}
