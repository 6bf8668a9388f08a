import { criteriaOf, type MetadataCriteria } from '@meltemi/route';
import type { SubsetConfig, SubsetSelector } from '@meltemi/snapshot';
import type { Host } from './host.ts';
import { filterHostSet, type HostSet } from './host-set.ts';
import type { PickContext, Picker } from './picker.ts';
import { SetPicker, type BalanceConfig } from './set-picker.ts';

/** Subsets remembered per picker; routes name few, so a full cache means that criteria come from outside. */
const maxCached = 1024;

/** Picks among the hosts whose `envoy.lb` metadata has what the route asks for; falls back as the cluster says. */
export class SubsetPicker implements Picker {
  readonly #config: BalanceConfig;
  readonly #subsets: SubsetConfig;
  readonly #set: HostSet;
  readonly #cache = new Map<string, Picker | null>();
  readonly #fallback: Picker | null;

  constructor(config: BalanceConfig, subsets: SubsetConfig, set: HostSet) {
    this.#config = config;
    this.#subsets = subsets;
    this.#set = set;
    this.#fallback = this.#fallbackPicker(subsets.fallback);
  }

  pick(context: PickContext): Host | null {
    const criteria = context.metadataMatch;
    const picker = criteria === null ? this.#fallback : this.#find(criteria);
    return picker === null ? null : picker.pick(context);
  }

  #find(criteria: MetadataCriteria): Picker | null {
    const cached = this.#cache.get(criteria.key);
    if (cached !== undefined) return cached;
    const found = this.#resolve(criteria);
    if (this.#cache.size < maxCached) this.#cache.set(criteria.key, found);
    return found;
  }

  #resolve(criteria: MetadataCriteria): Picker | null {
    const selector = this.#subsets.selectors.find((candidate) => sameKeys(candidate, criteria));
    if (!selector) return this.#fallback;
    return this.#subsetOf(criteria) ?? this.#selectorFallback(selector, criteria);
  }

  #subsetOf(criteria: MetadataCriteria): Picker | null {
    const set = filterHostSet(this.#set, (host) => hasAll(host, criteria, this.#subsets.listAsAny));
    return set.all.length === 0 ? null : new SetPicker(this.#config, set);
  }

  #selectorFallback(selector: SubsetSelector, criteria: MetadataCriteria): Picker | null {
    if (selector.fallback === 'not-defined') return this.#fallback;
    if (selector.fallback !== 'keys') return this.#fallbackPicker(selector.fallback);
    const fewer = criteriaOf(criteria.entries.filter(([key]) => selector.fallbackKeys.includes(key)));
    return fewer === null || fewer.entries.length >= criteria.entries.length ? null : this.#resolve(fewer);
  }

  #fallbackPicker(kind: SubsetConfig['fallback']): Picker | null {
    if (kind === 'any') return new SetPicker(this.#config, this.#set);
    if (kind === 'none') return null;
    const criteria = criteriaOf(Object.entries(this.#subsets.defaultSubset));
    return criteria === null ? new SetPicker(this.#config, this.#set) : this.#subsetOf(criteria);
  }
}

function sameKeys(selector: SubsetSelector, criteria: MetadataCriteria): boolean {
  return selector.keys.length === criteria.entries.length && selector.keys.every((key, i) => criteria.entries[i]?.[0] === key);
}

function hasAll(host: Host, criteria: MetadataCriteria, listAsAny: boolean): boolean {
  return criteria.entries.every(([key, wanted]) => {
    const value = host.lbMetadata !== null && Object.hasOwn(host.lbMetadata, key) ? host.lbMetadata[key] : undefined;
    if (listAsAny && Array.isArray(value)) return value.some((item) => equal(item, wanted));
    return value !== undefined && equal(value, wanted);
  });
}

function equal(a: unknown, b: unknown): boolean {
  return a === b || (typeof a === 'object' && JSON.stringify(a) === JSON.stringify(b));
}
