import type {
  Cluster as ClusterMessage, Cluster_CommonLbConfig_ConsistentHashingLbConfig as HashingMessage, Cluster_CommonLbConfig_ZoneAwareLbConfig as ZoneAware, Cluster_SlowStartConfig, LoadBalancingPolicy,
} from '@meltemi/api/gen/envoy/config/cluster/v3/cluster.ts';
import { LeastRequest } from '@meltemi/api/gen/envoy/extensions/load_balancing_policies/least_request/v3/least_request.ts';
import { Maglev } from '@meltemi/api/gen/envoy/extensions/load_balancing_policies/maglev/v3/maglev.ts';
import { RingHash } from '@meltemi/api/gen/envoy/extensions/load_balancing_policies/ring_hash/v3/ring_hash.ts';
import { RoundRobin } from '@meltemi/api/gen/envoy/extensions/load_balancing_policies/round_robin/v3/round_robin.ts';
import { Subset } from '@meltemi/api/gen/envoy/extensions/load_balancing_policies/subset/v3/subset.ts';
import { WrrLocality } from '@meltemi/api/gen/envoy/extensions/load_balancing_policies/wrr_locality/v3/wrr_locality.ts';
import { checkFields, durationMs, type Report } from '@meltemi/route';
import { commonLbFields, subsetExtensionFields, subsetFields, zoneAwareFields } from './cluster-tables.ts';
import type { Cluster, ConsistentHashing, LbPolicy, SlowStart } from './cluster-types.ts';
import { decodeAt } from './context.ts';
import { compileSubsets } from './subsets.ts';

/** How a cluster chooses: everything of it but the panic threshold, which is common to all policies. */
export type Balancing = Pick<Cluster, 'lbPolicy' | 'subsets' | 'localityWeighted' | 'zoneAware' | 'failTrafficOnPanic'>;

const prefix = 'type.googleapis.com/envoy.extensions.load_balancing_policies';
const roundRobin: LbPolicy = { kind: 'round_robin', slowStart: null };
const noHashing: ConsistentHashing = { useHostname: false, balanceFactor: 0 };
/** Envoy's defaults. */
const zoneDefaults = { routingPercent: 100, minClusterSize: 6 };
const plain: Balancing = { lbPolicy: roundRobin, subsets: null, localityWeighted: false, zoneAware: zoneDefaults, failTrafficOnPanic: false };
const maxRingSize = 8_388_608;
const maxTableSize = 5_000_011;

/** The policy of load_balancing_policy, else of lb_policy with what belongs to it. */
export function compileBalancing(message: ClusterMessage, report: Report): Balancing {
  const common = message.commonLbConfig;
  if (common) checkFields(common, commonLbFields, 'common_lb_config', report);
  if (message.loadBalancingPolicy) {
    if (message.lbSubsetConfig) report.refuse('lb_subset_config', 'does not go with load_balancing_policy: use the subset policy extension');
    if (common?.localityConfigSpecifier || common?.consistentHashingLbConfig) report.refuse('common_lb_config', 'locality and hashing settings do not go with load_balancing_policy: put them into the policy');
    return fromExtensions(message.loadBalancingPolicy, 'load_balancing_policy', report);
  }
  if (message.lbSubsetConfig) checkFields(message.lbSubsetConfig, subsetFields, 'lb_subset_config', report);
  const locality = common?.localityConfigSpecifier;
  return {
    lbPolicy: fromEnum(message, report),
    subsets: compileSubsets(message.lbSubsetConfig, 'lb_subset_config', report),
    ...byLocality(locality, 'common_lb_config', report),
  };
}

function fromEnum(message: ClusterMessage, report: Report): LbPolicy {
  const config = message.lbConfig;
  const hashing = compileHashing(message.commonLbConfig?.consistentHashingLbConfig, 'common_lb_config.consistent_hashing_lb_config', report);
  switch (message.lbPolicy) {
    case 0:
      return { kind: 'round_robin', slowStart: compileSlowStart(config?.$case === 'roundRobinLbConfig' ? config.value.slowStartConfig : undefined, 'round_robin_lb_config', report) };
    case 1:
      return leastRequest(config?.$case === 'leastRequestLbConfig' ? config.value : {}, 'least_request_lb_config', report);
    case 2: {
      const ring = config?.$case === 'ringHashLbConfig' ? config.value : undefined;
      return ringHash({ min: ring?.minimumRingSize, max: ring?.maximumRingSize, murmur: ring?.hashFunction === 1, hashing }, 'ring_hash_lb_config', report);
    }
    case 3:
      return { kind: 'random' };
    case 5:
      return maglev(config?.$case === 'maglevLbConfig' ? config.value.tableSize : undefined, hashing, 'maglev_lb_config', report);
    case 6:
      return { kind: 'cluster_provided' };
    case 7:
      report.refuse('load_balancing_policy', 'is required by lb_policy LOAD_BALANCING_POLICY_CONFIG');
      return roundRobin;
    default:
      report.refuse('lb_policy', `${message.lbPolicy} is not known`);
      return roundRobin;
  }
}

