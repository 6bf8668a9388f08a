import { hash64, hashModulo, mathRandom } from '@meltemi/base';
import type { Cluster } from '@meltemi/snapshot';
import type { Host } from './host.ts';
import { hashEntries, localityEntries } from './hash-entries.ts';
import { HashPicker } from './hash-picker.ts';
import { hostPicker, type HostPicker } from './host-pickers.ts';
import type { HostSet, LocalityHosts, PriorityHosts } from './host-set.ts';
import type { BalanceParts, Draw, PickContext, Picker } from './picker.ts';
import { loadWithout, priorityLoad, type PriorityLoad } from './priority-load.ts';
import { zonePicker, type LocalZone } from './zone-picker.ts';

/** What of a cluster decides about picking. */
export type BalanceConfig = Pick<Cluster, 'lbPolicy' | 'subsets' | 'healthyPanicThreshold' | 'failTrafficOnPanic' | 'localityWeighted' | 'zoneAware'>;

/** Pickers by the list of hosts they are over. */
export type KnownPickers = WeakMap<readonly Host[], HostPicker>;

/** What the pickers of one cluster share. */
export interface Balancing {
  readonly config: BalanceConfig;
  readonly parts: BalanceParts;
  readonly known: KnownPickers;
  /** Null where no zone is nearer than others. */
  readonly local: LocalZone | null;
}

/** One share of the traffic: `upTo` percent (running sum) go to its picker. */
interface Share {
  readonly upTo: number;
  readonly picker: HostPicker;
  readonly panic: boolean;
}

/** Picks over all hosts of a set: first the priority, then the locality when localities have weights, then the host. @hot */
export class SetPicker implements Picker {
  readonly #shares: readonly Share[];
  readonly #shared: Balancing;
  readonly #set: HostSet;
  /** Shares of retries that leave priorities out, by these. */
  readonly #without = new Map<string, readonly Share[] | null>();
  readonly #parts: BalanceParts;
  readonly #hashes: boolean;
  readonly #draw: Draw = { random: mathRandom, hash: hash64(), attempt: 0 };

  constructor(shared: Balancing, set: HostSet) {
    this.#shares = buildShares(shared, set, priorityLoad(set, shared.config.healthyPanicThreshold));
    this.#shared = shared;
    this.#set = set;
    this.#parts = shared.parts;
    this.#hashes = hashes(shared.config);
  }

  pick(context: PickContext): Host | null {
    const draw = this.#draw;
    draw.random = context.random;
    draw.attempt = 0;
    if (this.#hashes && !context.hash(draw.hash)) {
      draw.hash.hi = (context.random.next() * 0x1_0000_0000) >>> 0;
      draw.hash.lo = (context.random.next() * 0x1_0000_0000) >>> 0;
    }
    const previous = context.previousHosts;
    const shares = context.triedPriorities === null ? this.#shares : this.#sharesWithout(context.triedPriorities);
    let host = this.#once(shares, draw);
    if (previous === null || previous.length === 0) return host;
    while (host !== null && draw.attempt < context.maxAttempts && includesKey(previous, host)) {
      draw.attempt++;
      host = this.#once(shares, draw);
    }
    return host;
  }

  /** As in Envoy all may be tried again once no other is left. */
  #sharesWithout(tried: number[]): readonly Share[] {
    const left = [...new Set(tried)].sort((a, b) => a - b);
    const key = left.join();
    let shares = this.#without.get(key);
    if (shares === undefined) {
      const load = loadWithout(this.#set, left);
      shares = load === null ? null : buildShares(this.#shared, this.#set, load);
      this.#without.set(key, shares);
    }
    if (shares === null) tried.length = 0;
    return shares ?? this.#shares;
  }

  #once(shares: readonly Share[], draw: Draw): Host | null {
    const share = this.#share(shares, draw);
    if (share === null) return null;
    if (share.panic) this.#parts.count('lb_healthy_panic');
    return share.picker.next(draw);
  }

  /** A hash decides about the priority too: the same hash leads to the same host. */
  #share(shares: readonly Share[], draw: Draw): Share | null {
    if (shares.length > 1) {
      const at = this.#hashes ? hashModulo(draw.hash, 100) : draw.random.next() * 100;
      for (let i = 0; i < shares.length; i++) {
        const share = shares[i];
        if (share !== undefined && at < share.upTo) return share;
      }
    }
    return shares[shares.length - 1] ?? null;
  }
}

