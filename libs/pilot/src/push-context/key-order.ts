import { keyText, type Config } from '@meltemi/config';

const texts = new WeakMap<Config, string>();

/** The key text of an object, made once. */
export function textOf(config: Config): string {
  let text = texts.get(config);
  if (text === undefined) {
    text = keyText(config.key);
    texts.set(config, text);
  }
  return text;
}

const worthMerging = 200;

/** By key text, whatever order they came in. Most were in the last list: that order is kept, and what is new is sorted in; the last list itself when it is the same. */
export function inKeyOrder(configs: readonly Config[], previous: readonly Config[] | undefined): readonly Config[] {
  if (!previous || configs.length < worthMerging) {
    const sorted = configs.toSorted(byKey);
    return previous?.length === sorted.length && previous.every((config, index) => config === sorted[index]) ? previous : sorted;
  }
  const present = new Set(configs);
  const known = new Set(previous);
  const kept = previous.filter((config) => present.has(config));
  if (kept.length === configs.length) return kept.length === previous.length ? previous : kept;
  // Two sorted runs, which sorting only merges.
  return [...kept, ...configs.filter((config) => !known.has(config)).toSorted(byKey)].sort(byKey);
}

function byKey(a: Config, b: Config): number {
  const [left, right] = [textOf(a), textOf(b)];
  return left < right ? -1 : left > right ? 1 : 0;
}