/** The first policy we know wins, as in Envoy. */
function fromExtensions(message: LoadBalancingPolicy, at: string, report: Report): Balancing {
  for (const [i, { typedExtensionConfig }] of message.policies.entries()) {
    const any = typedExtensionConfig?.typedConfig;
    const path = `${at}.policies[${i}].typed_extension_config.typed_config`;
    const compile = any?.typeUrl.startsWith(`${prefix}.`) === true ? extensions[any.typeUrl.slice(prefix.length + 1)] : undefined;
    if (any !== undefined && compile !== undefined) return compile(any.value, path, report) ?? plain;
    report.warn(path, `${any?.typeUrl ?? 'an empty policy'} is not known, the next one is tried`);
  }
  report.refuse(`${at}.policies`, `none of the policies is known: use one of ${Object.keys(extensions).join(', ')}`);
  return plain;
}

type CompileExtension = (bytes: Uint8Array, path: string, report: Report) => Balancing | null;

/** Null: the bytes are broken, which is reported. */
const extensions: Readonly<Record<string, CompileExtension | undefined>> = {
  'round_robin.v3.RoundRobin': (bytes, path, report) => {
    const config = decodeAt(RoundRobin, bytes, path, report);
    return config && { ...plain, ...locality(config.localityLbConfig, path, report), lbPolicy: { kind: 'round_robin', slowStart: compileSlowStart(config.slowStartConfig, path, report) } };
  },
  'random.v3.Random': () => ({ ...plain, lbPolicy: { kind: 'random' } }),
  'least_request.v3.LeastRequest': (bytes, path, report) => {
    const config = decodeAt(LeastRequest, bytes, path, report);
    return config && { ...plain, ...locality(config.localityLbConfig, path, report), lbPolicy: leastRequest({ ...config, fullScan: config.selectionMethod === 1 || config.enableFullScan === true }, path, report) };
  },
  'ring_hash.v3.RingHash': (bytes, path, report) => {
    const config = decodeAt(RingHash, bytes, path, report);
    if (config === null) return null;
    const hashing = config.consistentHashingLbConfig ?? { useHostnameForHashing: config.useHostnameForHashing, hashBalanceFactor: config.hashBalanceFactor };
    const lbPolicy = ringHash({ min: config.minimumRingSize, max: config.maximumRingSize, murmur: config.hashFunction === 2, hashing: compileHashing(hashing, path, report) }, path, report);
    return { ...plain, lbPolicy, localityWeighted: config.localityWeightedLbConfig !== undefined, zoneAware: null };
  },
  'maglev.v3.Maglev': (bytes, path, report) => {
    const config = decodeAt(Maglev, bytes, path, report);
    return config && { ...plain, lbPolicy: maglev(config.tableSize, compileHashing(config.consistentHashingLbConfig, path, report), path, report), localityWeighted: config.localityWeightedLbConfig !== undefined, zoneAware: null };
  },
  'subset.v3.Subset': (bytes, path, report) => {
    const config = decodeAt(Subset, bytes, path, report);
    if (config === null) return null;
    checkFields(config, subsetExtensionFields, path, report);
    return { ...nested(config.subsetLbPolicy, `${path}.subset_lb_policy`, report), subsets: compileSubsets(config, path, report) };
  },
  'wrr_locality.v3.WrrLocality': (bytes, path, report) => {
    const config = decodeAt(WrrLocality, bytes, path, report);
    return config && { ...nested(config.endpointPickingPolicy, `${path}.endpoint_picking_policy`, report), localityWeighted: true, zoneAware: null };
  },
  'cluster_provided.v3.ClusterProvided': () => ({ ...plain, lbPolicy: { kind: 'cluster_provided' } }),
};

function nested(message: LoadBalancingPolicy | undefined, path: string, report: Report): Balancing {
  if (message) return fromExtensions(message, path, report);
  report.refuse(path, 'is required');
  return plain;
}

interface LocalityMessage {
  readonly localityConfigSpecifier?: { readonly $case: 'zoneAwareLbConfig'; readonly value: ZoneAware } | { readonly $case: 'localityWeightedLbConfig'; readonly value: object } | undefined;
}

function locality(message: LocalityMessage | undefined, path: string, report: Report): LocalityBalancing {
  return byLocality(message?.localityConfigSpecifier, `${path}.locality_lb_config`, report);
}