function hashes({ lbPolicy }: BalanceConfig): boolean {
  return lbPolicy.kind === 'ring_hash' || lbPolicy.kind === 'maglev';
}

function includesKey(hosts: readonly Host[], host: Host): boolean {
  for (let i = 0; i < hosts.length; i++) if (hosts[i]?.key === host.key) return true;
  return false;
}

const nobody: HostPicker = { next: () => null };

function buildShares(shared: Balancing, set: HostSet, load: PriorityLoad): Share[] {
  const shares: Share[] = [];
  let sum = 0;
  for (const list of ['healthy', 'degraded'] as const) {
    for (const [i, percent] of load[list].entries()) {
      const priority = set.priorities[i];
      if (percent <= 0 || !priority) continue;
      sum += percent;
      const panic = load.panic[i] === true && priority.all.length > 0;
      const picker = panic && shared.config.failTrafficOnPanic ? nobody : sourcePicker(shared, priority, panic ? 'all' : list, set.overprovisioningFactor);
      const nearest = i === 0 && list === 'healthy' && !panic ? nearestFirst(shared, priority, picker) : picker;
      shares.push({ upTo: sum, picker: nearest, panic });
    }
  }
  return shares;
}

/** Zone aware routing, of which the policies that hash know nothing. */
function nearestFirst(shared: Balancing, priority: PriorityHosts, everywhere: HostPicker): HostPicker {
  const { config, parts, local } = shared;
  const { zoneAware, healthyPanicThreshold: panicThreshold, failTrafficOnPanic } = config;
  if (local === null || zoneAware === null || hashes(config)) return everywhere;
  return zonePicker({ parts, local, zoneAware, panicThreshold, failTrafficOnPanic, everywhere, pickerOf: (hosts) => listPicker(shared, hosts) }, priority);
}

type Source = 'all' | 'healthy' | 'degraded';

function sourcePicker(shared: Balancing, priority: PriorityHosts, source: Source, factor: number): HostPicker {
  const { config, parts } = shared;
  const weighted = config.localityWeighted && priority.localities.some((locality) => locality.weight !== null);
  if (!weighted) return listPicker(shared, priority[source]);
  const policy = config.lbPolicy;
  if (policy.kind === 'ring_hash' || policy.kind === 'maglev') return new HashPicker(policy, () => localityEntries(priority.localities, source, policy), parts);
  // As in Envoy weights of localities say nothing in panic, nor when only localities without one have hosts.
  if (source === 'all') return listPicker(shared, priority.all);
  let sum = 0;
  const localities = priority.localities.flatMap((locality): LocalityShare[] => {
    const weight = effectiveWeight(locality, source, factor);
    if (weight <= 0) return [];
    sum += weight;
    return [{ upTo: sum, picker: listPicker(shared, locality[source]) }];
  });
  return sum === 0 ? listPicker(shared, priority[source]) : new LocalityPicker(localities, sum);
}

/** The picker over a list; the one there is when the list has not changed. */
function listPicker({ config, parts, known }: Balancing, hosts: readonly Host[]): HostPicker {
  const found = known.get(hosts);
  if (found !== undefined) return found;
  const policy = config.lbPolicy;
  const picker = policy.kind === 'ring_hash' || policy.kind === 'maglev' ? new HashPicker(policy, () => hashEntries(hosts, 1, policy), parts) : hostPicker(policy, hosts, parts);
  known.set(hosts, picker);
  return picker;
}

/** A locality without weight gets no traffic beside those with one; one with few available hosts gets less. */
function effectiveWeight(locality: LocalityHosts, source: 'healthy' | 'degraded', factor: number): number {
  const available = locality[source].length;
  return available === 0 || locality.weight === null ? 0 : locality.weight * Math.min(1, (available / (locality.all.length - locality.excluded)) * (factor / 100));
}

interface LocalityShare {
  readonly upTo: number;
  readonly picker: HostPicker;
}

class LocalityPicker implements HostPicker {
  readonly #localities: readonly LocalityShare[];
  readonly #total: number;

  constructor(localities: readonly LocalityShare[], total: number) {
    this.#localities = localities;
    this.#total = total;
  }

  next(draw: Draw): Host | null {
    const at = draw.random.next() * this.#total;
    const localities = this.#localities;
    for (let i = 0; i < localities.length; i++) {
      const locality = localities[i];
      if (locality !== undefined && at < locality.upTo) return locality.picker.next(draw);
    }
    return null;
  }
}
