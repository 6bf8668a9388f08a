import type { EnvoyPatchOperation } from '@meltemi/config';

/** How a patch changes a list. */
export interface ListChange<T> {
  readonly operation: EnvoyPatchOperation;
  readonly value: () => T;
  /** Which entries the patch means; undefined: it names none. */
  readonly test: ((entry: T) => boolean) | undefined;
}

/** The list after an addition, insertion, replacement or removal; what names no entry adds at the end or the front, and replaces or removes nothing. */
export function changedList<T>(list: readonly T[], { operation, value, test }: ListChange<T>): readonly T[] {
  const at = test ? list.findIndex(test) : -1;
  switch (operation) {
    case 'ADD':
      return [...list, value()];
    case 'INSERT_FIRST':
      return [value(), ...list];
    case 'INSERT_BEFORE':
      return test ? (at < 0 ? list : list.toSpliced(at, 0, value())) : [value(), ...list];
    case 'INSERT_AFTER':
      return test ? (at < 0 ? list : list.toSpliced(at + 1, 0, value())) : [...list, value()];
    case 'REPLACE':
      return at < 0 ? list : list.toSpliced(at, 1, value());
    case 'REMOVE':
      return test ? list.filter((entry) => !test(entry)) : list;
    default:
      return list;
  }
}

export function isMerge(operation: EnvoyPatchOperation): boolean {
  return operation === 'MERGE' || operation === 'MERGE_AND_REPLACE_LIST';
}
