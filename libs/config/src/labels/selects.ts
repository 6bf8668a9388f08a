import type { StringMap } from '../kinds/types.ts';

/** True when the labels hold every pair; an empty selector takes everything. */
export function selects(selector: StringMap, labels: StringMap): boolean {
  for (const key in selector) if (labels[key] !== selector[key]) return false;
  return true;
}
