import type { Random } from '@meltemi/base';
import type { Cluster } from '@meltemi/snapshot';
import type { Host } from './host.ts';
import { hostPicker, type HostPicker } from './host-pickers.ts';
import type { HostSet, LocalityHosts, PriorityHosts } from './host-set.ts';
import type { PickContext, Picker } from './picker.ts';
import { priorityLoad } from './priority-load.ts';

/** What of a cluster decides about picking. */
export type BalanceConfig = Pick<Cluster, 'lbPolicy' | 'subsets' | 'healthyPanicThreshold' | 'localityWeighted'>;

/** One share of the traffic: `upTo` percent (running sum) go to its picker. */
interface Share {
  readonly upTo: number;
  readonly picker: HostPicker;
}

/** Picks over all hosts of a set: first the priority, then the locality when localities have weights, then the host. @hot */
export class SetPicker implements Picker {
  readonly #shares: readonly Share[];

  constructor(config: BalanceConfig, set: HostSet) {
    this.#shares = buildShares(config, set);
  }

  pick(context: PickContext): Host | null {
    const previous = context.previousHosts;
    let host = this.#once(context.random);
    if (previous === null || previous.length === 0) return host;
    for (let i = 1; i < context.maxAttempts && host !== null && includesKey(previous, host); i++) host = this.#once(context.random);
    return host;
  }

  #once(random: Random): Host | null {
    const shares = this.#shares;
    const draw = shares.length > 1 ? random.next() * 100 : 0;
    for (let i = 0; i < shares.length; i++) {
      const share = shares[i];
      if (share !== undefined && draw < share.upTo) return share.picker.next(random);
    }
    return shares.at(-1)?.picker.next(random) ?? null;
  }
}

function includesKey(hosts: readonly Host[], host: Host): boolean {
  for (let i = 0; i < hosts.length; i++) if (hosts[i]?.key === host.key) return true;
  return false;
}

function buildShares(config: BalanceConfig, set: HostSet): Share[] {
  const load = priorityLoad(set, config.healthyPanicThreshold);
  const shares: Share[] = [];
  let sum = 0;
  for (const list of ['healthy', 'degraded'] as const) {
    for (const [i, percent] of load[list].entries()) {
      const priority = set.priorities[i];
      if (percent <= 0 || !priority) continue;
      sum += percent;
      const source = load.panic[i] === true ? 'all' : list;
      shares.push({ upTo: sum, picker: sourcePicker(config, priority, source, set.overprovisioningFactor) });
    }
  }
  return shares;
}

type Source = 'all' | 'healthy' | 'degraded';

function sourcePicker(config: BalanceConfig, priority: PriorityHosts, source: Source, factor: number): HostPicker {
  const weighted = config.localityWeighted && priority.localities.some((locality) => locality.weight !== null);
  if (!weighted) return hostPicker(config.lbPolicy, priority[source]);
  let sum = 0;
  const localities = priority.localities.flatMap((locality): Share[] => {
    const weight = effectiveWeight(locality, source, factor);
    if (weight <= 0) return [];
    sum += weight;
    return [{ upTo: sum, picker: hostPicker(config.lbPolicy, locality[source]) }];
  });
  return new LocalityPicker(localities, sum);
}

/** A locality without weight gets no traffic; one with few available hosts gets less. */
function effectiveWeight(locality: LocalityHosts, source: Source, factor: number): number {
  const available = locality[source].length;
  if (available === 0 || locality.weight === null) return 0;
  return source === 'all' ? locality.weight : locality.weight * Math.min(1, (available / locality.all.length) * (factor / 100));
}

class LocalityPicker implements HostPicker {
  readonly #localities: readonly Share[];
  readonly #total: number;

  constructor(localities: readonly Share[], total: number) {
    this.#localities = localities;
    this.#total = total;
  }

  next(random: Random): Host | null {
    const draw = random.next() * this.#total;
    for (const locality of this.#localities) if (draw < locality.upTo) return locality.picker.next(random);
    return null;
  }
}
