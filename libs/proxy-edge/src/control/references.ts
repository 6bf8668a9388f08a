import type { ConfigSource, Reference } from '@meltemi/snapshot';

/** Where one name is taken from. */
export interface Wanted {
  readonly reference: Reference;
  /** The source, with `self` already replaced. */
  readonly source: ConfigSource;
}

/** What resources in force refer to: which names are needed, from where, and by whom. */
export class References {
  /** "routes/name" → owner → reference. */
  readonly #wanted = new Map<string, Map<string, Wanted>>();
  readonly #byOwner = new Map<string, readonly string[]>();

  /** Why `wanted` cannot be followed beside what others already take; undefined when it can. */
  conflict(owner: string, { reference, source }: Wanted): string | undefined {
    for (const [other, taken] of this.#wanted.get(keyOf(reference)) ?? []) {
      if (other === owner) continue;
      if (reference.kind === 'scopes' && (taken.source.key !== source.key || taken.reference.routesFrom?.key !== reference.routesFrom?.key)) return `scopes and their routes come from other sources in ${other.replace('/', ' ')}: all connection managers follow the same ones`;
      if (taken.source.key !== source.key) return `"${reference.name}" comes from another source in ${other.replace('/', ' ')}: give them different names`;
    }
    return undefined;
  }

  /** Replaces what an owner refers to; returns the keys that may have changed. */
  set(owner: string, wanted: readonly Wanted[]): Set<string> {
    const changed = new Set(this.#byOwner.get(owner));
    for (const key of changed) {
      const owners = this.#wanted.get(key);
      owners?.delete(owner);
      if (owners?.size === 0) this.#wanted.delete(key);
    }
    this.#byOwner.delete(owner);
    for (const each of wanted) {
      const key = keyOf(each.reference);
      const owners = this.#wanted.get(key) ?? new Map<string, Wanted>();
      this.#wanted.set(key, owners.set(owner, each));
      changed.add(key);
    }
    if (wanted.length > 0) this.#byOwner.set(owner, wanted.map(({ reference }) => keyOf(reference)));
    return changed;
  }

  get(key: string): Wanted | undefined {
    return this.#wanted.get(key)?.values().next().value;
  }

  /** Why nobody who asks for the name can take a resource of this type; undefined when somebody can. */
  misfit(key: string, typeUrl: string): string | undefined {
    const asked = [...(this.#wanted.get(key)?.values() ?? [])].flatMap(({ reference }) => reference.typeUrls ?? []);
    if (asked.length === 0 || asked.some((typeUrls) => typeUrls.has(typeUrl))) return undefined;
    return `is ${typeUrl}, which type_urls of those who ask for it does not have: ${[...new Set(asked.flatMap((typeUrls) => [...typeUrls]))].join(', ')}`;
  }

  /** Owners of a name, by "kind/name" each. */
  owners(key: string): Iterable<string> {
    return this.#wanted.get(key)?.keys() ?? [];
  }
}

function keyOf({ kind, name }: Reference): string {
  return `${kind}/${name}`;
}
