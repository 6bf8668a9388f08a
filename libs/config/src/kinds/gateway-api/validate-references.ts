import type { Findings } from '../../rules/findings.ts';
import { item } from '../../schema/schema.ts';
import { patternReason } from './patterns.ts';
import type { BackendObjectReference, ParentReference } from './references.ts';

/** Group, kind and namespace of any reference. */
export function checkReference(reference: { readonly group: string; readonly kind: string; readonly namespace?: string }, path: string, findings: Findings): void {
  if (reference.group !== '') findings.check(`${path}.group`, patternReason(reference.group, 'subdomain'));
  findings.check(`${path}.kind`, patternReason(reference.kind, 'kind'));
  if (reference.namespace !== undefined) findings.check(`${path}.namespace`, patternReason(reference.namespace, 'namespace'));
}

export function checkBackend(backend: BackendObjectReference, path: string, findings: Findings): void {
  checkReference(backend, path, findings);
  if (backend.group === '' && backend.kind === 'Service' && backend.port === undefined) findings.error(`${path}.port`, 'is required for a Service');
}

/** Several references to one parent must be told apart by sectionName or port. */
export function checkParents(parents: readonly ParentReference[], findings: Findings): void {
  const seen = new Map<string, { readonly bare: boolean; readonly places: Set<string> }>();
  for (const [i, parent] of parents.entries()) {
    const path = item('spec.parentRefs', i);
    checkReference(parent, path, findings);
    if (parent.sectionName !== undefined) findings.check(`${path}.sectionName`, patternReason(parent.sectionName, 'subdomain'));
    const key = [parent.group, parent.kind, parent.namespace ?? '', parent.name].join('\0');
    const place = `${parent.sectionName ?? ''} ${parent.port ?? ''}`;
    const known = seen.get(key);
    if (!known) {
      seen.set(key, { bare: place === ' ', places: new Set([place]) });
      continue;
    }
    if (place === ' ' || known.bare) findings.error(path, `refers to ${parent.kind} "${parent.name}" again: give every such reference a sectionName or port`);
    else if (known.places.has(place)) findings.error(path, `refers to ${parent.kind} "${parent.name}" with this sectionName and port already`);
    known.places.add(place);
  }
}

export function checkHostnames(hostnames: readonly string[], findings: Findings): void {
  for (const [i, name] of hostnames.entries()) findings.check(item('spec.hostnames', i), patternReason(name, 'hostname'));
}

/** Names of rules must be unique. */
export function checkRuleNames(rules: readonly { readonly name?: string }[], findings: Findings): void {
  const seen = new Set<string>();
  for (const [i, { name }] of rules.entries()) {
    if (name === undefined) continue;
    findings.check(`${item('spec.rules', i)}.name`, patternReason(name, 'subdomain'));
    if (seen.has(name)) findings.error(`${item('spec.rules', i)}.name`, `"${name}" names an earlier rule already`);
    seen.add(name);
  }
}
