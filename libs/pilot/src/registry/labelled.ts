import { addTo } from '@meltemi/base';
import { selects } from './workloads.ts';

type Labels = Readonly<Record<string, string>>;

/** Things with labels in namespaces, found by selector without looking at all of them. */
export interface Labelled<T> {
  /** Those of `namespace` that have every label of `selector`; all of them for an empty one. Order of insertion. */
  select(namespace: string, selector: Labels): readonly T[];
}

/** Indexes by each label, so that a selector starts from its rarest one. */
export function labelled<T>(items: Iterable<T>, of: (item: T) => { readonly namespace: string; readonly labels: Labels }): Labelled<T> {
  const all = new Map<string, T[]>();
  const byLabel = new Map<string, T[]>();
  for (const item of items) {
    const { namespace, labels } = of(item);
    addTo(all, namespace, item);
    for (const [key, value] of Object.entries(labels)) addTo(byLabel, `${namespace}\0${key}\0${value}`, item);
  }
  return {
    select(namespace, selector) {
      let fewest = all.get(namespace) ?? [];
      for (const [key, value] of Object.entries(selector)) {
        const candidates = byLabel.get(`${namespace}\0${key}\0${value}`) ?? [];
        if (candidates.length < fewest.length) fewest = candidates;
      }
      return fewest.filter((item) => selects(selector, of(item).labels));
    },
  };
}
