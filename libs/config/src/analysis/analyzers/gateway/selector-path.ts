import type { StringMap } from '../../../kinds/types.ts';
import { child } from '../../../schema/schema.ts';

/** Where a gateway's selector is written: at its first label. */
export function selectorPath(selector: StringMap): string {
  const [first] = Object.keys(selector).sort();
  return first === undefined ? 'spec' : child('spec.selector', first);
}
