/** Where a route or a match is written. */
export interface WrittenAt {
  readonly namespace: string;
  readonly name: string;
  /** "spec.http[0].match[1]" */
  readonly field: string;
}

const writtenAt = Symbol('written at');

/** The same value, knowing where it is written: copies by spread know it too, of two that are merged the later one's place counts. Nothing else sees it. */
export function withPlace<T extends object>(value: T, place: WrittenAt): T {
  return { ...value, [writtenAt]: place };
}

export function placeOf(value: object | undefined): WrittenAt | undefined {
  return (value as { readonly [writtenAt]?: WrittenAt } | undefined)?.[writtenAt];
}