type LocalityBalancing = Pick<Balancing, 'localityWeighted' | 'zoneAware' | 'failTrafficOnPanic'>;

function byLocality(specifier: LocalityMessage['localityConfigSpecifier'], path: string, report: Report): LocalityBalancing {
  if (specifier?.$case === 'localityWeightedLbConfig') return { localityWeighted: true, zoneAware: null, failTrafficOnPanic: false };
  if (specifier === undefined) return { localityWeighted: false, zoneAware: zoneDefaults, failTrafficOnPanic: false };
  const { routingEnabled, minClusterSize, failTrafficOnPanic } = specifier.value;
  checkFields(specifier.value, zoneAwareFields, `${path}.zone_aware_lb_config`, report);
  const zoneAware = { routingPercent: routingEnabled?.value ?? zoneDefaults.routingPercent, minClusterSize: Number(minClusterSize ?? zoneDefaults.minClusterSize) };
  return { localityWeighted: false, zoneAware, failTrafficOnPanic };
}

interface LeastRequestSettings {
  readonly choiceCount?: number | undefined;
  readonly activeRequestBias?: { readonly defaultValue: number } | undefined;
  readonly slowStartConfig?: Cluster_SlowStartConfig | undefined;
  readonly fullScan?: boolean;
}

function leastRequest(config: LeastRequestSettings, path: string, report: Report): LbPolicy {
  const choiceCount = config.choiceCount ?? 2;
  const activeRequestBias = config.activeRequestBias?.defaultValue ?? 1;
  if (choiceCount < 2) report.refuse(`${path}.choice_count`, 'must be at least 2');
  if (!(activeRequestBias >= 0)) report.refuse(`${path}.active_request_bias`, 'must be at least 0');
  return { kind: 'least_request', choiceCount, activeRequestBias, fullScan: config.fullScan ?? false, slowStart: compileSlowStart(config.slowStartConfig, path, report) };
}

interface RingSettings {
  readonly min: bigint | undefined;
  readonly max: bigint | undefined;
  readonly murmur: boolean;
  readonly hashing: ConsistentHashing;
}

function ringHash({ min, max, murmur, hashing }: RingSettings, path: string, report: Report): LbPolicy {
  const minRingSize = Number(min ?? 1024);
  const most = Number(max ?? maxRingSize);
  if (minRingSize > maxRingSize) report.refuse(`${path}.minimum_ring_size`, `must be at most ${maxRingSize}`);
  if (most > maxRingSize) report.refuse(`${path}.maximum_ring_size`, `must be at most ${maxRingSize}`);
  if (minRingSize > most) report.refuse(`${path}.minimum_ring_size`, `${minRingSize} is more than maximum_ring_size, ${most}`);
  return { kind: 'ring_hash', minRingSize, maxRingSize: most, hashFunction: murmur ? 'murmur2' : 'xx', ...hashing };
}

function maglev(size: bigint | undefined, hashing: ConsistentHashing, path: string, report: Report): LbPolicy {
  const tableSize = Number(size ?? 65_537);
  if (tableSize > maxTableSize) report.refuse(`${path}.table_size`, `must be at most ${maxTableSize}`);
  else if (!isPrime(tableSize)) report.refuse(`${path}.table_size`, `${tableSize} is not a prime number`);
  return { kind: 'maglev', tableSize, ...hashing };
}

function isPrime(value: number): boolean {
  if (value < 2) return false;
  for (let divisor = 2; divisor * divisor <= value; divisor++) if (value % divisor === 0) return false;
  return true;
}

function compileHashing(config: HashingMessage | undefined, path: string, report: Report): ConsistentHashing {
  if (!config) return noHashing;
  const balanceFactor = config.hashBalanceFactor ?? 0;
  if (balanceFactor > 0 && balanceFactor < 100) report.refuse(`${path}.hash_balance_factor`, 'must be at least 100');
  return { useHostname: config.useHostnameForHashing, balanceFactor };
}

/** Null when new hosts get their full share at once. */
function compileSlowStart(config: Cluster_SlowStartConfig | undefined, path: string, report: Report): SlowStart | null {
  const windowMs = durationMs(config?.slowStartWindow, 0);
  if (windowMs <= 0) return null;
  const aggression = config?.aggression?.defaultValue ?? 1;
  if (!(aggression > 0)) report.refuse(`${path}.slow_start_config.aggression`, 'must be more than 0');
  const percent = config?.minWeightPercent?.value ?? 10;
  if (!(percent >= 0 && percent <= 100)) report.refuse(`${path}.slow_start_config.min_weight_percent`, 'must be 0 to 100');
  return { windowMs, aggression, minWeight: percent / 100 };
}
