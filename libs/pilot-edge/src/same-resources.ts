import { setDifference, xdsType, type ResourceSet } from '@meltemi/xds';

/** Equal in content. */
export function sameResources(a: ResourceSet, b: ResourceSet): boolean {
  if (a === b) return true;
  const { updated, removed } = setDifference(a, b);
  return updated.length + removed.length === 0;
}

/** Whether a set is what was handed on before. Of the types compared already, what is equal is the same object; secrets are made anew. */
export function isUnchanged(before: ResourceSet | undefined, set: ResourceSet): boolean {
  return before === set || (before !== undefined && set.typeUrl === xdsType.secret && sameResources(before, set));
}
