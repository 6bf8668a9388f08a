import { resourceSet, type ResourceSet, type XdsResource } from '@meltemi/xds';
import type { Registry } from '../registry/registry.ts';

const combined = new WeakMap<readonly XdsResource[], Map<string, ResourceSet>>();

/** A set of what is a proxy's own and what it shares with others; proxies whose own parts are alike get the same set. */
export function setOf(typeUrl: string, own: readonly XdsResource[], shared: readonly XdsResource[]): ResourceSet {
  const known = combined.get(shared) ?? new Map<string, ResourceSet>();
  combined.set(shared, known);
  const key = own.map(({ name, version }) => `${name}\0${version}`).join('\n');
  const set = known.get(key) ?? resourceSet(typeUrl, [...own, ...shared]);
  known.set(key, set);
  return set;
}

const changes = new WeakMap<Registry, WeakMap<Registry, ReadonlySet<string>>>();

/** Services (serviceKey) whose endpoints differ between two registries; the builder keeps equal lists the same object. */
export function changedEndpoints(from: Registry, to: Registry): ReadonlySet<string> {
  const byOrigin = changes.get(to) ?? new WeakMap<Registry, ReadonlySet<string>>();
  changes.set(to, byOrigin);
  const known = byOrigin.get(from);
  if (known) return known;
  const changed = new Set<string>();
  for (const [key, ports] of to.endpoints) {
    const before = from.endpoints.get(key);
    if (before === ports) continue;
    if (before?.size !== ports.size || [...ports].some(([port, list]) => before.get(port) !== list)) changed.add(key);
  }
  for (const key of from.endpoints.keys()) if (!to.endpoints.has(key)) changed.add(key);
  byOrigin.set(from, changed);
  return changed;
}
