import type { RejectedResource } from '@meltemi/xds';

interface KeyedScope {
  readonly name: string;
  /** As compileScope writes it. */
  readonly scopeKey?: string | undefined;
}

/** Scopes of an update whose key another scope has too: a request belongs to one scope. `stay` are those in force that the update leaves alone. */
export function sharedScopeKeys(coming: readonly KeyedScope[], stay: readonly KeyedScope[]): RejectedResource[] {
  const ownerOf = new Map(stay.map(({ scopeKey, name }) => [scopeKey, name]));
  return coming.flatMap(({ scopeKey, name }) => {
    const owner = ownerOf.get(scopeKey);
    if (owner !== undefined) return [{ name, reason: `key: is that of scope "${owner}" too` }];
    ownerOf.set(scopeKey, name);
    return [];
  });
}
