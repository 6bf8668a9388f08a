import type { HcmConfig } from '@meltemi/snapshot';
import type { FilterContext, HttpFilterConfig, HttpFilterFactory, HttpStreamFilter } from '../filter.ts';
import { httpFilterFactory } from '../filters/registry.ts';
import type { ActiveStream } from './active-stream.ts';

interface Entry {
  readonly name: string;
  readonly disabled: boolean;
  readonly filter: HttpFilterConfig;
}

/** The HTTP filters of one connection manager, bound to what they need. `factoryOf` finds a filter by its config's type. @hot */
export class HttpFilterChain {
  readonly #entries: readonly Entry[];
  readonly #anyDisabled: boolean;
  readonly #events: readonly number[];

  constructor(config: HcmConfig, context: Omit<FilterContext, 'filterName'>, factoryOf: (typeUrl: string) => HttpFilterFactory | undefined = httpFilterFactory) {
    const entries: Entry[] = [];
    for (const { name, typeUrl, config: filterConfig, disabled } of config.httpFilters) {
      const factory = factoryOf(typeUrl);
      if (factory === undefined) throw new Error(`HTTP filter ${name}: no filter of type ${typeUrl} here; its config should have been refused`);
      entries.push({ name, disabled, filter: factory.bind(filterConfig, { ...context, filterName: name }) });
    }
    this.#entries = entries;
    this.#anyDisabled = entries.some((entry) => entry.disabled);
    this.#events = entries.map((entry) => entry.filter.events);
  }

  /** Creates the filters of a stream that have something to do and hands them over. */
  build(stream: ActiveStream, target: { use(filters: readonly HttpStreamFilter[], events: readonly number[]): void }): void {
    const perFilter = stream.route()?.perFilter;
    const selective = this.#anyDisabled || (perFilter !== undefined && perFilter.size > 0);
    const filters: HttpStreamFilter[] = [];
    let events: number[] | null = null;
    for (let i = 0; i < this.#entries.length; i++) {
      const entry = this.#entries[i];
      if (entry === undefined) continue;
      const off = selective && (perFilter?.get(entry.name)?.disabled ?? entry.disabled);
      const filter = off ? null : entry.filter.create(stream);
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
  }
}
