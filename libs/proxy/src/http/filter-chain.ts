import type { FilterConfig, HcmConfig, HttpFilter } from '@meltemi/snapshot';
import type { FilterContext, HttpFilterConfig, HttpFilterFactory, HttpStreamFilter } from '../filter.ts';
import { httpFilterFactory } from '../filters/registry.ts';
import type { ActiveStream } from './active-stream.ts';
import { missingConfig, noRouter } from './missing-config.ts';

/** Where the newest config of a filter by ECDS is; the worker replaces `current`. */
export interface FilterConfigHolder {
  current: FilterConfig | null;
}

interface Entry {
  readonly name: string;
  readonly disabled: boolean;
  /** Requests it matches pass the filter by. */
  readonly skip: NonNullable<HttpFilter['skip']> | null;
  filter: HttpFilterConfig;
}

/** An entry whose config comes by itself. */
interface Discovered {
  readonly entry: Entry;
  readonly holder: FilterConfigHolder;
  readonly bind: (config: FilterConfig | null) => HttpFilterConfig;
  /** What `entry.filter` was made of. */
  seen: FilterConfig | null;
}

/** So many replaced filters wait for streams that began with them; a server that sends configs without end must not fill memory. */
const mostReplaced = 16;

/** What the chain needs besides what filters do: where filters are found by the type of their config, and configs of ECDS by name. */
export interface FilterSources {
  readonly httpFilter?: ((typeUrl: string) => HttpFilterFactory | undefined) | undefined;
  readonly filterConfig?: ((name: string) => FilterConfigHolder) | undefined;
}

/** The HTTP filters of one connection manager, bound to what they need. @hot */
export class HttpFilterChain {
  readonly #entries: readonly Entry[];
  readonly #anyDisabled: boolean;
  /** Null when all configs are fixed. */
  readonly #discovered: readonly Discovered[] | null;
  /** Replaced by newer ones; streams that began with them may go on. */
  readonly #replaced: HttpFilterConfig[] = [];
  #events: readonly number[];

  constructor(config: HcmConfig, context: Omit<FilterContext, 'filterName'>, { httpFilter = httpFilterFactory, filterConfig }: FilterSources = {}) {
    const entries: Entry[] = [];
    const discovered: Discovered[] = [];
    for (const filter of config.httpFilters) {
      const { name, disabled, discovery } = filter;
      const bind = (typeUrl: string, filterConfigOf: unknown): HttpFilterConfig => {
        const factory = httpFilter(typeUrl);
        if (factory === undefined) throw new Error(`HTTP filter ${name}: no filter of type ${typeUrl} here; its config should have been refused`);
        return factory.bind(filterConfigOf, { ...context, filterName: name });
      };
      if (discovery === undefined) {
        entries.push({ name, disabled, skip: filter.skip ?? null, filter: bind(filter.typeUrl, filter.config) });
        continue;
      }
      const holder = filterConfig?.(discovery.name) ?? { current: null };
      const one = discoveredEntry(filter, holder, bind);
      entries.push(one.entry);
      discovered.push(one);
    }
    if (entries.length === 0) entries.push({ name: '', disabled: false, skip: null, filter: noRouter });
    this.#entries = entries;
    this.#discovered = discovered.length === 0 ? null : discovered;
    this.#anyDisabled = entries.some((entry) => entry.disabled);
    this.#events = entries.map((entry) => entry.filter.events);
  }

  /** Creates the filters of a stream that have something to do and hands them over. */
  build(stream: ActiveStream, target: { use(filters: readonly HttpStreamFilter[], events: readonly number[]): void }): void {
    if (this.#discovered !== null) this.#refresh(this.#discovered);
    const perFilter = stream.route()?.perFilter;
    const selective = this.#anyDisabled || (perFilter !== undefined && perFilter.size > 0);
    const filters: HttpStreamFilter[] = [];
    let events: number[] | null = null;
    for (let i = 0; i < this.#entries.length; i++) {
      const entry = this.#entries[i];
      if (entry === undefined) continue;
      const off = selective && (perFilter?.get(entry.name)?.disabled ?? entry.disabled);
      const filter = off || (entry.skip !== null && entry.skip.match(stream.info) !== null) ? null : entry.filter.create(stream);
      if (filter === null) {
        // The events of those left, once one is missing.
        events ??= this.#events.slice(0, i);
        continue;
      }
      filters.push(filter);
      events?.push(entry.filter.events);
    }
    target.use(filters, events ?? this.#events);
  }

  /** The chain is gone. */
  release(): void {
    for (const { filter } of this.#entries) filter.release?.();
    for (const filter of this.#replaced) filter.release?.();
  }

  /** Streams from now on get what ECDS sent last; those under way keep what they have. */
  #refresh(discovered: readonly Discovered[]): void {
    for (const each of discovered) {
      const { current } = each.holder;
      if (current === each.seen) continue;
      const { filter } = each.entry;
      each.seen = current;
      each.entry.filter = each.bind(current);
      if (filter.release !== undefined) this.#replaced.push(filter);
      if (this.#replaced.length > mostReplaced) this.#replaced.shift()?.release?.();
      this.#events = this.#entries.map((entry) => entry.filter.events);
    }
  }
}

function discoveredEntry({ name, disabled, typeUrl, config, discovery }: HttpFilter, holder: FilterConfigHolder, bindTo: (typeUrl: string, config: unknown) => HttpFilterConfig): Discovered {
  const bind = (current: FilterConfig | null) => {
    // One name serves all who ask for it: this filter may want another type than the one it was checked for.
    if (current !== null && discovery?.typeUrls.has(current.typeUrl) === true) return bindTo(current.typeUrl, current.config);
    return typeUrl === '' ? missingConfig : bindTo(typeUrl, config);
  };
  return { entry: { name, disabled, skip: null, filter: bind(holder.current) }, holder, bind, seen: holder.current };
}
