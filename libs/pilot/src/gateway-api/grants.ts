import type { Config, ReferenceGrantSpec } from '@meltemi/config';

/** One side of a reference. */
export interface Side {
  readonly group: string;
  readonly kind: string;
  readonly namespace: string;
}

/** Tells whether an object of one namespace may refer to one of another. Within a namespace everything may. */
export type Grants = (from: Side, to: Side & { readonly name: string }) => boolean;

export function indexGrants(configs: readonly Config<ReferenceGrantSpec>[]): Grants {
  const byNamespace = new Map<string, ReferenceGrantSpec[]>();
  for (const { meta, spec } of configs) byNamespace.set(meta.namespace, [...(byNamespace.get(meta.namespace) ?? []), spec]);
  return (from, to) => {
    if (from.namespace === to.namespace) return true;
    return (byNamespace.get(to.namespace) ?? []).some(
      (grant) =>
        grant.from.some((entry) => entry.group === from.group && entry.kind === from.kind && entry.namespace === from.namespace) &&
        grant.to.some((entry) => entry.group === to.group && entry.kind === to.kind && (entry.name === undefined || entry.name === to.name)),
    );
  };
}
