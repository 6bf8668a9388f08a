import type { Service } from '../registry/model.ts';
import type { VirtualService } from './virtual-services.ts';

/**
 * All of a scope but its VirtualServices: what clusters, endpoints and destinations of routes read. The same object as long as nothing of it changes, and
 * nothing of the context's `base`: what was made of it is kept by it.
 */
export interface Reach {
  readonly services: readonly Service[];
  readonly byHost: ReadonlyMap<string, Service>;
  /** Of each egress listener. */
  readonly perListener: readonly (readonly Service[])[];
}

/** What listeners read: besides, of each egress listener, the rules that route connections and not requests. */
export interface Listening {
  readonly reach: Reach;
  readonly rules: readonly (readonly VirtualService[])[];
}

const last = new WeakMap<object, Map<string, Listening>>();

/** The last ones under `key`, as far as they are still true. */
export function keptListening(base: object, key: string, next: Listening): Listening {
  const byKey = last.get(base) ?? new Map<string, Listening>();
  last.set(base, byKey);
  const before = byKey.get(key);
  const reach = before && sameReach(before.reach, next.reach) ? before.reach : next.reach;
  const listening = before?.reach === reach && sameLists(before.rules, next.rules) ? before : { reach, rules: next.rules };
  byKey.set(key, listening);
  return listening;
}

function sameReach(a: Reach, b: Reach): boolean {
  return sameItems(a.services, b.services) && sameLists(a.perListener, b.perListener);
}

function sameLists(a: readonly (readonly object[])[], b: readonly (readonly object[])[]): boolean {
  return a.length === b.length && a.every((list, index) => sameItems(list, b[index] ?? []));
}

function sameItems(a: readonly object[], b: readonly object[]): boolean {
  return a === b || (a.length === b.length && a.every((item, index) => item === b[index]));
}

const parts = new WeakMap<Service, Map<string, Service>>();

/** A part of a service under a text that says which: the same object each time. */
export function partOf(service: Service, which: string, make: () => Service): Service {
  const known = parts.get(service) ?? new Map<string, Service>();
  parts.set(service, known);
  const part = known.get(which) ?? make();
  known.set(which, part);
  return part;
}
