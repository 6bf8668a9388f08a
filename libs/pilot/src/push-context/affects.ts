import { convertedKinds } from '../gateway-api/convert.ts';
import type { Proxy } from '../proxy/proxy.ts';
import { serviceKey, type Service } from '../registry/model.ts';
import { authorizationFor } from './authorization.ts';
import { everyDestinationRule } from './destination-rules.ts';
import { hostCovers, isVisible } from './hosts.ts';
import { policyView } from './policy-view.ts';
import type { PushContext } from './push-context.ts';
import { servesByLabel } from './targets-at.ts';
import { scopeOf } from './scope.ts';

/** What differs between two contexts. */
export interface Difference {
  /** Kinds with an object added, changed or removed. */
  readonly kinds: ReadonlySet<string>;
  /** Services (serviceKey) whose definition, endpoints or accepted identities changed. */
  readonly services: ReadonlySet<string>;
  /** False: endpoints at most. */
  readonly shape: boolean;
  /** Keys of issuers were fetched anew. */
  readonly keys: boolean;
  /** MeshConfig or the domain changed. */
  readonly mesh: boolean;
}

/** Kinds that speak about services; what they change is known service by service. */
const registryKinds: ReadonlySet<string> = new Set(['Service', 'ServiceEntry', 'WorkloadEntry', 'Pod', 'Endpoints', 'EndpointSlice', 'Deployment', 'Namespace', 'Node', 'ServiceAccount']);

/** Kinds that pick their workloads; what they change is known proxy by proxy. */
const policyKinds: readonly string[] = ['AuthorizationPolicy', 'RequestAuthentication', 'Telemetry'];

/** Kinds that speak through what they are converted to. */
const convertedOnly: ReadonlySet<string> = new Set<string>([...Object.values(convertedKinds), 'Secret', 'ConfigMap']);

/** Compares two contexts once per push; `affects` then asks per proxy. */
export function difference(previous: PushContext, next: PushContext): Difference {
  const kinds = new Set<string>();
  for (const kind of new Set([...previous.inputs.keys(), ...next.inputs.keys()])) {
    const before = previous.inputs.get(kind) ?? [];
    const after = next.inputs.get(kind) ?? [];
    if (before.length !== after.length || after.some((config, index) => config !== before[index])) kinds.add(kind);
  }
  return { kinds, services: changedServices(previous, next), shape: previous.shape !== next.shape, keys: previous.keySets !== next.keySets, mesh: previous.mesh !== next.mesh || previous.domain !== next.domain };
}

/** False only when nothing this proxy is told can have changed; true may turn out to be nothing (resource versions then say so). */
export function affects(change: Difference, contexts: { readonly previous: PushContext; readonly next: PushContext }, proxy: Proxy): boolean {
  const { previous, next } = contexts;
  if (change.mesh) return true;
  if (change.kinds.has('Sidecar') || change.kinds.has('PeerAuthentication') || (change.kinds.has('Gateway') && proxy.type === 'router')) return true;
  // what a workload serves that no endpoint names is told by selectors
  if (change.kinds.has('Service') && servesByLabel(next, proxy)) return true;
  if (change.services.size > 0 && (seesAny(previous, proxy, change.services) || seesAny(next, proxy, change.services))) return true;
  // an authorizer may be a service that the proxy does not see
  if (change.services.size > 0 && authorizationFor(next, proxy).custom.length > 0) return true;
  if (previous.virtualServices !== next.virtualServices && rulesChanged(previous, next, proxy)) return true;
  if (previous.destinationRules !== next.destinationRules && destinationRulesChanged(previous, next, proxy)) return true;
  if ((change.keys || policyKinds.some((kind) => change.kinds.has(kind))) && policyView(previous, proxy) !== policyView(next, proxy)) return true;
  return [...change.kinds].some((kind) => !policyKinds.includes(kind) && !registryKinds.has(kind) && !convertedOnly.has(kind) && kind !== 'VirtualService' && kind !== 'DestinationRule' && kind !== 'Gateway');
}

function changedServices(previous: PushContext, next: PushContext): Set<string> {
  const changed = new Set<string>();
  const before = new Map(previous.services.all.map((service) => [serviceKey(service), service]));
  const after = new Map(next.services.all.map((service) => [serviceKey(service), service]));
  for (const key of new Set([...before.keys(), ...after.keys()])) {
    if (!sameService(before.get(key), after.get(key)) || !sameEndpointLists(previous, next, key) || String(previous.services.accounts.get(key)) !== String(next.services.accounts.get(key))) changed.add(key);
  }
  return changed;
}

function sameService(a: Service | undefined, b: Service | undefined): boolean {
  return a === b || JSON.stringify(a) === JSON.stringify(b);
}

/** The builder keeps equal lists the same object. */
function sameEndpointLists(previous: PushContext, next: PushContext, key: string): boolean {
  const before = previous.registry.endpoints.get(key);
  const after = next.registry.endpoints.get(key);
  if (before?.size !== after?.size) return false;
  return [...(after ?? [])].every(([port, list]) => before?.get(port) === list);
}

function seesAny(push: PushContext, proxy: Proxy, keys: ReadonlySet<string>): boolean {
  return scopeOf(push, proxy).services.some((service) => keys.has(serviceKey(service)));
}

/** Rules of others stay what they are: compared by content, among those the proxy's namespace may see. */
function rulesChanged(previous: PushContext, next: PushContext, proxy: Proxy): boolean {
  const seen = (push: PushContext) => JSON.stringify(push.virtualServices.all.filter((rule) => isVisible(rule.exportTo, rule.namespace, proxy.namespace)));
  return seen(previous) !== seen(next);
}

function destinationRulesChanged(previous: PushContext, next: PushContext, proxy: Proxy): boolean {
  const services = scopeOf(next, proxy).services;
  const seen = (push: PushContext) => {
    return JSON.stringify(everyDestinationRule(push.destinationRules).filter((rule) => isVisible(rule.exportTo, rule.namespace, proxy.namespace) && services.some((service) => hostCovers(rule.host, service.hostname))));
  };
  return seen(previous) !== seen(next);
}
