import { criteriaOf, type MetadataCriteria } from '@meltemi/route';
import type { SubsetConfig, SubsetSelector } from '@meltemi/snapshot';
import type { Host } from './host.ts';
import { filterHostSet, type HostSet } from './host-set.ts';
import type { BalanceParts, LbStat, PickContext, Picker } from './picker.ts';
import { SetPicker, type Balancing } from './set-picker.ts';

/** Subsets remembered per picker; routes name few, so a full cache means that criteria come from outside. */
const maxCached = 1024;
/** The key of criteria that lists what to try one after another (metadata_fallback_policy FALLBACK_LIST). */
const fallbackListKey = 'fallback_list';

/** Picks among the hosts whose `envoy.lb` metadata has what the route asks for; falls back as the cluster says. */
export class SubsetPicker implements Picker {
  readonly #shared: Balancing;
  readonly #subsets: SubsetConfig;
  readonly #set: HostSet;
  readonly #cache = new Map<string, Picker>();
  /** Over all hosts. */
  readonly #any: Picker;
  readonly #default: Picker;
  readonly #fallback: Picker;

  constructor(shared: Balancing, subsets: SubsetConfig, set: HostSet) {
    // Deviation: zones are not looked at within subsets, which Envoy compares with the same subsets of the local cluster.
    this.#shared = { ...shared, local: null, config: { ...shared.config, localityWeighted: shared.config.localityWeighted && subsets.localityWeightAware } };
    this.#subsets = subsets;
    this.#set = set;
    this.#any = new SetPicker(this.#shared, set);
    this.#default = this.#defaultSubset();
    const fallback = subsets.fallback === 'any' ? this.#any : subsets.fallback === 'default' ? this.#default : null;
    this.#fallback = fallback === null ? nobody : new FallbackPicker(fallback, subsets.panicModeAny ? this.#any : null, shared.parts);
  }

  pick(context: PickContext): Host | null {
    const criteria = context.metadataMatch;
    return (criteria === null ? this.#fallback : this.#find(criteria)).pick(context);
  }

  #find(criteria: MetadataCriteria): Picker {
    const cached = this.#cache.get(criteria.key);
    if (cached !== undefined) return cached;
    const found = this.#subsets.metadataFallbackList ? this.#withFallbackList(criteria) : this.#resolve(criteria);
    if (this.#cache.size < maxCached) this.#cache.set(criteria.key, found);
    return found;
  }

  #withFallbackList(criteria: MetadataCriteria): Picker {
    const list = criteria.entries.find(([key]) => key === fallbackListKey)?.[1];
    if (!Array.isArray(list)) return this.#resolve(criteria);
    const rest = criteria.entries.filter(([key]) => key !== fallbackListKey);
    if (list.length === 0) return this.#resolveAll(rest);
    return new FirstOf(list.map((more: unknown) => this.#resolveAll([...new Map([...rest, ...Object.entries((more ?? {}) as Record<string, unknown>)])])));
  }

  #resolveAll(entries: MetadataCriteria['entries']): Picker {
    const criteria = criteriaOf(entries);
    return criteria === null ? this.#fallback : this.#resolve(criteria);
  }

  #resolve(criteria: MetadataCriteria): Picker {
    const selector = this.#subsets.selectors.find((candidate) => sameKeys(candidate, criteria));
    if (!selector) return this.#fallback;
    return this.#subsetOf(criteria, selector.singleHost) ?? this.#selectorFallback(selector, criteria);
  }

  /** Null when no host belongs to it. */
  #subsetOf(criteria: MetadataCriteria, singleHost: boolean): Picker | null {
    const set = filterHostSet(this.#set, (host) => hasAll(host, criteria, this.#subsets.listAsAny));
    const [first] = set.all;
    if (first === undefined) return null;
    const picker = singleHost ? { pick: () => first } : new SetPicker(this.#shared, this.#subsets.scaleLocalityWeight ? scaled(set, this.#set) : set);
    return new CountedPicker(picker, 'lb_subsets_selected', this.#shared.parts);
  }

  #selectorFallback(selector: SubsetSelector, criteria: MetadataCriteria): Picker {
    switch (selector.fallback) {
      case 'not-defined':
        return this.#fallback;
      case 'none':
        return nobody;
      case 'any':
        return this.#any;
      case 'default':
        return this.#default;
      case 'keys':
        return this.#resolveAll(criteria.entries.filter(([key]) => selector.fallbackKeys.includes(key)));
    }
  }

  #defaultSubset(): Picker {
    const criteria = criteriaOf(Object.entries(this.#subsets.defaultSubset));
    return criteria === null ? this.#any : (this.#subsetOf(criteria, false) ?? nobody);
  }
}

const nobody: Picker = { pick: () => null };

/** The fallback subset, and any host when that has none and the cluster allows it. */
class FallbackPicker implements Picker {
  readonly #fallback: Picker;
  readonly #panic: Picker | null;
  readonly #parts: BalanceParts;

  constructor(fallback: Picker, panic: Picker | null, parts: BalanceParts) {
    this.#fallback = fallback;
    this.#panic = panic;
    this.#parts = parts;
  }

  pick(context: PickContext): Host | null {
    const host = this.#fallback.pick(context);
    if (host !== null) this.#parts.count('lb_subsets_fallback');
    if (host !== null || this.#panic === null) return host;
    this.#parts.count('lb_subsets_fallback_panic');
    return this.#panic.pick(context);
  }
}

class CountedPicker implements Picker {
  readonly #picker: Picker;
  readonly #stat: LbStat;
  readonly #parts: BalanceParts;

  constructor(picker: Picker, stat: LbStat, parts: BalanceParts) {
    this.#picker = picker;
    this.#stat = stat;
    this.#parts = parts;
  }

  pick(context: PickContext): Host | null {
    this.#parts.count(this.#stat);
    return this.#picker.pick(context);
  }
}

class FirstOf implements Picker {
  readonly #pickers: readonly Picker[];

  constructor(pickers: readonly Picker[]) {
    this.#pickers = pickers;
  }

  pick(context: PickContext): Host | null {
    for (const picker of this.#pickers) {
      const host = picker.pick(context);
      if (host !== null) return host;
    }
    return null;
  }
}

/** Localities of a subset weigh by the part of their hosts that belongs to it, at least 1. */
function scaled(subset: HostSet, whole: HostSet): HostSet {
  return {
    ...subset,
    priorities: subset.priorities.map((priority, i) => ({
      ...priority,
      localities: priority.localities.map((locality, j) => {
        const all = whole.priorities[i]?.localities[j]?.all.length ?? 0;
        return locality.weight === null || all === 0 ? locality : { ...locality, weight: Math.max(1, Math.round((locality.weight * locality.all.length) / all)) };
      }),
    })),
  };
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
