import type { StringMap } from '../../kinds/types.ts';
import { selects } from '../../labels/selects.ts';
import { isMap } from '../../schema/containers.ts';
import { maps, text, textMap, textsIn } from '../json.ts';

/** "app=reviews,version=v1": sorted by key, as Kubernetes prints selectors. */
export function selectorText(selector: StringMap): string {
  return Object.entries(selector).map(([key, value]) => `${key}=${value}`).sort().join(',');
}

/** Kubernetes' LabelSelector as JSON: undefined selects everything, an unknown operator nothing. */
export function labelSelectorSelects(selector: unknown, labels: StringMap): boolean {
  if (!isMap(selector)) return true;
  return selects(textMap(selector['matchLabels']), labels) && maps(selector['matchExpressions']).every((one) => requirementHolds(text(one['key']), text(one['operator']), { values: textsIn(one['values']), labels }));
}

function requirementHolds(key: string, operator: string, { values, labels }: { readonly values: readonly string[]; readonly labels: StringMap }): boolean {
  const value = labels[key];
  switch (operator) {
    case 'In': return value !== undefined && values.includes(value);
    case 'NotIn': return value === undefined || !values.includes(value);
    case 'Exists': return value !== undefined;
    case 'DoesNotExist': return value === undefined;
    default: return false;
  }
}
