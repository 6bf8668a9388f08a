import { xdsType } from '@meltemi/xds';
import type { ResourceKind } from './worker-messages.ts';

export const typeOf = {
  clusters: xdsType.cluster, endpoints: xdsType.endpoint, listeners: xdsType.listener, routes: xdsType.route, scopes: xdsType.scope, secrets: xdsType.secret, extensions: xdsType.extension,
} as const satisfies Record<ResourceKind, string>;

export const kindOf: ReadonlyMap<string, ResourceKind> = new Map(Object.entries(typeOf).map(([kind, type]) => [type, kind as ResourceKind]));

/** Kinds that a bootstrap asks for, and where that is counted. */
export const rootPrefix: Readonly<Partial<Record<ResourceKind, string>>> = { clusters: 'cluster_manager.cds.', listeners: 'listener_manager.lds.' };

/** Asked for as a whole, not by name. */
export function isWildcard(kind: ResourceKind): boolean {
  return rootPrefix[kind] !== undefined || kind === 'scopes';
}

/** "routes/name" → its parts. */
export function splitKey(key: string): [kind: ResourceKind, name: string] {
  const slash = key.indexOf('/');
  return [key.slice(0, slash) as ResourceKind, key.slice(slash + 1)];
}
