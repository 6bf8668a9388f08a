import type { ObjectMeta } from '../../../object.ts';
import type { Findings } from '../../../rules/findings.ts';
import { list, object, stringMap } from '../../../schema/containers.ts';
import { oneOf, string } from '../../../schema/scalars.ts';
import { item, optional, required } from '../../../schema/schema.ts';
import type { StringMap } from '../../types.ts';
import { gatewayApiKind } from '../group.ts';
import { patternReason } from '../patterns.ts';
import { localObjectReference, type LocalObjectReference } from '../references.ts';
import { checkReference } from '../validate-references.ts';

/** gateway.networking.k8s.io BackendTLSPolicy: clients of these backends speak TLS to them. */
export interface BackendTlsPolicySpec {
  readonly targetRefs: readonly PolicyTargetReference[];
  readonly validation: BackendTlsValidation;
  readonly options: StringMap;
}

/** `sectionName` is the name of a port. */
export interface PolicyTargetReference extends LocalObjectReference {
  readonly sectionName?: string;
}

export interface BackendTlsValidation {
  readonly caCertificateRefs: readonly LocalObjectReference[];
  /** "System", or an implementation's own. */
  readonly wellKnownCACertificates?: string;
  /** The server name asked for, and expected in the certificate. */
  readonly hostname: string;
  readonly subjectAltNames: readonly SubjectAltName[];
}

export interface SubjectAltName {
  readonly type: 'Hostname' | 'URI';
  readonly hostname?: string;
  readonly uri?: string;
}

const target = object<PolicyTargetReference>({
  group: required(string({ maxLength: 253 })),
  kind: required(string({ minLength: 1, maxLength: 63 })),
  name: required(string({ minLength: 1, maxLength: 253 })),
  sectionName: optional(string({ minLength: 1, maxLength: 253 })),
});

const validation = object<BackendTlsValidation>({
  caCertificateRefs: list(localObjectReference, { maxItems: 8 }),
  wellKnownCACertificates: optional(string({ maxLength: 253 })),
  hostname: required(string({ minLength: 1, maxLength: 253 })),
  subjectAltNames: list(object<SubjectAltName>({ type: required(oneOf(['Hostname', 'URI'])), hostname: optional(string({ maxLength: 253 })), uri: optional(string({ maxLength: 253 })) }), { maxItems: 5 }),
});

export const backendTlsPolicy = gatewayApiKind<BackendTlsPolicySpec>({
  kind: 'BackendTLSPolicy',
  plural: 'backendtlspolicies',
  shortNames: ['btlspolicy'],
  versions: ['v1', 'v1alpha3'],
  schema: object<BackendTlsPolicySpec>({ targetRefs: required(list(target, { minItems: 1, maxItems: 16 })), validation: required(validation), options: stringMap({ maxKeys: 16 }) }),
  validate,
});

function validate(spec: BackendTlsPolicySpec, _about: ObjectMeta, findings: Findings): void {
  checkTargets(spec.targetRefs, findings);
  const { caCertificateRefs: references, wellKnownCACertificates: wellKnown, hostname, subjectAltNames } = spec.validation;
  const named = wellKnown !== undefined && wellKnown !== '';
  if (references.length > 0 && named) findings.error('spec.validation', 'only one of caCertificateRefs, wellKnownCACertificates may be set');
  if (references.length === 0 && !named) findings.error('spec.validation', 'one of caCertificateRefs, wellKnownCACertificates must be set');
  findings.check('spec.validation.hostname', patternReason(hostname, 'subdomain'));
  for (const [i, { type, ...values }] of subjectAltNames.entries()) {
    const [wanted, other] = type === 'Hostname' ? (['hostname', 'uri'] as const) : (['uri', 'hostname'] as const);
    const at = item('spec.validation.subjectAltNames', i);
    if ((values[wanted] ?? '') === '') findings.error(`${at}.${wanted}`, `is required for type ${type}`);
    if ((values[other] ?? '') !== '') findings.error(`${at}.${other}`, `cannot be set for type ${type}`);
  }
}

function checkTargets(targets: readonly PolicyTargetReference[], findings: Findings): void {
  const seen = new Map<string, Set<string>>();
  for (const [i, reference] of targets.entries()) {
    const at = item('spec.targetRefs', i);
    checkReference({ group: reference.group, kind: reference.kind }, at, findings);
    const key = [reference.group, reference.kind, reference.name].join('\0');
    const sections = seen.get(key) ?? new Set<string>();
    const section = reference.sectionName ?? '';
    if (seen.has(key) && (section === '' || sections.has('') || sections.has(section))) findings.error(at, `refers to ${reference.kind} "${reference.name}" again: give every such reference a sectionName of its own`);
    seen.set(key, sections.add(section));
  }
}
