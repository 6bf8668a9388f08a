import type { Cluster as ClusterMessage, Cluster_LbSubsetConfig, Cluster_SlowStartConfig, LoadBalancingPolicy } from '@meltemi/api/gen/envoy/config/cluster/v3/cluster.ts';
import { LeastRequest } from '@meltemi/api/gen/envoy/extensions/load_balancing_policies/least_request/v3/least_request.ts';
import { RoundRobin } from '@meltemi/api/gen/envoy/extensions/load_balancing_policies/round_robin/v3/round_robin.ts';
import { checkFields, durationMs, type Report } from '@meltemi/route';
import { subsetFields, subsetSelectorFields } from './cluster-tables.ts';
import type { LbPolicy, SubsetConfig } from './cluster-types.ts';
import { decodeAt } from './context.ts';

const prefix = 'type.googleapis.com/envoy.extensions.load_balancing_policies';
const fallbacks = ['none', 'any', 'default'] as const;
const selectorFallbacks = ['not-defined', 'none', 'any', 'default', 'keys'] as const;
const roundRobin: LbPolicy = { kind: 'round_robin' };

interface LeastRequestSettings {
  readonly choiceCount?: number | undefined;
  readonly activeRequestBias?: { readonly defaultValue: number } | undefined;
  readonly slowStartConfig?: Cluster_SlowStartConfig | undefined;
}

/** The policy of load_balancing_policy, else of lb_policy. */
export function compileLbPolicy(message: ClusterMessage, report: Report): LbPolicy {
  if (message.loadBalancingPolicy) return fromExtensions(message.loadBalancingPolicy, report);
  const config = message.lbConfig;
  switch (message.lbPolicy) {
    case 0:
      if (config?.$case === 'roundRobinLbConfig') warnSlowStart(config.value.slowStartConfig, 'round_robin_lb_config', report);
      return roundRobin;
    case 1:
      return leastRequest(config?.$case === 'leastRequestLbConfig' ? config.value : {}, 'least_request_lb_config', report);
    case 3:
      return { kind: 'random' };
    case 6:
      return { kind: 'cluster_provided' };
    case 7:
      report.refuse('load_balancing_policy', 'is required by lb_policy LOAD_BALANCING_POLICY_CONFIG');
      return roundRobin;
    default:
      report.refuse('lb_policy', 'consistent hashing (RING_HASH, MAGLEV) is not supported: use ROUND_ROBIN, RANDOM or LEAST_REQUEST');
      return roundRobin;
  }
}

/** The first policy we know wins, as in Envoy. */
function fromExtensions(message: LoadBalancingPolicy, report: Report): LbPolicy {
  for (const [i, { typedExtensionConfig }] of message.policies.entries()) {
    const any = typedExtensionConfig?.typedConfig;
    const path = `load_balancing_policy.policies[${i}].typed_extension_config.typed_config`;
    switch (any?.typeUrl) {
      case `${prefix}.round_robin.v3.RoundRobin`: {
        const config = decodeAt(RoundRobin, any.value, path, report);
        warnSlowStart(config?.slowStartConfig, path, report);
        return roundRobin;
      }
      case `${prefix}.random.v3.Random`:
        return { kind: 'random' };
      case `${prefix}.least_request.v3.LeastRequest`: {
        const config = decodeAt(LeastRequest, any.value, path, report);
        if (config?.enableFullScan === true) report.warn(`${path}.enable_full_scan`, 'hosts are compared by choice count');
        return leastRequest(config ?? {}, path, report);
      }
      case `${prefix}.cluster_provided.v3.ClusterProvided`:
        return { kind: 'cluster_provided' };
      default:
        report.warn(path, `${any?.typeUrl ?? 'an empty policy'} is not known, the next one is tried`);
    }
  }
  report.refuse('load_balancing_policy.policies', 'none of the policies is known: use round robin, random or least request');
  return roundRobin;
}

function leastRequest(config: LeastRequestSettings, path: string, report: Report): LbPolicy {
  const choiceCount = config.choiceCount ?? 2;
  if (choiceCount < 2) report.refuse(`${path}.choice_count`, 'must be at least 2');
  warnSlowStart(config.slowStartConfig, path, report);
  return { kind: 'least_request', choiceCount, activeRequestBias: config.activeRequestBias?.defaultValue ?? 1 };
}

function warnSlowStart(config: Cluster_SlowStartConfig | undefined, path: string, report: Report): void {
  if (durationMs(config?.slowStartWindow, 0) > 0) report.warn(`${path}.slow_start_config`, 'new hosts get their full share at once');
}

/** Compiles lb_subset_config; null when there are no selectors. */
export function compileSubsets(config: Cluster_LbSubsetConfig | undefined, report: Report): SubsetConfig | null {
  if (!config || config.subsetSelectors.length === 0) return null;
  checkFields(config, subsetFields, 'lb_subset_config', report);
  const fallback = fallbacks[config.fallbackPolicy as 0 | 1 | 2];
  if (fallback === undefined) report.refuse('lb_subset_config.fallback_policy', `${config.fallbackPolicy} is not known`);
  return {
    fallback: fallback ?? 'none', defaultSubset: { ...config.defaultSubset }, listAsAny: config.listAsAny,
    selectors: config.subsetSelectors.map((selector, i) => {
      const path = `lb_subset_config.subset_selectors[${i}]`;
      checkFields(selector, subsetSelectorFields, path, report);
      const own = selectorFallbacks[selector.fallbackPolicy as 0 | 1 | 2 | 3 | 4];
      if (own === undefined) report.refuse(`${path}.fallback_policy`, `${selector.fallbackPolicy} is not known`);
      if (selector.keys.length === 0) report.refuse(`${path}.keys`, 'a selector needs keys');
      return { keys: selector.keys.toSorted(), fallback: own ?? 'none', fallbackKeys: selector.fallbackKeysSubset.toSorted() };
    }),
  };
}
