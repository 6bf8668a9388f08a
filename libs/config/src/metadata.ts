import type { FieldError } from '@meltemi/base';
import type { ConfigKind } from './kinds/kind.ts';
import type { ObjectMeta } from './object.ts';
import type { Findings } from './rules/findings.ts';
import { isDnsLabel } from './rules/hosts.ts';
import { checkLabels } from './rules/labels.ts';
import { object, stringMap } from './schema/containers.ts';
import { string } from './schema/scalars.ts';

const schema = object<ObjectMeta>({ name: string(), namespace: string(), labels: stringMap(), annotations: stringMap(), creationTimestamp: string() }, { unknown: 'ignore' });

/** Reads `metadata`; never fails, mistakes go to `errors`. The namespace is as written. */
export function decodeMetadata(input: unknown, errors: FieldError[]): ObjectMeta {
  return input === undefined || input === null ? schema.missing('metadata', errors) : schema.decode(input, 'metadata', errors);
}

/** What Kubernetes asks of metadata, and which of Istio's annotations belong elsewhere. */
export function checkMetadata(meta: ObjectMeta, kind: ConfigKind, findings: Findings): void {
  // istioctl reads IstioOperator from files in which it has no name.
  const nameless = meta.name === '' && kind.kind === 'IstioOperator';
  if (nameless) return;
  if (meta.name === '') findings.error('metadata.name', 'is required');
  else if (!isSubdomain(meta.name)) findings.error('metadata.name', `"${meta.name}" must be small letters, digits, "-" and ".", starting and ending with a letter or digit`);
  if (meta.namespace !== '' && kind.scope === 'namespaced' && !(isDnsLabel(meta.namespace) && meta.namespace === meta.namespace.toLowerCase()))
    findings.error('metadata.namespace', `"${meta.namespace}" is not a namespace: 1–63 small letters, digits or "-"`);
  checkLabels(meta.labels, 'metadata.labels', findings);
  if (kind.group.endsWith('istio.io') && kind.kind !== 'AuthorizationPolicy' && meta.annotations['istio.io/dry-run'] !== undefined)
    findings.error('metadata.annotations["istio.io/dry-run"]', 'works only on an AuthorizationPolicy: remove it');
}

function isSubdomain(name: string): boolean {
  return name.length <= 253 && /^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$/.test(name);
}
