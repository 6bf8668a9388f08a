import { item } from '../schema/schema.ts';
import type { Findings } from './findings.ts';
import { isDnsLabel } from './hosts.ts';

export interface ExportRules {
  readonly namespace: string;
  /** "~" (nobody) is allowed. */
  readonly allowNone?: boolean;
  /** Only the object's own namespace is allowed. */
  readonly ownNamespaceOnly?: boolean;
}

/** exportTo: "." (own namespace), "*" (everyone) or namespaces, without repetition. */
export function checkExportTo(exportTo: readonly string[], findings: Findings, rules: ExportRules): void {
  const seen = new Set<string>();
  for (const [i, entry] of exportTo.entries()) {
    const at = item('spec.exportTo', i);
    const key = entry === '.' ? rules.namespace : entry;
    if (seen.has(key)) findings.error(at, `"${entry}" repeats an earlier entry`);
    seen.add(key);
    const known = entry === '.' || entry === '*' || (entry === '~' && rules.allowNone === true) || isDnsLabel(entry);
    if (!known) findings.error(at, `"${entry}" is not a namespace: write a name, "." or "*"`);
    if (rules.ownNamespaceOnly === true && key !== rules.namespace) findings.error(at, 'with a workloadSelector only the own namespace "." is allowed');
  }
  for (const [alone, meaning] of [['*', 'everyone'], ['~', 'nobody']] as const)
    if (seen.has(alone) && exportTo.length > 1) findings.error('spec.exportTo', `"${alone}" means ${meaning}, so it must stand alone`);
}
