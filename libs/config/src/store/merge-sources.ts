import { keyText, type ConfigKey, type RawObject } from '../object.ts';
import { problemText, type ConfigSource, type SourceEvent, type SourceLocation, type SourceProblem } from './config-source.ts';
import type { ConfigStore, StoredObject, StoreEvent, UnreadableValue } from './config-store.ts';
import { interleave } from './interleave.ts';

/** Where the object in force came from. `resourceVersion` and `creationTimestamp` are "" for objects of sources, `location` is missing for the store's. */
export interface Origin {
  readonly source: string;
  readonly location?: SourceLocation;
  readonly resourceVersion: string;
}

/**
 * The one view of a store and its sources. put: this object is now in force for its key. `more`: the next event belongs to the same commit, act after it.
 * `synced` comes once, when the store and every source have told all they had. `interrupted` and `restored` tell of the store's reachability.
 */
export type MergedEvent =
  | { readonly type: 'put'; readonly object: RawObject; readonly origin: Origin; readonly more: boolean }
  | { readonly type: 'delete'; readonly key: ConfigKey; readonly more: boolean }
  | { readonly type: 'problem' | 'problem-cleared'; readonly source: string; readonly problem: SourceProblem }
  | { readonly type: 'interrupted'; readonly reason: string }
  | { readonly type: 'restored' }
  | { readonly type: 'synced' };

export interface MergeOptions {
  readonly store: Pick<ConfigStore, 'watch'>;
  /** In order of precedence, after the store. */
  readonly sources: readonly ConfigSource[];
  /** For people; default "the config store". */
  readonly storeName?: string;
}

/** One stream over a store and sources: the store wins over sources, an earlier source over a later one; what is shadowed is reported as a problem. */
export async function* mergeSources(options: MergeOptions, signal: AbortSignal): AsyncGenerator<MergedEvent> {
  const names = [options.storeName ?? 'the config store', ...options.sources.map((source) => source.name)];
  const layers = new Layers(names);
  const waitingFor = new Set(names.keys());
  const inputs: AsyncIterable<StoreEvent | SourceEvent>[] = [options.store.watch({}, signal), ...options.sources.map((source) => source.watch(signal))];
  let interrupted = false;
  for await (const { from, event } of interleave(inputs)) {
    if (event.type === 'synced') {
      if (waitingFor.delete(from) && waitingFor.size === 0) yield { type: 'synced' };
      if (from === 0 && interrupted) {
        interrupted = false;
        yield { type: 'restored' };
      }
    } else if (event.type === 'interrupted') {
      interrupted = true;
      yield event;
    } else yield* layers.take(from, event);
  }
}

interface Held {
  readonly object: RawObject;
  readonly origin: Origin;
}

type LayerEvent = Exclude<StoreEvent | SourceEvent, { readonly type: 'synced' | 'interrupted' }>;

/** What each input says about each key; the first that has one wins. */
class Layers {
  readonly #names: readonly string[];
  readonly #held: Map<string, Held>[];
  readonly #unreadable = new Map<string, SourceProblem>();

  constructor(names: readonly string[]) {
    this.#names = names;
    this.#held = names.map(() => new Map());
  }

  *take(layer: number, event: LayerEvent): Generator<MergedEvent> {
    switch (event.type) {
      case 'put': {
        const held = 'location' in event ? this.#ofSource(layer, event.object, event.location) : this.#ofStore(event.object);
        yield* this.#set(layer, held.object.key, held, 'lastOfCommit' in event && !event.lastOfCommit);
        return;
      }
      case 'delete':
        yield* this.#set(layer, event.key, undefined, 'lastOfCommit' in event && !event.lastOfCommit);
        return;
      case 'problem':
      case 'problem-cleared':
        yield { ...event, source: this.#name(layer) };
        return;
      case 'unreadable':
        yield* this.#setUnreadable(event.value.rawKey, unreadableProblem(event.value));
        return;
      case 'unreadable-cleared':
        yield* this.#setUnreadable(event.rawKey, undefined);
        return;
      case 'resync':
        yield* this.#replaceStore(event.objects, event.unreadable);
    }
  }

  *#set(layer: number, key: ConfigKey, held: Held | undefined, more: boolean): Generator<MergedEvent> {
    const text = keyText(key);
    const [before, ...shadowedBefore] = this.#holders(text);
    if (held === undefined) this.#held[layer]?.delete(text);
    else this.#held[layer]?.set(text, held);
    const [winner, ...shadowed] = this.#holders(text);
    const was = new Map(shadowedBefore.map((each) => shadowProblem(each, before)).map((each) => [problemText(each.problem), each]));
    const is = new Map(shadowed.map((each) => shadowProblem(each, winner)).map((each) => [problemText(each.problem), each]));
    for (const [problem, each] of was) if (!is.has(problem)) yield { type: 'problem-cleared', ...each };
    for (const [problem, each] of is) if (!was.has(problem)) yield { type: 'problem', ...each };
    if (winner === undefined) {
      if (before !== undefined) yield { type: 'delete', key, more };
    } else if (winner !== before) yield { type: 'put', ...winner, more };
  }

  *#setUnreadable(rawKey: string, problem: SourceProblem | undefined): Generator<MergedEvent> {
    const before = this.#unreadable.get(rawKey);
    if (before !== undefined) yield { type: 'problem-cleared', source: this.#name(0), problem: before };
    if (problem === undefined) this.#unreadable.delete(rawKey);
    else {
      this.#unreadable.set(rawKey, problem);
      yield { type: 'problem', source: this.#name(0), problem };
    }
  }

  *#replaceStore(objects: readonly StoredObject[], unreadable: readonly UnreadableValue[]): Generator<MergedEvent> {
    const keep = new Set([...objects.map(({ object }) => keyText(object.key)), ...unreadable.flatMap(({ key }) => (key === undefined ? [] : [keyText(key)]))]);
    for (const [text, held] of this.#held[0] ?? []) if (!keep.has(text)) yield* this.#set(0, held.object.key, undefined, true);
    for (const stored of objects) {
      const known = this.#held[0]?.get(keyText(stored.object.key));
      if (known?.origin.resourceVersion !== stored.resourceVersion) yield* this.#set(0, stored.object.key, this.#ofStore(stored), false);
    }
    for (const rawKey of Array.from(this.#unreadable.keys())) yield* this.#setUnreadable(rawKey, undefined);
    for (const value of unreadable) yield* this.#setUnreadable(value.rawKey, unreadableProblem(value));
  }

  #holders(text: string): Held[] {
    return this.#held.flatMap((layer) => layer.get(text) ?? []);
  }

  #name(layer: number): string {
    return this.#names[layer] ?? '';
  }

  #ofStore(stored: StoredObject): Held {
    return { object: stored.object, origin: { source: this.#name(0), resourceVersion: stored.resourceVersion } };
  }

  #ofSource(layer: number, object: RawObject, location: SourceLocation): Held {
    return { object, origin: { source: this.#name(layer), location, resourceVersion: '' } };
  }
}

function shadowProblem(held: Held, winner: Held | undefined): { source: string; problem: SourceProblem } {
  const { file, line } = held.origin.location ?? { file: '', line: 0 };
  const message = `${keyText(held.object.key)} is also in ${winner?.origin.source ?? 'another source'}, which wins: delete one of the two`;
  return { source: held.origin.source, problem: { file, line, path: '', message } };
}

function unreadableProblem({ rawKey, key, reason }: UnreadableValue): SourceProblem {
  return { file: rawKey, line: 0, path: '', message: reason, ...(key === undefined ? {} : { key }) };
}
