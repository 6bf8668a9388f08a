import type { Metadata } from '@meltemi/api/gen/envoy/config/core/v3/base.ts';
import type { DynamicMetadata } from '@meltemi/http';
import type { MetadataCriteria } from './types.ts';

/** The `envoy.lb` part of metadata_match, merged over `under`; null when there is none. */
export function metadataCriteria(metadata: Metadata | undefined, under: MetadataCriteria | null = null): MetadataCriteria | null {
  const own = metadata?.filterMetadata['envoy.lb'];
  if (!own) return under;
  const merged = new Map<string, unknown>(under?.entries);
  for (const [key, value] of Object.entries(own)) merged.set(key, value);
  return criteriaOf([...merged]);
}

/** Criteria of key/value pairs, sorted by key; null when empty. */
export function criteriaOf(pairs: readonly (readonly [string, unknown])[]): MetadataCriteria | null {
  if (pairs.length === 0) return null;
  const entries = pairs.toSorted(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0));
  return { entries, key: JSON.stringify(entries) };
}

/** `filter_metadata` as plain values; null when empty. */
export function plainMetadata(metadata: Metadata | undefined): DynamicMetadata | null {
  const entries = Object.entries(metadata?.filterMetadata ?? {});
  if (entries.length === 0) return null;
  const plain: DynamicMetadata = {};
  for (const [namespace, values] of entries) plain[namespace] = { ...values };
  return plain;
}
