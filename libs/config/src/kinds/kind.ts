import type { ObjectMeta } from '../object.ts';
import type { Findings } from '../rules/findings.ts';
import type { Schema } from '../schema/schema.ts';

/** Everything the mesh knows about one kind of object. */
export interface ConfigKind<Spec = unknown> {
  readonly group: string;
  readonly kind: string;
  readonly plural: string;
  readonly shortNames: readonly string[];
  /** Preferred first. */
  readonly versions: readonly string[];
  readonly scope: 'namespaced' | 'cluster';
  /** 'full': Meltemi acts on it. 'later': checked, then valid with a warning that nothing happens yet. */
  readonly acts: 'full' | 'later';
  /** 'spec': the schema reads the field `spec`. 'object': it reads the whole object but for its envelope. */
  readonly body: 'spec' | 'object';
  readonly schema: Schema<Spec>;
  /** Turns errors that Istio goes on without into warnings, and gives the spec that remains. Default: every error counts. */
  tolerate?(spec: Spec, findings: Findings): Spec;
  /** What a schema alone cannot say. Called only with specs that decoded without error. Paths start with "spec". */
  validate(spec: Spec, about: ObjectMeta, findings: Findings): void;
}

/** The few things that differ between Istio's kinds; fill the rest with what is usual. */
export function istioKind<Spec>(
  kind: Pick<ConfigKind<Spec>, 'group' | 'kind' | 'plural' | 'schema'> & Partial<ConfigKind<Spec>>,
): ConfigKind<Spec> {
  return { shortNames: [], versions: ['v1', 'v1beta1', 'v1alpha3'], scope: 'namespaced', acts: 'full', body: 'spec', validate: () => undefined, ...kind };
}

/** True when the object is of this kind, of whatever version. */
export function isOfKindName(config: { readonly key: { readonly group: string; readonly kind: string } }, kind: Pick<ConfigKind, 'group' | 'kind'>): boolean {
  return config.key.group === kind.group && config.key.kind === kind.kind;
}
