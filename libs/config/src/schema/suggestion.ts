import { closest } from '@meltemi/base';

/** `; did you mean "weight"?`, or "". */
export function suggestion(name: string, candidates: readonly string[]): string {
  const meant = closest(name, candidates);
  return meant === undefined ? '' : `; did you mean "${meant}"?`;
}
