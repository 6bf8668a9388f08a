import { gatewayApiGroup, type Config, type ParentReference } from '@meltemi/config';
import { hostCovers, hostsOverlap } from '../push-context/hosts.ts';
import type { ConvertedGateway } from './gateways.ts';
import type { BuiltListener } from './listeners.ts';
import type { Lookups } from './lookups.ts';
import type { Problem } from './problem.ts';

/** One listener, or the mesh, that a reference of a route leads to. */
export interface RouteParent {
  readonly reference: ParentReference;
  /** "mesh", or "namespace/name" of the listener's generated Gateway. */
  readonly gateway: string;
  /** Host names of the mesh that the route is for; empty for a listener. */
  readonly meshHosts: readonly string[];
  /** The listener's hostname; "" for the mesh or for every host. */
  readonly hostname: string;
  /** Hostnames of listeners beside it, on its port and with its protocol: what is theirs does not come here. */
  readonly others: ReadonlySet<string>;
  /** Why the route is not bound there. */
  readonly denied?: Problem;
  /** Where attached routes are counted. */
  readonly listener?: { readonly owner: Config; readonly built: BuiltListener };
}

/** What a route tells about itself here. */
export interface RouteFacts {
  readonly config: Config;
  readonly parentRefs: readonly ParentReference[];
  readonly hostnames: readonly string[];
}

/** Every place a route's references lead to. References to other controllers' objects are passed over: others answer for them. */
export function routeParents(route: RouteFacts, gateways: readonly ConvertedGateway[], lookups: Lookups): RouteParent[] {
  return route.parentRefs.flatMap((reference) => {
    const namespace = reference.namespace ?? route.config.meta.namespace;
    if (reference.group === gatewayApiGroup && (reference.kind === 'Gateway' || reference.kind === 'ListenerSet')) {
      const owner = gateways.find(({ config }) => config.key.kind === reference.kind && config.meta.name === reference.name && config.meta.namespace === namespace);
      return owner ? listenerParents(route, reference, owner) : [];
    }
    if (reference.group === '' && reference.kind === 'Service') {
      const known = lookups.service(namespace, reference.name) !== undefined;
      return [meshParent(reference, known ? [`${reference.name}.${namespace}.svc.${lookups.domain}`] : [], `Service ${namespace}/${reference.name}`)];
    }
    if (reference.group === 'networking.istio.io' && reference.kind === 'ServiceEntry') {
      return [meshParent(reference, lookups.serviceEntry(namespace, reference.name)?.spec.hosts ?? [], `ServiceEntry ${namespace}/${reference.name}`)];
    }
    return [];
  });
}

function meshParent(reference: ParentReference, meshHosts: readonly string[], shown: string): RouteParent {
  const denied: Problem | undefined = meshHosts.length > 0 ? undefined : { reason: 'NoMatchingParent', message: `there is no ${shown}` };
  return { reference, gateway: 'mesh', meshHosts, hostname: '', others: new Set(), ...(denied ? { denied } : {}) };
}

function listenerParents(route: RouteFacts, reference: ParentReference, { config: owner, generated }: ConvertedGateway): RouteParent[] {
  return generated.map(({ listener: built, config }): RouteParent => {
    const { hostname = '', port, protocol } = built.listener;
    const beside = generated.map((other) => other.listener.listener).filter((other) => other !== built.listener && other.port === port && other.protocol === protocol);
    const denied = refusal(route, reference, { built, hosts: config.spec.servers[0]?.hosts ?? [] });
    const others = new Set(beside.map((other) => other.hostname ?? '').filter((name) => name !== hostname));
    return { reference, gateway: `${config.meta.namespace}/${config.meta.name}`, meshHosts: [], hostname, others, ...(denied ? { denied } : {}), listener: { owner, built } };
  });
}

/** Why the listener does not take the route. */
function refusal(route: RouteFacts, reference: ParentReference, { built, hosts }: { readonly built: BuiltListener; readonly hosts: readonly string[] }): Problem | undefined {
  const { name, port, hostname } = built.listener;
  if (reference.port !== undefined && reference.port !== port) return { reason: 'NoMatchingParent', message: `listener "${name}" has port ${port}, not ${reference.port}` };
  if (reference.sectionName !== undefined && reference.sectionName !== name) return { reason: 'NoMatchingParent', message: `there is no listener "${reference.sectionName}"` };
  const wanted = route.hostnames.length === 0 ? ['*'] : route.hostnames;
  const places = hosts.map((host) => ({ namespace: host.slice(0, host.indexOf('/')), host: host.slice(host.indexOf('/') + 1) }));
  const meeting = places.filter(({ host }) => wanted.some((one) => hostsOverlap(host, one)));
  if (meeting.length === 0) return { reason: 'NoMatchingListenerHostname', message: `no hostname of the route is one of listener "${name}" (${hostname || '*'})` };
  const own = route.config.meta.namespace;
  if (!meeting.some(({ namespace }) => namespace === '*' || namespace === own)) return { reason: 'NotAllowedByListeners', message: `listener "${name}" takes no routes of namespace "${own}"` };
  const { group, kind } = route.config.key;
  if (!built.supportedKinds.some((one) => one.group === group && one.kind === kind)) return { reason: 'NotAllowedByListeners', message: `listener "${name}" takes no ${kind}` };
  return undefined;
}

/** False for a host that a listener beside this one claims more exactly. */
export function belongsHere({ hostname, others, gateway }: RouteParent, host: string): boolean {
  if (gateway === 'mesh') return true;
  if (hostname !== '' && !hostname.startsWith('*')) return true;
  if (hostname !== '' && !hostsOverlap(hostname, host)) return false;
  return ![...others].some((other) => other.length >= hostname.length && other !== '' && hostCovers(other, host));
}
