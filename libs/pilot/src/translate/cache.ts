/** Values by the identity of what they were computed from: gone with it. */
const caches = new WeakMap<object, { also: object | undefined; values: Map<string, unknown> }>();

/**
 * The value for `key` (any JSON), computed once per `source`. `source` (and `also`, when given) is an immutable object that holds everything
 * else `compute` reads; when `also` changes, everything kept for `source` is dropped.
 */
export function cached<T>(source: object, key: unknown, compute: () => T, also?: object): T {
  let cache = caches.get(source);
  if (!cache || cache.also !== also) {
    cache = { also, values: new Map() };
    caches.set(source, cache);
  }
  const text = JSON.stringify(key);
  if (cache.values.has(text)) return cache.values.get(text) as T;
  const value = compute();
  cache.values.set(text, value);
  return value;
}

interface Slot {
  readonly source: object;
  readonly version: string;
  readonly value: unknown;
}

const owned = new WeakMap<object, Map<string, Slot>>();

/** What is one owner's alone, and gone with it: of each `kind` the newest is kept. `source` and `version` stand for all that `compute` reads. */
export function ownedBy<T>(owner: object, { kind, source, version }: { readonly kind: string; readonly source: object; readonly version: string }, compute: () => T): T {
  const slots = owned.get(owner) ?? new Map<string, Slot>();
  owned.set(owner, slots);
  const slot = slots.get(kind);
  if (slot?.source === source && slot.version === version) return slot.value as T;
  const value = compute();
  slots.set(kind, { source, version, value });
  return value;
}

/** A place for one value that is made from the last one: shared by all whom `key` stands for, or one owner's. */
export interface LastValue<T> {
  last?: T;
}

/** The place under `key`, as long as `source` lives; with an `owner`, as long as both do. */
export function lastValue<T>(source: object, key: string, owner?: object): LastValue<T> {
  return owner ? ownedBy<LastValue<T>>(owner, { kind: key, source, version: '' }, () => ({})) : cached<LastValue<T>>(source, key, () => ({}));
}

interface Together {
  readonly next: WeakMap<object, Together>;
}

const first: Together = { next: new WeakMap() };

/** One identity for several objects: the same as long as each of them is. */
export function together(...parts: readonly object[]): object {
  let place = first;
  for (const part of parts) {
    const next: Together = place.next.get(part) ?? { next: new WeakMap() };
    place.next.set(part, next);
    place = next;
  }
  return place;
}
