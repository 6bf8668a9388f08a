import { child } from '../schema/schema.ts';
import type { StringMap } from '../kinds/types.ts';
import type { Findings } from './findings.ts';

const qualifiedName = /^(?:[A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]$/;
const prefix = /^[a-zA-Z0-9](?:[-a-zA-Z0-9]*[a-zA-Z0-9])?(?:\.[a-zA-Z0-9](?:[-a-zA-Z0-9]*[a-zA-Z0-9])?)*$/;

/** "app" or "example.com/app", as Kubernetes names labels and annotations. */
export function labelKeyReason(key: string): string | undefined {
  const slash = key.indexOf('/');
  const name = key.slice(slash + 1);
  const prefixOk = slash < 0 || (slash <= 253 && prefix.test(key.slice(0, slash)));
  if (prefixOk && name.length <= 63 && qualifiedName.test(name)) return undefined;
  return `"${key}" is not a label name: 1–63 letters, digits, "-", "_" and ".", optionally after a DNS name and "/"`;
}

/** Of an object's own metadata: Kubernetes' rules. */
export function checkOwnLabels(labels: StringMap, path: string, findings: Findings): void {
  for (const [key, value] of Object.entries(labels)) if (value.length > 63) findings.error(child(path, key), `a label value has at most 63 characters, has ${value.length}`);
  checkLabels(labels, path, findings);
}

/** Labels to compare with. */
export function checkLabels(labels: StringMap, path: string, findings: Findings): void {
  for (const [key, value] of Object.entries(labels)) {
    findings.check(child(path, key), labelKeyReason(key));
    if (value !== '' && !qualifiedName.test(value)) findings.error(child(path, key), `${JSON.stringify(value)} is not a label value: at most 63 letters, digits, "-", "_" and "."`);
    else if (value.length > 63) findings.warn(child(path, key), 'has more than 63 characters, which no label can have, so it matches nothing');
  }
}

/** A selector matches literally: no empty keys, no wildcards. Without labels it selects everything, which is seldom meant. */
export function checkSelector(labels: StringMap | undefined, path: string, findings: Findings): void {
  if (labels === undefined) return;
  for (const [key, value] of Object.entries(labels)) {
    if (key === '') findings.error(path, 'a label name must not be empty');
    if (key.includes('*') || value.includes('*')) findings.error(child(path, key), 'wildcards do not work in a selector');
    if (value.length > 63) findings.error(child(path, key), 'a label value has at most 63 characters');
  }
  if (Object.keys(labels).length === 0) findings.warn(path, 'the selector has no labels: it selects every workload of the namespace');
}
