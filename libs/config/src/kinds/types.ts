/**
 * The typed form of every Istio spec follows one rule. Field names are Istio's. Plain scalars are never missing: they hold proto3's zero
 * ("" · 0 · false · the enum's first name), lists are [] and maps {}. Optional are only messages, wrappers, durations and the members of a oneof,
 * because for those "absent" means something.
 */

/** Milliseconds, fractions allowed. */
export type DurationMs = number;

/** Any JSON object: what protobuf calls a Struct. */
export type Struct = Readonly<Record<string, unknown>>;

export type StringMap = Readonly<Record<string, string>>;

/** At most one is set; none (in a header match) means "is present". `regex` is RE2 and matches the whole value. */
export interface StringMatch {
  readonly exact?: string;
  readonly prefix?: string;
  readonly regex?: string;
}

/** 0…100. */
export interface Percent {
  readonly value: number;
}

/** 0 when not set. */
export interface PortSelector {
  readonly number: number;
}

/** `host` as written: a short name is still to be resolved in the namespace of the rule. */
export interface Destination {
  readonly host: string;
  readonly subset: string;
  readonly port?: PortSelector;
}

/** networking.istio.io's selector (`labels`). */
export interface WorkloadSelector {
  readonly labels: StringMap;
}

/** security.istio.io's selector (`matchLabels`). */
export interface MatchLabelsSelector {
  readonly matchLabels: StringMap;
}

/** Kubernetes' label selector, as MeshConfig's discoverySelectors use it. */
export interface LabelSelector {
  readonly matchLabels: StringMap;
  readonly matchExpressions: readonly LabelSelectorRequirement[];
}

export interface LabelSelectorRequirement {
  readonly key: string;
  readonly operator: string;
  readonly values: readonly string[];
}
