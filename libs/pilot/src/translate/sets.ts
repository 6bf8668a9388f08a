import { resourceSet, type ResourceSet, type XdsResource } from '@meltemi/xds';

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
