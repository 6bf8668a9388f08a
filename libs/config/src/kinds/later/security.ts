import type { Findings } from '../../rules/findings.ts';
import { checkSelector } from '../../rules/labels.ts';
import { isMap } from '../../schema/containers.ts';
import type { StringMap, Struct } from '../types.ts';

/** The maps of a list that a schema has checked already. */
export function maps(value: unknown): readonly Struct[] {
  return Array.isArray(value) ? value.filter(isMap) : [];
}

/** At most one way of saying what a policy attaches to. */
export function checkAttachment(spec: Struct, findings: Findings): void {
  const selector = spec['selector'];
  if (isMap(selector) && isMap(selector['matchLabels'])) checkSelector(selector['matchLabels'] as StringMap, 'spec.selector.matchLabels', findings);
  const refs = Array.isArray(spec['targetRefs']) && spec['targetRefs'].length > 0;
  const set = [spec['selector'] !== undefined, spec['targetRef'] !== undefined, refs].filter(Boolean).length;
  if (set > 1) findings.error('spec', 'only one of selector, targetRef and targetRefs may be set');
}
