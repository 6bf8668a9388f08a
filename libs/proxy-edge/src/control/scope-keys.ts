import { ScopedRouteConfiguration } from '@meltemi/api/gen/envoy/config/route/v3/scoped_route.ts';
import type { RejectedResource } from '@meltemi/xds';

interface EncodedScope {
  readonly name: string;
  readonly bytes: Uint8Array;
}

/** Scopes of an update whose key another scope has too: a request belongs to one scope. `stay` are those in force that the update leaves alone. */
export function sharedScopeKeys(coming: readonly EncodedScope[], stay: readonly EncodedScope[]): RejectedResource[] {
  const ownerOf = new Map(stay.map((scope) => [keyOf(scope), scope.name]));
  return coming.flatMap((scope) => {
    const key = keyOf(scope);
    const owner = ownerOf.get(key);
    if (owner !== undefined) return [{ name: scope.name, reason: `key: is that of scope "${owner}" too` }];
    ownerOf.set(key, scope.name);
    return [];
  });
}

function keyOf({ bytes }: EncodedScope): string {
  return JSON.stringify(ScopedRouteConfiguration.decode(bytes).key?.fragments.map(({ type }) => type?.value ?? ''));
}
