import type { Cluster_LbSubsetConfig } from '@meltemi/api/gen/envoy/config/cluster/v3/cluster.ts';
import { checkFields, type Report } from '@meltemi/route';
import { subsetSelectorFields } from './cluster-tables.ts';
import type { SubsetConfig, SubsetSelector } from './cluster-types.ts';

const fallbacks = ['none', 'any', 'default'] as const;
const selectorFallbacks = ['not-defined', 'none', 'any', 'default', 'keys'] as const;

/** Compiles lb_subset_config or the subset policy extension, which have the same fields; null when there are no selectors. */
export function compileSubsets(config: Cluster_LbSubsetConfig | undefined, path: string, report: Report): SubsetConfig | null {
  if (!config || config.subsetSelectors.length === 0) return null;
  const fallback = fallbacks[config.fallbackPolicy as 0 | 1 | 2];
  if (fallback === undefined) report.refuse(`${path}.fallback_policy`, `${config.fallbackPolicy} is not known`);
  if (config.scaleLocalityWeight && !config.localityWeightAware) report.warn(`${path}.scale_locality_weight`, 'needs locality_weight_aware');
  return {
    fallback: fallback ?? 'none', defaultSubset: { ...config.defaultSubset }, listAsAny: config.listAsAny, localityWeightAware: config.localityWeightAware,
    scaleLocalityWeight: config.scaleLocalityWeight, panicModeAny: config.panicModeAny, metadataFallbackList: config.metadataFallbackPolicy === 1,
    selectors: config.subsetSelectors.map((selector, i) => compileSelector(selector, `${path}.subset_selectors[${i}]`, report)),
  };
}

function compileSelector(selector: Cluster_LbSubsetConfig['subsetSelectors'][number], path: string, report: Report): SubsetSelector {
  checkFields(selector, subsetSelectorFields, path, report);
  const own = selectorFallbacks[selector.fallbackPolicy as 0 | 1 | 2 | 3 | 4];
  if (own === undefined) report.refuse(`${path}.fallback_policy`, `${selector.fallbackPolicy} is not known`);
  if (selector.keys.length === 0) report.refuse(`${path}.keys`, 'a selector needs keys');
  if (selector.singleHostPerSubset && selector.keys.length > 1) report.refuse(`${path}.single_host_per_subset`, 'needs a selector of one key');
  const keys = new Set(selector.keys);
  if (own === 'keys' && (selector.fallbackKeysSubset.length === 0 || selector.fallbackKeysSubset.length >= keys.size || !selector.fallbackKeysSubset.every((key) => keys.has(key)))) {
    report.refuse(`${path}.fallback_keys_subset`, 'must be some, but not all, of the selector\'s keys');
  }
  return { keys: selector.keys.toSorted(), fallback: own ?? 'none', fallbackKeys: selector.fallbackKeysSubset.toSorted(), singleHost: selector.singleHostPerSubset };
}
