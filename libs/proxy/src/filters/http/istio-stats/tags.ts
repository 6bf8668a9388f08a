import type { StreamInfo } from '@meltemi/http';
import type { CelExpression } from '@meltemi/match';

/** What a metric's labels are to be instead of the standard ones. */
export interface TagOverrides {
  /** Label → its expression. */
  readonly set: ReadonlyMap<string, CelExpression>;
  readonly removed: ReadonlySet<string>;
}

/** How one metric's labels are made of the standard ones. */
export interface TagPlan {
  readonly names: readonly string[];
  /** For each name: where among the standard labels it is, or its expression. */
  readonly sources: readonly (number | CelExpression)[];
  /** Values differ from stream to stream. */
  readonly perStream: boolean;
}

/** Envoy's word for what an expression has no value for. */
const noValue = 'unknown';

/** The standard labels with overrides: those that stay in their order, then new ones by name. */
export function tagPlan(standard: readonly string[], { set, removed }: TagOverrides): TagPlan {
  const names = [...standard.filter((name) => !removed.has(name)), ...[...set.keys()].filter((name) => !standard.includes(name)).sort()];
  const sources = names.map((name) => set.get(name) ?? standard.indexOf(name));
  return { names, sources, perStream: set.size > 0 };
}

/** The values of a plan's labels for a stream. */
export function tagValues({ sources }: TagPlan, standard: readonly string[], info: StreamInfo): string[] {
  return sources.map((source) => (typeof source === 'number' ? (standard[source] ?? '') : labelText(source.evaluate(info))));
}

/** A value as Envoy prints it. */
export function labelText(value: unknown): string {
  if (typeof value === 'string') return value;
  return typeof value === 'number' || typeof value === 'boolean' || typeof value === 'bigint' ? String(value) : noValue;
}
