import type { ResourceSet, XdsResource } from '../resource-set.ts';

/** What leads from one set to another. */
export interface SetDifference {
  /** New, or another version. */
  readonly updated: readonly XdsResource[];
  /** Names that are gone. */
  readonly removed: readonly string[];
  /** Those of `updated` that were not there before. */
  readonly added: ReadonlySet<string>;
}

const differences = new WeakMap<ResourceSet, WeakMap<ResourceSet, SetDifference>>();

/** Computed once for each pair: a thousand clients that hold the same set are told the same difference. */
export function setDifference(from: ResourceSet, to: ResourceSet): SetDifference {
  const byOrigin = differences.get(to) ?? new WeakMap<ResourceSet, SetDifference>();
  differences.set(to, byOrigin);
  const known = byOrigin.get(from);
  if (known) return known;
  const updated: XdsResource[] = [];
  const added = new Set<string>();
  for (const [name, resource] of to.resources) {
    const before = from.resources.get(name);
    if (before === resource || before?.version === resource.version) continue;
    updated.push(resource);
    if (!before) added.add(name);
  }
  const removed = [...from.resources.keys()].filter((name) => !to.resources.has(name));
  const difference = { updated, removed, added };
  byOrigin.set(from, difference);
  return difference;
}

const everything = new WeakMap<ResourceSet, readonly XdsResource[]>();

/** All resources of a set; the same array each time. */
export function allOf(set: ResourceSet): readonly XdsResource[] {
  const known = everything.get(set) ?? [...set.resources.values()];
  everything.set(set, known);
  return known;
}

const nameSets = new WeakMap<ResourceSet, ReadonlySet<string>>();
const shared = new WeakSet<ReadonlySet<string>>();
const worthSharing = 16;

/** The same names, as one object for all clients that ask for everything a set has: thousands of names for a thousand clients are too much to keep apart. */
export function sharedNames(names: ReadonlySet<string>, set: ResourceSet): ReadonlySet<string> {
  if (names.size < worthSharing || names.size !== set.resources.size || shared.has(names)) return names;
  for (const name of names) if (!set.resources.has(name)) return names;
  const known = nameSets.get(set) ?? new Set(set.resources.keys());
  nameSets.set(set, known);
  shared.add(known);
  return known;
}
