import { addTo } from '@meltemi/base';
import type { StringMap } from '../kinds/types.ts';
import { selects } from './selects.ts';

/** Finds what a selector selects without holding it against everything; answers keep the order of what was given. */
export interface LabelIndex<T> {
  selectedBy(selector: StringMap): readonly T[];
}

export function labelIndex<T>(things: readonly T[], labelsOf: (thing: T) => StringMap): LabelIndex<T> {
  const byPair = new Map<string, T[]>();
  for (const thing of things) for (const label of Object.entries(labelsOf(thing))) addTo(byPair, pair(label), thing);
  return {
    selectedBy(selector) {
      let candidates = things;
      for (const label of Object.entries(selector)) {
        const having = byPair.get(pair(label)) ?? [];
        if (having.length < candidates.length) candidates = having;
      }
      return candidates.filter((thing) => selects(selector, labelsOf(thing)));
    },
  };
}

/** The other way round: finds whose selectors select some labels, in the order they were given. */
export interface SelectorIndex<T> {
  selecting(labels: StringMap): readonly T[];
}

export function selectorIndex<T>(things: readonly T[], selectorOf: (thing: T) => StringMap): SelectorIndex<T> {
  const everything: Ranked<T>[] = [];
  const byPair = new Map<string, Ranked<T>[]>();
  for (const [rank, thing] of things.entries()) {
    const [first] = Object.entries(selectorOf(thing));
    if (first === undefined) everything.push({ rank, thing });
    else addTo(byPair, pair(first), { rank, thing });
  }
  return {
    selecting(labels) {
      const candidates = Object.entries(labels).flatMap((label) => byPair.get(pair(label)) ?? []);
      const found = candidates.filter(({ thing }) => selects(selectorOf(thing), labels));
      return [...everything, ...found].sort((a, b) => a.rank - b.rank).map(({ thing }) => thing);
    },
  };
}

/** An index for each namespace, of the things in it. */
export function byNamespace<T, Index>(things: readonly T[], namespaceOf: (thing: T) => string, index: (there: readonly T[]) => Index): ReadonlyMap<string, Index> {
  return new Map([...Map.groupBy(things, namespaceOf)].map(([namespace, there]) => [namespace, index(there)]));
}

interface Ranked<T> {
  readonly rank: number;
  readonly thing: T;
}

function pair([key, value]: readonly [string, string]): string {
  return `${key}\n${value}`;
}
