import type { FieldError } from '@meltemi/base';
import type { ConfigKind } from './kinds/kind.ts';
import type { ObjectMeta } from './object.ts';
import type { Findings } from './rules/findings.ts';
import { isDnsLabel } from './rules/hosts.ts';
import { checkOwnLabels, labelKeyReason } from './rules/labels.ts';
import { object, stringMap } from './schema/containers.ts';
import { string } from './schema/scalars.ts';
import { child } from './schema/schema.ts';

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
  checkOwnLabels(meta.labels, 'metadata.labels', findings);
  checkAnnotations(meta, kind, findings);
  if (kind.group.endsWith('istio.io') && kind.kind !== 'AuthorizationPolicy' && meta.annotations['istio.io/dry-run'] !== undefined)
    findings.error('metadata.annotations["istio.io/dry-run"]', 'works only on an AuthorizationPolicy: remove it');
}

// Istio keeps these to itself: on a user's object they would change whose it is.
const reserved = ['internal.istio.io/parents', 'internal.istio.io/parent-namespace', 'internal.istio.io/webhook-always-reject'];
const maxAnnotationBytes = 256 * 1024;

function checkAnnotations(meta: ObjectMeta, kind: ConfigKind, findings: Findings): void {
  let bytes = 0;
  for (const [key, value] of Object.entries(meta.annotations)) {
    const at = child('metadata.annotations', key);
    findings.check(at, labelKeyReason(key)?.replace('label name', 'annotation name'));
    bytes += Buffer.byteLength(key) + Buffer.byteLength(value);
    if (kind.group.endsWith('istio.io') && reserved.includes(key)) findings.error(at, 'is for the control plane alone: remove it');
  }
  if (bytes > maxAnnotationBytes) findings.error('metadata.annotations', `must have at most ${maxAnnotationBytes} bytes together, has ${bytes}`);
}

function isSubdomain(name: string): boolean {
  return name.length <= 253 && /^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$/.test(name);
}
