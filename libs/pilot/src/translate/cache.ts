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

/** As `cached`, for what also reads something that changes under the same `source`, which `version` stands for: only the newest version is kept. */
export function cachedVersion<T>(source: object, key: unknown, version: string, compute: () => T): T {
  const slot = cached<{ version: string | undefined; value: T | undefined }>(source, key, () => ({ version: undefined, value: undefined }));
  if (slot.version !== version) {
    slot.value = compute();
    slot.version = version;
  }
  return slot.value as T;
}
