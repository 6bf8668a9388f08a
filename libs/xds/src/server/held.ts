import type { ResourceSet } from '../resource-set.ts';
import type { SubscribedNames } from './type-status.ts';

/** What a client holds: what it asks for of `base`, but for the versions in `over` ('' = it does not have it). Clients that are up to date share all of it. */
export interface Held {
  readonly base: ResourceSet | undefined;
  readonly over: ReadonlyMap<string, string>;
}

const nothingOver: ReadonlyMap<string, string> = new Map();

export const holdsNothing: Held = { base: undefined, over: nothingOver };

/** The version held; '' = none. */
export function heldVersion({ held, wildcard, names }: SubscribedNames & { readonly held: Held }, name: string): string {
  const over = held.over.get(name);
  if (over !== undefined) return over;
  return wildcard || names.has(name) ? (held.base?.resources.get(name)?.version ?? '') : '';
}

/** Names of what is held. */
export function* heldNames({ held, wildcard, names }: SubscribedNames & { readonly held: Held }): Iterable<string> {
  for (const [name, version] of held.over) if (version !== '') yield name;
  if (!held.base) return;
  for (const name of wildcard || names.size > held.base.resources.size ? held.base.resources.keys() : names) {
    if (!held.over.has(name) && held.base.resources.has(name) && (wildcard || names.has(name))) yield name;
  }
}

/** With some versions put in place of what is there. */
export function heldWith(held: Held, versions: Iterable<readonly [name: string, version: string]>): Held {
  const over = new Map(held.over);
  for (const [name, version] of versions) over.set(name, version);
  return { base: held.base, over };
}

/** Everything asked for of a set, but for some versions. */
export function heldOf(set: ResourceSet, except: ReadonlyMap<string, string> = nothingOver): Held {
  return { base: set, over: except };
}
