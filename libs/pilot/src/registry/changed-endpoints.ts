import type { Registry } from './registry-types.ts';

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
