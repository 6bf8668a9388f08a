import type { Config, ConfigKey } from '@meltemi/config';
import type { CacheEntry, ConfigCache } from './config-cache.ts';

export interface KnownObjects {
  readonly cache: Pick<ConfigCache, 'get'>;
  /** WorkloadEntries of proxies that registered themselves; left out: none. */
  readonly registered?: (() => readonly Config[]) | undefined;
}

/** An object, or the entry of a proxy that registered itself. */
export function entryOf({ cache, registered }: KnownObjects, key: ConfigKey): CacheEntry | undefined {
  const written = cache.get(key);
  if (written || key.kind !== 'WorkloadEntry') return written;
  const config = registered?.().find(({ key: { group, namespace, name } }) => name === key.name && namespace === key.namespace && group === key.group);
  return config && registeredEntry(config);
}

/** Registered entries that no object has the name of: an object would count instead. */
export function registeredEntries({ cache, registered }: KnownObjects): CacheEntry[] {
  return (registered?.() ?? []).filter(({ key }) => !cache.get(key)).map(registeredEntry);
}

function registeredEntry(config: Config): CacheEntry {
  const { key, apiVersion, meta, spec } = config;
  const raw = { key, apiVersion, content: { apiVersion, kind: key.kind, metadata: meta, spec } };
  return { key, raw, origin: { source: 'its proxy, which registered itself', resourceVersion: '' }, config, errors: [], warnings: [] };
}
